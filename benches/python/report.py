"""One table of everything that was measured: each target with what decides it, then all figures.

    python benches/python/report.py [--figures target/bench/figures.jsonl] [--out target/bench]

Reads the figures that the benchmarks noted, and criterion's own estimates, which it adds to them. Writes `report.md`
and `report.json`. A slowdown against the baseline is told in both; a benchmark decides no test, so this ends with 0.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import criterion_report
from baseline import BASELINE, DEFAULT_FIGURES, Change, changes, load
from figures import FILE, Figure, Spread, read
from machine import machine_line, scratch_directory
from targets import TARGETS, By, Target, persons_of


def _value(spread: Spread, unit: str) -> str:
    digits = 0 if spread.median >= 1_000 else 1 if spread.median >= 100 else 2 if spread.median >= 1 else 3
    return f"{spread.text(digits)}{'' if unit.startswith('/') else ' '}{unit}"


def _beside(figure: Figure) -> tuple[str, str]:
    """Write the floor with its value, and the ratio to it."""
    if figure.ratio is None or figure.floor_value is None:
        return "", ""
    return f"{figure.floor}: {_value(figure.floor_value, figure.unit)}", figure.ratio.text(3)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def _reached(target: Target, figure: Figure | None) -> str:
    if figure is None:
        return f"not measured: `{target.how}`"
    return "reached" if target.is_reached(figure) else "**not reached**"


def _target_rows(figures: Mapping[str, Figure]) -> Iterator[str]:
    for target in TARGETS:
        figure = target.found(figures)
        if figure is None:
            yield _row([target.what, "", "", "", target.text(), _reached(target, None)])
            continue
        measured = _value(figure.value, figure.unit)
        if target.by is By.RATE:
            # The interval of a rate is that of the time, turned round.
            us = figure.value
            rate = Spread(1e6 / us.median, 1e6 / us.most, 1e6 / us.least, us.noise / us.median * 1e6 / us.median)
            measured = _value(rate, "/s")
        if persons := persons_of(figure.name):
            measured += f", {persons:,} persons"
        yield _row([target.what, measured, *_beside(figure), target.text(), _reached(target, figure)])


def markdown(figures: Mapping[str, Figure], found: Sequence[Change], machine: str) -> str:
    """Write the report as text: machine, targets, what changed, and every figure."""
    today = datetime.now(UTC).date().isoformat()
    lines = [
        "# Benchmarks",
        "",
        f"{today}, {machine}. Medians, in brackets least and most of the runs; a ratio is to the floor beside it, "
        "which was measured in the same run.",
        "",
        _row(["target", "measured", "floor", "ratio", "wanted", ""]),
        _row(["---"] * 6),
        *_target_rows(figures),
        "",
        "## Beyond the noise of the baseline",
        "",
    ]
    lines += [f"- {change.text()}" for change in found] or ["Nothing, of what the baseline has."]
    lines += [
        "",
        "## All figures",
        "",
        _row(["figure", "measured", "floor", "ratio", "runs", "load"]),
        _row(["---"] * 6),
    ]
    for figure in figures.values():
        load_then = figure.machine.rpartition("load ")[2]
        lines.append(
            _row([figure.name, _value(figure.value, figure.unit), *_beside(figure), str(figure.runs), load_then])
        )
    return "\n".join(lines) + "\n"


def document(figures: Mapping[str, Figure], found: Sequence[Change], machine: str) -> object:
    """Give the same as JSON data, unrounded."""
    rows = []
    for target in TARGETS:
        figure = target.found(figures)
        rows.append(
            {
                "target": target.what,
                "wanted": target.text(),
                "measured_by": target.how,
                "figure": None if figure is None else figure.name,
                "compared": None if figure is None else target.measured(figure),
                "reached": None if figure is None else target.is_reached(figure),
            }
        )
    return {
        "machine": machine,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "targets": rows,
        "beyond_noise": [asdict(change) for change in found],
        "figures": [asdict(figure) for figure in figures.values()],
    }


def main() -> None:
    """Gather, write, and print the table of targets."""
    parser = argparse.ArgumentParser(description="Write one table of all figures.")
    parser.add_argument("--figures", type=Path, default=Path(os.environ.get(FILE, DEFAULT_FIGURES)))
    parser.add_argument("--criterion", type=Path, default=Path(os.environ.get("CARGO_TARGET_DIR", "target")))
    parser.add_argument("--out", type=Path, default=DEFAULT_FIGURES.parent)
    options = parser.parse_args()
    with scratch_directory() as root:
        machine = machine_line(root).removeprefix("machine: ")
    by_criterion = {one.name: one for one in criterion_report.figures(options.criterion, machine)}
    noted = read(options.figures)
    options.out.mkdir(parents=True, exist_ok=True)
    with options.figures.open("a", encoding="utf-8") as lines:
        lines.writelines(one.to_json() + "\n" for one in by_criterion.values() if noted.get(one.name) != one)
    figures = noted | by_criterion
    found = list(changes(figures, load(BASELINE)))
    text = markdown(figures, found, machine)
    (options.out / "report.md").write_text(text, "utf-8")
    data = json.dumps(document(figures, found, machine), indent=1)
    (options.out / "report.json").write_text(data + "\n", "utf-8")
    print(text.partition("## All figures")[0].rstrip())
    print(f"\n{options.out / 'report.md'}, {options.out / 'report.json'}: written")


if __name__ == "__main__":
    main()
