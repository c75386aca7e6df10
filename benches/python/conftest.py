"""What every pytest benchmark prints at its end: each figure, its ratio to the floor of the same group, the machine.

Invariant: a ratio is formed within one run of pytest only.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import FLOOR, machine_line, scratch_directory

_figures = pytest.StashKey[dict[str, dict[str, float]]]()
_machine = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def scratch_root(pytestconfig: pytest.Config) -> Iterator[Path]:
    """Give the directory in which everything durable is measured."""
    with scratch_directory() as root:
        pytestconfig.stash[_machine] = machine_line(root)
        yield root


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> dict[str, dict[str, float]]:
    """Give where a benchmark notes its calls per second, by group and name; each group contains the floor."""
    return pytestconfig.stash.setdefault(_figures, {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the figures with their ratios."""
    if _machine not in config.stash:
        return
    terminalreporter.section("calls per second beside the floor of the same run")
    terminalreporter.write_line(config.stash[_machine])
    for group, by_name in config.stash.get(_figures, {}).items():
        for name, per_second in by_name.items():
            ratio = f"{per_second / by_name[FLOOR]:8.2f} x floor" if FLOOR in by_name else ""
            terminalreporter.write_line(f"{group:>9}  {name:16}  {per_second:>10,.0f}/s{ratio}")
