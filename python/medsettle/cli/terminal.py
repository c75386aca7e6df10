"""What every command shares: exit codes, failures, and how amounts and times are shown.

Invariant: text that comes from files and messages is never read as markup.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

_WIDTH_OF_PIPES = 200
"""Columns where there is no terminal to ask: enough that no table is folded."""


MAX_NUMBER = (1 << 64) - 1
"""The largest frame, sequence or id that a journal can hold; more can only be a slip."""


class ExitCode(IntEnum):
    """How a command ends; 0 is all is well."""

    BAD_NEWS = 1
    """It ran, and what it found is bad: damage, problems in a file, a refusal, a hub that does not serve."""
    COULD_NOT_RUN = 2
    HALTED = 3
    """The hub stopped after a failed write."""


class CommandFailed(Exception):
    """A command ends here; the text is for the user."""

    def __init__(self, text: str, code: ExitCode = ExitCode.COULD_NOT_RUN) -> None:
        self.code = code
        super().__init__(text)


@contextmanager
def wrong_input() -> Iterator[None]:
    """Take a ValueError for the user's mistake: what runs inside says in its text what was wrong with the input."""
    try:
        yield
    except ValueError as error:
        raise CommandFailed(str(error)) from None


def console(file: IO[str] | None = None) -> "Console":
    """Make a console on stdout, or on `file`."""
    from rich.console import Console

    plain = Console(file=file, markup=False, highlight=False, emoji=False)
    if not plain.is_terminal:
        plain.width = _WIDTH_OF_PIPES
    return plain


@contextmanager
def bytes_progress(doing: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar of bytes done and in all on a terminal's stderr, and nothing anywhere else."""
    from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn, TransferSpeedColumn

    with _bar(
        doing, BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn()
    ) as show:
        yield show


@contextmanager
def steps_progress(doing: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar of steps done and in all (0 while unknown) on a terminal's stderr, and nothing anywhere else."""
    from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn

    with _bar(doing, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()) as show:
        yield show


class Stages:
    """A bar for one stage after the other, with a word about how it goes."""

    def __init__(self, progress: "Progress") -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, note="")

    def stage(self, doing: str, total: int) -> None:
        """Begin something of so many steps."""
        self._progress.reset(self._task, description=doing, total=total, note="")

    def show(self, done: int, note: str = "") -> None:
        """Tell how far it is."""
        self._progress.update(self._task, completed=done, note=note)


@contextmanager
def stages_progress() -> Iterator[Stages]:
    """Show a bar for one stage after the other on a terminal's stderr, and nothing anywhere else."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    stderr = console(sys.stderr)
    with Progress(*columns, console=stderr, transient=True, disable=not sys.stderr.isatty()) as progress:
        yield Stages(progress)


@contextmanager
def _bar(doing: str, *columns: "ProgressColumn") -> Iterator[Callable[[int, int], None]]:
    from rich.progress import Progress

    stderr = console(sys.stderr)
    with Progress(doing, *columns, console=stderr, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(doing, total=None)

        def show(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total or None)

        yield show


def yuan(fen: int) -> str:
    """Show an amount: 123456 is 1,234.56."""
    whole, rest = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole:,}.{rest:02}"


def byte_rate(done_bytes: int, took_s: float) -> str:
    """Show bytes per second, so that small journals do not read as 0.00."""
    rate = done_bytes / took_s
    return f"{rate / 1e9:.2f} GB/s" if rate >= 1e8 else f"{rate / 1e6:.1f} MB/s"


def moment(stamp_ms: int) -> str:
    """Show a time to the millisecond, in UTC."""
    seconds, rest_ms = divmod(stamp_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest_ms:03}Z"
