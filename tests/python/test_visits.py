"""Visits through an embedded hub: quoted, settled, read and undone, and the same after it was opened again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from medsettle import Rejected
from medsettle.v1 import accounts_pb2, inpatient_pb2, messages_pb2, operations_pb2
from trial_town import Town
from trial_visits import LIMIT_FEN, OUTPATIENT, PURCHASE, Counter
from trial_world import OPERATOR, PHARMACY, days_ago, line

DRAWN_FEN = 3_000


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    opened = Town(tmp_path)
    with opened.hub:
        yield opened


def reason(refusal: pytest.ExceptionInfo[Rejected]) -> str:
    return refusal.value.reason


def test_a_visit_is_settled_as_quoted_and_read_again_after_the_hub_was_opened_again(town: Town) -> None:
    patient, counter = town.insured(), Counter(OUTPATIENT)
    lines = [line(1, days_ago(0), "2", "50"), line(2, days_ago(0), "1", "20", "PRIVATE-ROOM")]
    request = counter.quote(patient, *lines)
    request.account_request_fen = DRAWN_FEN
    quote = town.at(counter).visits.quote(request)
    assert (quote.split.fund_total_fen, quote.split.account_fen, quote.split.cash_fen) == (5_500, DRAWN_FEN, 3_500)
    assert [shown.line.line_id for shown in quote.lines] == ["1", "2"]
    card = patient.card_at_settlement(12_000, DRAWN_FEN)
    settle = counter.settlement(card, *lines, quote_digest=quote.quote_digest)
    settled = town.at(counter).visits.settle(settle)
    assert (settled.split, list(settled.lines)) == (quote.split, list(quote.lines))
    assert (settled.balance_after_fen, len(settled.chip_answer.arpc)) == (10_000 - DRAWN_FEN, 8)
    asked = inpatient_pb2.InpatientGetSettlementRequest(settlement_id=settled.settlement_id)
    read = town.at(counter).inpatient.get_settlement(asked).settlement
    assert (read.stay_id, read.visit_kind, read.department, read.diagnosis) == (
        0,
        OUTPATIENT,
        "internal medicine",
        "J06",
    )
    assert list(read.lines) == list(settled.lines)
    town.hub.close()
    town.hub = town.open()
    with town.hub:
        assert town.at(counter).inpatient.get_settlement(asked).settlement == read
        again = town.at(counter).visits.settle(settle)
        assert (again.header.replayed, again.settlement_id) == (True, settled.settlement_id)
        text = town.at(counter).inpatient.explain(
            inpatient_pb2.InpatientExplainRequest(settlement_id=settled.settlement_id)
        )
        assert "of a visit on" in text.text[0]


def test_a_pharmacy_settles_lists_cancels_and_reverses_its_own_visits(town: Town) -> None:
    patient, counter = town.insured(), Counter(PURCHASE)
    pharmacy, bill = town.at(counter), line(1, days_ago(0), "1", "200")
    first = pharmacy.visits.settle(counter.settlement(patient.card_at_settlement(20_000), bill))
    cancelled = pharmacy.visits.cancel(counter.cancellation(first.settlement_id))
    assert cancelled.split.fund_total_fen == -first.split.fund_total_fen == -11_000
    request = counter.settlement(patient.card_at_settlement(20_000), bill)
    second = pharmacy.visits.settle(request)
    outcome = pharmacy.messages.get_outcome(
        messages_pb2.MessagesGetOutcomeRequest(request_id=request.header.request_id)
    )
    assert (outcome.method, outcome.original_sequence) == ("Visits.Settle", second.header.sequence)
    reversal = messages_pb2.MessagesReverseRequest(
        header=counter.header(), reversed_request_id=request.header.request_id
    )
    assert pharmacy.messages.reverse(reversal).effect == messages_pb2.MessagesReverseResponse.UNDONE
    day = pharmacy.inpatient.list_settlements(
        inpatient_pb2.InpatientListSettlementsRequest(day=days_ago(0).isoformat())
    )
    assert (day.count, day.total_fen, day.fund_total_fen) == (4, 0, 0)
    years = town.acting(OPERATOR).accounts.get_accumulators(
        accounts_pb2.AccountsGetAccumulatorsRequest(person_id=patient.person_id)
    )
    assert [year.accumulators.pool_fen for year in years.years] == [0]
    books = town.acting(OPERATOR).operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
    assert books.sum_fen == 0


def test_a_visit_of_another_kind_of_place_or_with_something_to_take_back_is_refused(town: Town) -> None:
    patient, counter = town.insured(), Counter(OUTPATIENT)
    bill = line(1, days_ago(0))
    with pytest.raises(Rejected) as refusal:
        town.hub.acting(["HOSPITAL"], PHARMACY).visits.quote(counter.quote(patient, bill))
    assert (reason(refusal), refusal.value.detail["institution_kind"]) == ("VISIT_NOT_OFFERED", "PHARMACY")
    with pytest.raises(Rejected) as refusal:
        town.acting(PHARMACY).visits.quote(counter.quote(patient, bill))
    assert (reason(refusal), refusal.value.detail["visit_kind"]) == ("VISIT_NOT_OFFERED", "OUTPATIENT")
    bill.takes_back_line_id = "7"
    with pytest.raises(Rejected) as refusal:
        town.at(counter).visits.quote(counter.quote(patient, bill))
    assert (reason(refusal), refusal.value.detail["field"]) == ("REQUEST_MALFORMED", "lines[0].takes_back_line_id")


def test_a_purchase_that_a_wrongful_visit_had_cut_is_readjudicated_when_that_is_cancelled(town: Town) -> None:
    patient = town.insured()
    hospital, pharmacy = Counter(OUTPATIENT), Counter(PURCHASE)
    wrongful = town.at(hospital).visits.settle(
        hospital.settlement(patient.card_at_settlement(990_909), line(1, days_ago(0), "1", "9909.09"))
    )
    genuine = town.at(pharmacy).visits.settle(
        pharmacy.settlement(patient.card_at_settlement(20_000), line(1, days_ago(0), "1", "200"))
    )
    paid = (wrongful.split.fund_total_fen, genuine.split.fund_total_fen)
    assert paid == (545_000, 5_000)
    assert sum(paid) == LIMIT_FEN
    cancelled = town.at(hospital).visits.cancel(hospital.cancellation(wrongful.settlement_id))
    [adjustment] = cancelled.adjustments
    assert (adjustment.settlement_id, adjustment.fund_delta_fen) == (genuine.settlement_id, 6_000)
