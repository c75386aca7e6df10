"""The generator's own books: what it sent, what became of it, and whether the hub's journal says the same.

Invariant: every command sent is entered once, as accepted, replayed, refused for a reason, or unknown.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from medsettle import journal
from medsettle.bench.measure import ACCEPTED, REPLAYED
from medsettle.bench.transport import Answer, Command
from medsettle.errors import reason_name
from medsettle.v1 import journal_pb2, refusal_pb2
from medsettle.v1.facade import METHODS

RECORDED_REFUSALS = frozenset({"CRYPTOGRAM_INVALID"})
"""Reasons that always leave facts, so that a journal without them is short of something."""

_NAME_OF_OPERATION = {method.operation: name for name, method in METHODS.items() if method.operation}


@dataclass
class Books:
    """What was sent and answered since the town was there."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By method and outcome."""
    sent: int = 0
    _refused: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _unknown: set[str] = field(default_factory=set)
    _answered: set[str] = field(default_factory=set)

    def enter(self, command: Command, answer: Answer) -> str:
        """Enter a command with its answer and name the outcome."""
        self.sent += 1
        outcome = answer.reason or (REPLAYED if answer.replayed else ACCEPTED)
        self.outcomes[command.method, outcome] += 1
        if command.request_id:
            if answer.unknown:
                self._unknown.add(command.request_id)
            elif answer.response is None:
                self._refused[answer.reason].add(command.request_id)
            else:
                self._answered.add(command.request_id)
        return outcome

    def compare(self, found: "Journal") -> list[str]:
        """Give what the journal and the books disagree about, a sentence each; nothing when they are equal."""
        problems = []
        if self.sent != sum(self.outcomes.values()):
            problems.append(f"{self.sent} commands were sent, {sum(self.outcomes.values())} outcomes are in the books")
        for method in sorted({m for m, _ in self.outcomes if not METHODS[m].read} | set(found.accepted)):
            own, theirs = self.outcomes[method, ACCEPTED], found.accepted[method]
            unknown = sum(
                count for (m, outcome), count in self.outcomes.items() if m == method and _is_unknown(outcome)
            )
            late = self.outcomes[method, REPLAYED] if unknown else 0
            if not own <= theirs <= own + unknown + late:
                sure = f"{own:,}" if not unknown else f"{own:,} to {own + unknown:,}"
                problems.append(f"{method}: {sure} accepted by the generator's books, {theirs:,} in the journal")
        if missing := self._answered - found.accepted_ids:
            problems.append(
                f"{len(missing):,} request ids were answered and are not in the journal: {min(missing)}, ..."
            )
        if strange := found.accepted_ids - self._answered - self._unknown:
            problems.append(
                f"{len(strange):,} request ids are in the journal and were not answered: {min(strange)}, ..."
            )
        for reason in sorted(set(found.refused) | RECORDED_REFUSALS):
            own_ids, their_ids = self._refused[reason], found.refused[reason]
            if not own_ids <= their_ids or not their_ids <= own_ids | self._unknown:
                problems.append(
                    f"{reason}: {len(own_ids):,} requests by the generator's books, {len(their_ids):,} in the journal"
                )
        return problems


@dataclass
class Journal:
    """What a journal holds of one generator's requests."""

    records: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    accepted_ids: set[str] = field(default_factory=set)
    refused: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def read(cls, data: Path, run: str, behind_sequence: int) -> "Journal":
        """Count the records of a generator's requests behind a sequence; raises CorruptJournal, OSError."""
        found = cls()
        for record in _records(data, behind_sequence):
            if f"-{run}-" not in record.request_id:
                continue
            found.records += 1
            if record.refused:
                reason = reason_name(refusal_pb2.Refusal.FromString(record.response).reason)
                found.refused[reason].add(record.request_id)
            else:
                found.accepted[_NAME_OF_OPERATION[record.operation]] += 1
                found.accepted_ids.add(record.request_id)
        return found


def _records(data: Path, behind_sequence: int) -> Iterator[journal_pb2.Record]:
    for frame in journal.inspect(data, from_sequence=behind_sequence + 1):
        for encoded in cast(list[bytes], frame["records"]):
            record = journal_pb2.Record.FromString(encoded)
            if record.sequence > behind_sequence:
                yield record


def _is_unknown(outcome: str) -> bool:
    return outcome.startswith("NO_ANSWER")
