"""A loss report races settlements over real gRPC with mutual TLS: none with that card commits behind it.

`MEDSETTLE_RACE` says how many settlements race; `make race` lets 100,000 do so. Embedded, as many race in every run of
the suite: tests/rust/engine/race.rs.
"""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from journal_witness import Key, Witness, records
from medsettle.client import Client
from medsettle.errors import Rejected
from medsettle.v1 import batch_pb2, cards_pb2, operations_pb2, reason_pb2, visits_pb2
from trial_site import HubProcess, Office, Pki
from trial_visits import OUTPATIENT, Counter, found_visits
from trial_world import OPERATOR, Patient, days_ago, line

RACE = int(os.environ.get("MEDSETTLE_RACE", "20000"))
BATCHES, SINGLE = 2, 6
"""Callers that settle in batches, and one by one."""
PER_BATCH = 16
WINDOW = 64
"""A chip's counter values that may be under way at once: the hub refuses what lies further behind the highest."""
PATIENCE_S = 30
PRICE_FEN = 100

Settled = dict[int, int]
"""Sequences of the settlements that committed, by the counter of the chip."""


@dataclass
class Turns:
    """Hands out counter values in order, never so far ahead of the oldest under way that the hub would refuse that."""

    last: int
    taken: int = 0
    _under_way: set[int] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, count: int) -> range:
        """Wait for the next values; none when all are taken."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._fits(count), PATIENCE_S), "the hub does not answer"
            values = range(self.taken + 1, min(self.taken + count, self.last) + 1)
            self.taken += len(values)
            self._under_way.update(values)
            self._changed.notify_all()
            return values

    def _fits(self, count: int) -> bool:
        return self.taken + count - min(self._under_way, default=self.taken) < WINDOW

    def answered(self, values: range) -> None:
        with self._changed:
            self._under_way.difference_update(values)
            self._changed.notify_all()

    def wait_until_taken(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.taken >= count, PATIENCE_S * RACE / 1_000), "nobody settles"


@dataclass
class Buyer:
    """A person with signed purchases, one for each value of the chip's counter, and what became of them."""

    patient: Patient
    purchases: Sequence[visits_pb2.VisitsSettleRequest]
    witness: Witness
    settled: Settled = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)

    @classmethod
    def with_purchases(cls, patient: Patient, count: int, witness: Witness) -> "Buyer":
        counter = Counter(OUTPATIENT, f"{patient.person_id}-")
        medicine = line(1, days_ago(0), "1", "1")
        signed = (patient.card_at_settlement(PRICE_FEN) for _ in range(count))
        return cls(patient, [counter.settlement(card, medicine) for card in signed], witness)

    def buy(self, client: Client, atc: int) -> None:
        key = self.witness.asks(self.purchases[atc - 1])
        try:
            self._note_settled(atc, key, client.visits.settle(self.purchases[atc - 1]))
        except Rejected as refusal:
            self.refused[atc] = refusal.reason

    def _note_settled(self, atc: int, key: Key, settled: visits_pb2.VisitsSettleResponse) -> None:
        self.settled[atc] = settled.header.sequence
        self.witness.reads(key, settled)

    def note(self, atc: int, key: Key, result: batch_pb2.CommandResult) -> None:
        if result.HasField("visits_settle"):
            self._note_settled(atc, key, result.visits_settle)
        else:
            self.refused[atc] = reason_pb2.Reason.Code.Name(result.refusal.reason)


def settle_singly(client: Client, turns: Turns, buyers: Sequence[Buyer]) -> None:
    while values := turns.take(1):
        for buyer in buyers:
            buyer.buy(client, values[0])
        turns.answered(values)


def settle_in_batches(client: Client, turns: Turns, buyers: Sequence[Buyer]) -> None:
    while values := turns.take(PER_BATCH):
        order = [(buyer, atc) for atc in values for buyer in buyers]
        commands = [batch_pb2.Command(visits_settle=buyer.purchases[atc - 1]) for buyer, atc in order]
        keys = [buyer.witness.asks(buyer.purchases[atc - 1]) for buyer, atc in order]
        results = client.submit(batch_pb2.BatchSubmitRequest(commands=commands)).results
        for (buyer, atc), key, result in zip(order, keys, results, strict=True):
            buyer.note(atc, key, result)
        turns.answered(values)


@pytest.mark.timeout(60 + RACE // 50)
def test_f3_settlements_that_race_one_loss_report_over_grpc_never_commit_behind_it(tmp_path: Path, pki: Pki) -> None:
    # Victim and bystander settle in the same calls, so that the hub is as busy after the report as before.
    turns, witness = Turns(last=RACE // 2), Witness()
    with HubProcess(tmp_path, pki) as hub, Office(hub) as office:
        with hub.connect(OPERATOR) as operator:
            found_visits(operator)
        buyers = victim, bystander = [
            Buyer.with_purchases(office.agency.insure(), turns.last, witness) for _ in range(2)
        ]
        before = office.auditor.operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
        with hub.connect(Counter(OUTPATIENT).institution) as client, ThreadPoolExecutor(BATCHES + SINGLE) as pool:
            working = [pool.submit(settle_in_batches, client, turns, buyers) for _ in range(BATCHES)]
            working += [pool.submit(settle_singly, client, turns, buyers) for _ in range(SINGLE)]
            turns.wait_until_taken(turns.last // 2)
            reported = office.agency.report_loss(victim.patient, cards_pb2.Loss.FORMAL)
            taken_before = turns.taken
            for one in working:
                one.result(PATIENCE_S * RACE / 1_000)
        position = reported.header.sequence
        assert all(sequence < position for sequence in victim.settled.values())
        assert all(atc <= taken_before for atc in victim.settled), "committed though asked after the acknowledgement"
        assert set(victim.refused.values()) == {"CARD_LOST"}
        assert len(victim.settled) + len(victim.refused) == len(bystander.settled) == turns.last
        assert min(len(victim.settled), len(victim.refused)) > turns.last // 10, "this was no race"
        assert max(bystander.settled.values()) > position
        after = office.auditor.operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
        assert (after.sum_fen, after.personal_balances_fen) == (0, before.personal_balances_fen)
        assert hub.terminate() == 0
    check_journal(hub.data, victim, position)
    witness.check(hub.data)


def check_journal(data: Path, victim: Buyer, position: int) -> None:
    """See that the journal says itself what callers were told: nothing with that card stands behind the report."""
    asked = {purchase.header.request_id: atc for atc, purchase in enumerate(victim.purchases, 1)}
    reported, settled = 0, Settled()
    for record in (written.record for written in records(data)):
        if any(fact.HasField("card_reported_lost") for fact in record.facts):
            reported = record.sequence
        elif record.request_id in asked:
            assert not reported, f"{record.request_id} stands behind the report"
            settled[asked[record.request_id]] = record.sequence
    assert (reported, settled) == (position, victim.settled)
