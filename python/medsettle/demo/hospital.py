"""A hospital or pharmacy as a process of its own: it talks to the hub over mutual TLS, to the storyteller over a pipe.

Owns the process and the pipe. Each message on the pipe is one step of `BusyWard` by name; the answer is its result or
the exception that it raised.
Invariant: the process ends when the pipe closes, so none outlives the storyteller.
"""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from medsettle.config import TlsFiles
from medsettle.demo.rush import BusyWard
from medsettle.demo.world import Place

P = ParamSpec("P")
R = TypeVar("R")

END_TIMEOUT_S = 10.0


class Hospital:
    """The storyteller's end of a hospital process; a context manager that ends it."""

    def __init__(self, place: Place, target: str, tls: TlsFiles, progress: int) -> None:
        """Start the process; `progress` is the descriptor to which it writes a byte for each acknowledgement."""
        self.place = place
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "medsettle.demo.hospital", str(theirs.fileno())],
                pass_fds=(theirs.fileno(), progress),
                stdin=subprocess.DEVNULL,
            )
        self._pipe.send((place.code, target, tls, progress))

    @property
    def name(self) -> str:
        """The hospital's name."""
        return self.place.name

    @property
    def process_id(self) -> int:
        """The number of the process."""
        return self._process.pid

    def run(self, step: Callable[Concatenate[BusyWard, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Let the hospital take a step and return its result; raises what the step raised."""
        return self.begin(step, *args, **kwargs)()

    def begin(self, step: Callable[Concatenate[BusyWard, P], R], *args: P.args, **kwargs: P.kwargs) -> Callable[[], R]:
        """Let the hospital take a step and return at once; the result is waited for by calling what is returned."""
        self._pipe.send((step.__name__, args, kwargs))
        return self._result

    def _result(self) -> Any:
        done, result = self._pipe.recv()
        if not done:
            raise cast(Exception, result)
        return result

    def __enter__(self) -> "Hospital":
        return self

    def __exit__(self, *error: object) -> None:
        self._pipe.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _serve(pipe: "Connection[Any, Any]") -> None:
    """Take steps until the pipe closes."""
    code, target, tls, progress = pipe.recv()
    ward = BusyWard(code, target, tls, progress)
    while True:
        name, args, kwargs = pipe.recv()
        try:
            answer = True, getattr(ward, name)(*args, **kwargs)
        except Exception as error:
            answer = False, error
        pipe.send(answer)


if __name__ == "__main__":
    # Ctrl-C is the storyteller's; it closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(EOFError, ConnectionError):
        _serve(Connection(int(sys.argv[1])))
