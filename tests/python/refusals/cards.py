"""Requests refused for the card that is shown."""

from medsettle.softcard import ADMISSION_TYPE, CVR_NO_PIN
from medsettle.v1 import common_pb2, presentation_pb2
from refusals.scene import JUMP, Bad, Scene, forbidden_now, malformed, row
from trial_world import Patient, days_ago, make_chip, presented


@row("CARD_UNKNOWN", "NOT_FOUND")
def a_card_that_nobody_made(scene: Scene) -> Bad:
    stranger = Patient(0, common_pb2.Certificate(), 0, make_chip(99_999))
    return Bad("Inpatient.Admit", scene.admission(stranger), {"card": stranger.chip.card_sn})


@forbidden_now("CARD_NOT_COLLECTED")
def a_card_that_was_not_collected(scene: Scene) -> Bad:
    return Bad("Inpatient.Admit", scene.admission(scene.uncollected))


@forbidden_now("HOLDER_NOT_VERIFIED")
def a_first_use_without_a_look_at_the_holder(scene: Scene) -> Bad:
    request = scene.admission()
    request.presentation.CopyFrom(_without_pin(scene.fresh))
    request.holder_check.method = presentation_pb2.HolderCheck.NONE
    return Bad("Inpatient.Admit", request)


@forbidden_now("CARD_LOST", lacks="until_ms")
def a_lost_card(scene: Scene) -> Bad:
    return Bad("Inpatient.Admit", scene.admission(scene.lost), {"state": "FORMAL_LOST"})


@forbidden_now("CARD_LOST")
def a_card_that_is_lost_for_seven_days(scene: Scene) -> Bad:
    return Bad("Inpatient.Admit", scene.admission(scene.temporarily_lost), {"state": "TEMP_LOST"})


@forbidden_now("CARD_NOT_OF_PERSON")
def the_card_of_somebody_else(scene: Scene) -> Bad:
    card = scene.settled.patient.card_at_settlement(scene.filed.total_fen)
    return Bad("Inpatient.Settle", scene.ward.settlement(scene.filed.stay_id, card))


@row("CRYPTOGRAM_INVALID", "PERMISSION_DENIED", remembered=True)
def a_wrong_cryptogram(scene: Scene) -> Bad:
    request = scene.admission(scene.agency.insure())
    wrong = bytearray(request.presentation.chip.cryptogram)
    wrong[7] ^= 1
    request.presentation.chip.cryptogram = bytes(wrong)
    return Bad("Inpatient.Admit", request)


@row("CRYPTOGRAM_INVALID", "PERMISSION_DENIED", remembered=True)
def a_card_made_with_another_issuers_key(scene: Scene) -> Bad:
    forged = Patient(0, common_pb2.Certificate(), 0, make_chip(1, bytes(range(16))))
    return Bad("Inpatient.Admit", scene.admission(forged))


@row("CRYPTOGRAM_INVALID", "PERMISSION_DENIED", remembered=True)
def an_amount_changed_after_signing(scene: Scene) -> Bad:
    request = scene.admission(scene.agency.insure())
    request.presentation.chip.amount_fen += 1
    return Bad("Inpatient.Admit", request)


@row("SCHEME_NOT_ALLOWED", "PERMISSION_DENIED")
def a_key_that_the_issuer_does_not_have(scene: Scene) -> Bad:
    request = scene.admission()
    request.presentation.chip.key_index = 7
    return Bad("Inpatient.Admit", request, {"key_index": "7"})


@row("CRYPTOGRAM_REPLAYED", "PERMISSION_DENIED")
def a_counter_that_was_seen(scene: Scene) -> Bad:
    chip = scene.filed.patient.chip
    counter, chip.atc = chip.atc, 0
    request = scene.settlement()
    chip.atc = counter
    return Bad("Inpatient.Settle", request, {"atc": "1"})


@row("COUNTER_JUMP", "FAILED_PRECONDITION", remembered=True)
def a_counter_far_ahead(scene: Scene) -> Bad:
    # The card is not in use yet, and is locked by it all the same.
    patient = scene.agency.insure()
    patient.chip.atc = JUMP
    return Bad("Inpatient.Admit", scene.admission(patient), {"atc": str(1 + JUMP), "highest": "0"})


@forbidden_now("PRESENTATION_STALE")
def a_card_that_signed_the_day_before_yesterday(scene: Scene) -> Bad:
    day = days_ago(2)
    request = scene.ward.admission(scene.fresh.card_at_admission(day), days_ago(2))
    return Bad("Inpatient.Admit", request, {"transaction_date": day.isoformat()})


@forbidden_now("AMOUNT_MISMATCH", "amount_fen")
def a_card_that_signed_another_total(scene: Scene) -> Bad:
    right = scene.filed.total_fen
    request = scene.ward.settlement(scene.filed.stay_id, scene.filed.patient.card_at_settlement(right - 1))
    request.total_fen = right
    return Bad("Inpatient.Settle", request, {"signed_fen": str(right - 1), "expected_fen": str(right)})


@forbidden_now("AMOUNT_MISMATCH", "other_amount_fen")
def a_card_that_signed_another_draw(scene: Scene) -> Bad:
    request = scene.settlement()
    request.account_request_fen = 5
    return Bad("Inpatient.Settle", request, {"signed_fen": "0", "expected_fen": "5"})


@forbidden_now("CREDENTIAL_NOT_ACCEPTED")
def a_voucher(scene: Scene) -> Bad:
    request = scene.admission()
    request.presentation.CopyFrom(presentation_pb2.Presentation(voucher_id=1, terminal_id="T1"))
    return Bad("Inpatient.Admit", request)


@malformed("presentation")
def no_card_at_all(scene: Scene) -> Bad:
    request = scene.admission()
    request.ClearField("presentation")
    return Bad("Inpatient.Admit", request)


def _without_pin(patient: Patient) -> presentation_pb2.Presentation:
    return presented(patient.chip.sign(0, 0, days_ago(0), ADMISSION_TYPE, cvr=CVR_NO_PIN))
