"""The division of a charge line by a catalogue, recomputed from the catalogue's JSON in exact fractions.

Owns the rule of one line: what is beyond the ceiling, what the person pays first, what is in scope.
Invariant: it reads a catalogue file and a line as printed, and knows no engine.
Leaves out what the demo's catalogues do not have: dates and the other order of ceiling and first pay.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from medsettle.demo.checks.recompute import half_up


class LineAmounts(NamedTuple):
    """The amounts of a line, in the order of the contract's LineSplit."""

    total_fen: int
    own_pay_fen: int
    over_ceiling_fen: int
    first_pay_fen: int
    in_scope_fen: int

    def __sub__(self, other: "LineAmounts") -> "LineAmounts":
        return LineAmounts(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))

    def plus(self, other: "LineAmounts") -> "LineAmounts":
        """Add amount by amount, which `+` on tuples does not."""
        return LineAmounts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


NOTHING = LineAmounts(0, 0, 0, 0, 0)


def divide(
    catalogue: Mapping[str, Any], insurance: str, level: str, code: str, quantity: str, price: str
) -> LineAmounts:
    """Divide `quantity` pieces of an item at `price` yuan for a person of that insurance at that level."""
    item = next(item for item in catalogue["items"] if item["code"] == code)
    pieces, price_fen = Fraction(quantity), 100 * Fraction(price)
    total = half_up(pieces * price_fen)
    if item["class"] == "C":
        return LineAmounts(total, total, 0, 0, 0)
    ceilings = {row["level"]: 100 * Fraction(row["price"]) for row in item.get("ceilings", [])}
    over = half_up(pieces * max(Fraction(0), price_fen - ceilings.get(level, price_fen)))
    ratios = {row["insurance_type"]: Fraction(row["first_pay_bp"], 10_000) for row in item.get("first_pay", [])}
    first = half_up((total - over) * ratios.get(insurance, Fraction(0)))
    return LineAmounts(total, 0, over, first, total - over - first)
