"""What the figures were before, with their noise: a slowdown beyond it is reported, and never fails anything.

    python benches/python/baseline.py --check       # what differs from benches/baseline.json beyond its noise
    python benches/python/baseline.py --write       # take the figures of the last run into it

Machines differ, so ratios to floors are compared and nothing else; a figure without a floor is not in the baseline.
The noise of a figure is the widest spread that its runs had, of the baseline and of now. `--write` to a baseline that
knows a figure already keeps what its runs spread over then: write several runs, one after the other, to learn it.

Leaves out the figures (figures.py) and the table in which a slowdown is shown (report.py).
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from figures import FILE, Figure, Spread, read

BASELINE = Path(__file__).parents[1] / "baseline.json"
DEFAULT_FIGURES = Path("target/bench/figures.jsonl")

LEAST_NOISE = 0.05
"""Of the ratio: runs that happen to agree do not say that the next will."""


@dataclass(frozen=True, slots=True)
class Known:
    """A figure as it was: its ratio to the floor, and between which values its runs and its days lay."""

    floor: str
    ratio: Spread
    machine: str
    written: str


@dataclass(frozen=True, slots=True)
class Change:
    """A figure that lies beyond its noise. `times` says how much more of the floor it takes, or of its rate is gone."""

    name: str
    before: Spread
    now: Spread
    is_worse: bool
    times: float

    def text(self) -> str:
        """Say it in a line."""
        what = "slower" if self.is_worse else "faster"
        return (
            f"{self.name}: {self.times:.2f} times {what}, {self.now.text(3)} of its floor; "
            f"{self.before.text(3)} in the baseline"
        )


def load(file: Path = BASELINE) -> dict[str, Known]:
    """Read a baseline; nothing is known where there is none."""
    if not file.exists():
        return {}
    document = json.loads(file.read_text("utf-8"))
    return {name: Known(**{**known, "ratio": Spread(**known["ratio"])}) for name, known in document.items()}


def changes(figures: Mapping[str, Figure], known: Mapping[str, Known]) -> Iterator[Change]:
    """Compare the figures that both have, beside the same floor."""
    for name, figure in figures.items():
        before = known.get(name)
        if before is None or figure.ratio is None or figure.floor != before.floor:
            continue
        noise = max(LEAST_NOISE, _noise(before.ratio), _noise(figure.ratio))
        least, most = before.ratio.median * (1 - noise), before.ratio.median * (1 + noise)
        if least <= figure.ratio.median <= most:
            continue
        grown = figure.ratio.median / before.ratio.median
        is_worse = (grown < 1) == figure.more_is_better
        yield Change(name, before.ratio, figure.ratio, is_worse, max(grown, 1 / grown))


def _noise(ratio: Spread) -> float:
    return max(ratio.most - ratio.median, ratio.median - ratio.least) / ratio.median


def taken_in(figures: Mapping[str, Figure], known: Mapping[str, Known]) -> dict[str, Known]:
    """Take figures into a baseline; what its other figures were stays."""
    today = datetime.now(UTC).date().isoformat()
    merged = dict(known)
    for name, figure in figures.items():
        if figure.ratio is None:
            continue
        least, most = figure.ratio.least, figure.ratio.most
        before = known.get(name)
        if before is not None and before.floor == figure.floor and before.machine == _kind(figure.machine):
            least, most = min(least, before.ratio.least), max(most, before.ratio.most)
        merged[name] = Known(figure.floor, Spread(figure.ratio.median, least, most), _kind(figure.machine), today)
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
