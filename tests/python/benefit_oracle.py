"""An independent oracle of the benefit rules: slow, exact, and readable beside the page that defines them.

Owns the split of a charge line, the settlement of a stay as a fold over layers, cross-year stays and the account draw,
on the JSON of policies and quote cases.
Invariant: every intermediate amount is a `Fraction`; only what a fund pays is rounded, half up, to the fen.
Invariant: what the rules leave open (rows that overlap, a cap on eligible cost beyond the pool) raises ValueError.
Leaves out the trace, cancellation, the choice of a package and the catalogue's order of first pay before ceiling.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import pairwise
from math import floor
from typing import Any

Json = Mapping[str, Any]
Amounts = dict[str, int]

FUND_FIELDS = {
    "POOL": "pool_fen",
    "LARGE_SUM": "large_sum_fen",
    "CATASTROPHIC": "catastrophic_fen",
    "CIVIL_SERVANT": "civil_servant_fen",
    "SUPPLEMENT": "supplement_fen",
    "MEDICAL_AID": "medical_aid_fen",
    "OTHER": "other_fund_fen",
}
BILL_FIELDS = ("own_pay_fen", "over_ceiling_fen", "first_pay_fen", "in_scope_fen")
ACCUMULATOR_FIELDS = (
    "admissions",
    "eligible_fen",
    "deductible_fen",
    *FUND_FIELDS.values(),
    "own_burden_fen",
    "account_fen",
)
FILINGS_WITHOUT_ADJUSTMENT = ("LOCAL", "LONG_TERM", "LONG_TERM_AT_HOME")


class Refused(Exception):
    """The rules refuse the case; `reason` is the contract's name for it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Outcome:
    """What a case comes to, in the shape of the contract's `QuoteResult`.

    `accumulators_after` is of the year of discharge; `accumulators_by_year` holds the years that the stay was charged
    to and is empty for a case without dates.
    """

    split: Amounts
    accumulators_after: Amounts
    accumulators_by_year: dict[int, Amounts]
    balance_after_fen: int


def round_half_up(amount: Fraction) -> int:
    """Round an amount that is never negative, which makes half up and half away from zero the same."""
    if amount < 0:
        raise ValueError(f"{amount} is negative")
    return floor(amount + Fraction(1, 2))


# One charge line.


def split_line(line: Json, quantity: Fraction | None = None) -> Amounts:
    """Split one charge line (quantity, unit_price, item_class, first_pay_bp, ceiling), or `quantity` of it.

    The class is C where the line says `own_expense` or its restriction of use is unmet.
    """
    amount = Fraction(line["quantity"]) if quantity is None else quantity
    price = 100 * Fraction(line["unit_price"])
    own_expense = line.get("own_expense", False) or line.get("restriction_met") is False
    item_class = "C" if own_expense else line["item_class"]

    total = round_half_up(amount * price)
    own_pay = total if item_class == "C" else 0
    over_ceiling = 0
    if item_class != "C" and line["ceiling"] is not None:
        over_ceiling = round_half_up(amount * max(Fraction(0), price - 100 * Fraction(line["ceiling"])))
    first_pay = 0
    if item_class == "B":
        first_pay = round_half_up((total - over_ceiling) * Fraction(line["first_pay_bp"], 10_000))
    return {
        "total_fen": total,
        "own_pay_fen": own_pay,
        "over_ceiling_fen": over_ceiling,
        "first_pay_fen": first_pay,
        "in_scope_fen": total - own_pay - over_ceiling - first_pay,
    }


def split_refund(line: Json, taken_back_before: Fraction, quantity: Fraction) -> Amounts:
    """Split a refund of `quantity` (negative) of a line of which `taken_back_before` (positive) is gone already.

    Raises Refused(REFUND_EXCEEDS) when more would be taken back than was billed.
    """
    left_before = Fraction(line["quantity"]) - taken_back_before
    left_after = left_before + quantity
    if left_after < 0:
        raise Refused("REFUND_EXCEEDS")
    before, after = split_line(line, left_before), split_line(line, left_after)
    return {field: after[field] - before[field] for field in before}


# One settlement.


