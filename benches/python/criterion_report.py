"""What `cargo bench` measured, in lines: each figure, its ratio to the floor of the same run, the machine.

    python benches/python/criterion_report.py

Criterion keeps the estimates of its last run as JSON below cargo's target directory; this reads the medians.
Leaves out whether a figure is good: the targets stand in the README beside this folder.
"""

import json
import os
import sys
from pathlib import Path

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


def medians_ns(target: Path) -> dict[str, float]:
    """Read the median time of one element of every benchmark of the last run."""
    medians: dict[str, float] = {}
    for file in sorted(target.glob("criterion/**/new/benchmark.json")):
        described = json.loads(file.read_text())
        estimates = json.loads(file.with_name("estimates.json").read_text())
        elements = (described["throughput"] or {}).get("Elements", 1)
        medians[described["full_id"]] = estimates["median"]["point_estimate"] / elements
    return medians


def main(target: Path) -> None:
    """Print one line a figure."""
    medians = medians_ns(target)
    if not medians:
        sys.exit(f"there is nothing below {target}/criterion; run cargo bench before")
    with scratch_directory() as root:
        print(machine_line(root))
    for name, median_ns in medians.items():
        floor = FLOORS.get(name)
        ratio = f"  {median_ns / medians[floor]:6.2f} x {floor}" if floor in medians else ""
        print(f"{name:42}  {median_ns / 1e3:10.3f} us  {1e9 / median_ns:12,.0f}/s{ratio}")


if __name__ == "__main__":
    main(Path(os.environ.get("CARGO_TARGET_DIR", "target")))
