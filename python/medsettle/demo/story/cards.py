"""Chapter: a lost card is dead at once, everywhere, and for as long as its holder wants."""

import math
import time
from dataclasses import replace

from medsettle.demo import world
from medsettle.demo.patient import Patient
from medsettle.demo.rush import BusyWard
from medsettle.demo.story.stage import Stage
from medsettle.v1.cards_pb2 import Card, Channel, Loss
from medsettle.v1.inpatient_pb2 import AdmissionKind

TEMPORARY_LOSS_MS = 7 * 24 * 3_600_000


def lost_card(stage: Stage) -> None:
    """Tell of a telephone call, a find, a theft and a new card."""
    tell, zhou = stage.tell, stage.patients[world.ZHOU]
    tell.chapter("A lost card is refused at once")
    tell.say(
        f"{zhou.name} of Jinan has used her card once, at home. (The case behind this project: a stolen card that went "
        "on working beside its successor for most of a year, in more than ten hospitals and pharmacies.)"
    )
    treated = stage.treat(zhou, world.JINAN, [world.Item("WARD-DAY", "2", "420")], nights=3)
    stage.settle(zhou, world.JINAN, treated)
    _temporary(stage, zhou)
    _formal(stage, zhou)


def _temporary(stage: Stage, zhou: Patient) -> None:
    tell = stage.tell
    tell.say("Her purse is gone. She calls the hotline, with no card number at hand, only her identity number.")
    reported = stage.agency.report_loss(zhou, Loss.TEMPORARY, Channel.PHONE)
    begin_s = time.monotonic()
    for province in (world.BEIJING, world.JIAXING):
        detail = _refused_as_lost(stage, zhou, province, f"refused in {province.name}, with a perfect cryptogram")
        until_ms = int(detail.get("until_ms") or 0)
        tell.equal(
            "until 7 x 24 hours after the call, not a millisecond longer",
            until_ms - reported.header.stamp_ms,
            TEMPORARY_LOSS_MS,
        )
    took_ms = math.ceil(1000 * (time.monotonic() - begin_s))
    tell.say(f"Both refusals came within {took_ms} ms of the hotline's confirmation.")
    seen = stage.hospitals[world.JINAN].run(BusyWard.eligibility, zhou.card.card_sn)
    tell.equal("a hospital that only asks is warned as well", list(seen.blocks)[:1], ["CARD_LOST"])
    tell.say("She finds the purse under the seat of her car and withdraws the report at a desk.")
    stage.agency.withdraw_loss(zhou)
    seen = stage.hospitals[world.JINAN].run(BusyWard.eligibility, zhou.card.card_sn)
    tell.equal("the card is what it was before", (seen.card_state, list(seen.blocks)), (Card.ENABLED, []))


def _formal(stage: Stage, zhou: Patient) -> None:
    tell, hospital = stage.tell, stage.hospitals[world.BEIJING]
    tell.say("\nSuppose it is stolen later, for good. At the desk, with her document, she reports it for ever.")
    stage.agency.report_loss(zhou, Loss.FORMAL, Channel.DESK)
    detail = _refused_as_lost(stage, zhou, world.JIAXING, "refused in Jiaxing")
    tell.check("and the refusal knows no end", not detail.get("until_ms"), detail)
    tell.refused("such a report cannot be withdrawn", "CARD_STATE_FORBIDS", lambda: stage.agency.withdraw_loss(zhou))
    tell.say("She gets a new card. Falling ill in Beijing, she uses it for the first time:")
    issued = stage.agency.issue({zhou.person_id: zhou.resident}, predecessor_card_id=zhou.card_id)
    card_id, chip = issued[zhou.person_id]
    renewed = replace(zhou, card_id=card_id, card=chip)
    shown = renewed.show_card()
    admitted = hospital.run(BusyWard.admit, shown, stage.today, AdmissionKind.EMERGENCY)
    tell.check("the new card is accepted and the chip knows its hub", renewed.accepts(shown, admitted.chip_answer))
    states = {card.card_id: card.insurance_state for card in stage.agency.cards(zhou)}
    tell.equal(
        "she has one card in use, and the stolen one stays lost",
        states,
        {zhou.card_id: Card.FORMAL_LOST, card_id: Card.ENABLED},
    )
    _refused_as_lost(stage, zhou, world.JINAN, "the thief is still refused, in Jinan")
    hospital.run(BusyWard.cancel_admission, admitted.stay_id)
    tell.say("It was a false alarm; the hospital cancels the admission.")


def _refused_as_lost(stage: Stage, thief: Patient, province: world.Province, claim: str) -> dict[str, str]:
    hospital = stage.hospitals[province]
    detail = stage.tell.refused(
        claim,
        "CARD_LOST",
        lambda: hospital.run(BusyWard.admit, thief.show_card(), stage.today, AdmissionKind.EMERGENCY),
    )
    return dict(detail)
