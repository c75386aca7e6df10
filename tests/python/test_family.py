"""The account of a family through an embedded hub: who pays, who gets it back, and the same once opened again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from medsettle import Rejected
from medsettle.v1 import accounts_pb2, operations_pb2, visits_pb2
from trial_town import Town
from trial_visits import PURCHASE, Counter
from trial_world import DESK, OPERATOR, Patient, days_ago, line

LedgerBalance = operations_pb2.LedgerBalance
BILL_FEN = 10_000
"""Of which the pool pays 55.00."""


class Home(Town):
    """A town in which accounts pay for members of the family."""

    def unlink(self, person: Patient, payer: Patient) -> None:
        request = accounts_pb2.AccountsUnlinkFamilyRequest(
            header=self.agency.desk.header(), person_id=person.person_id, payer_person_id=payer.person_id
        )
        self.acting(DESK).accounts.unlink_family(request)

    def purchase(self, counter: Counter, patient: Patient, account_fen: int) -> visits_pb2.VisitsSettleRequest:
        card = patient.card_at_settlement(BILL_FEN, account_fen)
        request = counter.settlement(card, line(1, days_ago(0), "1", "100"))
        request.use_family = True
        return request

    def accounts(self, patient: Patient) -> accounts_pb2.AccountsGetResponse:
        request = accounts_pb2.AccountsGetRequest(person_id=patient.person_id)
        return self.acting(DESK).accounts.get(request)

    def balance(self, patient: Patient) -> int:
        (account,) = (row for row in self.accounts(patient).accounts if row.kind == accounts_pb2.Account.INSURANCE)
        return account.balance_fen

    def check_books(self) -> None:
        books = self.acting(OPERATOR).operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
        assert books.sum_fen == 0
        personal = [
            row.balance_fen for row in books.balances if row.account == operations_pb2.LedgerBalance.PERSONAL_ACCOUNTS
        ]
        assert sum(personal) == books.personal_balances_fen


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    opened = Home(tmp_path)
    with opened.hub:
        yield opened


def test_the_family_pays_after_the_own_account_and_gets_back_what_it_paid_also_once_unlinked(home: Home) -> None:
    child, mother, father = home.insured(500), home.insured(1_000), home.insured(9_000)
    home.agency.link_family(child, mother)
    home.agency.link_family(child, father)
    assert list(home.accounts(child).payer_person_ids) == [mother.person_id, father.person_id]
    counter = Counter(PURCHASE)
    settled = home.at(counter).visits.settle(home.purchase(counter, child, 4_000))
    assert (settled.split.account_fen, settled.split.family_fen, settled.split.cash_fen) == (4_000, 3_500, 500)
    assert [home.balance(one) for one in (child, mother, father)] == [0, 0, 6_500]
    home.check_books()
    home.unlink(child, mother)
    home.hub.close()
    home.hub = home.open()
    with home.hub:
        assert list(home.accounts(child).payer_person_ids) == [father.person_id]
        assert [home.balance(one) for one in (child, mother, father)] == [0, 0, 6_500]
        home.at(counter).visits.cancel(counter.cancellation(settled.settlement_id))
        assert [home.balance(one) for one in (child, mother, father)] == [500, 1_000, 9_000]
        home.check_books()


def test_two_persons_who_draw_one_payer_at_once_never_spend_the_same_fen(home: Home) -> None:
    payer, children = home.insured(10_000), [home.agency.insure() for _ in range(2)]
    for child in children:
        home.agency.link_family(child, payer)
    counter = Counter(PURCHASE)
    # Chips count by themselves, so what they sign is made before the rush.
    claims = [home.purchase(counter, child, 3_000) for _ in range(8) for child in children]

    def claim(request: visits_pb2.VisitsSettleRequest) -> str:
        try:
            return str(home.at(counter).visits.settle(request).split.family_fen)
        except Rejected as refusal:
            assert refusal.detail["available_fen"] == "1000"
            return refusal.reason

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(claim, claims))
    assert sorted(outcomes) == ["3000"] * 3 + ["BALANCE_INSUFFICIENT"] * 13
    assert home.balance(payer) == 1_000
    home.check_books()
