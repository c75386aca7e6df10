"""The journal as witness of what real callers were told: the rules of the simulator, for processes.

Callers note when a command left and when its answer was read; after the hub is gone its journal must say the same.

Invariant: every acknowledged id stands in the journal once, at the sequence and with the response of its answer.
Invariant: what was answered before another was asked stands before it; of a watched caller nothing else is there.
Leaves out: deciding everything anew at its place, which the simulator does (`tests/rust/engine/simulator/replay.rs`).
"""

import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from google.protobuf.message import Message

from medsettle.journal import inspect
from medsettle.v1 import journal_pb2

Key = tuple[str, str]
"""Institution and request id."""


@dataclass
class Told:
    """A command by the witness's own reading of time."""

    asked: int
    answered: int = 0
    response: Message | None = None


@dataclass(frozen=True)
class Written:
    """A record, and the frame it stands in."""

    record: journal_pb2.Record
    hash: bytes
    stamp_ms: int


@dataclass
class Witness:
    """What was asked and answered; for any number of threads."""

    told: dict[Key, Told] = field(default_factory=dict)
    _clock: Iterator[int] = field(default_factory=itertools.count)
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def asks(self, request: Message) -> Key:
        """Note that a command leaves, for the first time or again."""
        header = request.header  # type: ignore[attr-defined]
        key = header.institution_code, header.request_id
        with self._changing:
            self.told.setdefault(key, Told(next(self._clock)))
        return key

    def reads(self, key: Key, response: Message) -> None:
        """Note that its answer was read; an answer that is given again is the first one."""
        with self._changing:
            told = self.told[key]
            if told.response is None:
                told.answered, told.response = next(self._clock), response
        assert content_of(told.response) == content_of(response), f"{key} has another answer than at first"

    def check(self, data: Path) -> None:
        """Compare with a journal that nobody has open."""
        positions = {}
        institutions = {institution for institution, _ in self.told}
        for written in records(data):
            record = written.record
            key = record.institution_code, record.request_id
            assert key not in positions, f"{key} stands in the journal twice"
            positions[key] = record.sequence
            assert record.institution_code not in institutions or key in self.told, f"nobody asked for {key}"
            told = self.told.get(key)
            if told is not None and told.response is not None:
                check_answer(key, told.response, written)
        acknowledged = {key for key, told in self.told.items() if told.response is not None}
        assert acknowledged <= positions.keys(), f"acknowledged and gone: {sorted(acknowledged - positions.keys())[:5]}"
        check_order([(self.told[key], positions[key]) for key in acknowledged])


def check_answer(key: Key, response: Message, written: Written) -> None:
    header = response.header  # type: ignore[attr-defined]
    assert header.sequence == written.record.sequence, f"{key} stands elsewhere than its answer said"
    assert (header.chain_hash, header.stamp_ms) == (written.hash, written.stamp_ms), f"{key} is of another frame"
    assert content_of(response) == written.record.response, f"{key} was answered otherwise than is written"


def check_order(positions: list[tuple[Told, int]]) -> None:
    """See that no command stands before one that had been answered when it was asked."""
    answers = sorted((told.answered, position) for told, position in positions)
    highest, read = 0, 0
    for told, position in sorted(positions, key=lambda row: row[0].asked):
        while answers[read][0] < told.asked:
            highest, read = max(highest, answers[read][1]), read + 1
        assert position > highest, f"{position} was asked after {highest} was answered"


def content_of(response: Message) -> bytes:
    """Encode a response without its header, as the journal keeps it."""
    copy = type(response)()
    copy.CopyFrom(response)
    copy.ClearField("header")
    return copy.SerializeToString(deterministic=True)


def records(data: Path) -> Iterator[Written]:
    """Read every record of a journal that nobody has open."""
    for number, frame in enumerate(inspect(data), 1):
        encoded, hash_, stamp_ms = frame["records"], frame["hash"], frame["stamp_ms"]
        assert isinstance(encoded, list) and isinstance(hash_, bytes) and isinstance(stamp_ms, int)
        assert frame["number"] == number
        for record in encoded:
            yield Written(journal_pb2.Record.FromString(record), hash_, stamp_ms)
