"""The demo's voice: chapters, sentences, tables, and the checks behind them.

Invariant: no amount of a split is shown unless it was recomputed from its trace; what differs is a failed check.
Leaves out what is claimed: story/.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from medsettle.demo.checks.recompute import recompute, step_faults
from medsettle.errors import Rejected
from medsettle.v1 import common_pb2

_WIDTH_OF_PIPES = 110

_WHO_PAYS = (
    ("The bill", "total_fen"),
    ("  not covered by any insurance", "own_pay_fen"),
    ("  above the price ceilings of the place of care", "over_ceiling_fen"),
    ("  first share of partly covered items", "first_pay_fen"),
    ("  within the scope of the insurance", "in_scope_fen"),
    ("Deductible, paid by the patient", "deductible_fen"),
    ("Pool fund", "pool_fen"),
    ("Large-sum fund", "large_sum_fen"),
    ("Catastrophic-illness fund", "catastrophic_fen"),
    ("The funds together", "fund_total_fen"),
    ("The patient", "person_part_fen"),
    ("  from the personal account", "account_fen"),
    ("  in cash at the counter", "cash_fen"),
)
_ALWAYS_SHOWN = {"total_fen", "in_scope_fen", "fund_total_fen", "person_part_fen", "cash_fen"}


def yuan(fen: int) -> str:
    """Show an amount: 123456 is 1,234.56."""
    whole, rest = divmod(abs(fen), 100)
    return f"{'-' if fen < 0 else ''}{whole:,}.{rest:02}"


def faults(split: common_pb2.Split) -> list[str]:
    """Recompute a split from its trace and name every amount that differs."""
    recomputed = recompute(split.trace, split.account_fen, split.family_fen)
    differing = [
        f"{name} is {yuan(getattr(split, name))}, recomputed {yuan(amount)}"
        for name, amount in recomputed.items()
        if getattr(split, name) != amount
    ]
    return [*step_faults(list(split.trace)), *differing]


class Teller:
    """Tells the story on stdout and keeps count of its checks."""

    def __init__(self) -> None:
        self._console = Console(markup=False, highlight=False, emoji=False, soft_wrap=False)
        if not self._console.is_terminal:
            self._console.width = _WIDTH_OF_PIPES
        self._chapters: list[tuple[str, int, int]] = []
        self._advised: set[str] = set()

    @property
    def checks(self) -> int:
        """How many checks there were."""
        return sum(held + failed for _, held, failed in self._chapters)

    @property
    def failures(self) -> int:
        """How many of them failed."""
        return sum(failed for _, _, failed in self._chapters)

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self._chapters.append((title, 0, 0))
        self._console.print()
        self._console.rule(Text(f"{len(self._chapters)}. {title}", style="bold"), align="left", style="dim")

    def say(self, text: str) -> None:
        """Tell a paragraph."""
        self._console.print(Text(text))

    def opening(self, title: str, text: str) -> None:
        """Tell what will be shown."""
        self._console.print(Panel(Text(text), title=title, title_align="left", padding=(1, 2)))

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something is under way."""
        with self._console.status(text):
            yield

    def check(self, claim: str, held: bool, found: object = "") -> None:
        """State a claim and whether it held; `found` is shown when it did not."""
        title, good, bad = self._chapters[-1]
        self._chapters[-1] = (title, good + held, bad + (not held))
        line = Text("  checked  " if held else "  FAILED   ", style="green" if held else "bold red")
        line.append(claim, style="default")
        if not held and found != "":
            line.append(f" (found: {found})", style="red")
        self._console.print(line)

    def equal(self, claim: str, found: object, expected: object) -> None:
        """Check that two things are equal."""
        self.check(claim, found == expected, f"{found}, expected {expected}")

    def broken(self, error: str, log: str) -> None:
        """Tell why the story cannot go on; a failed check of its chapter."""
        self.check("the story can go on", False)
        self.say(f"{error}\nThe end of the hub's log:\n{log}")

    def refused(self, claim: str, reason: str, step: Callable[[], object]) -> Mapping[str, str]:
        """Check that a step is refused for that reason, and give the refusal's detail.

        What the hub advises is shown when it is heard for the first time.
        """
        try:
            step()
        except Rejected as refusal:
            self.check(f"{claim}: {reason}", refusal.reason == reason, refusal)
            if refusal.reason not in self._advised:
                self._advised.add(refusal.reason)
                self.say(f'           the clerk reads: "{refusal.advice}"')
            return refusal.detail
        self.check(f"{claim}: {reason}", False, "accepted")
        return {}

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> None:
        """Show a table whose first `left` columns are text and the others amounts."""
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for place, heading in enumerate(headings):
            table.add_column(heading, justify="left" if place < left else "right", no_wrap=place >= left)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        self._console.print(table)

    def who_pays(self, **splits: common_pb2.Split) -> None:
        """Show who pays what, one column per split, and check that every amount follows from its trace."""
        shown = [
            (label, [getattr(split, name) for split in splits.values()])
            for label, name in _WHO_PAYS
            if name in _ALWAYS_SHOWN or any(getattr(split, name) for split in splits.values())
        ]
        headings = ["yuan", *(name.replace("_", " ") for name in splits)]
        self.table(headings, [[label, *map(yuan, amounts)] for label, amounts in shown])
        for name, split in splits.items():
            found = faults(split)
            of = f" of {name.replace('_', ' ')}" if len(splits) > 1 else ""
            self.check(f"every amount{of} follows from its own trace, to the fen", not found, "; ".join(found))

    def trace(self, split: common_pb2.Split) -> None:
        """Show why: each step's base and rate."""
        rows = [
            (
                f"{step.code:<4}  {_meaning(step.code)}",
                _base(step),
                f"{100 * step.rate_numerator / step.rate_denominator:g} %",
                yuan(step.amount_fen),
            )
            for step in split.trace
        ]
        self.table(["why", "of", "rate", "yuan"], rows)

    def summary(self) -> None:
        """Show the checks of each chapter."""
        rows = [(title, str(held), str(failed)) for title, held, failed in self._chapters]
        self.table(["chapter", "held", "failed"], rows)
        verdict = "Every check held." if not self.failures else f"{self.failures} checks FAILED."
        self._console.print(
            Text(f"{self.checks} checks. {verdict}", style="bold red" if self.failures else "bold green")
        )
        sys.stdout.flush()


def _meaning(code: str) -> str:
    return _MEANINGS.get(code) or _MEANINGS.get(code.rstrip("0123456789"), "")


_MEANINGS: Mapping[str, str] = {
    "S001": "deductible",
    "C": "pool fund",
    "EC": "beyond the yearly limit of the fund",
    "L": "large-sum fund",
    "PL": "catastrophic-illness fund",
    "101": "not covered",
    "102": "first share",
    "103": "above the ceiling",
}


def _base(step: common_pb2.TraceStep) -> str:
    if step.base_denominator == 1:
        return yuan(step.base_fen)
    hundredths_of_fen = step.base_numerator * 100 // step.base_denominator
    whole, rest = divmod(hundredths_of_fen, 10_000)
    return f"{whole:,}.{rest:04}..."
