"""Reimbursements through an embedded hub: waiting, released with the bank zone, paid once, kept over a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from medsettle import Rejected
from medsettle.v1 import accounts_pb2, cards_pb2, operations_pb2
from trial_town import Town
from trial_world import AUDITOR, DESK, OPERATOR, Patient

LedgerBalance = operations_pb2.LedgerBalance


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    opened = Town(tmp_path)
    with opened.hub:
        yield opened


def booked(town: Town) -> dict[int, int]:
    books = town.acting(OPERATOR).operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
    assert books.sum_fen == 0
    return {row.account: row.balance_fen for row in books.balances}


def enable_bank(town: Town, patient: Patient) -> None:
    request = cards_pb2.CardsEnableRequest(
        header=town.agency.desk.header(), card_id=patient.card_id, zone=cards_pb2.Zone.BANK
    )
    town.acting(DESK).cards.enable(request)


def statement(town: Town, patient: Patient) -> list[tuple[str, int, int, int]]:
    request = accounts_pb2.AccountsStatementRequest(person_id=patient.person_id)
    messages = town.acting(AUDITOR).accounts.statement(request)
    rows = [row for one in messages for row in one.entries if row.kind == accounts_pb2.StatementEntry.PAY_OUT]
    return [(row.reference, row.amount_fen, row.waiting_fen, row.card_id) for row in rows]


def test_what_waits_for_a_bank_zone_is_paid_once_when_it_is_enabled_and_stays_so_after_a_restart(town: Town) -> None:
    patient = town.insured()
    assert town.agency.pay_out(patient, 5_000, "C-1")
    assert booked(town)[LedgerBalance.PAYOUTS_WAITING] == 5_000
    enable_bank(town, patient)
    assert not town.agency.pay_out(patient, 300, "C-2")
    with pytest.raises(Rejected) as refusal:
        town.agency.pay_out(patient, 5_000, "C-1")
    assert (refusal.value.reason, refusal.value.detail) == ("CLAIM_PAID", {"claim_number": "C-1"})
    after, rows = booked(town), statement(town, patient)
    assert (after[LedgerBalance.PAYOUTS_WAITING], after[LedgerBalance.BANK_PAYOUTS]) == (0, 5_300)
    assert after[LedgerBalance.REIMBURSEMENTS] == -5_300
    assert rows == [("C-1", 0, 5_000, 0), ("C-1", 5_000, 0, patient.card_id), ("C-2", 300, 0, patient.card_id)]
    town.hub.close()
    town.hub = town.open()
    with town.hub:
        assert (booked(town), statement(town, patient)) == (after, rows)
