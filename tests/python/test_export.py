"""Where an export may write, and how far it goes: a clear line, and nothing left behind."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from medsettle import Hub, journal
from medsettle.config import EngineSettings
from medsettle.v1 import packages_pb2
from trial_command import Run
from trial_world import OPERATOR, Caller

pytest.importorskip("pyarrow", reason="the extra `export` is not installed")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data, office = tmp_path_factory.mktemp("made") / "data", Caller(OPERATOR)
    with Hub.open(data, settings=EngineSettings(segment_bytes=64 << 10)) as hub:
        for _ in range(2):
            regions = [packages_pb2.Region(code="370100", name="Jinan", home=True)]
            request = packages_pb2.PackagesInstallRegionsRequest(header=office.header(), regions=regions)
            hub.acting(["OPERATOR"], OPERATOR).packages.install_regions(request)
    return data


def test_an_export_to_a_decision_that_is_not_there_yet_is_refused_and_says_how_far_the_journal_goes(
    data: Path, tmp_path: Path, run: Run
) -> None:
    refused = run("export", "--data", data, "--out", tmp_path / "out", "--to-sequence", 3)
    told = f"medsettle: {data}: the journal ends with sequence 2; there is no sequence 3 yet\n"
    assert refused == (2, "", told)
    assert not (tmp_path / "out").exists()
    done = run("export", "--data", data, "--out", tmp_path / "out", "--to-sequence", 2)
    assert (done.code, done.err, "up to sequence 2;" in done.out) == (0, "", True)


def lead_nowhere(out: Path) -> str:
    out.symlink_to("nowhere")
    return f"{out}: is a link to nowhere, which is not there"


def be_a_file(out: Path) -> str:
    out.write_text("mine")
    return f"{out}: is no directory"


def hold_a_link_in_place_of_a_table(out: Path) -> str:
    out.mkdir()
    (out / "ledger_legs.parquet").symlink_to("nowhere")
    return f"{out / 'ledger_legs.parquet'}: is there already; an export never replaces another"


def hold_a_directory_in_place_of_a_temporary_file(out: Path) -> str:
    (out / "settlements.parquet.tmp").mkdir(parents=True)
    return f"{out / 'settlements.parquet.tmp'}: Is a directory"


@pytest.mark.parametrize(
    "put",
    [lead_nowhere, be_a_file, hold_a_link_in_place_of_a_table, hold_a_directory_in_place_of_a_temporary_file],
)
def test_where_nothing_can_be_written_one_line_says_why_and_nothing_is_left(
    data: Path, tmp_path: Path, run: Run, put: Callable[[Path], str]
) -> None:
    told = put(tmp_path / "out")
    before = sorted(tmp_path.rglob("*"))
    assert run("export", "--data", data, "--out", tmp_path / "out") == (2, "", f"medsettle: {told}\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_killed_export_left_is_removed_by_the_next(data: Path, tmp_path: Path, run: Run) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "records.parquet.tmp").symlink_to(mine)
    (tmp_path / "settlements.parquet.tmp").write_bytes(b"PAR1")
    assert run("export", "--data", data, "--out", tmp_path).code == 0
    assert list(tmp_path.glob("*.tmp")) == []
    assert (mine.read_text(), (tmp_path / "records.parquet").is_symlink()) == ("mine", False)


def test_two_exports_never_write_to_one_directory(data: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "records.parquet.tmp").write_text("of the other one")
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    refused = run("export", "--data", data, "--out", tmp_path)
    os.close(other)
    assert refused == (2, "", f"medsettle: {tmp_path}: another export is writing there\n")
    assert (tmp_path / "records.parquet.tmp").read_text() == "of the other one"


def test_an_export_that_ends_early_leaves_neither_files_nor_its_directory(
    data: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "inspect", failing)
    assert run("export", "--data", data, "--out", tmp_path / "out").code == 2
    assert list(tmp_path.iterdir()) == []
