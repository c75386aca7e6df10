"""The oracle itself: cases computed by another program, examples computed by hand, identities on random packages."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings

import strategies
from benefit_oracle import (
    BILL_FIELDS,
    FUND_FIELDS,
    Amounts,
    Band,
    Refused,
    pay_bands,
    quote,
    settle,
    split_line,
    split_refund,
)

Json = dict[str, Any]

VECTORS: Json = json.loads((Path(__file__).parents[1] / "vectors" / "benefit_cases.json").read_text())
CHARGE_LINES: list[Json] = VECTORS["charge_lines"]["lines"]

thorough = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def band(rate_bp: int, begin: int = 0, end: int | None = None, **names: list[str]) -> Json:
    return {"from_fen": begin, "to_fen": end, "rate_bp": rate_bp, **names}


def layer(fund: str, base: str, *bands: Json, cap: int | None = None, **more: object) -> Json:
    return {"fund": fund, "base": base, "bands": list(bands), "annual_cap_fen": cap, **more}


def pool(*bands: Json, cap: int | None = None, **more: object) -> Json:
    return layer("POOL", "ELIGIBLE_AFTER_DEDUCTIBLE", *bands, cap=cap, **more)


def policy(*layers: Json, **more: object) -> Json:
    return {
        "deductibles": [],
        "band_measure": "AFTER_DEDUCTIBLE",
        "band_basis": "STAY",
        "layers": list(layers),
        "filing_adjustments": [],
        "unfiled": "REFUSED",
        "cross_year": "WHOLE",
        **more,
    }


def case(in_scope_fen: int, before: Json | None = None, **more: object) -> Json:
    return {
        "institution_level": "THREE",
        "person_category": "ACTIVE",
        "filing": "LOCAL",
        "accumulators_before": before or {},
        "account": {"own_balance_fen": 0, "family_balance_fen": 0, "account_request_fen": 0, "use_family": False},
        "bill": {"own_pay_fen": 0, "over_ceiling_fen": 0, "first_pay_fen": 0, "in_scope_fen": in_scope_fen},
        **more,
    }


def refused(package: Json, asked: Json) -> str:
    with pytest.raises(Refused) as refusal:
        settle(package, asked)
    return refusal.value.reason


@pytest.mark.parametrize("recorded", VECTORS["cases"], ids=lambda recorded: recorded["id"])
def test_a_recorded_case_comes_out_to_the_fen(recorded: Json) -> None:
    outcome = quote(VECTORS["policies"][recorded["policy"]], recorded)
    computed = {**outcome.split, "balance_after_fen": outcome.balance_after_fen}
    assert {field: computed[field] for field in recorded["expected"]} == recorded["expected"]


def test_two_admissions_in_a_row_lead_to_the_recorded_history() -> None:
    first, second = (next(c for c in VECTORS["cases"] if c["id"] == f"{n}-admission") for n in ("first", "second"))
    after = quote(VECTORS["policies"]["jinan"], first).accumulators_after
    recorded = second["accumulators_before"] | {"own_burden_fen": 2_160_000 - 1_812_800}
    assert {field: after[field] for field in recorded} == recorded
    assert after["eligible_fen"] == 2_160_000


@pytest.mark.parametrize("line", CHARGE_LINES, ids=lambda line: f"{line['quantity']}x{line['unit_price']}")
def test_a_recorded_charge_line_splits_to_the_fen(line: Json) -> None:
    assert split_line(line) == line["expected"]


def test_the_header_is_the_sum_of_the_lines() -> None:
    splits = [split_line(line) for line in CHARGE_LINES]
    assert {field: sum(split[field] for split in splits) for field in splits[0]} == VECTORS["charge_lines"][
        "expected_header"
    ]


@pytest.mark.parametrize("flag", [{"own_expense": True}, {"restriction_met": False}])
def test_own_expense_and_an_unmet_restriction_make_a_line_the_persons(flag: Json) -> None:
    split = split_line({**CHARGE_LINES[0], **flag})
    assert (split["own_pay_fen"], split["in_scope_fen"]) == (86_419, 0)


def test_taking_back_more_than_was_billed_is_refused() -> None:
    with pytest.raises(Refused, match="REFUND_EXCEEDS"):
        split_refund({**CHARGE_LINES[0], "quantity": "7"}, Fraction(3), Fraction("-4.0001"))


@thorough
@given(strategies.charge_lines_taken_back())
def test_taking_everything_back_leaves_zero_in_every_amount(drawn: tuple[Json, list[str]]) -> None:
    line, quantities = drawn
    left, taken_back = split_line(line), Fraction(0)
    assert left["total_fen"] == sum(left[field] for field in BILL_FIELDS)
    assert all(amount >= 0 for amount in left.values())
    for quantity in quantities:
        refund = split_refund(line, taken_back, Fraction(quantity))
        left = {field: left[field] + refund[field] for field in left}
        taken_back -= Fraction(quantity)
    assert set(left.values()) == {0}


@thorough
@given(strategies.policies_with_cases())
def test_every_outcome_closes_and_no_fund_exceeds_what_is_left_of_it(drawn: tuple[Json, Json]) -> None:
    package, asked = drawn
    try:
        outcome = quote(package, asked)
    except Refused as refusal:
        event(refusal.reason)
        assert refusal.reason in ("NO_RULE", "FILING_MISSING")
        return
    split = outcome.split
    event(f"funds paying: {sum(split[field] > 0 for field in FUND_FIELDS.values())}")
    assert all(amount >= 0 for amount in split.values())
    assert split["total_fen"] == asked["bill"]["total_fen"] == sum(split[field] for field in BILL_FIELDS)
    assert split["fund_total_fen"] == sum(split[field] for field in FUND_FIELDS.values())
    assert split["total_fen"] == split["fund_total_fen"] + split["person_part_fen"] + split["hospital_part_fen"]
    assert split["person_part_fen"] == split["account_fen"] + split["cash_fen"]
    assert split["family_fen"] <= split["account_fen"] <= asked["account"]["account_request_fen"]
    assert outcome.balance_after_fen >= 0
    assert split["deductible_fen"] + split["pool_fen"] + split["large_sum_fen"] <= split["in_scope_fen"]
    assert split["fund_total_fen"] <= split["in_scope_fen"]

    if outcome.accumulators_by_year:
        pairs = [
            (asked["accumulators_by_year"][str(year)], after) for year, after in outcome.accumulators_by_year.items()
        ]
    else:
        pairs = [(asked["accumulators_before"], outcome.accumulators_after)]
    grown: Amounts = {
        field: sum(after[field] - before.get(field, 0) for before, after in pairs)
        for field in outcome.accumulators_after
    }
    assert grown["admissions"] == 1
    assert grown["eligible_fen"] == split["in_scope_fen"]
    assert grown["account_fen"] == split["account_fen"] - split["family_fen"]
    assert all(grown[field] == split[field] for field in ("deductible_fen", *FUND_FIELDS.values()))
    for paying in package["layers"]:
        if paying["annual_cap_fen"] is not None and paying["cap_measure"] == "FUND":
            field = FUND_FIELDS[paying["fund"]]
            assert all(after[field] <= max(before.get(field, 0), paying["annual_cap_fen"]) for before, after in pairs)


def test_two_claims_on_the_last_of_a_limit_get_it_once() -> None:
    package = policy(pool(band(5_500), cap=550_000))
    first = quote(package, case(20_000, {"pool_fen": 545_000}))
    second = quote(package, case(20_000, first.accumulators_after))
    assert (first.split["pool_fen"], second.split["pool_fen"]) == (5_000, 0)


def test_the_band_in_which_the_limit_ends_consumes_exactly_what_it_pays_for() -> None:
    bands = [Band(0, 1_000, Fraction(1, 2)), Band(1_000, None, Fraction(3, 10))]
    paid, overflow = pay_bands(bands, Fraction(0), Fraction(2_000), 600, None)
    assert (paid, overflow) == (Fraction(600), 1_000 - Fraction(1_000, 3))


def test_cost_below_the_first_band_is_paid_nothing_and_does_not_overflow() -> None:
    assert pay_bands([Band(700, None, Fraction(1, 2))], Fraction(0), Fraction(1_000), 500, None) == (
        Fraction(150),
        Fraction(0),
    )


def test_once_the_limit_is_used_up_even_cost_that_no_band_pays_overflows() -> None:
    bands = [Band(700, None, Fraction(1, 2))]
    assert pay_bands(bands, Fraction(0), Fraction(1_000), 0, None) == (Fraction(0), Fraction(1_000))


def test_bands_that_overlap_have_no_meaning() -> None:
    with pytest.raises(ValueError, match="overlap"):
        pay_bands([Band(0, None, Fraction(1)), Band(5, 9, Fraction(1))], Fraction(0), Fraction(10), None, None)


@pytest.mark.parametrize(("measure", "pool_fen"), [("AFTER_DEDUCTIBLE", 25_000), ("ELIGIBLE", 34_000)])
def test_bands_of_the_year_continue_where_the_last_stay_ended(measure: str, pool_fen: int) -> None:
    package = policy(pool(band(5_000, 0, 100_000), band(8_000, 100_000)), band_basis="YEAR", band_measure=measure)
    asked = case(50_000, {"eligible_fen": 80_000, "deductible_fen": 30_000})
    assert quote(package, asked).split["pool_fen"] == pool_fen


@pytest.mark.parametrize(("measure", "pool_fen"), [("AFTER_DEDUCTIBLE", 45_000), ("ELIGIBLE", 51_000)])
def test_bands_of_a_stay_begin_with_or_without_its_deductible(measure: str, pool_fen: int) -> None:
    package = policy(
        pool(band(5_000, 0, 90_000), band(8_000, 90_000)),
        band_measure=measure,
        deductibles=[{"admission": "", "amount_fen": 20_000}],
    )
    assert quote(package, case(110_000)).split["pool_fen"] == pool_fen


def test_a_cap_on_eligible_cost_ends_the_pool_and_lets_the_rest_overflow() -> None:
    package = policy(
        pool(band(5_000), cap=100_000, cap_measure="ELIGIBLE"), layer("LARGE_SUM", "OVERFLOW", band(9_000))
    )
    split = quote(package, case(50_000, {"eligible_fen": 110_000, "deductible_fen": 30_000})).split
    assert (split["pool_fen"], split["large_sum_fen"]) == (10_000, 27_000)


def test_the_overflow_starts_its_own_bands_from_zero_and_is_never_reduced_by_the_filing() -> None:
    package = policy(
        pool(band(8_000), cap=35_000),
        layer("LARGE_SUM", "OVERFLOW", band(9_000, 0, 30_000), band(5_000, 30_000)),
        filing_adjustments=[{"kind": "TRANSFER", "mode": "POINTS", "value_bp": 1_000}],
    )
    split = quote(package, case(100_000, filing="TRANSFER")).split
    assert (split["pool_fen"], split["large_sum_fen"]) == (35_000, 37_000)


def test_points_never_make_a_ratio_negative() -> None:
    adjustments = [{"kind": "TRANSFER", "mode": "POINTS", "value_bp": 1_000}]
    package = policy(pool(band(800, 0, 50_000), band(3_000, 50_000)), filing_adjustments=adjustments)
    assert quote(package, case(100_000, filing="TRANSFER")).split["pool_fen"] == 10_000


@pytest.mark.parametrize(("scope", "pool_fen"), [("IN_PROVINCE", 80_000), ("CROSS_PROVINCE", 60_000)])
def test_a_filing_row_counts_in_its_scope(scope: str, pool_fen: int) -> None:
    adjustments = [
        {"kind": "EMERGENCY", "scope": "IN_PROVINCE", "mode": "FACTOR", "value_bp": 10_000},
        {"kind": "EMERGENCY", "scope": "CROSS_PROVINCE", "mode": "FACTOR", "value_bp": 7_500},
    ]
    package = policy(pool(band(8_000)), filing_adjustments=adjustments)
    assert quote(package, case(100_000, filing="EMERGENCY", scope=scope)).split["pool_fen"] == pool_fen


@pytest.mark.parametrize("counts", [True, False])
def test_the_burden_of_the_year_continues_and_may_leave_the_deductible_out(counts: bool) -> None:
    package = policy(
        pool(band(5_000)),
        layer("CATASTROPHIC", "OWN_ELIGIBLE_BURDEN_OF_YEAR", band(6_000, 100_000), deductible_counts=counts),
        deductibles=[{"admission": "", "amount_fen": 10_000}],
    )
    outcome = quote(package, case(110_000, {"own_burden_fen": 80_000}))
    burden_fen = 60_000 if counts else 50_000
    assert outcome.split["catastrophic_fen"] == (80_000 + burden_fen - 100_000) * 6 // 10
    assert outcome.accumulators_after["own_burden_fen"] == 80_000 + burden_fen


def test_a_further_layer_pays_on_the_burden_still_left_to_those_who_are_entitled() -> None:
    package = policy(
        pool(band(5_000)),
        layer("CIVIL_SERVANT", "REMAINING_ELIGIBLE_BURDEN", band(5_000), entitlements=["CIVIL_SERVANT"]),
        layer("OTHER", "REMAINING_ELIGIBLE_BURDEN", band(1_000)),
    )
    entitled = quote(package, case(100_001, entitlements=["CIVIL_SERVANT"])).split
    assert [entitled[f] for f in ("pool_fen", "civil_servant_fen", "other_fund_fen")] == [50_001, 25_000, 2_500]
    other = quote(package, case(100_001)).split
    assert [other[f] for f in ("pool_fen", "civil_servant_fen", "other_fund_fen")] == [50_001, 0, 5_000]


def test_a_yearly_deductible_cap_leaves_only_its_rest_to_pay() -> None:
    package = policy(
        pool(band(5_000)), deductibles=[{"admission": "", "amount_fen": 50_000}], deductible_year_cap_fen=60_000
    )
    assert quote(package, case(100_000, {"deductible_fen": 45_000})).split["deductible_fen"] == 15_000


STAY_OVER_NEW_YEAR: Json = {"admission_date": "2025-12-30", "discharge_date": "2026-01-04"}
SECOND_CHEAPER = [{"admission": "1", "amount_fen": 90_000}, {"admission": "2+", "amount_fen": 50_000}]


def test_a_split_stay_carries_the_rest_of_its_deductible_and_its_roundings_into_the_last_year() -> None:
    package = policy(pool(band(5_000)), deductibles=SECOND_CHEAPER, cross_year="SPLIT")
    asked = case(
        100_001, **STAY_OVER_NEW_YEAR, accumulators_by_year={"2025": {"admissions": 1}, "2026": {"pool_fen": 7}}
    )
    outcome = quote(package, asked)
    assert (outcome.split["deductible_fen"], outcome.split["pool_fen"]) == (50_000, 25_001)
    first, last = outcome.accumulators_by_year[2025], outcome.accumulators_by_year[2026]
    fields = ("admissions", "eligible_fen", "deductible_fen", "pool_fen")
    assert [first[field] for field in fields] == [1, 40_000, 40_000, 0]
    assert [last[field] for field in fields] == [1, 60_001, 10_000, 25_008]
    assert outcome.accumulators_after == last


def test_each_part_of_a_split_stay_has_its_own_years_limit() -> None:
    package = policy(pool(band(10_000), cap=50_000), cross_year="SPLIT")
    before = {"2025": {"pool_fen": 45_000}, "2026": {}}
    assert quote(package, case(100_000, **STAY_OVER_NEW_YEAR, accumulators_by_year=before)).split["pool_fen"] == 55_000


def test_a_whole_stay_belongs_to_the_year_of_discharge() -> None:
    package = policy(pool(band(5_000)), deductibles=SECOND_CHEAPER)
    outcome = quote(package, case(100_000, {"admissions": 0}, **STAY_OVER_NEW_YEAR))
    assert outcome.split["deductible_fen"] == 90_000
    assert list(outcome.accumulators_by_year) == [2026]


def test_a_stay_over_two_new_years_closes() -> None:
    package = policy(pool(band(5_000)), cross_year="SPLIT")
    outcome = quote(package, case(99_999, admission_date="2024-12-01", discharge_date="2026-02-01"))
    eligible = {year: after["eligible_fen"] for year, after in outcome.accumulators_by_year.items()}
    assert eligible == {2024: 7_260, 2025: 85_479, 2026: 7_260}


@pytest.mark.parametrize(
    ("package", "asked", "reason"),
    [
        (policy(pool(band(5_000))), case(100, filing="UNFILED"), "FILING_MISSING"),
        (policy(pool(band(5_000))), case(100, filing="TRANSFER"), "NO_RULE"),
        (policy(pool(band(5_000, levels=["TWO"]))), case(100), "NO_RULE"),
        (
            policy(pool(band(5_000)), layer("LARGE_SUM", "OVERFLOW", band(9_000, categories=["RETIRED"]))),
            case(0),
            "NO_RULE",
        ),
        (
            policy(pool(band(5_000))),
            case(
                100,
                account={"own_balance_fen": 9, "family_balance_fen": 9, "account_request_fen": 10, "use_family": False},
            ),
            "BALANCE_INSUFFICIENT",
        ),
    ],
)
def test_what_no_rule_or_no_money_covers_is_refused(package: Json, asked: Json, reason: str) -> None:
    assert refused(package, asked) == reason


def test_the_filings_that_need_no_row_are_not_reduced() -> None:
    package = policy(pool(band(5_000)))
    paid = [quote(package, case(100, filing=kind)).split["pool_fen"] for kind in strategies.FILINGS[:3]]
    assert paid == [50, 50, 50]


def test_settling_draws_the_own_account_first_and_then_the_family() -> None:
    account = {"own_balance_fen": 30, "family_balance_fen": 30, "account_request_fen": 40, "use_family": True}
    outcome = settle(policy(pool(band(5_000))), case(100, account=account))
    assert (outcome.split["account_fen"], outcome.split["family_fen"], outcome.balance_after_fen) == (40, 10, 0)
    assert outcome.accumulators_after["account_fen"] == 30
