"""Purses and the online account through an embedded hub: paid into, spent, moved with a card, kept over a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from medsettle import Rejected
from medsettle.v1 import accounts_pb2, cards_pb2, operations_pb2, presentation_pb2
from trial_town import Town
from trial_visits import PURCHASE, Counter
from trial_world import AUDITOR, DESK, ISSUER, OPERATOR, Patient, make_chip

Account, LedgerBalance = accounts_pb2.Account, operations_pb2.LedgerBalance
OF_PERSONS = {
    LedgerBalance.PERSONAL_ACCOUNTS,
    LedgerBalance.ONLINE_ACCOUNTS,
    LedgerBalance.CARD_PURSES,
    LedgerBalance.OFFLINE_PURSES,
}
SUCCESSOR_SERIAL = 9_001


class Bank(Town):
    """A town in which holders pay in and buy."""

    def top_up(self, patient: Patient, account: accounts_pb2.Account.Kind.ValueType, amount_fen: int) -> int:
        request = accounts_pb2.AccountsTopUpRequest(
            header=self.agency.desk.header(), card_id=patient.card_id, account=account, amount_fen=amount_fen
        )
        return self.acting(DESK).accounts.top_up(request).balance_fen

    def purchase(
        self,
        counter: Counter,
        patient: Patient,
        account: accounts_pb2.Account.Kind.ValueType,
        amount_fen: int,
        pin: str = "",
    ) -> int:
        request = accounts_pb2.AccountsPurchaseRequest(
            header=counter.header(),
            card_sn=patient.chip.card_sn,
            account=account,
            amount_fen=amount_fen,
            terminal_id="T7",
            pin=pin,
        )
        return self.at(counter).accounts.purchase(request).balance_fen

    def enable(self, card_id: int) -> None:
        request = cards_pb2.CardsEnableRequest(
            header=self.agency.desk.header(), card_id=card_id, zone=cards_pb2.Zone.INSURANCE
        )
        self.acting(DESK).cards.enable(request)

    def successor(self, patient: Patient, purse_fen: int = 0) -> Patient:
        """Make and hand over a card that follows the patient's, with this brought over under it."""
        hub, header = self.acting(ISSUER).cards, self.agency.issuer.header
        applied = hub.apply(
            cards_pb2.CardsApplyRequest(
                header=header(),
                person_id=patient.person_id,
                predecessor_card_id=patient.card_id,
                generation="3",
            )
        )
        chip = make_chip(SUCCESSOR_SERIAL)
        made = cards_pb2.CardsMarkMadeRequest(
            header=header(),
            card_id=applied.card_id,
            pan=chip.pan,
            sequence_number=chip.sequence_number,
            card_sn=chip.card_sn,
            purse_fen=purse_fen,
        )
        # Only a card without a chip has a purse that the hub keeps.
        if not purse_fen:
            made.scheme, made.key_index = presentation_pb2.Chip.PBOC_SM4, chip.key_index
        hub.mark_made(made)
        hub.hand_over(cards_pb2.CardsHandOverRequest(header=header(), card_id=applied.card_id, collected_by="holder"))
        return Patient(patient.person_id, patient.certificate, applied.card_id, chip)

    def accounts(self, patient: Patient) -> list[tuple[int, int, int]]:
        held = self.acting(DESK).accounts.get(accounts_pb2.AccountsGetRequest(person_id=patient.person_id))
        return [(row.kind, row.card_id, row.balance_fen) for row in held.accounts]

    def money(self) -> int:
        books = self.acting(OPERATOR).operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
        assert books.sum_fen == 0
        held = sum(row.balance_fen for row in books.balances if row.account in OF_PERSONS)
        assert held == books.personal_balances_fen
        return held


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
