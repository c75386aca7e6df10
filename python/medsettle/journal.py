"""Read a data directory without opening it as a hub, and make and restore backups.

Invariant: nothing here changes a journal that is there; a restore makes a new one, `reindex` what is made from one.
Leaves out asking a running hub: `Operations.TakeJournal` and `TakeSnapshot`, as `medsettle backup` does.
"""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from types import TracebackType
from typing import Self, TypeVar, cast

from google.protobuf.message import Message

from medsettle import _core
from medsettle.config import EngineSettings
from medsettle.errors import CorruptJournal, Rejected, decoded_refusal
from medsettle.v1 import operations_pb2
from medsettle.v1.facade import METHODS, Services

R = TypeVar("R", bound=Message)

Progress = Callable[[int, int], None]
"""Is called with the bytes done and the bytes in all."""

_DEFAULT_SEGMENT_BYTES = 256 << 20

_SNAPSHOT_ATTEMPTS = 3
"""A hub keeps two snapshots; a third attempt is for one that was removed meanwhile."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check of a data directory found: how much there is, and all that is wrong with it.

    Each of `findings` has `path`, `offset`, `place` (the offset in words), `problem` and `advice`. While
    `journal_is_whole`, they are of snapshots only, and cost nothing but time. `torn` tells of a frame that a crash, or
    the hub that is writing it right now, left unfinished at the end: it is cut when the directory is opened, and is no
    finding; nor is `unfinished_snapshot`, the file of a snapshot that was not finished.

    `snapshots` are those that a start can begin with, newest first: `path`, `frame`, `sequence`, `digest`, `bytes`.
    """

    segments: int
    frames: int
    records: int
    last_frame: int
    last_sequence: int
    last_hash: bytes
    torn: str | None
    snapshots: list[dict[str, object]]
    unfinished_snapshot: str | None
    journal_is_whole: bool
    findings: list[dict[str, object]]


def verify(data: str | PathLike[str], progress: Progress | None = None, *, replay: bool = False) -> Verified:
    """Walk every frame, read every snapshot, and gather all that is wrong.

    With `replay` the journal is folded as well, as a start without a snapshot would: its state must have the digest of
    each snapshot. That takes the memory of a hub. Raises OSError when the directory cannot be read.
    """
    return Verified(**_core.verify(fspath(data), replay, progress))


@dataclass(frozen=True, slots=True)
class VerifiedBackup:
    """What a check of a backup found; `findings` and `snapshots` are as those of `Verified`.

    There is at most one finding of each piece. While `frames_are_whole`, a restore loses nothing. `unfinished` are the
    files that an interrupted backup left; the next one removes them.
    """

    pieces: int
    frames: int
    records: int
    last_frame: int
    last_sequence: int
    last_hash: bytes
    snapshots: list[dict[str, object]]
    unfinished: list[str]
    frames_are_whole: bool
    findings: list[dict[str, object]]


def is_backup(directory: str | PathLike[str]) -> bool:
    """Tell whether a directory holds a backup, and no journal."""
    return _core.is_backup(fspath(directory))


def verify_backup(directory: str | PathLike[str], progress: Progress | None = None) -> VerifiedBackup:
    """Read every frame and the snapshot of a backup, and gather all that is wrong; nothing is changed.

    Raises BackupUnusable where there is none, OSError when it cannot be read.
    """
    return VerifiedBackup(**_core.verify_backup(fspath(directory), progress))


def inspect(
    data: str | PathLike[str],
    *,
    from_frame: int | None = None,
    to_frame: int | None = None,
    from_sequence: int | None = None,
    to_sequence: int | None = None,
    limit: int | None = None,
    on_damage: Callable[[Mapping[str, object]], None] | None = None,
) -> Iterator[dict[str, object]]:
    """Read frames in their order, one by one as they are taken; each with its header's fields and `records`, encoded.

    Frames are chosen by their numbers or by the sequences in them. Damage is told to `on_damage`, as a finding of
    `verify`, and reading goes on; without it, it raises CorruptJournal. Raises OSError when the directory cannot be
    read.
    """

    def refuse(found: Mapping[str, object]) -> None:
        place = f"{found['path']} at {found['place']}: {found['problem']}"
        raise CorruptJournal(f"{place}. All that is wrong: medsettle verify {fspath(data)}")

    entries = _core.inspect(fspath(data), from_frame, from_sequence)
    return itertools.islice(_frames(entries, to_frame, to_sequence, on_damage or refuse), limit)