def quote(policy: Json, case: Json) -> Outcome:
    """Settle the case, clipping the account request to what is owed, allowed and there.

    Raises Refused with NO_RULE or FILING_MISSING.
    """
    return _outcome(policy, case)


def settle(policy: Json, case: Json) -> Outcome:
    """Settle the case, drawing exactly the account request.

    Raises Refused as `quote` does, and with BALANCE_INSUFFICIENT where the request cannot be drawn.
    """
    outcome = _outcome(policy, case)
    if outcome.split["account_fen"] != case["account"]["account_request_fen"]:
        raise Refused("BALANCE_INSUFFICIENT")
    return outcome


def _outcome(policy: Json, case: Json) -> Outcome:
    adjustment = _adjustment(policy, case)
    parts = _parts(policy, case)
    before = [_accumulators(case, year, last=index == len(parts)) for index, (year, _) in enumerate(parts, 1)]
    admission = before[0]["admissions"] + 1
    deductible_left = _deductible(policy, case, admission)

    split = dict.fromkeys(("total_fen", *BILL_FIELDS, "deductible_fen", *FUND_FIELDS.values()), 0)
    after: list[Amounts] = []
    for (_, bill), accumulators in zip(parts, before, strict=True):
        charged = _settle_part(policy, case, adjustment, bill, accumulators, deductible_left)
        deductible_left -= charged["deductible_fen"]
        for field in (*BILL_FIELDS, "total_fen"):
            split[field] += bill[field]
        for field in ("deductible_fen", *FUND_FIELDS.values()):
            split[field] += charged[field]
        after.append({field: accumulators[field] + charged.get(field, 0) for field in ACCUMULATOR_FIELDS})

    split["fund_total_fen"] = sum(split[field] for field in FUND_FIELDS.values())
    split["hospital_part_fen"] = 0
    split["person_part_fen"] = split["total_fen"] - split["fund_total_fen"] - split["hospital_part_fen"]
    own, family = _draw(policy, case["account"], split["person_part_fen"])
    split["account_fen"] = own + family
    split["family_fen"] = family
    split["cash_fen"] = split["person_part_fen"] - split["account_fen"]
    after[-1]["admissions"] += 1
    after[-1]["account_fen"] += own
    return Outcome(
        split=split,
        accumulators_after=after[-1],
        accumulators_by_year={year: new for (year, _), new in zip(parts, after, strict=True) if year is not None},
        balance_after_fen=case["account"]["own_balance_fen"] - own,
    )


def _settle_part(
    policy: Json, case: Json, adjustment: Json | None, bill: Amounts, before: Amounts, deductible_left: int
) -> Amounts:
    """Return what one year's part adds to that year's accumulators, the admission and the account draw excepted."""
    eligible = bill["in_scope_fen"]
    deductible = min(eligible, deductible_left)
    year_cap = policy.get("deductible_year_cap_fen")
    if year_cap is not None:
        deductible = min(deductible, max(0, year_cap - before["deductible_fen"]))

    funds = dict.fromkeys(FUND_FIELDS.values(), 0)
    layers = [layer for layer in policy["layers"] if _applies(layer, case)]
    # What pool and large-sum leave to the person; the other funds pay on it without lowering it.
    burden = eligible
    if any(layer["base"] == "OWN_ELIGIBLE_BURDEN_OF_YEAR" and not _counts_deductible(layer) for layer in layers):
        burden -= deductible
    overflow = Fraction(0)
    for layer in layers:
        base = layer["base"]
        year_position = _year_position(policy, before, deductible)
        if base == "ELIGIBLE_AFTER_DEDUCTIBLE":
            cost = Fraction(eligible - deductible)
            start = year_position if policy["band_basis"] == "YEAR" else _stay_position(policy, deductible)
        elif base == "OVERFLOW":
            cost, start = overflow, 0
        elif base == "OWN_ELIGIBLE_BURDEN_OF_YEAR":
            cost, start = Fraction(burden), before["own_burden_fen"]
        elif base == "REMAINING_ELIGIBLE_BURDEN":
            uncounted = 0 if _counts_deductible(layer) else deductible
            cost, start = Fraction(max(0, eligible - sum(funds.values()) - uncounted)), 0
        else:
            raise ValueError(f"unknown base {base}")

        field = FUND_FIELDS[layer["fund"]]
        fund_limit: int | None = None
        cost_limit: int | None = None
        if (cap := layer.get("annual_cap_fen")) is not None:
            if layer.get("cap_measure") != "ELIGIBLE":
                fund_limit = max(0, cap - before[field] - funds[field])
            elif base == "ELIGIBLE_AFTER_DEDUCTIBLE":
                cost_limit = max(0, cap - year_position)
            else:
                raise ValueError(f"a cap on the eligible cost of {base} is not defined")

        bands = _bands(layer, case, adjustment if base == "ELIGIBLE_AFTER_DEDUCTIBLE" else None)
        exact, beyond = pay_bands(bands, Fraction(start), cost, fund_limit, cost_limit)
        paid = round_half_up(exact)
        funds[field] += paid
        if base in ("ELIGIBLE_AFTER_DEDUCTIBLE", "OVERFLOW"):
            overflow = beyond
            burden -= paid
    return {
        "eligible_fen": eligible,
        "deductible_fen": deductible,
        **funds,
        "own_burden_fen": burden,
    }


