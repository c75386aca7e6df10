"""The list of certificates that no longer count: a text file with one hexadecimal serial number a line.

Owns the file's format and its reading while others append to it.
Invariant: a serial number on the list is seen by the first question after it was written.
Invariant: a list that cannot be read answers nothing; it raises, so that nobody is let in by an unreadable file.
"""

import os
from pathlib import Path
from typing import Self


class RevocationList:
    """The revoked serial numbers of one file, read again whenever the file has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, int, int] | None = None
        self._serials: frozenset[int] = frozenset()

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the list now; raises OSError when it is missing and ValueError when a line is no serial number."""
        revoked = cls(path)
        revoked._refresh()
        return revoked

    def __contains__(self, serial: int) -> bool:
        """Tell whether `serial` is revoked; costs one stat of the file, and raises as `load` does after a change."""
        self._refresh()
        return serial in self._serials

    def _refresh(self) -> None:
        if self._version == _version(os.stat(self._path)):
            return
        with open(self._path, encoding="ascii") as file:
            # The version is taken before the text: what is appended in between is then seen as a change.
            version = _version(os.fstat(file.fileno()))
            lines = file.read().splitlines()
        self._serials = frozenset(_serial(line, number) for number, line in enumerate(lines, 1) if line.strip())
        self._version = version


def append_revoked(path: Path, serial: int) -> None:
    """Add a serial number durably; writers in other processes may append at the same time."""
    with open(path, "ab", buffering=0) as file:
        file.write(f"{serial:X}\n".encode("ascii"))
        os.fsync(file.fileno())


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size


def _serial(line: str, number: int) -> int:
    try:
        return int(line, 16)
    except ValueError:
        raise ValueError(f"line {number} is not a hexadecimal serial number: {line!r}") from None
