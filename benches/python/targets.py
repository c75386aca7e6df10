"""What the project wants of its figures: a row for each target, the figure that decides it, and by what.

Invariant: a row without its figure is shown as not measured; none is left out for want of one.
Leaves out how figures are measured, and what they were on other days (baseline.py).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatchcase

from figures import Figure


class By(Enum):
    """What of a figure is compared with its target."""

    VALUE = "value"
    RATIO = "ratio"
    RATE = "rate"
    """How many there are a second of what takes so many microseconds."""


def persons_of(name: str) -> int:
    """Read from the name of a figure among how many persons it was measured; 0 where it does not say."""
    found = re.search(r"([\d,]+) persons", name)
    return int(found[1].replace(",", "")) if found else 0


@dataclass(frozen=True, slots=True)
class Target:
    """A target. `figures` is a pattern of names of figures, of which that with most persons decides, or the best."""

    what: str
    figures: str
    by: By
    bound: float
    at_least: bool
    unit: str
    how: str
    """The command that measures it."""

    def measured(self, figure: Figure) -> float | None:
        """Give what is compared."""
        match self.by:
            case By.VALUE:
                return figure.value.median
            case By.RATE:
                return 1e6 / figure.value.median
            case By.RATIO:
                return None if figure.ratio is None else figure.ratio.median

    def found(self, figures: Mapping[str, Figure]) -> Figure | None:
        """Find the figure that decides: of cryptograms it is that of the widest words that the machine has."""
        matching = [
            (persons_of(name), measured if self.at_least else -measured, name)
            for name, figure in figures.items()
            if fnmatchcase(name, self.figures) and (measured := self.measured(figure)) is not None
        ]
        return figures[max(matching)[2]] if matching else None

    def is_reached(self, figure: Figure) -> bool:
        """Tell whether a figure is as good as it should be."""
        measured = self.measured(figure)
        return measured is not None and (measured >= self.bound if self.at_least else measured <= self.bound)

    def text(self) -> str:
        """Write the target."""
        bound = f"{self.bound:,.10g}"
        return f"{'at least' if self.at_least else 'at most'} {bound}{self.unit}"


def _least(what: str, figures: str, bound: float, unit: str, by: By = By.VALUE, how: str = "make bench") -> Target:
    return Target(what, figures, by, bound, True, unit, how)


def _most(what: str, figures: str, bound: float, unit: str, by: By = By.VALUE, how: str = "make bench") -> Target:
    return Target(what, figures, by, bound, False, unit, how)


_UNARY, _OPEN, _EMBEDDED = "gRPC unary, 32 callers", "gRPC unary, open loop, 1,000/s", "embedded, messages of 1,000"

# `[!o]` keeps out the floor of cryptograms, one by one.
TARGETS: Sequence[Target] = (
    _least(
        "embedded, batches of 1,000, 1 M persons: settlements/s",
        f"{_EMBEDDED}, visits, *",
        300_000,
        "/s",
        how="make bench BENCH_PERSONS=1000000",
    ),
    _least(
        "gRPC batch stream over mutual TLS, prepared batches",
        "gRPC stream, settlements, 1,000 a message",
        150_000,
        "/s",
    ),
    _least(
        "gRPC unary, 32 in flight, beside a group commit of an empty frame",
        f"{_UNARY}, settle beside bare commit",
        0.9,
        " x",
        By.RATIO,
    ),
    _most("decide + apply of one settlement", "settlement/decide+apply, 1000 persons", 2.5, " us"),
    _most("unary, open loop 1,000/s, mutual TLS, p99", f"{_OPEN}, settle, p99", 5, " ms"),
    _most("the same, p99.9", f"{_OPEN}, settle, p99.9", 20, " ms"),
    _most(
        "the same while a snapshot is cut and a segment rotated, p99",
        f"{_OPEN}, settle while snapshots are cut, p99",
        2,
        " x",
        By.RATIO,
    ),
    _least("whole stays embedded, stays/s", f"{_EMBEDDED}, stays, *", 20_000, "/s"),
    _least("cryptogram batch of 512, one core, TDES", "cryptogram/PBOC_TDES, [!o]*/512", 2e6, "/s", By.RATE),
    _least("the same, SM4", "cryptogram/PBOC_SM4, [!o]*/512", 1e6, "/s", By.RATE),
    _least("the same, AES", "cryptogram/EMV_AES, [!o]*/512", 5e6, "/s", By.RATE),
    _least("import of persons", "import, *", 500_000, "/s"),
    _most("benefit quote", "quote/deductible, two layers", 1, " us"),
    _least("recovery: facts applied per second", "start from the journal, records, *", 1e6, "/s"),
    _most(
        "10 M persons from a snapshot",
        "start from a snapshot, 10000000 persons",
        20,
        " s",
        how="make bench-snapshot PERSONS=10000000",
    ),
    _most(
        "memory per person, at 1 M",
        "memory of a person, 1000000 persons",
        512,
        " bytes",
        how="make bench-persons PERSONS=1000000",
    ),
    _most(
        "the same, at 10 M",
        "memory of a person, 10000000 persons",
        512,
        " bytes",
        how="make bench-persons PERSONS=10000000",
    ),
    _most("memory while a snapshot is cut", "memory while a snapshot is cut, *", 1.3, " x", By.RATIO),
    _most(
        "loss report under 32 busy callers, p99, beside a settlement",
        "gRPC unary, loss report, p99",
        1.2,
        " x",
        By.RATIO,
    ),
    _most(
        "cost per settlement from 10 thousand to 10 M persons",
        "decide+apply of a visit, 10000000 persons",
        2,
        " x",
        By.RATIO,
        how="make bench-persons PERSONS=10000000",
    ),
    _least("journal commit of 400 B beside bare write and fdatasync", "journal commit, 400 B", 0.8, " x", By.RATIO),
    _most(
        "alert rules, a full package, one use of the card",
        "settlement/alert rules after one use",
        1.2,
        " x",
        By.RATIO,
    ),
    _most("gRPC unary, one caller: settle, p50", "gRPC unary, 1 callers, settle, p50", 2, " ms"),
)
