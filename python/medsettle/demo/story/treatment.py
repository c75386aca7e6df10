"""Chapters: a patient of one province treated in another, and a recorded real bill replayed.

The expected amounts come from other programs: the first from one that computed with exact rationals and knows nothing
of this project, the second from the record of a settlement of 2025.
"""

from dataclasses import dataclass

from medsettle.demo import world
from medsettle.demo.rush import BusyWard
from medsettle.demo.story.stage import Stage, Treated, used
from medsettle.demo.tell import yuan
from medsettle.v1 import cards_pb2, common_pb2, filings_pb2, inpatient_pb2

BALANCE_FEN = 500_000
DRAWN_FEN = 200_000


@dataclass(frozen=True, slots=True)
class FirstSettlement:
    """What a later chapter cancels."""

    treated: Treated
    settled: inpatient_pb2.InpatientSettleResponse


def treated_elsewhere(stage: Stage) -> FirstSettlement:
    """Tell of a transfer from Jinan to Beijing."""
    tell, lin, hospital = stage.tell, stage.patients[world.LIN], stage.hospitals[world.BEIJING]
    tell.chapter("A patient of one province, treated in another")
    tell.say(
        f"{lin.name} is insured in Jinan and needs a heart operation that she gets in Beijing. Jinan has filed her "
        f"transfer, and {yuan(BALANCE_FEN)} lie in her personal account. She hands her new card to the clerk."
    )
    stage.agency.credit(lin, BALANCE_FEN, f"{stage.today:%Y-%m}")
    stage.agency.file(lin, filings_pb2.Filing.TRANSFER, "110000", stage.days_ago(14))
    seen = hospital.run(BusyWard.eligibility, lin.card.card_sn)
    tell.equal("the hospital sees that nothing stands in the way", list(seen.blocks), [])
    tell.equal("and that a transfer is filed", seen.filing.kind, filings_pb2.Filing.TRANSFER)
    tell.equal(
        "and the balance, but of the name only its first letter",
        (seen.balance_fen, seen.masked_name),
        (BALANCE_FEN, "L" + "*" * (len(lin.name) - 1)),
    )
    treated = stage.treat(lin, world.BEIJING, world.HEART_BILL, nights=12)
    states = [card.insurance_state for card in stage.agency.cards(lin)]
    tell.equal("the card came into use by this admission", states, [cards_pb2.Card.ENABLED])
    quote = hospital.run(BusyWard.quote, treated.stay_id, DRAWN_FEN)
    tell.say("Before she pays, the hospital asks what she will have to pay. Then the chip signs, and it is settled:")
    settled = stage.settle(lin, world.BEIJING, treated, account_fen=DRAWN_FEN, digest=quote.quote_digest)
    split = settled.split
    tell.who_pays(settlement=split)
    tell.say("Why, step by step (Jinan pays 88 % in the best hospitals, 10 points less after a transfer):")
    tell.trace(split)
    tell.equal("the settlement is what the quote had promised", split, quote.split)
    tell.equal(
        "funds 16,068.00 and patient 8,932.00, as another program computed",
        (split.fund_total_fen, split.person_part_fen),
        (1_606_800, 893_200),
    )
    tell.equal("the account holds 2,000.00 less", settled.balance_after_fen, BALANCE_FEN - DRAWN_FEN)
    tell.equal(
        "it counts as her first admission of the year",
        used(stage.agency.accumulators(lin))[stage.today.year].admissions,
        1,
    )
    return FirstSettlement(treated, settled)


def recorded_bill(stage: Stage) -> None:
    """Replay a settlement of 2025, to the fen."""
    tell, patient, hospital = stage.tell, stage.patients[world.OLD_HE], stage.hospitals[world.BEIJING]
    tell.chapter("A real bill, recorded in 2025, settled again")
    tell.say(
        "A retired employee of Beijing, in the second admission of the year; 8,240.49 of the year's pool fund were "
        "used before. The pool fund may pay 100,000.00 a year: this bill goes beyond it, and the large-sum fund takes "
        "over in the middle of a fen. The record itself was rounded twice and is open by 0.04; here it must close."
    )
    before = common_pb2.Accumulators(admissions=1, deductible_fen=130_000, pool_fen=824_049)
    stage.agency.open_year(patient, stage.today.year, before)
    items = [
        world.Item("INTENSIVE-DAY", "20", "5400"),
        world.Item("SURGERY", "1", "56411.81"),
        world.Item("SELF-PAID", "1", "24674.04"),
    ]
    treated = stage.treat(patient, world.BEIJING, items, nights=25)
    tell.equal(
        "the bill is the recorded one: 164,411.81 in scope and 24,674.04 not covered",
        (treated.sum.in_scope_fen, treated.sum.own_pay_fen),
        (16_441_181, 2_467_404),
    )
    settled = stage.settle(patient, world.BEIJING, treated)
    tell.who_pays(settlement=settled.split)
    tell.trace(settled.split)
    tell.equal("the funds pay 145,391.22, as recorded", settled.split.fund_total_fen, 14_539_122)
    tell.equal("the patient pays 43,694.63, the exact result", settled.split.person_part_fen, 4_369_463)
    year = used(settled.accumulators)[stage.today.year]
    tell.equal("the year's pool fund is used up to its limit", year.pool_fen, 10_000_000)
    explained = hospital.run(BusyWard.eligibility, patient.card.card_sn)
    pool = [limit.remaining_fen for limit in explained.remaining if limit.fund == common_pb2.Fund.POOL]
    tell.equal("and the next hospital is told that nothing of it remains", pool, [0])
