"""Chapter: the theft that the project grew from, and the one call that repairs it."""

import subprocess
import sys
from dataclasses import dataclass
from datetime import date
from functools import partial

from medsettle.demo import world
from medsettle.demo.hospital import Hospital
from medsettle.demo.patient import TERMINAL, Patient
from medsettle.demo.rush import BusyWard
from medsettle.demo.story.stage import Stage
from medsettle.demo.tell import yuan
from medsettle.v1 import accounts_pb2, common_pb2, fraud_pb2, inpatient_pb2, presentation_pb2, visits_pb2
from medsettle.v1.cards_pb2 import Card, Channel, Loss

CASE = "F-0001"
EXPLAIN_TIMEOUT_S = 60.0
BALANCE_FEN = 250_000

_NOBODY_LOOKED = presentation_pb2.HolderCheck(method=presentation_pb2.HolderCheck.NONE)
_LOOKED_AT_HER = presentation_pb2.HolderCheck(
    method=presentation_pb2.HolderCheck.PHOTO, observed_sex=presentation_pb2.Sex.FEMALE
)


@dataclass(frozen=True, slots=True)
class _Swipe:
    """A visit that was settled."""

    day: date
    place: Hospital
    settled: visits_pb2.VisitsSettleResponse


def stolen_card(stage: Stage) -> None:
    """Tell of a purse that was stolen, of two calendar years, and of what became of it."""
    tell, wu = stage.tell, stage.patients[world.WU]
    tell.chapter("A stolen card, two years, and the call that repairs it")
    tell.say(
        f"{wu.name} of Jinan has {yuan(BALANCE_FEN)} in her account. Of visits and purchases the fund pays 55 %, up to "
        f"{yuan(world.VISIT_LIMIT_FEN)} a year. In the case behind this project a thief used such a card for most of a "
        "year, beside its replacement: nobody had made it dead, and nobody looked who held it."
    )
    stage.agency.credit(wu, BALANCE_FEN, f"{stage.today:%Y-%m}")
    own = [_visit(stage, wu, stage.today, 20_000, 0, _LOOKED_AT_HER)]
    stolen = _thefts(stage, wu)
    cut = _visit(stage, wu, _december(stage), 100_000, 0, _LOOKED_AT_HER)
    tell.equal(
        "her own treatment of 1,000.00 is cut: of 550.00 the fund pays what the thief left of the limit",
        cut.settled.split.fund_total_fen,
        world.VISIT_LIMIT_FEN - sum(_by_pool(one) for one in stolen if one.day.year < stage.today.year),
    )
    _watchful(stage, wu)
    renewed = _dead_at_once(stage, wu)
    _every_swipe(stage, wu, [*own, *stolen, cut])
    _repaired(stage, wu, renewed, stolen, [cut])
    treated = _visit(stage, renewed, stage.today, 100_000, 0, _LOOKED_AT_HER)
    tell.equal("and her limit is hers again: 550.00 of her next 1,000.00 are paid", _by_pool(treated), 55_000)


def _december(stage: Stage) -> date:
    return date(stage.today.year - 1, 12, 20)


def _visit(
    stage: Stage,
    patient: Patient,
    day: date,
    total_fen: int,
    account_fen: int,
    check: presentation_pb2.HolderCheck,
    *,
    at_shop: bool = False,
) -> _Swipe:
    place = stage.shop if at_shop else stage.hospitals[world.JINAN]
    kind = common_pb2.VisitKind.PHARMACY if at_shop else common_pb2.VisitKind.OUTPATIENT
    items = [world.Item(world.TONIC if at_shop else world.CONSULTATION, "1", f"{total_fen // 100}")]
    signed = patient.sign_bill(total_fen, account_fen)
    return _Swipe(day, place, place.run(BusyWard.visit, kind, day, items, signed, check))


