"""What the figures were before, with their noise: a slowdown beyond it is reported, and never fails anything.

    python benches/python/baseline.py --check       # what differs from benches/baseline.json beyond its noise
    python benches/python/baseline.py --write       # take the figures of the last run into it

Machines differ, so ratios to floors are compared and nothing else; a figure without a floor is not in the baseline.
`--write` to a baseline that knows a figure already, from such a machine, keeps between what its ratios lay: measure
and write several times to learn how much it differs from one time to the next. Beyond the noise is what lies farther
outside of these than either median may be off by chance, and than a twentieth.

Leaves out the figures (figures.py) and the table in which a slowdown is shown (report.py).
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from figures import FILE, Figure, read

BASELINE = Path(__file__).parents[1] / "baseline.json"
DEFAULT_FIGURES = Path("target/bench/figures.jsonl")

LEAST_NOISE = 0.05
"""Of the ratio: runs that happen to agree do not say that the next will."""


@dataclass(frozen=True, slots=True)
class Known:
    """A figure as it was: its ratio to the floor when it was last written, and between what it lay at all times."""

    floor: str
    ratio: float
    least: float
    most: float
    noise: float
    """How far one of them may be off by chance, at the worst."""
    times: int
    machine: str
    written: str


@dataclass(frozen=True, slots=True)
class Change:
    """A figure that lies beyond its noise. `times` says how many times it is slower or faster."""

    name: str
    before: float
    now: float
    is_worse: bool
    times: float

    def text(self) -> str:
        """Say it in a line."""
        speed = f"{self.times:.2f} times {'slower' if self.is_worse else 'faster'}"
        return f"{self.name}: {speed}; {self.now:.3f} of its floor, {self.before:.3f} in the baseline"


def load(file: Path = BASELINE) -> dict[str, Known]:
    """Read a baseline; nothing is known where there is none."""
    if not file.exists():
        return {}
    return {name: Known(**known) for name, known in json.loads(file.read_text("utf-8")).items()}


def changes(figures: Mapping[str, Figure], known: Mapping[str, Known]) -> Iterator[Change]:
    """Compare the figures that both have, beside the same floor."""
    for name, figure in figures.items():
        before = known.get(name)
        if before is None or figure.ratio is None or figure.floor != before.floor:
            continue
        noise = max(LEAST_NOISE * before.ratio, before.noise, figure.ratio.noise)
        if before.least - noise <= figure.ratio.median <= before.most + noise:
            continue
        grown = figure.ratio.median / before.ratio
        is_worse = (grown < 1) == figure.more_is_better
        yield Change(name, before.ratio, figure.ratio.median, is_worse, max(grown, 1 / grown))


def taken_in(figures: Mapping[str, Figure], known: Mapping[str, Known]) -> dict[str, Known]:
    """Take figures into a baseline; what its other figures were stays."""
    today = datetime.now(UTC).date().isoformat()
    merged = dict(known)
    for name, figure in figures.items():
        if figure.ratio is None:
            continue
        ratio, machine = figure.ratio, _kind(figure.machine)
        least, most, noise, times = ratio.median, ratio.median, ratio.noise, 1
        before = known.get(name)
        if before is not None and (before.floor, before.machine) == (figure.floor, machine):
            least, most = min(least, before.least), max(most, before.most)
            noise, times = max(noise, before.noise), before.times + 1
        merged[name] = Known(figure.floor, ratio.median, least, most, noise, times, machine, today)
    return dict(sorted(merged.items()))


def _kind(machine: str) -> str:
    """Leave out of the line of a machine what else was running: it is another every time."""
    return machine.partition(", load ")[0]


def write(known: Mapping[str, Known], file: Path = BASELINE) -> None:
    """Write a baseline."""
    document = {name: asdict(one) for name, one in known.items()}
    file.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def main() -> None:
    """Check or write."""
    parser = argparse.ArgumentParser(description="Compare figures with the baseline, or take them into it.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--check", action="store_true", help="print what differs beyond its noise; ends with 0 all the same"
    )
    what.add_argument("--write", action="store_true", help="take the figures into the baseline")
    parser.add_argument("--figures", type=Path, default=Path(os.environ.get(FILE, DEFAULT_FIGURES)))
    parser.add_argument("--baseline", type=Path, default=BASELINE)
    options = parser.parse_args()
    figures, known = read(options.figures), load(options.baseline)
    if not figures:
        parser.error(f"there are no figures in {options.figures}: run the benchmarks, and report.py behind them")
    if options.write:
        write(taken_in(figures, known), options.baseline)
        print(f"{options.baseline}: {sum(one.ratio is not None for one in figures.values())} figures taken in")
        return
    compared = [name for name, one in figures.items() if name in known and one.ratio is not None]
    found = list(changes(figures, known))
    for change in found:
        print(change.text())
    print(f"{len(compared)} figures compared, {len(found)} of them beyond their noise")


if __name__ == "__main__":
    main()
