"""Read a data directory without opening it as a hub; nothing of its journal is ever changed."""

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


def reindex(data: str | PathLike[str], progress: Callable[[int, int], None] | None = None) -> tuple[int, int]:
    """Throw the records index away and make it again from the journal; returns how many frames and records that was.

    `progress` is called with the bytes done and the bytes in all. Raises DirectoryLocked while a hub uses the
    directory, CorruptJournal when anything of the journal is damaged, OSError when the directory cannot be read or its
    disk is full.
    """
    return _core.reindex(fspath(data), progress)
