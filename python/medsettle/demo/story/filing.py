"""Chapter: filings that come late, and what they move."""

from medsettle.demo import world
from medsettle.demo.rush import BusyWard
from medsettle.demo.story.stage import Stage
from medsettle.demo.story.treatment import FirstSettlement
from medsettle.demo.tell import yuan
from medsettle.v1 import filings_pb2


def late_filings(stage: Stage, first: FirstSettlement) -> None:
    """Tell of a policy that reduces what is not filed, and of one that refuses it."""
    stage.tell.chapter("A filing that comes late moves the quote")
    _reduced(stage, first)
    _refused(stage)


def _reduced(stage: Stage, first: FirstSettlement) -> None:
    tell, sun, hospital = stage.tell, stage.patients[world.SUN], stage.hospitals[world.JIAXING]
    tell.say(
        f"{sun.name}, also insured in Jinan, has the same operation at the same prices, but in Jiaxing and without any "
        "filing. The policy is Jinan's again, the catalogue is Jiaxing's:"
    )
    treated = stage.treat(sun, world.JIAXING, world.HEART_BILL, nights=12)
    in_beijing, in_jiaxing = first.treated.sum, treated.sum
    tell.check(
        f"of the same {yuan(in_jiaxing.total_fen)} Jiaxing counts {yuan(in_jiaxing.in_scope_fen)} as in scope, "
        f"Beijing counted {yuan(in_beijing.in_scope_fen)}",
        in_jiaxing.total_fen == in_beijing.total_fen and in_jiaxing.in_scope_fen != in_beijing.in_scope_fen,
    )
    before = hospital.run(BusyWard.quote, treated.stay_id)
    tell.equal("the quote says that nothing is filed", before.filing_kind, filings_pb2.Filing.UNFILED)
    tell.say("His family calls the agency, which files the transfer while he is already discharged:")
    stage.agency.file(sun, filings_pb2.Filing.TRANSFER, "330000", stage.days_ago(12))
    after = hospital.run(BusyWard.quote, treated.stay_id)
    tell.who_pays(before_filing=before.split, after_filing=after.split)
    base_fen = after.split.in_scope_fen - after.split.deductible_fen
    tell.equal(
        "the filing is worth 10 points of what lies above the deductible",
        10 * (after.split.fund_total_fen - before.split.fund_total_fen),
        base_fen,
    )
    settled = stage.settle(sun, world.JIAXING, treated, digest=after.quote_digest)
    tell.equal("he pays what the second quote said", settled.split, after.split)


def _refused(stage: Stage) -> None:
    tell, shen, hospital = stage.tell, stage.patients[world.SHEN], stage.hospitals[world.JINAN]
    tell.say(
        f"\n{shen.name} is a resident of Jiaxing who now lives with her daughter in Jinan. Jiaxing pays nothing for "
        "care elsewhere that is not filed:"
    )
    items = [world.Item("INTENSIVE-DAY", "20", "5400"), world.Item("PRIVATE-ROOM", "40", "300")]
    treated = stage.treat(shen, world.JINAN, items, nights=40)
    tell.refused(
        "a quote without filing is refused",
        "FILING_MISSING",
        lambda: hospital.run(BusyWard.quote, treated.stay_id),
    )
    tell.say("The desk files her long-term stay, and the same question has an answer:")
    stage.agency.file(shen, filings_pb2.Filing.LONG_TERM, "370000", stage.days_ago(40))
    quote = hospital.run(BusyWard.quote, treated.stay_id)
    settled = stage.settle(shen, world.JINAN, treated, digest=quote.quote_digest)
    split = settled.split
    tell.who_pays(settlement=split)
    tell.equal("the filing that counted is the long-term one", settled.filing_kind, filings_pb2.Filing.LONG_TERM)
    tell.equal(
        "pool 69,680.00, catastrophic illness 16,324.00, patient 33,996.00, as another program computed",
        (split.pool_fen, split.catastrophic_fen, split.person_part_fen),
        (6_968_000, 1_632_400, 3_399_600),
    )
