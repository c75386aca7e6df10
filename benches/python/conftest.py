"""What every pytest benchmark prints at its end: each figure, its ratio to the floor of the same group, the machine.

Invariant: a ratio is formed within one run of pytest only.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from figures import Spread, figure, note
from machine import FLOOR, machine_line, scratch_directory

Figures = dict[str, dict[str, list[float]]]
"""Calls per second of every round, by group and name."""

_figures = pytest.StashKey[Figures]()
_machine = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def scratch_root(pytestconfig: pytest.Config) -> Iterator[Path]:
    """Give the directory in which everything durable is measured."""
    with scratch_directory() as root:
        pytestconfig.stash[_machine] = machine_line(root)
        yield root


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """Give where a benchmark notes its calls per second; each group contains the floor."""
    return pytestconfig.stash.setdefault(_figures, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures with their ratios."""
    if _machine not in config.stash:
        return
    terminalreporter.section("calls per second beside the floor of the same run")
    terminalreporter.write_line(config.stash[_machine])
    for group, by_name in config.stash.get(_figures, {}).items():
        # The kinds run one after the other, so a round is compared with the median of the floor's.
        floor = [Spread.over(by_name[FLOOR]).median] if FLOOR in by_name else None
        for name, per_second in by_name.items():
            found = figure(f"embedded, {group}, {name}", "/s", per_second, config.stash[_machine], FLOOR, floor)
            ratio = "" if found.ratio is None else f"{found.ratio.median:8.2f} x floor"
            terminalreporter.write_line(f"{group:>9}  {name:16}  {found.value.median:>10,.0f}/s{ratio}")
            if name != FLOOR:
                note(found)
