"""Requests of a desk, an issuer or the operator about cards and insured regions, refused."""

from medsettle.v1 import cards_pb2, common_pb2, persons_pb2
from refusals.scene import Bad, Scene, forbidden_now, malformed, row
from trial_world import BEIJING, DESK, EFFECTIVE_FROM, JINAN, OPERATOR, Patient, days_ago, make_chip, replacement

FORMAL, TEMPORARY = cards_pb2.Loss.FORMAL, cards_pb2.Loss.TEMPORARY


def _report(scene: Scene, patient: Patient, **changes: int) -> cards_pb2.CardsReportLossRequest:
    request = cards_pb2.CardsReportLossRequest(
        header=scene.agency.desk.header(),
        card_id=patient.card_id,
        loss=TEMPORARY,
        channel=cards_pb2.Channel.PHONE,
        verified_by="hotline",
    )
    for name, value in changes.items():
        setattr(request, name, value)
    return request


def _replacement(scene: Scene, lost: Patient) -> cards_pb2.CardsReplaceRequest:
    return replacement(scene.agency.desk.header(), lost.card_id, make_chip(88_888))


def _retirement(scene: Scene, region: str, date: str) -> cards_pb2.CardsRetireGenerationRequest:
    return cards_pb2.CardsRetireGenerationRequest(
        header=scene.agency.operator.header(), region=region, generation="2", cut_over_date=date
    )


def _transfer(scene: Scene, region: str, from_date: str) -> persons_pb2.PersonsTransferRegionRequest:
    spell = persons_pb2.InsuranceSpell(
        insurance_type=common_pb2.InsuranceType.EMPLOYEE,
        region=region,
        category=common_pb2.Category.ACTIVE,
        status=persons_pb2.InsuranceSpell.NORMAL,
        from_date=from_date,
    )
    return persons_pb2.PersonsTransferRegionRequest(
        header=scene.agency.desk.header(), person_id=scene.fresh.person_id, new_spell=spell
    )


@forbidden_now("CARD_NOT_OF_PERSON", caller=DESK)
def a_report_of_a_card_that_is_not_the_callers(scene: Scene) -> Bad:
    request = _report(scene, scene.fresh)
    request.holder.CopyFrom(scene.uncollected.certificate)
    return Bad("Cards.ReportLoss", request)


@malformed("channel", caller=DESK)
def a_report_through_no_channel(scene: Scene) -> Bad:
    return Bad("Cards.ReportLoss", _report(scene, scene.fresh, channel=cards_pb2.Channel.UNSPECIFIED))


@malformed("channel", caller=DESK)
def a_report_through_an_unknown_channel(scene: Scene) -> Bad:
    request = _report(scene, scene.fresh).SerializeToString()
    # Field 7 once more, with a number that no channel has.
    return Bad("Cards.ReportLoss", request + bytes([7 << 3, 99]))


@malformed("channel", caller=DESK)
def a_formal_loss_by_telephone(scene: Scene) -> Bad:
    return Bad("Cards.ReportLoss", _report(scene, scene.fresh, loss=FORMAL))


@forbidden_now("CARD_STATE_FORBIDS", caller=DESK)
def enabling_a_dead_card(scene: Scene) -> Bad:
    request = cards_pb2.CardsEnableRequest(
        header=scene.agency.desk.header(), card_id=scene.lost.card_id, zone=cards_pb2.Zone.INSURANCE
    )
    return Bad("Cards.Enable", request, {"state": "FORMAL_LOST", "event": "ENABLE"})


@forbidden_now("CARD_STATE_FORBIDS", caller=DESK)
def replacing_a_card_that_is_lost_for_seven_days(scene: Scene) -> Bad:
    metadata = {"state": "TEMP_LOST", "event": "REPLACE"}
    return Bad("Cards.Replace", _replacement(scene, scene.temporarily_lost), metadata)


@row("SCHEME_NOT_ALLOWED", "PERMISSION_DENIED", caller=DESK)
def replacing_a_card_by_one_whose_key_is_nowhere(scene: Scene) -> Bad:
    request = _replacement(scene, scene.lost)
    request.key_index, request.enable = 200, True
    return Bad("Cards.Replace", request, {"key_index": "200"})


@row("CARD_UNKNOWN", "NOT_FOUND", caller=DESK)
def replacing_a_card_that_nobody_has(scene: Scene) -> Bad:
    request = _replacement(scene, scene.lost)
    request.lost_card_id = 12
    return Bad("Cards.Replace", request, {"card": "12"})


@row("CARD_EXISTS", "ALREADY_EXISTS", "pan", caller=DESK)
def replacing_a_card_by_one_that_somebody_has(scene: Scene) -> Bad:
    request = _replacement(scene, scene.lost)
    request.pan = scene.fresh.chip.pan
    return Bad("Cards.Replace", request)


@forbidden_now("CARD_STATE_FORBIDS", caller=DESK)
def cancelling_a_card_that_is_lost_for_ever(scene: Scene) -> Bad:
    request = cards_pb2.CardsCancelRequest(
        header=scene.agency.desk.header(), card_id=scene.lost.card_id, cause=cards_pb2.CardsCancelRequest.RETURNED
    )
    return Bad("Cards.Cancel", request, {"state": "FORMAL_LOST", "event": "CANCEL"})


@forbidden_now("CARD_STATE_FORBIDS", caller=DESK)
def unlocking_a_card_that_is_not_locked(scene: Scene) -> Bad:
    request = cards_pb2.CardsUnlockRequest(
        header=scene.agency.desk.header(), card_id=scene.fresh.card_id, zone=cards_pb2.Zone.INSURANCE
    )
    return Bad("Cards.Unlock", request, {"state": "ISSUED", "event": "UNLOCK"})


@malformed("cut_over_date", caller=OPERATOR)
def a_generation_that_ended_yesterday(scene: Scene) -> Bad:
    return Bad("Cards.RetireGeneration", _retirement(scene, JINAN, days_ago(2).isoformat()))


@row("REGION_UNKNOWN", "NOT_FOUND", caller=OPERATOR)
def a_generation_of_a_region_that_nobody_knows(scene: Scene) -> Bad:
    return Bad("Cards.RetireGeneration", _retirement(scene, "990000", "2099-01-01"), {"region": "990000"})


@row("REGION_UNKNOWN", "NOT_FOUND", caller=OPERATOR)
def counting_the_cards_of_a_region_that_nobody_knows(_scene: Scene) -> Bad:
    return Bad("Cards.CountByState", cards_pb2.CardsCountByStateRequest(region="990000"), {"region": "990000"})


@malformed("new_spell.region", caller=DESK)
def a_change_to_where_the_person_is_insured(scene: Scene) -> Bad:
    return Bad("Persons.TransferRegion", _transfer(scene, JINAN, days_ago(0).isoformat()))


@malformed("new_spell.from_date", caller=DESK)
def a_change_of_region_in_the_future(scene: Scene) -> Bad:
    return Bad("Persons.TransferRegion", _transfer(scene, BEIJING, days_ago(-3).isoformat()))


@forbidden_now("NOT_INSURED", caller=DESK)
def a_change_of_region_before_there_was_any_insurance(scene: Scene) -> Bad:
    return Bad("Persons.TransferRegion", _transfer(scene, BEIJING, EFFECTIVE_FROM))


@malformed("new_spell", caller=DESK)
def a_change_of_region_to_nowhere(scene: Scene) -> Bad:
    request = _transfer(scene, BEIJING, days_ago(0).isoformat())
    request.ClearField("new_spell")
    return Bad("Persons.TransferRegion", request)
