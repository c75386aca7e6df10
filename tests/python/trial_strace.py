"""System calls of a hub watched, failed or made its last by strace.

Invariant: the hub is one that the test started; strace lets go of it at the end, if it still lives.
"""

import re
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from trial_disks import need

DETACH_TIMEOUT_S = 30
WRITER = "medsettle-write"
"""Name of the thread that writes frames and syncs them."""

_CALL = re.compile(r"^(?:\d+ +)?(\w+)\(.*?(?:\) += (.*)|<unfinished \.\.\.>)$")
"""Where another thread calls something meanwhile, a call is a line without a result, and later another with it."""


@dataclass(frozen=True)
class Call:
    """One line of the trace: what was called, and what came of it."""

    name: str
    result: str

    @property
    def injected(self) -> bool:
        return "INJECTED" in self.result


def thread_of(pid: int, name: str) -> int:
    """Find the thread of a process by its name."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int(task.name)
    raise LookupError(f"process {pid} has no thread {name}")


class Traced:
    """A thread, or with `follow` a whole process, under strace; a context manager.

    `inject` says what happens to the calls named in `inject_at`, such as "error=EIO:when=3"; strace counts every call
    of every thread by itself.
    """

    def __init__(
        self, log: Path, task: int, calls: str, *, inject_at: str = "", inject: str = "", follow: bool = False
    ) -> None:
        need("strace")
        self._log, self._task = log, task
        command = ["strace", "--string-limit=0", f"--output={log}", f"--trace={calls}", f"--attach={task}"]
        command += ["--follow-forks"] if follow else []
        command += [f"--inject={inject_at}:{inject}"] if inject else []
        self._command = command

    def calls(self) -> list[Call]:
        """Give what was called until now, in order."""
        matched = (_CALL.match(line) for line in self._log.read_text().splitlines())
        return [Call(match[1], match[2] or "") for match in matched if match]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        said = self._process.stderr.readline()
        assert " attached" in said, said + self._process.stderr.read()
        return self

    def __exit__(self, *error: object) -> None:
        # strace may wait for ever for a process of many threads that was killed; that one needs no letting go.
        ended = not self._lives()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL if ended else signal.SIGINT)
        self._process.communicate(timeout=DETACH_TIMEOUT_S)

    def _lives(self) -> bool:
        try:
            state = Path(f"/proc/{self._task}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False
        return state not in "ZX"
