"""Requests refused for the state of a stay, its lines or its settlement."""

from datetime import date

from medsettle.v1 import inpatient_pb2
from refusals.scene import (
    FIRST_DAY,
    Bad,
    Scene,
    forbidden_now,
    row,
)
from trial_world import (
    BEIJING_HOSPITAL,
    CLOSED_HOSPITAL,
    OTHER_HOSPITAL,
    days_ago,
    line,
)


@row("STAY_UNKNOWN", "NOT_FOUND")
def a_stay_that_does_not_exist(scene: Scene) -> Bad:
    return Bad("Inpatient.Discharge", scene.ward.discharge(4_711, days_ago(1)), {"stay_id": "4711"})


@forbidden_now("STAY_NOT_OPEN")
def a_charge_after_the_discharge(scene: Scene) -> Bad:
    request = scene.ward.charges(scene.filed.stay_id, line(9, scene.day()))
    return Bad("Inpatient.AddCharges", request, {"stay_id": str(scene.filed.stay_id), "state": "DISCHARGED"})


@forbidden_now("ALREADY_SETTLED")
def a_charge_after_the_settlement(scene: Scene) -> Bad:
    request = scene.ward.charges(scene.settled.stay_id, line(9, scene.day()))
    return Bad("Inpatient.AddCharges", request, {"settlement_id": str(scene.settled.settlement_id)})


@row("NOT_YOUR_INSTITUTION", "PERMISSION_DENIED")
def a_charge_to_a_stay_elsewhere(scene: Scene) -> Bad:
    return Bad("Inpatient.AddCharges", scene.ward.charges(scene.elsewhere.stay_id, line(9, scene.day())))


@row("NOT_YOUR_INSTITUTION", "PERMISSION_DENIED")
def a_settlement_of_a_stay_elsewhere(scene: Scene) -> Bad:
    return Bad("Inpatient.Settle", scene.settlement(scene.elsewhere))


@row("NOT_YOUR_INSTITUTION", "PERMISSION_DENIED", caller=OTHER_HOSPITAL)
def a_look_at_a_settlement_elsewhere(scene: Scene) -> Bad:
    return Bad(
        "Inpatient.GetSettlement",
        inpatient_pb2.InpatientGetSettlementRequest(settlement_id=scene.settled.settlement_id),
    )


@row("NOT_YOUR_INSTITUTION", "PERMISSION_DENIED")
def a_name_that_is_not_the_callers(scene: Scene) -> Bad:
    request = scene.other.admission(scene.fresh.card_at_admission(), days_ago(2))
    return Bad("Inpatient.Admit", request, {"institution_code": OTHER_HOSPITAL})


@forbidden_now("STAY_OVERLAPS")
def an_admission_during_a_stay(scene: Scene) -> Bad:
    metadata = {"other_stay_id": str(scene.open.stay_id), "other_institution_code": BEIJING_HOSPITAL}
    return Bad("Inpatient.Admit", scene.admission(scene.open.patient), metadata)


@forbidden_now("STAY_DATES_WRONG", "admission_date")
def an_admission_tomorrow(scene: Scene) -> Bad:
    return Bad("Inpatient.Admit", scene.ward.admission(scene.fresh.card_at_admission(), days_ago(-1)))


@forbidden_now("STAY_DATES_WRONG", "lines[0].date")
def a_charge_before_the_admission(scene: Scene) -> Bad:
    return Bad("Inpatient.AddCharges", scene.charges(date=days_ago(FIRST_DAY + 1).isoformat()))


@forbidden_now("STAY_DATES_WRONG", "discharge_date")
def a_discharge_before_the_admission(scene: Scene) -> Bad:
    return Bad("Inpatient.Discharge", scene.ward.discharge(scene.open.stay_id, days_ago(FIRST_DAY + 1)))


@row("LINE_DUPLICATE", "ALREADY_EXISTS")
def line_ids_that_are_taken(scene: Scene) -> Bad:
    lines = [line(number, scene.day()) for number in (1, 50, 2)]
    return Bad("Inpatient.AddCharges", scene.ward.charges(scene.open.stay_id, *lines), {"lines": "1,2"})


@forbidden_now("ITEM_UNKNOWN")
def items_that_no_catalogue_knows(scene: Scene) -> Bad:
    lines = [line(50, scene.day()), line(51, scene.day(), item="MOON"), line(52, scene.day(), item="SUN")]
    return Bad("Inpatient.AddCharges", scene.ward.charges(scene.open.stay_id, *lines), {"lines": "51,52"})


