"""The two files beside an imported one: the rejects, and the checkpoint from which an import goes on.

Invariant: a checkpoint never names rejects or rows that a crash could take back; what the rejects file holds
beyond it is cut off when the import goes on.
Invariant: a checkpoint is replaced whole, and is of one file, one kind and one caller.
Leaves out the rows themselves: the extension.
"""

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Self

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Subject:
    """What is imported, and as whom."""

    kind: str
    file_bytes: int
    file_blake3: str
    institution: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far an import came. `behind` is the extension's own, `finished` says that nothing is left."""

    subject: Subject
    behind: str
    rejects_bytes: int
    finished: bool = False

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read a checkpoint; None where there is none. Raises ValueError for what is no checkpoint."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        try:
            document = json.loads(text)
            subject = Subject(**document["subject"])
            found = cls(subject, json.dumps(document["behind"]), document["rejects_bytes"], document["finished"])
            known = document["format"] == FORMAT and all(
                isinstance(getattr(subject, field.name), int if field.name == "file_bytes" else str)
                for field in fields(Subject)
            )
            if not known or not isinstance(found.rejects_bytes, int) or not isinstance(found.finished, bool):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{path}: is no checkpoint of an import; remove it to begin anew") from None
        return found

    def write(self, path: Path) -> None:
        """Replace what stands there, so that a crash leaves either."""
        document = {
            "format": FORMAT,
            "subject": asdict(self.subject),
            "behind": json.loads(self.behind),
            "rejects_bytes": self.rejects_bytes,
            "finished": self.finished,
        }
        beside = path.with_name(path.name + ".tmp")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class RejectsFile:
    """Rejected rows at the end of a file; a context manager."""

    def __init__(self, path: Path, keep_bytes: int | None = None) -> None:
        """Begin a new file, or go on with one behind so many of its bytes; raises OSError, ValueError.

        A file that is there already is never begun anew: somebody may have mended it.
        """
        self.path = path
        self._file: IO[bytes]
        if keep_bytes is None:
            if path.exists() and path.stat().st_size:
                raise ValueError(
                    f"{path}: is there already, of an earlier import; move it or name another by --rejects"
                )
            # What is in it is of people, and was not everybody's to read.
            self._file = open(path, "wb", opener=_private)  # noqa: SIM115
        else:
            self._file = path.open("r+b")
            if self._file.seek(0, os.SEEK_END) < keep_bytes:
                self._file.close()
                raise ValueError(f"{path}: is shorter than the checkpoint says; remove the checkpoint to begin anew")
            self._file.truncate(keep_bytes)
            self._file.seek(keep_bytes)
        self.bytes = keep_bytes or 0

    def append(self, rows: bytes) -> None:
        """Write rows at the end."""
        if rows:
            self._file.write(rows)
            self.bytes += len(rows)

    def sync(self) -> None:
        """Make durable what was written."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
