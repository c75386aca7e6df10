"""Chapter: the day is closed, and everyone's books agree."""

import subprocess
import sys

from medsettle.demo import world
from medsettle.demo.books import Reconciliation, Totals
from medsettle.demo.hospital import Hospital
from medsettle.demo.rush import BusyWard
from medsettle.demo.story import theft
from medsettle.demo.story.stage import Stage
from medsettle.demo.tell import faults, yuan
from medsettle.v1 import common_pb2, operations_pb2
from medsettle.v1.operations_pb2 import LedgerBalance

VERIFY_TIMEOUT_S = 60.0


def books_agree(stage: Stage) -> None:
    """Compare the hospitals' books with the hub's, the hub's with themselves, and the journal with its hashes."""
    stage.tell.chapter("Closing the day")
    last_day = world.today()
    places = (*stage.hospitals.values(), stage.shop)
    books = {place: place.run(BusyWard.reconcile, stage.today, last_day) for place in places}
    _day_totals(stage, books)
    _every_amount(stage, books)
    _ledger(stage, books)
    _journal(stage)


def _day_totals(stage: Stage, books: dict[Hospital, Reconciliation]) -> None:
    tell = stage.tell
    tell.say("Each hospital adds up what it wrote down itself, and asks the hub for the same day:")
    rows = []
    for hospital, found in books.items():
        rows += [[hospital.name, *_row(found.own_totals)], ["  the hub says", *_row(found.hub_totals)]]
    tell.table(["hospital", "rows", "bills", "funds", "accounts", "cash"], rows)
    for hospital, found in books.items():
        tell.equal(f"{hospital.name} and the hub agree in every sum", found.hub_totals, found.own_totals)
        tell.check(
            "and in every row, each exactly once",
            found.hub == found.own and Totals.of(found.hub) == found.hub_totals,
        )
        tell.equal("and the hub holds no request that the hospital never sent", found.never_sent, [])


def _every_amount(stage: Stage, books: dict[Hospital, Reconciliation]) -> None:
    tell = stage.tell
    rows = [row for found in books.values() for row in found.hub]
    settlements = stage.agency.settlements(row.settlement_id for row in rows if not row.cancels_settlement_id)
    wrong = {one.settlement_id: found for one in settlements if (found := faults(one.split))}
    steps = sum(len(one.split.trace) for one in settlements)
    tell.check(
        f"an auditor recomputed all {len(settlements)} settlements from their {steps} trace steps, to the fen",
        not wrong,
        wrong,
    )


def _ledger(stage: Stage, books: dict[Hospital, Reconciliation]) -> None:
    tell, balance = stage.tell, stage.agency.trial_balance()
    tell.equal("the sum over all accounts of the hub is zero", (balance.sum_fen, _sum(balance)), (0, 0))
    tell.equal(
        "what all patients have in their accounts is what the ledger says",
        sum(_sum(balance, account) for account in _OF_PERSONS),
        balance.personal_balances_fen,
    )
    owed = {hospital.place.code: found.own_totals.total_fen for hospital, found in books.items()}
    paid = {hospital.place.code: -found.own_totals.cash_fen for hospital, found in books.items()}
    tell.equal(
        "what is owed to each hospital is the sum of its own bills", _by_code(balance, LedgerBalance.INSTITUTION), owed
    )
    tell.equal("and the cash is what it took at its counter", _by_code(balance, LedgerBalance.CASH), paid)
    funds_fen = sum(found.own_totals.fund_total_fen for found in books.values())
    # What was taken back from the thief is claimed; what had been cut for his sake was paid out to the person.
    claimed_fen, paid_out_fen = _sum(balance, LedgerBalance.CLAIMS), _sum(balance, LedgerBalance.BANK_PAYOUTS)
    drawn_fen = sum(claim.account_fen for claim in stage.agency.claims(theft.CASE))
    tell.equal(
        "the funds paid what the hospitals got from them, less what is claimed back, and what a recomputation added",
        _sum(balance, LedgerBalance.FUND),
        -funds_fen - claimed_fen - drawn_fen - paid_out_fen,
    )
    rows = [
        [_fund_name(row), yuan(-row.balance_fen)]
        for row in balance.balances
        if row.account == LedgerBalance.FUND and row.balance_fen
    ]
    tell.say("What the funds of each insured region owe for this day:")
    tell.table(["fund", "yuan"], rows)


def _journal(stage: Stage) -> None:
    tell = stage.tell
    tell.equal("asked to stop, the hub ends in good order", stage.hub.stop(), 0)
    verified = subprocess.run(
        [sys.executable, "-m", "medsettle", "verify", str(stage.scratch.data)],
        capture_output=True,
        text=True,
        timeout=VERIFY_TIMEOUT_S,
        check=False,
    )
    tell.equal(
        "medsettle verify finds nothing wrong in any byte of the journal",
        (verified.returncode, verified.stderr),
        (0, ""),
    )


_OF_PERSONS = (
    LedgerBalance.PERSONAL_ACCOUNTS,
    LedgerBalance.ONLINE_ACCOUNTS,
    LedgerBalance.CARD_PURSES,
    LedgerBalance.OFFLINE_PURSES,
)
"""Rows of the books that hold the money of persons."""


def _row(totals: Totals) -> list[str]:
    amounts = totals.total_fen, totals.fund_total_fen, totals.account_fen, totals.cash_fen
    return [str(totals.count), *map(yuan, amounts)]


def _sum(
    balance: operations_pb2.OperationsTrialBalanceResponse, account: LedgerBalance.Account.ValueType | None = None
) -> int:
    return sum(row.balance_fen for row in balance.balances if account in (None, row.account))


def _by_code(
    balance: operations_pb2.OperationsTrialBalanceResponse, account: LedgerBalance.Account.ValueType
) -> dict[str, int]:
    return {row.institution_code: row.balance_fen for row in balance.balances if row.account == account}


def _fund_name(row: LedgerBalance) -> str:
    province = next(province.name for province in world.PROVINCES if province.region == row.region)
    return f"{province}, {common_pb2.Fund.Kind.Name(row.fund).lower().replace('_', ' ')}"
