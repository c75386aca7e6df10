"""Taking a snapshot into a backup, where the hub does not give the same one to the end: the backup stays whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from medsettle import DirectoryLocked, Hub
from medsettle.config import EngineSettings
from medsettle.errors import BackupUnusable
from medsettle.journal import Backup, restore
from medsettle.v1 import operations_pb2, packages_pb2
from medsettle.v1.operations_pb2 import OperationsTakeSnapshotResponse as Page
from trial_command import Run
from trial_world import OPERATOR, Caller


def test_a_snapshot_that_ends_as_another_one_is_left_and_the_backup_stays_whole(tmp_path: Path) -> None:
    backup, caller = tmp_path / "backup", Caller(OPERATOR)
    settings = EngineSettings(segment_bytes=64 << 10)
    with Hub.open(tmp_path / "data", settings=settings) as hub, Backup(backup) as kept:
        operator = hub.acting(["OPERATOR"], OPERATOR)
        regions = [packages_pb2.Region(code="370100", name="Jinan", home=True)]
        operator.packages.install_regions(
            packages_pb2.PackagesInstallRegionsRequest(header=caller.header(), regions=regions)
        )
        operator.operations.snapshot(operations_pb2.OperationsSnapshotRequest(header=caller.header()))
        for page in operator.operations.take_journal(operations_pb2.OperationsTakeJournalRequest()):
            kept.take(page.frames)
        asked: list[int] = []

        def replaced(last_frame: int) -> Iterator[Page]:
            asked.append(last_frame)
            yield Page(frame_number=1, content=b"the beginning", next_from_offset=13, file_bytes=26)
            yield Page(frame_number=2, content=b"another's end", file_bytes=26)

        assert kept.take_snapshot(replaced) == ["the snapshot behind frame 1 was removed while it was taken"] * 3
        assert asked == [kept.last_frame] * 3

        def broken_off(_last_frame: int) -> Iterator[Page]:
            yield Page(frame_number=1, content=b"the beginning", next_from_offset=13, file_bytes=26)

        assert set(kept.take_snapshot(broken_off)) == {"the snapshot behind frame 1 was removed while it was taken"}
        assert kept.take_snapshot(lambda _: iter([Page()])) == [], "a hub that has none"
        assert (kept.snapshot_frame, list(backup.glob("snapshot*"))) == (0, [])
    restored = restore(backup, tmp_path / "restored", settings)
    assert (restored.frames, restored.snapshot_frame, restored.passed) == (kept.last_frame, 0, [])


def test_a_backup_that_was_closed_lets_others_have_its_directory_and_takes_nothing_in(tmp_path: Path) -> None:
    frame = operations_pb2.JournalFrame(frame_number=1, content=b"any")
    with Backup(tmp_path / "backup") as kept, pytest.raises(DirectoryLocked, match="is in use by another backup"):
        Backup(tmp_path / "backup")
    again = Backup(tmp_path / "backup")
    (tmp_path / "backup" / "snapshot.tmp").write_bytes(b"of the other one")
    for taking in (lambda: kept.take([frame]), lambda: kept.take_snapshot(lambda _: iter([Page()]))):
        with pytest.raises(BackupUnusable, match="was closed"):
            taking()
    assert (kept.last_frame, kept.snapshot_frame) == (0, 0)
    assert (tmp_path / "backup" / "snapshot.tmp").exists()
    again.close()
    again.close()


def test_a_backup_and_a_hub_keep_out_of_each_others_directories_and_say_so_in_one_line(
    tmp_path: Path, run: Run
) -> None:
    data, backup = tmp_path / "data", tmp_path / "backup"
    with Hub.open(data, settings=EngineSettings(segment_bytes=64 << 10)) as hub, Backup(backup) as kept:
        caller, operator = Caller(OPERATOR), hub.acting(["OPERATOR"], OPERATOR)
        regions = [packages_pb2.Region(code="370100", name="Jinan", home=True)]
        operator.packages.install_regions(
            packages_pb2.PackagesInstallRegionsRequest(header=caller.header(), regions=regions)
        )
        for page in operator.operations.take_journal(operations_pb2.OperationsTakeJournalRequest()):
            kept.take(page.frames)
    refused = run("backup", "--from", "127.0.0.1:1", "--to", data, "--insecure")
    told = f"medsettle: {data} is the data directory of a hub or an archive; a backup needs a directory of its own\n"
    assert refused == (2, "", told)
    before = sorted(backup.iterdir())
    with pytest.raises(ValueError, match="holds a backup; a data directory is made of it by medsettle restore"):
        Hub.open(backup)
    served = run("serve", "--data", backup, "--listen", "127.0.0.1:0", "--insecure")
    assert (served.code, served.out, len(served.err.splitlines())) == (2, "", 1)
    assert f"medsettle restore --backup {backup} --to NEW_DIR" in served.err
    assert sorted(backup.iterdir()) == before