@dataclass(frozen=True)
class Band:
    """A ratio from one amount up to another; no end means for ever."""

    begin: int
    end: int | None
    rate: Fraction

    def holds(self, position: Fraction) -> bool:
        """Tell whether the fen that begins at `position` belongs to the band."""
        return self.begin <= position and (self.end is None or position < self.end)


def pay_bands(
    bands: Sequence[Band], start: Fraction, cost: Fraction, fund_limit: int | None, cost_limit: int | None
) -> tuple[Fraction, Fraction]:
    """Pay the cost that lies from `start` on, band by band, and return what is paid and what overflows, both exact.

    `fund_limit` bounds what is paid, `cost_limit` the cost that is covered; where either is used up the rest overflows.
    """
    end = start + cost
    reach = end if cost_limit is None else min(end, start + cost_limit)
    ends = {Fraction(edge) for band in bands for edge in (band.begin, band.end) if edge is not None}
    edges = sorted({start, reach} | {edge for edge in ends if start < edge < reach})
    paid = Fraction(0)
    for left, right in pairwise(edges):
        if fund_limit is not None and paid == fund_limit:
            return paid, end - left
        holding = [band for band in bands if band.holds(left)]
        if len(holding) > 1:
            raise ValueError(f"bands overlap at {left}")
        rate = holding[0].rate if holding else Fraction(0)
        if fund_limit is not None and paid + (right - left) * rate > fund_limit:
            consumed = (fund_limit - paid) / rate
            return Fraction(fund_limit), end - (left + consumed)
        paid += (right - left) * rate
    return paid, end - reach


def _bands(layer: Json, case: Json, adjustment: Json | None) -> list[Band]:
    rows = [row for row in layer["bands"] if _applies(row, case)]
    if not rows:
        raise Refused("NO_RULE")
    return [Band(row.get("from_fen", 0), row.get("to_fen"), _adjusted(row["rate_bp"], adjustment)) for row in rows]


def _adjusted(rate_bp: int, adjustment: Json | None) -> Fraction:
    rate = Fraction(rate_bp, 10_000)
    if adjustment is None:
        return rate
    value = Fraction(adjustment["value_bp"], 10_000)
    return max(Fraction(0), rate - value) if adjustment["mode"] == "POINTS" else rate * value


def _adjustment(policy: Json, case: Json) -> Json | None:
    """Find how the case's filing lowers the ratio; None where it does not."""
    kind = case["filing"]
    if kind == "UNFILED":
        if policy["unfiled"] != "REDUCED":
            raise Refused("FILING_MISSING")
        unfiled: Json | None = policy.get("unfiled_adjustment")
        if unfiled is None:
            raise Refused("NO_RULE")
        return unfiled
    scope = case.get("scope")
    rows: list[Json] = [
        row
        for row in policy.get("filing_adjustments", [])
        if row["kind"] == kind and row.get("scope") in (None, "UNSPECIFIED", scope)
    ]
    if len(rows) > 1:
        raise ValueError(f"adjustments of {kind} overlap")
    if not rows and kind not in FILINGS_WITHOUT_ADJUSTMENT:
        raise Refused("NO_RULE")
    return rows[0] if rows else None


