"""Hypothesis strategies for benefit packages, quote cases and charge lines, as the contract's JSON.

Owns what a random but valid package is: bands without gap or overlap, layers in their legal order, filing reductions
within the published bounds; and histories that could have happened.
Invariant: a drawn pair of policy and case is one that the rules decide, be it by a refusal.
Leaves out what they do: the oracle knows that, and the engine.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise, zip_longest
from typing import Any

from hypothesis import strategies as st

LEVELS = ("THREE", "TWO", "ONE", "NONE")
CATEGORIES = {"EMPLOYEE": ("ACTIVE", "RETIRED"), "RESIDENT": ("RESIDENT",)}
ENTITLEMENTS = ("CIVIL_SERVANT", "LOW_INCOME")
FILINGS = ("LOCAL", "LONG_TERM", "LONG_TERM_AT_HOME", "TRANSFER", "EMERGENCY", "OTHER_TEMPORARY", "UNFILED")
FURTHER_FUNDS = ("CIVIL_SERVANT", "SUPPLEMENT", "MEDICAL_AID", "OTHER")
LARGE_FEN = 10_000_000

Json = dict[str, Any]


@st.composite
def amounts_fen(draw: st.DrawFn, largest: int = 3 * LARGE_FEN) -> int:
    """Draw an amount up to `largest`, of any order of magnitude alike, at times just beside a round one."""
    magnitude = draw(st.sampled_from([unit for unit in (1, 100, 10_000, 100_000, 300_000) if unit <= max(1, largest)]))
    amount = magnitude * draw(st.integers(0, 100)) + draw(st.sampled_from([0, 0, 1, -1, 37]))
    return min(max(0, amount), largest)


def rates_bp() -> st.SearchStrategy[int]:
    """Draw a ratio, more often one that a fund would pay than one near nothing."""
    return st.one_of(st.integers(50, 100).map(lambda percent: percent * 100), st.integers(0, 10_000))


@st.composite
def contiguous_bands(draw: st.DrawFn, *, from_zero: bool) -> list[Json]:
    """Draw one to three bands that follow each other, the last without end."""
    count = draw(st.integers(1, 3))
    first = 0 if from_zero else draw(amounts_fen(LARGE_FEN // 4))
    widths = draw(st.lists(amounts_fen(LARGE_FEN // 4).map(lambda n: n + 1), min_size=count - 1, max_size=count - 1))
    edges: list[int | None] = [first]
    for width in widths:
        first += width
        edges.append(first)
    return [{"from_fen": begin, "to_fen": end, "rate_bp": draw(rates_bp())} for begin, end in pairwise([*edges, None])]


@st.composite
def layer_bands(draw: st.DrawFn, categories: Sequence[str], *, from_zero: bool) -> list[Json]:
    """Draw a layer's bands: one sequence for all, one for each group of levels, or one for each category.

    Now and then one level or category is left without, which the rules refuse.
    """
    groupings: list[tuple[str, list[list[str]]]] = [
        ("levels", [[]]),
        ("levels", [["THREE"], ["TWO"], ["ONE", "NONE"]]),
        ("levels", [["THREE", "TWO"], ["ONE", "NONE"]]),
        ("categories", [[category] for category in categories]),
    ]
    field, groups = draw(st.sampled_from(groupings))
    if len(groups) > 1 and draw(st.integers(0, 19)) == 0:
        groups = groups[:-1]
    return [{field: group, **band} for group in groups for band in draw(contiguous_bands(from_zero=from_zero))]


@st.composite
def layers(draw: st.DrawFn, categories: Sequence[str]) -> list[Json]:
    """Draw one to four layers in their legal order: pool, large-sum, catastrophic, further ones."""
    cap_measure = draw(st.sampled_from(["FUND", "ELIGIBLE"]))
    # Whether cost below the first band counts towards a cap on the cost covered is left open by the rules.
    from_zero = cap_measure == "ELIGIBLE" or draw(st.booleans())
    pool: Json = {
        "fund": "POOL",
        "base": "ELIGIBLE_AFTER_DEDUCTIBLE",
        "bands": draw(layer_bands(categories, from_zero=from_zero)),
        "cap_measure": cap_measure,
    }
    chosen = [pool]
    if draw(st.booleans()):
        bands = draw(layer_bands(categories, from_zero=draw(st.booleans())))
        chosen.append({"fund": "LARGE_SUM", "base": "OVERFLOW", "bands": bands, "cap_measure": "FUND"})
    if draw(st.booleans()):
        chosen.append(
            {
                "fund": "CATASTROPHIC",
                "base": "OWN_ELIGIBLE_BURDEN_OF_YEAR",
                "deductible_counts": draw(st.booleans()),
                "bands": draw(layer_bands(categories, from_zero=False)),
                "cap_measure": "FUND",
            }
        )
    for fund in draw(st.lists(st.sampled_from(FURTHER_FUNDS), unique=True, max_size=4 - len(chosen))):
        chosen.append(
            {
                "fund": fund,
                "base": "REMAINING_ELIGIBLE_BURDEN",
                "entitlements": draw(st.lists(st.sampled_from(ENTITLEMENTS), unique=True)),
                "bands": draw(layer_bands(categories, from_zero=draw(st.booleans()))),
                "cap_measure": "FUND",
            }
        )
    caps = st.one_of(amounts_fen(LARGE_FEN), amounts_fen(LARGE_FEN // 10))
    for layer, following in zip_longest(chosen, chosen[1:]):
        # Only a cap makes a layer overflow.
        must_be_capped = following is not None and following["base"] == "OVERFLOW"
        layer["annual_cap_fen"] = draw(caps if must_be_capped else caps | st.none())
    return chosen


@st.composite
def deductibles(draw: st.DrawFn) -> list[Json]:
    """Draw no deductible, or one for every level and admission; now and then some levels are left without."""
    if draw(st.integers(0, 4)) == 0:
        return []
    groupings: list[list[list[str]]] = [[[]], [["THREE"], ["TWO", "ONE", "NONE"]]]
    groups = draw(st.sampled_from(groupings))
    if len(groups) > 1 and draw(st.integers(0, 19)) == 0:
        groups = groups[:-1]
    admissions = draw(st.sampled_from([[""], ["1", "2+"], ["1", "2", "3+"]]))
    return [
        {"levels": levels, "admission": admission, "amount_fen": draw(amounts_fen(200_000))}
        for levels in groups
        for admission in admissions
    ]


@st.composite
def adjustments(draw: st.DrawFn, kind: str) -> Json:
    """Draw how a kind of filing lowers the ratio, in points within the published bound or by a factor."""
    if draw(st.booleans()):
        return {"mode": "FACTOR", "value_bp": draw(st.integers(1, 10_000))}
    bound = 1_000 if kind in ("TRANSFER", "EMERGENCY") else 2_000
    return {"mode": "POINTS", "value_bp": draw(st.integers(0, bound))}


@st.composite
def filing_adjustments(draw: st.DrawFn) -> list[Json]:
    """Draw rows for some kinds of filing, each for both scopes at once or for one or each of them."""
    scopes: list[list[str | None]] = [[None], ["IN_PROVINCE"], ["IN_PROVINCE", "CROSS_PROVINCE"]]
    rows = []
    for kind in draw(st.lists(st.sampled_from(FILINGS[1:-1]), unique=True)):
        for scope in draw(st.sampled_from(scopes)):
            row = {"kind": kind, **draw(adjustments(kind))}
            rows.append(row if scope is None else {**row, "scope": scope})
    return rows


@st.composite
def policies(draw: st.DrawFn) -> Json:
    """Draw a valid benefit policy."""
    insurance_type = draw(st.sampled_from(sorted(CATEGORIES)))
    account_use, family_use = draw(
        st.sampled_from([("ALLOWED", "ALLOWED"), ("ALLOWED", "FORBIDDEN"), ("FORBIDDEN", "FORBIDDEN")])
    )
    policy: Json = {
        "region": "370100",
        "insurance_type": insurance_type,
        "visit_kind": "INPATIENT",
        "effective_from": "2025-01-01",
        "deductibles": draw(deductibles()),
        "deductible_year_cap_fen": draw(st.none() | amounts_fen(300_000)),
        "band_measure": draw(st.sampled_from(["ELIGIBLE", "AFTER_DEDUCTIBLE"])),
        "band_basis": draw(st.sampled_from(["STAY", "YEAR"])),
        "layers": draw(layers(CATEGORIES[insurance_type])),
        "filing_adjustments": draw(filing_adjustments()),
        "unfiled": "REFUSED",
        "cross_year": draw(st.sampled_from(["WHOLE", "SPLIT"])),
        "on_cancel": draw(st.sampled_from(["KEEP", "READJUDICATE", "LAST_FIRST"])),
        "account_use": account_use,
        "family_use": family_use,
    }
    if draw(st.booleans()):
        policy |= {"unfiled": "REDUCED", "unfiled_adjustment": draw(adjustments("UNFILED"))}
    return policy


@st.composite
def bills(draw: st.DrawFn) -> Json:
    """Draw the four sums of a bill and their total."""
    bill = {
        "own_pay_fen": draw(amounts_fen(500_000)),
        "over_ceiling_fen": draw(amounts_fen(50_000)),
        "first_pay_fen": draw(amounts_fen(500_000)),
        "in_scope_fen": draw(st.one_of(st.integers(1, 100).map(lambda n: n * 300_000 - 7), amounts_fen())),
    }
    return {"total_fen": sum(bill.values()), **bill}


@st.composite
def accumulators(draw: st.DrawFn, policy: Json) -> Json:
    """Draw a year's history that the policy could have left: funds within their caps and paid on eligible cost."""
    caps = {layer["fund"]: layer["annual_cap_fen"] for layer in policy["layers"] if layer["cap_measure"] == "FUND"}

    def paid(fund: str) -> int:
        cap: int | None = caps.get(fund)
        if cap is None:
            return draw(amounts_fen(LARGE_FEN))
        # A limit that is used up, nearly used up, or used to a hundredth part of any size.
        left = st.one_of(st.just(0), st.integers(0, min(cap, 1_000)), st.integers(0, 100).map(lambda n: cap * n // 100))
        return cap - draw(left)

    funds = {
        layer["fund"].lower().replace("other", "other_fund") + "_fen": paid(layer["fund"]) for layer in policy["layers"]
    }
    year_cap = policy["deductible_year_cap_fen"]
    deductible = draw(amounts_fen(300_000 if year_cap is None else year_cap))
    eligible = deductible + sum(funds.values()) + draw(amounts_fen(LARGE_FEN))
    burden = eligible - funds["pool_fen"] - funds.get("large_sum_fen", 0)
    if any(layer.get("deductible_counts") is False for layer in policy["layers"]):
        burden -= deductible
    return {
        "admissions": draw(st.integers(1, 4)),
        "eligible_fen": eligible,
        "deductible_fen": deductible,
        **funds,
        "own_burden_fen": burden,
        "account_fen": draw(amounts_fen(burden)),
    }


@st.composite
def cases(draw: st.DrawFn, policy: Json) -> Json:
    """Draw a quote case for `policy`: undated, within one year, or over the new year of 2026."""

    def history() -> Json:
        return draw(st.one_of(st.just({}), accumulators(policy)))

    case: Json = {
        "institution_level": draw(st.sampled_from(LEVELS)),
        "person_category": draw(st.sampled_from(CATEGORIES[policy["insurance_type"]])),
        "entitlements": draw(st.lists(st.sampled_from(ENTITLEMENTS), unique=True)),
        "filing": draw(st.sampled_from(FILINGS)),
        "scope": draw(st.sampled_from(["IN_PROVINCE", "CROSS_PROVINCE"])),
        "account": {
            "own_balance_fen": draw(amounts_fen(LARGE_FEN)),
            "family_balance_fen": draw(amounts_fen(LARGE_FEN)),
            "account_request_fen": draw(amounts_fen(LARGE_FEN)),
            "use_family": draw(st.booleans()),
        },
        "bill": draw(bills()),
    }
    dating = draw(st.sampled_from(["undated", "within", "across"]))
    if dating == "undated":
        return {**case, "accumulators_before": history()}
    new_year = date(2026, 1, 1)
    if dating == "within":
        admitted = new_year + timedelta(days=draw(st.integers(0, 100)))
        discharged = admitted + timedelta(days=draw(st.integers(0, 100)))
    else:
        admitted = new_year - timedelta(days=draw(st.integers(1, 60)))
        discharged = new_year + timedelta(days=draw(st.integers(0, 60)))
    return {
        **case,
        "admission_date": admitted.isoformat(),
        "discharge_date": discharged.isoformat(),
        "accumulators_by_year": {"2025": history(), "2026": history()},
    }


@st.composite
def policies_with_cases(draw: st.DrawFn) -> tuple[Json, Json]:
    """Draw a policy and a case that it decides."""
    policy = draw(policies())
    return policy, draw(cases(policy))


def decimals(largest: int, places: int) -> st.SearchStrategy[str]:
    """Draw a decimal string from one unit of the last of `places` up to `largest`."""
    unit = 10**places
    return st.integers(1, largest * unit).map(lambda n: f"{n // unit}.{n % unit:0{places}d}")


@st.composite
def charge_lines(draw: st.DrawFn) -> Json:
    """Draw a billed line: quantity to 4 decimals, price and ceiling to 6, and what the catalogue says of the item."""
    item_class = draw(st.sampled_from(["A", "B", "C"]))
    return {
        "quantity": draw(decimals(1_000, 4)),
        "unit_price": draw(decimals(10_000, 6)),
        "item_class": item_class,
        "first_pay_bp": draw(st.integers(0, 10_000)) if item_class == "B" else 0,
        "ceiling": draw(st.none() | decimals(10_000, 6)),
        "own_expense": draw(st.booleans()),
        "restriction_met": draw(st.none() | st.booleans()),
    }


@st.composite
def charge_lines_taken_back(draw: st.DrawFn) -> tuple[Json, list[str]]:
    """Draw a line and the quantities of refunds that take all of it back, each negative."""
    line = draw(charge_lines())
    units = int(line["quantity"].replace(".", ""))
    cuts = draw(st.lists(st.integers(1, units), max_size=3, unique=True).map(sorted))
    steps = [right - left for left, right in pairwise([0, *cuts, units]) if right > left]
    return line, [f"-{step // 10_000}.{step % 10_000:04d}" for step in steps]
