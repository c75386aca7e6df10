"""The hub as a process of its own: `medsettle serve` over mutual TLS, started, killed, started again.

Invariant: it is started on the same directory and port every time, so that its clients find it again by themselves.
Leaves out what the hub does: it is the program that every operator runs.
"""

import queue
import re
import signal
import subprocess
import sys
import threading
import time

from medsettle.demo.scratch import Scratch

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
_READY = re.compile(r"medsettle ready on 127\.0\.0\.1:(\d+)\b")


class HubProcess:
    """One hub; a context manager that leaves no process behind."""

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    @property
    def target(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._port}"

    @property
    def process_id(self) -> int:
        """The number of the process."""
        return self._running().pid

    def start(self) -> float:
        """Start it and return the seconds until it was ready; raises RuntimeError with the end of its log."""
        begin_s = time.monotonic()
        with self._scratch.hub_log.open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "medsettle", "serve", *_options(self._scratch, self.target)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._process = process
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=_drain, args=(process, lines), daemon=True).start()
        try:
            ready = _READY.match(lines.get(timeout=START_TIMEOUT_S))
        except queue.Empty:
            ready = None
        if ready is None:
            raise RuntimeError(f"the hub did not start; the end of its log:\n{self.log_tail()}")
        self._port = int(ready[1])
        return time.monotonic() - begin_s

    def kill(self) -> None:
        """SIGKILL: no handler, no flush, no goodbye."""
        process = self._running()
        process.kill()
        process.wait()
        self._process = None

    def stop(self) -> int:
        """SIGTERM: drain, close, and return the exit code."""
        process = self._running()
        process.send_signal(signal.SIGTERM)
        code = process.wait(STOP_TIMEOUT_S)
        self._process = None
        return code

    def log_tail(self, lines: int = 20) -> str:
        """Give the last lines that the hub wrote."""
        return "\n".join(self._scratch.hub_log.read_text(errors="replace").splitlines()[-lines:])

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("the hub is not running")
        return self._process

    def __enter__(self) -> "HubProcess":
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            self.kill()


def _options(scratch: Scratch, address: str) -> list[str]:
    options = {
        "--data": scratch.data,
        "--listen": address,
        "--config": scratch.config,
        "--tls-ca": scratch.server_tls.ca,
        "--tls-cert": scratch.server_tls.cert,
        "--tls-key": scratch.server_tls.key,
        "--keys": scratch.key_ring,
        "--kek": scratch.kek,
    }
    return [str(part) for option in options.items() for part in option]


def _drain(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    """Read what the hub prints, so that it never waits for a reader; an empty line stands for the end."""
    assert process.stdout is not None
    with process.stdout as output:
        for line in output:
            lines.put(line)
    lines.put("")