@forbidden_now("REFUND_EXCEEDS")
def a_line_taken_back_twice(scene: Scene) -> Bad:
    request = scene.charges(quantity="-2", takes_back_line_id="2")
    return Bad("Inpatient.AddCharges", request, {"lines": "9"})


@forbidden_now("REFUND_EXCEEDS")
def a_line_taken_back_twice_in_one_request(scene: Scene) -> Bad:
    refunds = [line(50, scene.day(), "-3"), line(51, scene.day(), "-3")]
    for refund in refunds:
        refund.takes_back_line_id = "1"
    return Bad("Inpatient.AddCharges", scene.ward.charges(scene.open.stay_id, *refunds), {"lines": "51"})


@row("LINE_UNKNOWN", "NOT_FOUND")
def a_line_taken_back_that_is_not_there(scene: Scene) -> Bad:
    request = scene.charges(quantity="-1", takes_back_line_id="4711")
    return Bad("Inpatient.AddCharges", request, {"lines": "9"})


@forbidden_now("LINE_TAKEN_BACK")
def a_line_revoked_without_its_refund(scene: Scene) -> Bad:
    request = inpatient_pb2.InpatientRevokeChargesRequest(
        header=scene.ward.header(), stay_id=scene.open.stay_id, line_ids=["2"]
    )
    return Bad("Inpatient.RevokeCharges", request, {"lines": "2"})


@forbidden_now("LINE_TOTAL_MISMATCH")
def a_line_added_up_wrongly(scene: Scene) -> Bad:
    return Bad("Inpatient.AddCharges", scene.charges(amount_fen=50_001), {"lines": "9"})


@forbidden_now("INSTITUTION_NOT_NETWORKED", caller=CLOSED_HOSPITAL)
def an_admission_where_the_region_is_not_networked(scene: Scene) -> Bad:
    return Bad("Inpatient.Admit", scene.closed.admission(scene.fresh.card_at_admission(), days_ago(2)))


@forbidden_now("NOT_INSURED")
def an_admission_before_the_insurance(scene: Scene) -> Bad:
    request = scene.ward.admission(scene.fresh.card_at_admission(), date(2014, 12, 31))
    return Bad("Inpatient.Admit", request, {"day": "2014-12-31"})


# Settlements.


@forbidden_now("FILING_MISSING")
def a_settlement_without_a_filing(scene: Scene) -> Bad:
    return Bad("Inpatient.Settle", scene.settlement(scene.unfiled))


@forbidden_now("FILING_MISSING")
def a_quote_without_a_filing(scene: Scene) -> Bad:
    return Bad("Inpatient.Quote", inpatient_pb2.InpatientQuoteRequest(stay_id=scene.unfiled.stay_id))


@forbidden_now("TOTAL_MISMATCH")
def a_wrong_total(scene: Scene) -> Bad:
    right = scene.filed.total_fen
    card = scene.filed.patient.card_at_settlement(right + 1)
    metadata = {"institution_total_fen": str(right + 1), "hub_total_fen": str(right)}
    return Bad("Inpatient.Settle", scene.ward.settlement(scene.filed.stay_id, card), metadata)


@forbidden_now("STAY_NOT_DISCHARGED")
def a_settlement_before_the_discharge(scene: Scene) -> Bad:
    return Bad("Inpatient.Settle", scene.settlement(scene.open), {"stay_id": str(scene.open.stay_id)})


@forbidden_now("ALREADY_SETTLED")
def a_second_settlement(scene: Scene) -> Bad:
    metadata = {"stay_id": str(scene.settled.stay_id), "settlement_id": str(scene.settled.settlement_id)}
    return Bad("Inpatient.Settle", scene.settlement(scene.settled), metadata)


@forbidden_now("ALREADY_CANCELLED")
def a_second_cancellation(scene: Scene) -> Bad:
    request = scene.ward.cancellation(scene.cancelled.settlement_id)
    return Bad("Inpatient.CancelSettlement", request, {"settlement_id": str(scene.cancelled.settlement_id)})


@row("SETTLEMENT_UNKNOWN", "NOT_FOUND")
def a_cancellation_of_nothing(scene: Scene) -> Bad:
    return Bad("Inpatient.CancelSettlement", scene.ward.cancellation(4_711), {"settlement_id": "4711"})


@row("QUOTE_STALE", "ABORTED")
def a_quote_that_was_never_given(scene: Scene) -> Bad:
    request = scene.settlement()
    request.quote_digest = bytes(32)
    return Bad("Inpatient.Settle", request)


@forbidden_now("BALANCE_INSUFFICIENT")
def more_drawn_than_there_is(scene: Scene) -> Bad:
    return Bad("Inpatient.Settle", scene.settlement(account_fen=1), {"requested_fen": "1", "available_fen": "0"})
