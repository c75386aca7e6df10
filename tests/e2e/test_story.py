"""The story that the project grew from, over gRPC: a stolen card, two calendar years, and the call that repairs it."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import date

import pytest

from medsettle.client import Client
from medsettle.errors import Rejected
from medsettle.v1 import accounts_pb2, cards_pb2, fraud_pb2, inpatient_pb2, operations_pb2, presentation_pb2, visits_pb2
from trial_site import HubProcess, Office
from trial_visits import LIMIT_FEN, OUTPATIENT, PURCHASE, Counter, found_visits
from trial_world import OPERATOR, Patient, days_ago, line, make_chip, replacement

BALANCE_FEN = 250_000
THIS_YEAR = days_ago(0).year
IN_DECEMBER, IN_JANUARY = date(THIS_YEAR - 1, 12, 20), date(THIS_YEAR, 1, 1)
SUCCESSOR_SERIAL = 990_017


class Place:
    """A hospital or a pharmacy, which looks at nobody."""

    def __init__(self, client: Client, counter: Counter) -> None:
        self.client, self.counter = client, counter

    def settle(self, patient: Patient, day: date, total_fen: int, account_fen: int) -> visits_pb2.VisitsSettleResponse:
        bill = line(1, day, "1", str(total_fen // 100))
        request = self.counter.settlement(patient.card_at_settlement(total_fen, account_fen), bill)
        request.visit_date = day.isoformat()
        request.holder_check.method = presentation_pb2.HolderCheck.NONE
        return self.client.visits.settle(request)


def unwinding(office: Office, card_id: int, since_ms: int, own: Sequence[int]) -> fraud_pb2.FraudUnwindRequest:
    scope = fraud_pb2.UnwindScope(card_id=card_id, since_ms=since_ms, excluded_settlement_ids=own)
    return fraud_pb2.FraudUnwindRequest(
        header=office.agency.operator.header(), scope=scope, case_number="F-1", second_approver="director"
    )


def statement(office: Office, patient: Patient) -> list[accounts_pb2.StatementEntry]:
    request = accounts_pb2.AccountsStatementRequest(person_id=patient.person_id)
    return [entry for page in office.auditor.accounts.statement(request) for entry in page.entries]


def paid_by_pool(office: Office, patient: Patient) -> dict[int, int]:
    request = accounts_pb2.AccountsGetAccumulatorsRequest(person_id=patient.person_id)
    years = office.auditor.accounts.get_accumulators(request).years
    return {year.benefit_year: year.accumulators.pool_fen for year in years}


def balance(office: Office, patient: Patient) -> int:
    accounts = office.auditor.accounts.get(accounts_pb2.AccountsGetRequest(person_id=patient.person_id)).accounts
    return next(one.balance_fen for one in accounts if one.kind == accounts_pb2.Account.INSURANCE)


def paid_out(office: Office, patient: Patient) -> list[tuple[int, int]]:
    """List what was paid to the bank zone and what waited for it, in the order of the journal."""
    entries = statement(office, patient)
    return [(one.amount_fen, one.waiting_fen) for one in entries if one.kind == accounts_pb2.StatementEntry.PAY_OUT]


def test_a_stolen_card_is_dead_at_once_and_the_victim_gets_balance_and_limit_back(
    hub: HubProcess, office: Office
) -> None:
    with hub.connect(OPERATOR) as operator:
        found_visits(operator)
    victim = office.agency.insure()
    office.agency.credit(victim, BALANCE_FEN)
    hospital, pharmacy = Counter(OUTPATIENT, "story-"), Counter(PURCHASE, "story-")
    with hub.connect(hospital.institution) as ward, hub.connect(pharmacy.institution) as shop:
        ward_place, shop_place = Place(ward, hospital), Place(shop, pharmacy)
        # Her own visit comes first; the card is collected and enabled by it, so the hospital looks at her.
        first = hospital.settlement(victim.card_at_settlement(10_000, 0), line(1, days_ago(0), "1", "100"))
        own = [ward.visits.settle(first).settlement_id]
        # The thief: months of purchases in two calendar years, balance and limit.
        stolen = [
            ward_place.settle(victim, IN_DECEMBER, 800_000, 100_000),
            shop_place.settle(victim, IN_DECEMBER, 190_000, 85_000),
            shop_place.settle(victim, IN_JANUARY, 100_000, 45_000),
            ward_place.settle(victim, IN_JANUARY, 880_000, 20_000),
        ]
        # Her own treatment is refused the fund's money: the thief left 5.00 of the limit of last year.
        cut = ward_place.settle(victim, IN_DECEMBER, 100_000, 0)
        own.append(cut.settlement_id)
        assert (balance(office, victim), cut.split.fund_total_fen) == (0, LIMIT_FEN - 440_000 - 104_500)

        office.agency.report_loss(victim, cards_pb2.Loss.FORMAL)
        for place in (ward_place, shop_place):
            with pytest.raises(Rejected) as refusal:
                place.settle(victim, days_ago(0), 10_000, 0)
            assert refusal.value.reason == "CARD_LOST"
        renewed = replaced(hub, office, victim)

        # F9: she can read every swipe: where, at which terminal, with which card, whether it proved itself, and when.
        swipes = [entry for entry in statement(office, victim) if entry.kind == accounts_pb2.StatementEntry.SETTLEMENT]
        assert [one.settlement_id for one in swipes] == [own[0], *(one.settlement_id for one in stolen), own[1]]
        assert {(one.card_sn, one.terminal_id, one.cryptogram_valid) for one in swipes} == {
            (victim.chip.card_sn, "T1", True)
        }
        assert [one.institution_code for one in swipes[1:5]] == [
            hospital.institution,
            pharmacy.institution,
            pharmacy.institution,
            hospital.institution,
        ]

        request = unwinding(office, victim.card_id, stolen[0].header.stamp_ms, own[1:])
        preview = office.operator.fraud.preview_unwind(fraud_pb2.FraudPreviewUnwindRequest(scope=request.scope))
        request.preview_digest = preview.preview_digest
        alone = fraud_pb2.FraudUnwindRequest()
        alone.CopyFrom(request)
        alone.header.request_id += "-alone"
        alone.second_approver = alone.header.operator
        with office.unchanged(), pytest.raises(Rejected) as refusal:
            office.operator.fraud.unwind(alone)
        assert refusal.value.detail["field"] == "second_approver"

        unwound = office.operator.fraud.unwind(request)
        assert list(unwound.effect.reversed_settlement_ids) == [one.settlement_id for one in stolen]
        # F7: balance and limits, each in its own year.
        assert balance(office, victim) == BALANCE_FEN
        assert paid_by_pool(office, victim) == {THIS_YEAR - 1: 55_000, THIS_YEAR: 5_500}
        # F8: what was cut is paid.
        (difference,) = unwound.effect.adjustments
        assert (difference.settlement_id, difference.fund_delta_fen) == (cut.settlement_id, 55_000 - 5_500)
        assert paid_out(office, victim) == [(0, difference.fund_delta_fen)]
        enable_bank_zone(hub, office, renewed)
        assert paid_out(office, victim) == [(0, difference.fund_delta_fen), (difference.fund_delta_fen, 0)]
        # F10: the institutions owe what they gave away without looking; his cash is nobody's.
        claims = office.operator.fraud.list_claims(fraud_pb2.FraudListClaimsRequest(case_number="F-1")).claims
        assert {(one.settlement_id, one.fund_fen, one.account_fen) for one in claims} == {
            (one.settlement_id, one.split.fund_total_fen, one.split.account_fen) for one in stolen
        }
        again = office.operator.fraud.unwind(request)
        assert (again.unwind_id, again.header.replayed) == (unwound.unwind_id, True)
        with office.unchanged(), pytest.raises(Rejected) as refusal:
            office.operator.fraud.unwind(unwinding(office, victim.card_id, stolen[0].header.stamp_ms, own[1:]))
        assert refusal.value.reason == "NOTHING_TO_UNWIND"
        books = office.auditor.operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
        assert books.sum_fen == 0

        # She is treated with her new card and her limit is hers.
        treated = hospital.settlement(renewed.card_at_settlement(100_000, 0), line(1, days_ago(0), "1", "1000"))
        assert ward.visits.settle(treated).split.fund_total_fen == 55_000
        taken_back = ward.inpatient.get_settlement(
            inpatient_pb2.InpatientGetSettlementRequest(settlement_id=stolen[0].settlement_id)
        )
        assert taken_back.settlement.state == inpatient_pb2.Settlement.UNWOUND

    report = subprocess.run(
        [sys.executable, "-m", "medsettle", "explain", str(hub.data), str(unwound.unwind_id)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "of case F-1" in report
    assert f"Settlement {stolen[0].settlement_id} at {hospital.institution} taken back" in report
    assert "to the holder's account; " in report


def enable_bank_zone(hub: HubProcess, office: Office, patient: Patient) -> None:
    request = cards_pb2.CardsEnableRequest(
        header=office.agency.desk.header(), card_id=patient.card_id, zone=cards_pb2.Zone.BANK
    )
    with hub.connect(office.agency.desk.institution) as desk:
        desk.cards.enable(request)


def replaced(hub: HubProcess, office: Office, victim: Patient) -> Patient:
    """Replace the lost card on the spot, in use at once."""
    chip = make_chip(SUCCESSOR_SERIAL)
    request = replacement(office.agency.desk.header(), victim.card_id, chip)
    with hub.connect(office.agency.desk.institution) as desk:
        card = desk.cards.replace(request).card
    assert card.insurance_state == cards_pb2.Card.ENABLED
    return Patient(victim.person_id, victim.certificate, card.card_id, chip)
