"""What is said of figures: ratios run by run, targets by the figure that decides, slowdowns beyond the noise only."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHES = Path(__file__).parents[2] / "benches" / "python"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(BENCHES)
    return {name: importlib.import_module(name) for name in ("figures", "baseline", "targets", "report")}


@pytest.fixture
def figures(modules: dict[str, ModuleType]) -> Any:
    return modules["figures"]


@pytest.fixture
def baseline(modules: dict[str, ModuleType]) -> Any:
    return modules["baseline"]


def _named(*figures: Any) -> dict[str, Any]:
    return {one.name: one for one in figures}


def test_a_ratio_is_formed_run_by_run_and_survives_its_file(
    figures: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The machine slowed down by half between the runs, and the figure with it.
    made = figures.figure("settle", "/s", [100.0, 50.0], "machine: M, load 1", "echo", [200.0, 100.0])
    assert (made.ratio.least, made.ratio.most) == (0.5, 0.5)
    monkeypatch.setenv(figures.FILE, str(tmp_path / "figures.jsonl"))
    figures.note(figures.figure("settle", "/s", [1.0], "M"))
    figures.note(made)
    assert figures.read(tmp_path / "figures.jsonl") == {"settle": made}


@pytest.mark.parametrize(
    ("unit", "values", "said"),
    [
        ("/s", [80, 82, 84], ["slower"]),
        ("/s", [120, 121, 122], ["faster"]),
        ("ms", [120, 121, 122], ["slower"]),
        ("ms", [80, 82, 84], ["faster"]),
        # Within a twentieth, or within what its own runs differ by.
        ("/s", [96, 97, 98], []),
        ("/s", [60, 82, 110], []),
    ],
)
def test_what_lies_beyond_the_noise_is_told_and_what_lies_within_is_not(
    figures: Any, baseline: Any, unit: str, values: Sequence[float], said: list[str]
) -> None:
    before = figures.figure("f", unit, [99, 100, 101], "M, load 1", "floor", [100])
    now = figures.figure("f", unit, values, "N, load 9", "floor", [100])
    known = baseline.taken_in(_named(before), {})
    changes = list(baseline.changes(_named(now), known))
    assert [word for change in changes for word in ("slower", "faster") if f"times {word}" in change.text()] == said


def test_another_floor_is_not_compared_and_a_figure_without_one_is_not_kept(figures: Any, baseline: Any) -> None:
    known = baseline.taken_in(_named(figures.figure("f", "/s", [100], "M", "floor", [100])), {})
    assert not list(baseline.changes(_named(figures.figure("f", "/s", [1], "M", "another floor", [100])), known))
    assert baseline.taken_in(_named(figures.figure("g", "/s", [100], "M")), known) == known


def test_a_baseline_that_is_written_again_keeps_between_what_its_figures_lay(
    figures: Any, baseline: Any, tmp_path: Path
) -> None:
    def at(value: float) -> dict[str, Any]:
        return _named(figures.figure("f", "/s", [value], f"M, load {value}", "floor", [100]))

    file = tmp_path / "baseline.json"
    for value in (100, 60, 80):
        baseline.write(baseline.taken_in(at(value), baseline.load(file)), file)
    known = baseline.load(file)["f"]
    assert (known.least, known.ratio, known.most, known.times) == (0.6, 0.8, 1.0, 3)
    assert not list(baseline.changes(at(58), baseline.load(file)))
    assert [change.is_worse for change in baseline.changes(at(50), baseline.load(file))] == [True]


def test_many_runs_that_scatter_still_know_their_median(figures: Any) -> None:
    few = figures.Spread.over([50, 100, 150])
    many = figures.Spread.over([50, 150] + [90, 95, 100, 105, 110] * 20)
    assert few.noise == 50 and 1 < many.noise < 5


def test_the_figure_with_most_persons_decides_a_target_and_of_cryptograms_the_widest_words(
    figures: Any, modules: dict[str, ModuleType]
) -> None:
    found = _named(
        figures.figure("embedded, messages of 1,000, visits, 10,000 persons", "/s", [400_000], "M", "floor", [1]),
        figures.figure("embedded, messages of 1,000, visits, 1,000,000 persons", "/s", [200_000], "M", "floor", [1]),
        figures.figure("cryptogram/PBOC_TDES, one by one/512", "us", [0.1], "M"),
        figures.figure("cryptogram/PBOC_TDES, portable/512", "us", [0.7], "M"),
        figures.figure("cryptogram/PBOC_TDES, avx2/512", "us", [0.4], "M"),
    )
    targets = modules["targets"].TARGETS
    embedded, tdes = targets[0], next(target for target in targets if "TDES" in target.what)
    assert embedded.found(found).value.median == 200_000 and not embedded.is_reached(embedded.found(found))
    assert tdes.found(found).name.endswith("avx2/512") and tdes.is_reached(tdes.found(found))
    text = modules["report"].markdown(found, [], "M")
    for target in targets:
        assert any(target.what in line and ("reached" in line or "not measured" in line) for line in text.splitlines())
