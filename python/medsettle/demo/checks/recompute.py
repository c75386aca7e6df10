"""Every amount of a split, recomputed from its trace alone in exact fractions.

Owns what a step's code stands for and how a fund's amount is rounded.
Invariant: it knows no policy, no catalogue, no accumulator and no engine; it reads the trace and two drawn amounts.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

FUND_CODES: Mapping[str, str] = {
    "C": "pool_fen",
    "L": "large_sum_fen",
    "PL": "catastrophic_fen",
    "GB": "civil_servant_fen",
    "PS": "supplement_fen",
    "MA": "medical_aid_fen",
    "OT": "other_fund_fen",
}
"""Letters of a step's code, and the fund whose payment it explains."""

_WHOLE_CODES = {"S001": "deductible_fen", "101": "own_pay_fen", "102": "first_pay_fen", "103": "over_ceiling_fen"}
_CODE = re.compile(r"([A-Z]+)\d+")


class Step(Protocol):
    """A step of a trace: amount = base x rate."""

    code: str
    base_numerator: int
    base_denominator: int
    base_fen: int
    rate_numerator: int
    rate_denominator: int
    amount_fen: int
    benefit_year: int


@dataclass(frozen=True, slots=True)
class _Exact:
    """A step's exact numbers in fen."""

    step: Step
    base: Fraction
    amount: Fraction


def half_up(value: Fraction) -> int:
    """Round to the fen, halves away from zero."""
    magnitude = (2 * abs(value.numerator) + value.denominator) // (2 * value.denominator)
    return magnitude if value >= 0 else -magnitude


def recompute(trace: Iterable[Step], account_fen: int, family_fen: int) -> dict[str, int]:
    """Return every amount of the split whose trace this is, by field name.

    What was drawn from accounts is the patient's wish and stands in no trace; no rule gives the hospital a part.
    """
    amounts = dict.fromkeys([*_WHOLE_CODES.values(), *FUND_CODES.values()], 0)
    in_scope = Fraction(0)
    payments: dict[tuple[str, int], Fraction] = defaultdict(Fraction)
    for exact in map(_exact, trace):
        code = exact.step.code
        if code in _WHOLE_CODES:
            amounts[_WHOLE_CODES[code]] += half_up(exact.amount)
        elif fund := _fund(code):
            payments[fund, exact.step.benefit_year] += exact.amount
        # What is eligible is the deductible, what the pool's bands cover, and what lies beyond the pool's limit.
        if code in ("S001", "EC01") or _fund(code) == "pool_fen":
            in_scope += exact.base
    for (fund, _), paid in payments.items():
        amounts[fund] += half_up(paid)
    if in_scope.denominator != 1:
        raise ValueError(f"the steps' bases add up to {in_scope} fen, which is not whole")
    own = amounts["own_pay_fen"] + amounts["over_ceiling_fen"] + amounts["first_pay_fen"]
    amounts["in_scope_fen"] = int(in_scope)
    amounts["total_fen"] = own + int(in_scope)
    amounts["fund_total_fen"] = sum(amounts[fund] for fund in FUND_CODES.values())
    amounts["hospital_part_fen"] = 0
    amounts["person_part_fen"] = amounts["total_fen"] - amounts["fund_total_fen"]
    amounts["account_fen"] = account_fen
    amounts["family_fen"] = family_fen
    amounts["cash_fen"] = amounts["person_part_fen"] - account_fen
    return amounts


def step_faults(trace: Sequence[Step]) -> Iterator[str]:
    """Name the steps whose shown base or amount is not what their fractions give.

    A fund's last paid step takes what rounding left between its steps and its payment, so it is held to their sum.
    """
    payments: dict[tuple[str, int], list[_Exact]] = defaultdict(list)
    for exact in map(_exact, trace):
        step = exact.step
        if step.base_fen != half_up(exact.base):
            yield f"{step.code} shows the base {step.base_fen}, exactly {exact.base}"
        if fund := _fund(step.code):
            payments[fund, step.benefit_year].append(exact)
        elif step.amount_fen != half_up(exact.amount):
            yield f"{step.code} shows {step.amount_fen}, exactly {exact.amount}"
    for steps in payments.values():
        paid = [exact for exact in steps if exact.amount]
        for exact in paid[:-1]:
            if exact.step.amount_fen != half_up(exact.amount):
                yield f"{exact.step.code} shows {exact.step.amount_fen}, exactly {exact.amount}"
        if sum(exact.step.amount_fen for exact in steps) != half_up(sum((e.amount for e in steps), Fraction(0))):
            yield f"the steps of {steps[0].step.code} do not add up to what their fund pays"


def _exact(step: Step) -> _Exact:
    base = Fraction(step.base_numerator, step.base_denominator)
    return _Exact(step, base, base * Fraction(step.rate_numerator, step.rate_denominator))


def _fund(code: str) -> str | None:
    letters = _CODE.fullmatch(code)
    return FUND_CODES.get(letters[1]) if letters else None
