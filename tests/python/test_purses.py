"""Purses and the online account through an embedded hub: paid into, spent, moved with a card, kept over a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from medsettle import Rejected
from medsettle.v1 import accounts_pb2, cards_pb2
from trial_town import Bank
from trial_visits import PURCHASE, Counter
from trial_world import AUDITOR, ISSUER

Account = accounts_pb2.Account


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    opened = Bank(tmp_path)
    with opened.hub:
        yield opened


def test_f5_a_new_card_takes_its_holders_money_along_also_when_the_hub_was_opened_again(bank: Bank) -> None:
    patient, counter = bank.insured(1_000), Counter(PURCHASE)
    bank.enable(patient.card_id)
    assert bank.top_up(patient, Account.OFFLINE, 500) == 500
    assert bank.top_up(patient, Account.ONLINE, 300) == 300
    assert bank.purchase(counter, patient, Account.OFFLINE, 120) == 380
    successor, before = bank.successor(patient), bank.money()
    assert before == 1_000 + 380 + 300
    bank.enable(successor.card_id)
    expected = [(Account.INSURANCE, 0, 1_000), (Account.ONLINE, 0, 300), (Account.OFFLINE, successor.card_id, 380)]
    assert (bank.accounts(patient), bank.money()) == (expected, before)
    card = bank.acting(ISSUER).cards.get(cards_pb2.CardsGetRequest(card_id=successor.card_id)).card
    assert (card.offline_fen, card.purse_fen) == (380, 0)
    bank.hub.close()
    bank.hub = bank.open()
    with bank.hub:
        assert (bank.accounts(patient), bank.money()) == (expected, before)
        with pytest.raises(Rejected, match="CARD_CANCELLED"):
            bank.purchase(counter, patient, Account.OFFLINE, 1)
        assert bank.purchase(counter, successor, Account.OFFLINE, 380) == 0


def test_the_statement_of_a_purse_names_terminal_card_and_running_balance(bank: Bank) -> None:
    patient, counter = bank.insured(), Counter(PURCHASE)
    bank.enable(patient.card_id)
    bank.top_up(patient, Account.OFFLINE, 500)
    bank.purchase(counter, patient, Account.OFFLINE, 120)
    request = accounts_pb2.AccountsStatementRequest(person_id=patient.person_id)
    entries = [row for message in bank.acting(AUDITOR).accounts.statement(request) for row in message.entries]
    _, paid_in, bought = entries
    assert (paid_in.kind, paid_in.account) == (accounts_pb2.StatementEntry.TOP_UP, Account.OFFLINE)
    assert (bought.kind, bought.amount_fen, bought.balance_fen) == (accounts_pb2.StatementEntry.PURCHASE, -120, 380)
    assert (bought.institution_code, bought.terminal_id) == (counter.institution, "T7")
    assert (bought.card_sn, bought.card_id) == (patient.chip.card_sn, patient.card_id)


def test_a_purse_under_an_old_card_is_booked_shown_and_moved_to_the_account(bank: Bank) -> None:
    patient = bank.insured(1_000)
    bank.enable(patient.card_id)
    old = bank.successor(patient, purse_fen=700)
    assert bank.accounts(patient)[-1] == (Account.PURSE, old.card_id, 700)
    assert bank.money() == 1_700
    bank.enable(old.card_id)
    assert bank.accounts(patient)[-1] == (Account.PURSE, old.card_id, 700), "its own purse stays under the card in use"
