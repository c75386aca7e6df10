"""Visits over real gRPC: a hospital and a pharmacy claim at once what is left of a person's yearly limit."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from medsettle.errors import Rejected
from medsettle.v1 import inpatient_pb2, visits_pb2
from trial_site import HubProcess, Office
from trial_visits import LIMIT_FEN, OUTPATIENT, PURCHASE, Counter, found_visits
from trial_world import OPERATOR, days_ago, line


def test_two_claims_at_once_are_paid_what_is_left_of_the_limit(hub: HubProcess, office: Office) -> None:
    with hub.connect(OPERATOR) as operator:
        found_visits(operator)
    patient = office.agency.insure()
    hospital, pharmacy = Counter(OUTPATIENT), Counter(PURCHASE)
    claim = line(1, days_ago(0), "1", "200")
    with hub.connect(hospital.institution) as ward, hub.connect(pharmacy.institution) as shop:
        used = ward.visits.settle(
            hospital.settlement(patient.card_at_settlement(990_909), line(1, days_ago(0), "1", "9909.09"))
        )
        requests = [
            (client.visits, counter.settlement(patient.card_at_settlement(20_000), claim))
            for client, counter in ((ward, hospital), (shop, pharmacy))
        ]
        with ThreadPoolExecutor(2) as both:
            settled: list[visits_pb2.VisitsSettleResponse] = list(
                both.map(lambda call: call[0].settle(call[1]), requests)
            )
        assert sorted(one.split.fund_total_fen for one in settled) == [0, LIMIT_FEN - used.split.fund_total_fen]
        cancelled = shop.visits.cancel(pharmacy.cancellation(settled[1].settlement_id))
        assert cancelled.split.total_fen == -20_000
        day = shop.inpatient.list_settlements(
            inpatient_pb2.InpatientListSettlementsRequest(day=days_ago(0).isoformat())
        )
        assert (day.count, day.total_fen) == (2, 0)
        with pytest.raises(Rejected) as refusal:
            shop.visits.cancel(pharmacy.cancellation(used.settlement_id))
        assert refusal.value.reason == "NOT_YOUR_INSTITUTION"
