"""An import from its beginning, or from where it was broken off, to its end.

Invariant: a checkpoint is used for the very file, caller and hub that it is of, or refused before anything is sent.
Invariant: however the sending ends, the checkpoint is of all that is behind by then.
Leaves out how a message travels: ways.py.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from medsettle import _core
from medsettle.errors import ServerForgot
from medsettle.importing.files import Checkpoint, RejectsFile, Subject
from medsettle.importing.ways import Way
from medsettle.witness import Witness

CHECKPOINT_EVERY_S = 1.0
"""How long what was answered may wait for its checkpoint: what an import that was killed sends again."""

OPERATOR = "import"
"""Who asks, in the header of every request."""

Show = Callable[[int, int], None]
"""Is called with how much of a file is done, and how much it is."""


class Sum(NamedTuple):
    """Rows with the money that stands in them."""

    rows: int
    fen: int


@dataclass(frozen=True, slots=True)
class Totals:
    """What became of the rows of a file. In a check, `imported` are those that are well formed."""

    imported: Sum
    already: Sum
    rejected: Sum

    @property
    def all(self) -> Sum:
        """The whole file."""
        sums = (self.imported, self.already, self.rejected)
        return Sum(sum(one.rows for one in sums), sum(one.fen for one in sums))


@dataclass(frozen=True, slots=True)
class Job:
    """A file to be imported: its kind, and where its rejects and its checkpoint stand."""

    kind: str
    file: Path
    rejects: Path
    checkpoint: Path


class AlreadyImported(Exception):
    """The checkpoint says that this very file was imported to its end."""

    def __init__(self, totals: Totals) -> None:
        self.totals = totals
        super().__init__("the file is imported already")


class Described(NamedTuple):
    """A column of a kind of file; `times` is how often it may stand."""

    name: str
    required: bool
    times: int
    money: bool
    about: str


def columns(kind: str) -> list[Described]:
    """Describe the columns of a kind of file."""
    return [Described(*column) for column in _core.import_columns(kind)]


def check(kind: str, file: Path, rejects: Path | None, show: Show) -> Totals:
    """Read a whole file without a hub; what is malformed goes to `rejects`, where that is given and anything is.

    Raises OSError, ValueError.
    """
    checking = _core.FileCheck.open(str(file), kind)
    with ExitStack() as closing:
        rejected = None if rejects is None else closing.enter_context(rejects.open("wb"))
        more = True
        while more:
            more = checking.step()
            rows = checking.take_rejects()
            if rejected is not None:
                rejected.write(rows)
            show(*checking.progress())
    totals = _totals(checking.totals())
    # A device or a pipe that somebody named is not ours to remove.
    if rejects is not None and not totals.rejected.rows and rejects.is_file():
        rejects.unlink()
    return totals


def _totals(sums: dict[str, tuple[int, int]]) -> Totals:
    return Totals(Sum(*sums["imported"]), Sum(*sums["already"]), Sum(*sums["rejected"]))


def subject(job: Job, institution: str, show: Show) -> Subject:
    """Tell what is imported, by the hash of the whole file."""
    file_bytes, file_blake3 = _core.import_fingerprint(str(job.file), show)
    return Subject(job.kind, file_bytes, file_blake3, institution)


async def run(job: Job, of: Subject, way: Way, show: Show) -> Totals:
    """Import a file, from its checkpoint where there is one.

    Raises AlreadyImported, ValueError for a checkpoint of something else, ServerForgot for one of another hub or of an
    older state of it, ImportStopped and what the way raises. After whatever was raised, the same call goes on.
    """
    checkpoint = Checkpoint.read(job.checkpoint)
    if checkpoint is None:
        status = await way.status(0)
        reading = _core.FileImport.begin(
            str(job.file), job.kind, of.institution, OPERATOR, status.header.sequence, status.header.chain_hash
        )
    else:
        if checkpoint.subject != of:
            raise ValueError(
                f"{job.checkpoint}: is of another file, kind or institution; remove it to import {job.file} from its "
                "beginning"
            )
        reading = _core.FileImport.resume(str(job.file), job.kind, of.institution, OPERATOR, checkpoint.behind)
        if checkpoint.finished:
            raise AlreadyImported(_totals(reading.totals()))
        await _prove(reading, way, job.checkpoint)
    with RejectsFile(job.rejects, None if checkpoint is None else checkpoint.rejects_bytes) as rejects:
        keeping = _Keeping(reading, rejects, of, job.checkpoint)
        keeping.keep()
        try:
            await _send(reading, way, keeping, show)
        finally:
            keeping.keep()
    return _totals(reading.totals())


async def _prove(reading: "_core.FileImport", way: Way, path: Path) -> None:
    """Have the hub prove that it holds what it answered to the run before."""
    sequence, chain_hash = reading.seen()
    status = await way.status(sequence)
    if sequence and status.seen_chain_hash != chain_hash:
        raise ServerForgot(
            f"{path}: the hub does not hold decision {sequence:,}, which it had answered: it is another hub or was put "
            "back to an older state; remove the checkpoint to import the file from its beginning",
            seen=Witness(sequence, chain_hash),
        )


class _Keeping:
    """Puts on the disk what is behind."""

    def __init__(self, reading: "_core.FileImport", rejects: RejectsFile, of: Subject, path: Path) -> None:
        self._reading = reading
        self._rejects = rejects
        self._of = of
        self._path = path
        self._next_s = 0.0

    def keep_when_due(self) -> None:
        if time.monotonic() >= self._next_s:
            self.keep()

    def keep(self) -> None:
        self._rejects.append(self._reading.take_rejects())
        self._rejects.sync()
        behind, finished = self._reading.behind(), self._reading.is_done()
        Checkpoint(self._of, behind, self._rejects.bytes, finished).write(self._path)
        self._next_s = time.monotonic() + CHECKPOINT_EVERY_S


async def _send(reading: "_core.FileImport", way: Way, keeping: _Keeping, show: Show) -> None:
    """Send messages as long as there are some, and take the answers in their order."""
    under_way: deque[tuple[int, asyncio.Future[bytes]]] = deque()
    try:
        while True:
            while (following := reading.next_message(time.time_ns() // 1_000_000)) is not None:
                number, message = following
                under_way.append((number, await way.send(message)))
            if not under_way:
                return
            number, answered = under_way.popleft()
            reading.take_answer(number, await answered)
            keeping.keep_when_due()
            show(*reading.progress())
    finally:
        for _, answered in under_way:
            answered.cancel()