def _frames(
    entries: Iterable[dict[str, object]],
    to_frame: int | None,
    to_sequence: int | None,
    on_damage: Callable[[Mapping[str, object]], None],
) -> Iterator[dict[str, object]]:
    for entry in entries:
        if "problem" in entry:
            on_damage(entry)
            continue
        beyond_frame = to_frame is not None and cast(int, entry["number"]) > to_frame
        if beyond_frame or (to_sequence is not None and cast(int, entry["first_sequence"]) > to_sequence):
            return
        yield entry


def explain(data: str | PathLike[str], id: int) -> list[str] | None:
    """Tell a settlement, or what was taken back from a thief, in lines to read; None where neither has this number.

    Raises CorruptJournal when anything of the journal is damaged, OSError when the directory cannot be read.
    """
    return _core.explain(fspath(data), id)


def reindex(data: str | PathLike[str], progress: Callable[[int, int], None] | None = None) -> tuple[int, int]:
    """Make the records index again, in place of the old one; returns how many frames and records that was.

    `progress` is called with the bytes done and the bytes in all. Raises DirectoryLocked while a hub uses the
    directory, CorruptJournal when anything of the journal is damaged, OSError when the directory cannot be read or its
    disk is full.
    """
    return _core.reindex(fspath(data), progress)


class Past(Services):
    """A hub as it was: `past.persons.get(request)` and every other read; what changes something is refused.

    Answers are those that an auditor would have had then. Raises Rejected when refused.
    """

    def __init__(self, native: _core.Past) -> None:
        super().__init__(self._call, self._stream, self._exchange)
        self._native = native

    @property
    def sequence(self) -> int:
        """The last decision that is in it; 0 before the first."""
        return self._native.sequence

    @property
    def stamp_ms(self) -> int:
        """When that was decided, in milliseconds since 1970 UTC."""
        return self._native.stamp_ms

    def call(self, name: str, request: Message) -> Message:
        """Ask a read by its name, such as "Persons.Get"."""
        return self._call(name, request, METHODS[name].response_type)

    def _call(self, name: str, request: Message, response_type: type[R], timeout: float | None = None) -> R:
        if not METHODS[name].operation:
            raise Rejected("METHOD_NOT_AVAILABLE", {"method": name})
        return self._asked(METHODS[name].operation, request, response_type)

    def _stream(self, name: str, request: Message, response_type: type[R], timeout: float | None = None) -> Iterator[R]:
        method = METHODS[name]
        asked = type(request)()
        asked.CopyFrom(request)
        while True:
            response = self._asked(method.page_operation, asked, response_type)
            yield response
            following = getattr(response, f"next_{method.page_cursor}")
            if not following:
                return
            setattr(asked, method.page_cursor, following)

    def _exchange(
        self, name: str, _requests: Iterable[Message], _response_type: type[R], _timeout: float | None = None
    ) -> Iterator[R]:
        raise Rejected("METHOD_NOT_AVAILABLE", {"method": name})

    def _asked(self, operation: int, request: Message, response_type: type[R]) -> R:
        ok, answer = self._native.call(operation, request.SerializeToString())
        if not ok:
            raise decoded_refusal(answer)
        return response_type.FromString(answer)


def as_of(
    data: str | PathLike[str],
    *,
    at_ms: int | None = None,
    sequence: int | None = None,
    progress: Progress | None = None,
) -> Past:
    """Give the hub as it was at a moment, in milliseconds since 1970 UTC, or behind the decision of a sequence.

    Without either it is the state behind the newest decision that the journal holds.
    Everything decided at that moment is in it. Raises ValueError for a moment in the future or a sequence that is not
    there yet, CorruptJournal when the journal up to there is damaged, OSError when the directory cannot be read.
    """
    if at_ms is not None and sequence is not None:
        raise ValueError("give a moment or a sequence, not both")
    if at_ms is not None and at_ms > time.time_ns() // 1_000_000:
        raise ValueError("the moment lies in the future; what will be decided until then is not known")
    if sequence is not None and sequence < 0:
        raise ValueError("a sequence is not negative")
    return Past(_core.Past.replay(fspath(data), at_ms, sequence, progress))


