"""What `cargo bench` measured by criterion, as figures: each median, its ratio to the floor of the same run.

    python benches/python/criterion_report.py

Criterion keeps the estimates of its last run as JSON below cargo's target directory; this reads the medians, with the
confidence interval as their spread.
Leaves out whether a figure is good (targets.py), and the benchmarks that note their figures themselves.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from figures import Figure, Spread
from machine import machine_line, scratch_directory

FLOORS = {
    "card events/loss report": "card events/settlement",
    "card events/withdrawal": "card events/settlement",
    "card events/enabling a successor": "card events/settlement",
    "settlement/decide+apply, 1000 persons": "settlement/clock readings",
    "settlement/decide+apply, 10000 persons": "settlement/clock readings",
} | {
    f"cryptogram/{scheme}, {width}/{size}": f"cryptogram/{scheme}, one by one/{size}"
    for scheme in ("PBOC_SM4", "PBOC_TDES", "EMV_CSK_TDES", "EMV_AES")
    for width in ("portable", "avx2", "avx512", "detected")
    for size in (1, 8, 64, 512)
}
"""The floor of a figure, both by criterion's names of them."""


def times_us(target: Path) -> dict[str, Spread]:
    """Read the median time of one element of every benchmark of the last run, and its confidence interval."""
    times: dict[str, Spread] = {}
    for file in sorted(target.glob("criterion/**/new/benchmark.json")):
        described = json.loads(file.read_text())
        median = json.loads(file.with_name("estimates.json").read_text())["median"]
        elements = 1e3 * (described["throughput"] or {}).get("Elements", 1)
        interval = median["confidence_interval"]
        parts = (
            median["point_estimate"],
            interval["lower_bound"],
            interval["upper_bound"],
            3 * median["standard_error"],
        )
        times[described["full_id"]] = Spread(*(part / elements for part in parts))
    return times


def figures(target: Path, machine: str) -> Iterator[Figure]:
    """Give what the last run measured."""
    times = times_us(target)
    for name, us in times.items():
        floor = FLOORS.get(name, "")
        if beside := times.get(floor):
            middle = us.median / beside.median
            noise = middle * (us.noise / us.median + beside.noise / beside.median)
            ratio = Spread(middle, us.least / beside.most, us.most / beside.least, noise)
            yield Figure(name, "us", us, 1, floor, beside, ratio, machine)
        else:
            yield Figure(name, "us", us, 1, "", None, None, machine)


def main(target: Path) -> None:
    """Print one line a figure."""
    with scratch_directory() as root:
        machine = machine_line(root)
    found = list(figures(target, machine.removeprefix("machine: ")))
    if not found:
        sys.exit(f"there is nothing below {target}/criterion; run cargo bench before")
    print(machine)
    for one in found:
        ratio = "" if one.ratio is None else f"  {one.ratio.median:6.2f} x {one.floor}"
        print(f"{one.name:42}  {one.value.median:10.3f} us  {1e6 / one.value.median:12,.0f}/s{ratio}")


if __name__ == "__main__":
    main(Path(os.environ.get("CARGO_TARGET_DIR", "target")))
