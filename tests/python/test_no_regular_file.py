"""A pipe, a socket or a directory where a file of the journal belongs: named and refused, never waited for."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from medsettle import CorruptJournal, Hub, journal
from medsettle.config import EngineSettings
from medsettle.journal import Backup
from medsettle.v1 import operations_pb2, packages_pb2
from trial_command import Run
from trial_world import OPERATOR, Caller

SMALL = EngineSettings(segment_bytes=64 << 10)
REGIONS = [packages_pb2.Region(code=f"{370000 + number}", name="R" * 199) for number in range(1, 100)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a data directory with two snapshots, an archived segment and segments, and a backup of it."""
    root = tmp_path_factory.mktemp("made")
    office = Caller(OPERATOR)
    with Hub.open(root / "data", settings=SMALL) as hub, Backup(root / "backup") as kept:
        operator = hub.acting(["OPERATOR"], OPERATOR)
        for _ in range(3):
            for _ in range(2):
                operator.packages.install_regions(
                    packages_pb2.PackagesInstallRegionsRequest(header=office.header(), regions=REGIONS)
                )
            operator.operations.snapshot(operations_pb2.OperationsSnapshotRequest(header=office.header()))
        for page in operator.operations.take_journal(operations_pb2.OperationsTakeJournalRequest()):
            kept.take(page.frames)
        kept.take_snapshot(
            lambda last: operator.operations.take_snapshot(
                operations_pb2.OperationsTakeSnapshotRequest(last_frame_number=last)
            )
        )
    assert journal.verify(root / "data").findings == []
    return root


def pipe(path: Path) -> str:
    os.mkfifo(path)
    return "a named pipe"


def directory(path: Path) -> str:
    path.mkdir()
    return "a directory"


def listening(path: Path) -> str:
    here = os.getcwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as bound:
        # By its name alone: paths of scratch directories may be longer than an address can be.
        bound.bind(path.name)
    os.chdir(here)
    return "a socket"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("put", [pipe, directory, listening])
@pytest.mark.parametrize("pattern", ["*.journal", "*.archive", "IDENTITY"])
def test_what_is_no_file_of_the_journal_is_a_finding_and_keeps_a_hub_from_starting(
    made: Path, tmp_path: Path, run: Run, put: Callable[[Path], str], pattern: str
) -> None:
    shutil.copytree(made / "data", data := tmp_path / "data")
    path = sorted(data.glob(pattern))[0]
    path.unlink()
    told = f"{path} at offset 0: it is no regular file but {put(path)}"
    verified = run("verify", data)
    assert verified.code == 1, verified
    assert f"{told}; move it away and put the file back" in verified.out
    assert told in run("inspect", data).err
    for snapshot in data.glob("*.snapshot"):
        snapshot.unlink()
    with pytest.raises(CorruptJournal) as refused:
        Hub.open(data, settings=SMALL)
    assert told in str(refused.value)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("put", [pipe, directory, listening])
def test_what_is_no_snapshot_is_passed_over(
    made: Path, tmp_path: Path, put: Callable[[Path], str], capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made / "data", data := tmp_path / "data")
    newest = sorted(data.glob("*.snapshot"))[-1]
    newest.unlink()
    told = f"it is no regular file but {put(newest)}"
    verified = journal.verify(data)
    assert verified.journal_is_whole
    assert [one["problem"] for one in verified.findings] == [f"the snapshot cannot be used: reading it failed: {told}"]
    Hub.open(data, settings=SMALL).close()
    assert f"{newest} was passed over: reading it failed: {told}" in capfd.readouterr().err


@pytest.mark.timeout(60)
@pytest.mark.parametrize("put", [pipe, directory, listening])
def test_what_is_no_piece_of_a_backup_is_a_finding_and_no_restore_takes_it(
    made: Path, tmp_path: Path, run: Run, put: Callable[[Path], str]
) -> None:
    shutil.copytree(made / "backup", backup := tmp_path / "backup")
    (piece,), (snapshot,) = backup.glob("*.frames"), backup.glob("*.snapshot")
    snapshot.unlink()
    put(snapshot)
    verified = run("verify", backup)
    assert (verified.code, verified.out.count("no regular file")) == (1, 1)
    assert f"{snapshot} at offset 0: the snapshot cannot be used" in verified.out
    piece.unlink()
    told = f"{piece} at offset 0: it is no regular file but {put(piece)}"
    verified = run("verify", backup)
    assert verified.code == 1
    assert told in verified.out
    restored = run("restore", "--backup", backup, "--to", tmp_path / "restored")
    assert restored.code == 1
    assert told in restored.err