def _deductible(policy: Json, case: Json, admission: int) -> int:
    if not policy.get("deductibles"):
        return 0
    rows = [
        row for row in policy["deductibles"] if _applies(row, case) and _is_admission(row.get("admission"), admission)
    ]
    if not rows:
        raise Refused("NO_RULE")
    if len(rows) > 1:
        raise ValueError(f"deductibles of admission {admission} overlap")
    return int(rows[0]["amount_fen"])


def _is_admission(pattern: str | None, admission: int) -> bool:
    if not pattern:
        return True
    if pattern.endswith("+"):
        return admission >= int(pattern.removesuffix("+"))
    return admission == int(pattern)


def _stay_position(policy: Json, deductible: int) -> int:
    return deductible if policy["band_measure"] == "ELIGIBLE" else 0


def _year_position(policy: Json, before: Amounts, deductible: int) -> int:
    """Say where in the year's bands the cost after this stay's deductible begins."""
    uncounted = 0 if policy["band_measure"] == "ELIGIBLE" else before["deductible_fen"]
    return before["eligible_fen"] - uncounted + _stay_position(policy, deductible)


def _applies(row: Json, case: Json) -> bool:
    """Tell whether a band, deductible or layer is for this case: of each list that it names, one must fit."""
    return (
        (not row.get("levels") or case["institution_level"] in row["levels"])
        and (not row.get("categories") or case["person_category"] in row["categories"])
        and (not row.get("entitlements") or not set(row["entitlements"]).isdisjoint(case.get("entitlements") or ()))
    )


def _counts_deductible(layer: Json) -> bool:
    return layer.get("deductible_counts") is not False


def _draw(policy: Json, account: Json, person_part: int) -> tuple[int, int]:
    """Return what is drawn from the own and from the family account."""
    wanted = min(account["account_request_fen"], person_part)
    own = 0 if policy.get("account_use") == "FORBIDDEN" else min(wanted, account["own_balance_fen"])
    if not account["use_family"] or policy.get("family_use") == "FORBIDDEN":
        return own, 0
    return own, min(wanted - own, account["family_balance_fen"])


# Years.


def _parts(policy: Json, case: Json) -> list[tuple[int | None, Amounts]]:
    """Divide the bill among the benefit years it is charged to; the year is None for a case without dates."""
    bill = {field: case["bill"][field] for field in BILL_FIELDS}
    if not case.get("discharge_date"):
        return [(None, _with_total(bill))]
    admitted, discharged = date.fromisoformat(case["admission_date"]), date.fromisoformat(case["discharge_date"])
    if policy["cross_year"] != "SPLIT" or admitted.year == discharged.year:
        return [(discharged.year, _with_total(bill))]

    nights = (discharged - admitted).days
    parts: list[tuple[int | None, Amounts]] = []
    rest = dict(bill)
    for year in range(admitted.year, discharged.year):
        in_year = (date(year + 1, 1, 1) - max(admitted, date(year, 1, 1))).days
        part = {field: round_half_up(Fraction(bill[field] * in_year, nights)) for field in BILL_FIELDS}
        rest = {field: rest[field] - part[field] for field in BILL_FIELDS}
        parts.append((year, _with_total(part)))
    return [*parts, (discharged.year, _with_total(rest))]


def _with_total(bill: Amounts) -> Amounts:
    return {"total_fen": sum(bill.values()), **bill}


def _accumulators(case: Json, year: int | None, *, last: bool) -> Amounts:
    """Take a year's accumulators before the case, zero where nothing is known of them."""
    by_year = case.get("accumulators_by_year") or {}
    if year is not None and str(year) in by_year:
        known = by_year[str(year)]
    else:
        known = (case.get("accumulators_before") or {}) if last else {}
    return {field: known.get(field, 0) for field in ACCUMULATOR_FIELDS}
