"""Chapters: charges corrected after the discharge, and a settlement cancelled and made again."""

from medsettle.demo import world
from medsettle.demo.rush import BusyWard
from medsettle.demo.story.stage import Stage, amounts, divided, money, negated, total_of, used
from medsettle.demo.story.treatment import DRAWN_FEN, FirstSettlement
from medsettle.demo.tell import yuan
from medsettle.v1 import common_pb2, inpatient_pb2


def charges_corrected(stage: Stage) -> None:
    """Tell of a zero too many and a line of somebody else."""
    tell, qian, hospital = stage.tell, stage.patients[world.QIAN], stage.hospitals[world.JIAXING]
    tell.chapter("Charges corrected after the discharge")
    tell.say(
        f"{qian.name} leaves her home-town hospital after six days with pneumonia. On the bill: 300 doses of an "
        "antibiotic, where it was 30, and an operation that somebody else had."
    )
    right = [world.Item("WARD-DAY", "6", "380"), world.Item("ANTIBIOTIC", "30", "86.50")]
    wrong = [right[0], world.Item("ANTIBIOTIC", "300", "86.50"), world.Item("SURGERY", "1", "12000")]
    treated = stage.treat(qian, world.JIAXING, wrong, nights=6)
    stay_id, (_, doses, operation) = treated.stay_id, treated.lines
    wrong_quote = hospital.run(BusyWard.quote, stay_id)
    tell.say(f"The quote tells her {yuan(wrong_quote.split.person_part_fen)} to pay. She asks the clerk to look again.")
    admission = stage.days_ago(6)
    tell.refused(
        "lines of a discharged patient cannot be touched",
        "STAY_NOT_OPEN",
        lambda: hospital.run(BusyWard.take_back, stay_id, doses.line, "270", admission),
    )
    hospital.run(BusyWard.cancel_discharge, stay_id)
    refund = hospital.run(BusyWard.take_back, stay_id, doses.line, "270", admission)
    revoked = hospital.run(BusyWard.revoke, stay_id, [operation.line.line_id])
    lines = [inpatient_pb2.ChargeLine(item_code=i.code, quantity=i.quantity, unit_price=i.price) for i in right]
    expected = [divided(qian, world.JIAXING, line) for line in lines]
    tell.equal(
        "taking 270 of 300 doses back leaves exactly what 30 doses cost",
        amounts(doses.split).plus(amounts(refund.lines[0].split)),
        expected[1],
    )
    tell.equal("what remains is the bill as it should have been", amounts(revoked.stay_sum), total_of(expected))
    hospital.run(BusyWard.discharge, stay_id, stage.today)
    _settled_at_last(stage, stay_id, wrong_quote, revoked.stay_sum.total_fen)


def _settled_at_last(
    stage: Stage, stay_id: int, wrong_quote: inpatient_pb2.InpatientQuoteResponse, total_fen: int
) -> None:
    tell, qian, hospital = stage.tell, stage.patients[world.QIAN], stage.hospitals[world.JIAXING]
    tell.say("Discharged again. Whoever now settles with what was known before is stopped:")
    old_total_fen = wrong_quote.split.total_fen
    detail = tell.refused(
        "the old total is refused",
        "TOTAL_MISMATCH",
        lambda: hospital.run(BusyWard.settle, stay_id, qian.sign_bill(old_total_fen)),
    )
    both = detail.get("institution_total_fen"), detail.get("hub_total_fen")
    tell.equal("and the refusal names both totals", both, (str(old_total_fen), str(total_fen)))
    tell.refused(
        "the right total with the old quote is refused",
        "QUOTE_STALE",
        lambda: hospital.run(BusyWard.settle, stay_id, qian.sign_bill(total_fen), wrong_quote.quote_digest),
    )
    quote = hospital.run(BusyWard.quote, stay_id)
    settled = hospital.run(BusyWard.settle, stay_id, qian.sign_bill(total_fen), quote.quote_digest)
    tell.who_pays(first_quote=wrong_quote.split, settlement=settled.split)
    tell.equal("the settlement is what the new quote had promised", settled.split, quote.split)


def settled_again(stage: Stage, first: FirstSettlement) -> None:
    """Take the first patient's settlement back and make it anew."""
    tell, lin, hospital = stage.tell, stage.patients[world.LIN], stage.hospitals[world.BEIJING]
    tell.chapter("A settlement cancelled and settled again")
    settlement_id, split = first.settled.settlement_id, first.settled.split
    tell.say(f"{lin.name}'s settlement is cancelled: she wants to pay in cash and keep her account for later.")
    used_before = used(stage.agency.accumulators(lin))
    cancelled = hospital.run(BusyWard.cancel_settlement, settlement_id)
    tell.equal("the cancellation is the settlement with every sign turned", money(cancelled.split), negated(split))
    tell.equal(
        "the personal account has its 2,000.00 back",
        stage.agency.balance_fen(lin),
        first.settled.balance_after_fen + DRAWN_FEN,
    )
    tell.equal("the year is as if she had never been there", used(stage.agency.accumulators(lin)), {})
    tell.equal("the books of the hub balance", stage.agency.trial_balance().sum_fen, 0)
    tell.refused(
        "nobody can cancel it twice",
        "ALREADY_CANCELLED",
        lambda: hospital.run(BusyWard.cancel_settlement, settlement_id),
    )
    again = stage.settle(lin, world.BEIJING, first.treated)
    _table(stage, split, cancelled.split, again.split)
    tell.who_pays(settled_again=again.split)
    tell.equal("the funds pay the same as before", again.split.fund_total_fen, split.fund_total_fen)
    tell.equal("and now everything of hers is cash", again.split.cash_fen, split.person_part_fen)
    expected = common_pb2.Accumulators()
    expected.CopyFrom(used_before[stage.today.year])
    expected.account_fen -= DRAWN_FEN
    tell.equal(
        "the year counts the stay once, and no draw on the account",
        used(stage.agency.accumulators(lin)),
        {stage.today.year: expected},
    )


def _table(stage: Stage, first: common_pb2.Split, cancelled: common_pb2.Split, again: common_pb2.Split) -> None:
    rows = [
        [label, *(yuan(getattr(split, name)) for split in (first, cancelled, again))]
        for label, name in (
            ("The bill", "total_fen"),
            ("The funds together", "fund_total_fen"),
            ("From the personal account", "account_fen"),
            ("In cash", "cash_fen"),
        )
    ]
    stage.tell.table(["yuan", "settlement", "cancellation", "settled again"], rows)