def _thefts(stage: Stage, wu: Patient) -> list[_Swipe]:
    tell, before, after = stage.tell, _december(stage), date(stage.today.year, 1, 1)
    tell.say("Then her purse is stolen. A man thirty years older shows her card, and nobody looks:")
    swipes = [
        _visit(stage, wu, day, total_fen, account_fen, _NOBODY_LOOKED, at_shop=at_shop)
        for day, total_fen, account_fen, at_shop in (
            (before, 780_000, 100_000, False),
            (before, 200_000, 80_000, True),
            (after, 90_000, 40_000, True),
            (after, 880_000, 30_000, False),
        )
    ]
    tell.table(
        ["day", "where", "bill", "from the fund", "from her account", "his cash"],
        [[one.day.isoformat(), one.place.name, *map(yuan, _amounts(one.settled.split))] for one in swipes],
        left=2,
    )
    tell.equal("her account is empty", stage.agency.balance_fen(wu), 0)
    used = {year.benefit_year: year.accumulators.pool_fen for year in stage.agency.accumulators(wu)}
    tell.check(
        f"and of {yuan(world.VISIT_LIMIT_FEN)} he has used {yuan(used[before.year])} in one year and "
        f"{yuan(used[after.year])} in the next",
        all(fen > world.VISIT_LIMIT_FEN * 9 // 10 for fen in used.values()),
        used,
    )
    return swipes


def _amounts(split: common_pb2.Split) -> tuple[int, ...]:
    return split.total_fen, split.fund_total_fen, split.account_fen, split.cash_fen


def _by_pool(swipe: _Swipe) -> int:
    return swipe.settled.split.fund_total_fen


def _watchful(stage: Stage, wu: Patient) -> None:
    tell = stage.tell
    stage.agency.install_alert_rules("alert_rules_jinan")
    tell.say("Jinan installs rules that look on. At the next counter the clerk notes that a man stands there:")
    man = presentation_pb2.HolderCheck(
        method=presentation_pb2.HolderCheck.PHOTO, observed_sex=presentation_pb2.Sex.MALE
    )
    tell.refused(
        "the card of a woman settles nothing for him",
        "ALERT_RULE_REFUSES",
        lambda: _visit(stage, wu, stage.today, 10_000, 0, man, at_shop=True),
    )


def _dead_at_once(stage: Stage, wu: Patient) -> Patient:
    tell = stage.tell
    tell.say("She reports the loss at a desk, with her document, and waits for the new card:")
    stage.agency.report_loss(wu, Loss.FORMAL, Channel.DESK)
    for at_shop, place in ((False, stage.hospitals[world.JINAN]), (True, stage.shop)):
        tell.refused(
            f"the stolen card is dead at {place.name}",
            "CARD_LOST",
            partial(_visit, stage, wu, stage.today, 10_000, 0, _NOBODY_LOOKED, at_shop=at_shop),
        )
    renewed = stage.agency.replace(wu)
    states = {card.card_id: card.insurance_state for card in stage.agency.cards(wu)}
    tell.equal(
        "one card is in use, the new one, and it cannot be brought beside another",
        states,
        {wu.card_id: Card.FORMAL_LOST, renewed.card_id: Card.ENABLED},
    )
    return renewed


def _every_swipe(stage: Stage, wu: Patient, swipes: list[_Swipe]) -> None:
    tell = stage.tell
    entries = [one for one in stage.agency.statement(wu) if one.kind == accounts_pb2.StatementEntry.SETTLEMENT]
    tell.equal(
        "her statement shows every swipe: where, at which terminal, with which card, and that its cryptogram was right",
        [(one.institution_code, one.terminal_id, one.card_sn, one.cryptogram_valid) for one in entries],
        [(swipe.place.place.code, TERMINAL, wu.card.card_sn, True) for swipe in swipes],
    )


def _repaired(stage: Stage, wu: Patient, renewed: Patient, stolen: list[_Swipe], own: list[_Swipe]) -> None:
    tell, agency = stage.tell, stage.agency
    scope = fraud_pb2.UnwindScope(
        card_id=wu.card_id,
        since_ms=stolen[0].settled.header.stamp_ms,
        excluded_settlement_ids=[one.settled.settlement_id for one in own],
    )
    tell.say("She asks for two things: her balance and her limit. One call gives both, once two people have approved:")
    preview = agency.preview_unwind(scope)
    tell.refused(
        "one approver alone changes nothing",
        "REQUEST_MALFORMED",
        lambda: agency.unwind(scope, CASE, "demo", preview.preview_digest),
    )
    unwound = agency.unwind(scope, CASE, "director", preview.preview_digest)
    effect = unwound.effect
    tell.equal("her balance is back", agency.balance_fen(wu), BALANCE_FEN)
    years = {year.benefit_year: year.accumulators.pool_fen for year in agency.accumulators(wu)}
    tell.equal(
        "and each year's limit, less what she used herself",
        years,
        {stage.today.year - 1: 55_000, stage.today.year: 11_000},
    )
    cut = own[-1].settled
    difference_fen = 55_000 - cut.split.fund_total_fen
    tell.equal(
        "her treatment that was cut is recomputed: the difference is hers",
        [(one.settlement_id, one.fund_delta_fen) for one in effect.adjustments],
        [(cut.settlement_id, difference_fen)],
    )
    agency.enable_bank_zone(renewed)
    paid = [one for one in agency.statement(wu) if one.kind == accounts_pb2.StatementEntry.PAY_OUT]
    tell.equal(
        "it waits for a bank zone of hers, and is paid there as soon as the bank enables one",
        [(one.amount_fen, one.waiting_fen) for one in paid],
        [(0, difference_fen), (difference_fen, 0)],
    )
    claims = agency.claims(CASE)
    tell.table(
        ["who did not look", "settlement", "owes the fund", "owes her account"],
        [[one.institution_code, str(one.settlement_id), yuan(one.fund_fen), yuan(one.account_fen)] for one in claims],
        left=2,
    )
    tell.equal(
        "every debit is a claim on the institution that did not check the holder; his cash is nobody's credit",
        {one.settlement_id: (one.fund_fen, one.account_fen) for one in claims},
        {
            one.settled.settlement_id: (one.settled.split.fund_total_fen, one.settled.split.account_fen)
            for one in stolen
        },
    )
    tell.refused(
        "what was taken back is not taken back twice",
        "NOTHING_TO_UNWIND",
        lambda: agency.unwind(scope, CASE, "director", b""),
    )
    states = {one.state for one in agency.settlements(one.settled.settlement_id for one in stolen)}
    tell.equal("the thief's settlements stand nowhere any more", states, {inpatient_pb2.Settlement.UNWOUND})
    _explained(stage, unwound.unwind_id)


def _explained(stage: Stage, unwind_id: int) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "medsettle", "explain", str(stage.scratch.data), str(unwind_id)],
        capture_output=True,
        text=True,
        timeout=EXPLAIN_TIMEOUT_S,
        check=False,
    )
    stage.tell.check("medsettle explain tells it from the journal, years later and without a hub", told.returncode == 0)
    for line in told.stdout.splitlines():
        stage.tell.say(f"    {line}")
