"""A measured figure in the one form that all benchmarks share, and the file in which they note it.

Owns the form: one JSON object a line, appended to the file that `MEDSETTLE_BENCH_FIGURES` names; nothing is noted
without it. Benchmarks in Rust write the same lines (`benches/src/figures.rs`), and of a name the last line counts.
Invariant: a ratio is formed run by run, with a floor that was measured in the same run.
Leaves out what a figure should be: targets.py.
"""

import json
import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "MEDSETTLE_BENCH_FIGURES"


FEW_RUNS = 5

_ERROR_OF_MEDIAN = 1.4826 * 1.2533
"""Standard error of the median of one run, in median absolute deviations, where runs deviate as by chance."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median over runs, with least and most, and its noise: how far it may be off by chance.

    Of a few runs the noise is as far as the farthest lies from the median, of more it is three standard errors.
    """

    median: float
    least: float
    most: float
    noise: float

    @classmethod
    def over(cls, values: Sequence[float]) -> "Spread":
        """Take it from the runs."""
        median, least, most = statistics.median(values), min(values), max(values)
        if len(values) <= FEW_RUNS:
            return cls(median, least, most, max(most - median, median - least))
        deviation = statistics.median(abs(value - median) for value in values)
        return cls(median, least, most, 3 * _ERROR_OF_MEDIAN * deviation / math.sqrt(len(values)))

    def text(self, digits: int) -> str:
        """Show the median, and in brackets least and most where they differ."""
        if self.least == self.most:
            return f"{self.median:,.{digits}f}"
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f}-{self.most:,.{digits}f})"


@dataclass(frozen=True, slots=True)
class Figure:
    """What one benchmark found. `ratio` is the figure divided by its floor; without a floor it is None."""

    name: str
    unit: str
    value: Spread
    runs: int
    floor: str
    floor_value: Spread | None
    ratio: Spread | None
    machine: str

    @property
    def more_is_better(self) -> bool:
        """Whether a larger value is the better one: rates are, times and sizes are not."""
        return self.unit.endswith("/s")

    def to_json(self) -> str:
        """Write it as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> "Figure":
        """Read a line."""
        data = json.loads(line)
        for name in ("value", "floor_value", "ratio"):
            data[name] = None if data[name] is None else Spread(**data[name])
        return cls(**data)


def figure(
    name: str,
    unit: str,
    values: Sequence[float],
    machine: str,
    floor: str = "",
    floors: Sequence[float] | None = None,
) -> Figure:
    """Make a figure of its runs and those of its floor, which stood beside them; a single floor counts for all."""
    machine = machine.removeprefix("machine: ")
    if floors is None:
        return Figure(name, unit, Spread.over(values), len(values), "", None, None, machine)
    beside = list(floors) * (len(values) if len(floors) == 1 else 1)
    ratios = [value / below for value, below in zip(values, beside, strict=True)]
    return Figure(
        name, unit, Spread.over(values), len(values), floor, Spread.over(floors), Spread.over(ratios), machine
    )


def note(noted: Figure) -> None:
    """Append a figure to the file, where there is one."""
    if file := os.environ.get(FILE):
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(noted.to_json() + "\n")


def read(file: Path) -> dict[str, Figure]:
    """Read what was noted, by name; nothing where there is no file."""
    if not file.exists():
        return {}
    figures = (Figure.from_json(line) for line in file.read_text("utf-8").splitlines())
    return {one.name: one for one in figures}