class Backup:
    """A backup in a directory, which takes frames and a snapshot in; a context manager that keeps what was taken in.

    It has the directory for itself until it is closed; what it holds can be asked afterwards, too.
    Raises ServerForgot when a hub's frames do not go on where the backup ends, BackupUnusable for frames that cannot
    follow, CorruptJournal when the newest of its files is damaged, DirectoryLocked, OSError.
    """

    def __init__(self, directory: str | PathLike[str]) -> None:
        """Begin a backup, or go on with the one that is there: its newest frames and its snapshot are read again."""
        self._native = _core.Backup.open(fspath(directory))

    @property
    def last_frame(self) -> int:
        """The number of its last frame; 0 while it is empty."""
        return self._native.tail()[0]

    @property
    def last_sequence(self) -> int:
        """The last decision in it."""
        return self._native.tail()[1]

    @property
    def last_hash(self) -> bytes:
        """The hash of its last frame."""
        return self._native.tail()[2]

    def take(self, frames: Iterable[operations_pb2.JournalFrame]) -> None:
        """Take in frames as `Operations.TakeJournal` gives them: the last one again, or those that follow."""
        self._native.take([(frame.frame_number, frame.content) for frame in frames])

    @property
    def snapshot_frame(self) -> int:
        """The frame behind which its snapshot stands; 0 without one that can be used."""
        return self._native.snapshot_frame()

    def take_snapshot(
        self,
        ask: Callable[[int], Iterable[operations_pb2.OperationsTakeSnapshotResponse]],
        progress: Progress | None = None,
    ) -> list[str]:
        """Take the newest snapshot that its frames cover, unless it has that already; it replaces the one before.

        One that it has and that rotted is taken anew.
        `ask` gives what `Operations.TakeSnapshot` answers for the newest frame wanted. A snapshot that the hub removes
        meanwhile, or that cannot be used, is left for an older one; returns why, for each. The frames suffice without.
        """
        passed = self._native.passed()
        try:
            self._take_snapshot(ask, progress, passed)
        finally:
            self._native.discard_snapshot()
        return passed

    def _take_snapshot(
        self,
        ask: Callable[[int], Iterable[operations_pb2.OperationsTakeSnapshotResponse]],
        progress: Progress | None,
        passed: list[str],
    ) -> None:
        last_frame = self.last_frame
        for _ in range(_SNAPSHOT_ATTEMPTS):
            taken, whole = 0, False
            for page in ask(last_frame):
                if not taken and page.frame_number <= self.snapshot_frame:
                    return
                if taken not in (0, page.frame_number):
                    break
                taken, whole = page.frame_number, not page.next_from_offset
                self._native.take_snapshot(taken, page.content)
                if progress:
                    progress(page.next_from_offset or page.file_bytes, page.file_bytes)
            if not whole:
                passed.append(f"the snapshot behind frame {taken} was removed while it was taken")
                continue
            unfit = self._native.keep_snapshot()
            if unfit is None:
                return
            passed.append(unfit)
            last_frame = taken - 1

    def keep(self) -> None:
        """Make durable what was taken in of frames."""
        self._native.keep()

    def close(self) -> None:
        """Make durable what was taken in of frames, and let others have the directory."""
        self._native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What came before an interruption is sound: every frame was checked as it came.
        self.close()


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore made: frames and decisions of the backup, and the epoch that begins behind them.

    A start begins with the snapshot behind `snapshot_frame`, with the first frame where that is 0. `passed` tells of
    snapshots of the backup that cannot be used.
    """

    hub: int
    directory: str
    frames: int
    last_sequence: int
    last_hash: bytes
    epoch: int
    snapshot_frame: int
    passed: list[str]


def restore(
    backup: str | PathLike[str],
    data: str | PathLike[str],
    settings: EngineSettings | None = None,
    progress: Progress | None = None,
) -> Restored:
    """Make a data directory of a backup, every frame checked, and begin a new epoch in it.

    A snapshot of the backup is put in place when the frames, folded anew, give its digest; the index of the past is
    made on the way.
    The directory does not open before all is done. Raises ValueError when it is there and not empty, CorruptJournal
    when anything of the backup is damaged, BackupUnusable when there is none, OSError.
    """
    segment_bytes = (settings or EngineSettings()).segment_bytes or _DEFAULT_SEGMENT_BYTES
    now_ms = time.time_ns() // 1_000_000
    return Restored(**_core.restore(fspath(backup), fspath(data), segment_bytes, now_ms, progress))
