"""Read a data directory without opening it as a hub; nothing is ever changed."""

from collections.abc import Callable
from os import PathLike, fspath

from medsettle import _core


def verify(data: str | PathLike[str], progress: Callable[[int, int], None] | None = None) -> list[dict[str, object]]:
    """Walk every frame and gather all that is wrong, each with `path`, `offset` and `problem`; empty means sound.

    `progress` is called with the bytes done and the bytes in all. Raises OSError when the directory cannot be read.
    """
    return _core.verify(fspath(data), progress)


def inspect(data: str | PathLike[str], from_frame: int = 0, limit: int = 100) -> list[dict[str, object]]:
    """Read frames in their order, beginning at `from_frame`; each with its header's fields and `records`."""
    return _core.inspect(fspath(data), from_frame, limit)


def explain(data: str | PathLike[str], id: int) -> list[str] | None:
    """Tell a settlement, or what was taken back from a thief, in lines to read; None where neither has this number.

    Raises CorruptJournal when anything of the journal is damaged, OSError when the directory cannot be read.
    """
    return _core.explain(fspath(data), id)
