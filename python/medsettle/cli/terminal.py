"""What every command shares: exit codes, failures, and how amounts and times are shown.

Invariant: text that comes from files and messages is never read as markup.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_OF_PIPES = 200
"""Columns where there is no terminal to ask: enough that no table is folded."""


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


def yuan(fen: int) -> str:
    """Show an amount: 123456 is 1,234.56."""
    whole, rest = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole:,}.{rest:02}"


def moment(stamp_ms: int) -> str:
    """Show a time to the millisecond, in UTC."""
    seconds, rest_ms = divmod(stamp_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest_ms:03}Z"
