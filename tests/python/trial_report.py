"""What a test run says at its end beside passed and failed: measured figures, and which faults could be made.

Invariant: what could not run is listed with the reason; it is never left out in silence.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

Figures = Callable[[str], None]
"""Takes one line for the end of the run."""

FIGURES, FAULT = "figures", "fault"


def lines_of(reports: Iterable[pytest.TestReport]) -> list[str]:
    """Make the closing lines: the figures, then every fault with whether it could be made."""
    figures, faults = [], []
    for report in reports:
        named = dict(report.user_properties)
        figures += [str(text) for name, text in report.user_properties if name == FIGURES]
        if FAULT in named and (report.when == "call" or not report.passed):
            faults.append(f"row {named[FAULT]}: {report.nodeid.partition('::')[2]}: {_outcome(report)}")
    # By number of the row, not by its digits.
    return figures + sorted(faults, key=lambda line: (int(line.split()[1].rstrip(":")), line))


def _outcome(report: pytest.TestReport) -> str:
    if report.skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        return f"could not run: {reason.removeprefix('Skipped: ')}"
    return "ran" if report.passed else "FAILED"


def leave(lines: Iterable[str]) -> None:
    """Write the lines to the file that `MEDSETTLE_REPORT` names, for whoever shows them later."""
    if path := os.environ.get("MEDSETTLE_REPORT"):
        Path(path).write_text("".join(f"{line}\n" for line in lines))
