"""What all tests share: one authority for a run, and the closing lines of the run."""

from collections.abc import Callable

import pytest

from medsettle.cli import main
from trial_command import Outcome, Run
from trial_report import FAULT, FIGURES, Figures, leave, lines_of
from trial_site import Pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Figures:
    """Say something that was measured at the end of the run."""

    def say(text: str) -> None:
        record_property(FIGURES, text)

    return say


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process."""

    def run(*arguments: object) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, captured.out, captured.err)

    return run


def pytest_runtest_setup(item: pytest.Item) -> None:
    if (mark := item.get_closest_marker(FAULT)) is not None:
        item.user_properties.append((FAULT, mark.args[0]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        report for kind in ("passed", "failed", "error", "skipped") for report in terminalreporter.getreports(kind)
    ]
    if lines := lines_of(report for report in reports if isinstance(report, pytest.TestReport)):
        terminalreporter.write_sep("=", "figures and faults")
        for line in lines:
            terminalreporter.write_line(line)
        leave(lines)
