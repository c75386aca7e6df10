"""`medsettle verify` about snapshots: damage to one costs time and nothing else, as text and as JSON."""

import json
import shutil
from pathlib import Path

import pytest

from medsettle import CorruptJournal, Hub, journal
from medsettle.cli import main
from medsettle.cli.terminal import byte_rate
from medsettle.config import EngineSettings
from medsettle.v1 import operations_pb2, packages_pb2
from trial_world import OPERATOR, Caller

SMALL = EngineSettings(segment_bytes=64 << 10)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a data directory with a snapshot and something behind it."""
    data = tmp_path_factory.mktemp("made") / "data"
    office = Caller(OPERATOR)
    with Hub.open(data, settings=SMALL) as hub:
        operator = hub.acting(["OPERATOR"], OPERATOR)
        regions = [packages_pb2.Region(code="370100", name="Jinan", home=True)]
        operator.packages.install_regions(
            packages_pb2.PackagesInstallRegionsRequest(header=office.header(), regions=regions)
        )
        operator.operations.snapshot(operations_pb2.OperationsSnapshotRequest(header=office.header()))
        operator.packages.install_regions(
            packages_pb2.PackagesInstallRegionsRequest(header=office.header(), regions=regions)
        )
    return data


@pytest.fixture
def flipped(made: Path, tmp_path: Path) -> Path:
    """Make a copy in which one bit of the snapshot is wrong."""
    shutil.copytree(made, tmp_path / "data")
    snapshot = the_snapshot(tmp_path / "data")
    content = bytearray(snapshot.read_bytes())
    content[4_100] ^= 1
    snapshot.write_bytes(content)
    return tmp_path / "data"


def the_snapshot(data: Path) -> Path:
    (snapshot,) = data.glob("*.snapshot")
    return snapshot


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_damaged_snapshot_is_a_finding_that_says_that_nothing_but_time_is_lost(
    flipped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", flipped) == 1
    shown = capsys.readouterr()
    snapshot = the_snapshot(flipped)
    assert shown.out.splitlines()[0] == (
        f"{snapshot} at offset 4096: the snapshot cannot be used: its content does not have the hash it bears; a start "
        f"passes over it, and nothing is lost but time; rm {snapshot}, and the hub cuts another"
    )
    assert "1 finding(s); the journal is whole; nothing was changed" in shown.err
    with Hub.open(flipped, settings=SMALL) as hub:
        hub.acting(["OPERATOR"], OPERATOR).operations.digest(operations_pb2.OperationsDigestRequest())
    snapshot.unlink()
    assert run("verify", flipped) == 0


def test_damage_to_the_journal_is_never_called_a_loss_of_time(made: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(made, data)
    with (data / "00000001.journal").open("r+b") as segment:
        segment.seek(4_096 + 100)
        segment.write(b"\xff")
    verified = journal.verify(data)
    assert not verified.journal_is_whole
    assert all("medsettle inspect" in str(finding["advice"]) for finding in verified.findings)


@pytest.mark.parametrize("replay", [(), ("--replay",)])
def test_the_json_form_holds_all_that_the_check_found(
    made: Path, flipped: Path, replay: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("verify", made, "--json", *replay) == 0
    sound = json.loads(capsys.readouterr().out)
    verified = journal.verify(made)
    (listed,) = sound["snapshots"]
    assert listed["path"] == str(the_snapshot(made))
    assert listed["bytes"] == the_snapshot(made).stat().st_size
    assert (sound["findings"], sound["journal_is_whole"], sound["torn"]) == ([], True, None)
    assert (sound["frames"], sound["last_hash"]) == (verified.frames, verified.last_hash.hex())
    assert sound["bytes"] >= listed["bytes"] + SMALL.segment_bytes
    assert sound["replayed"] == bool(replay)

    assert run("verify", flipped, "--json", *replay) == 1
    shown = capsys.readouterr()
    (finding,) = json.loads(shown.out)["findings"]
    assert (finding["path"], finding["offset"]) == (str(the_snapshot(flipped)), 4_096)
    assert "hash" in finding["problem"]
    assert "nothing is lost but time" in finding["advice"]
    assert "1 finding(s)" in shown.err


def test_a_replay_says_what_it_compared(made: Path, flipped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = "replayed: {} snapshot(s) have the digest that the journal gives"
    assert run("verify", made, "--replay") == 0
    assert f"{made}: {said.format(1)}\n" in capsys.readouterr().out
    assert run("verify", made) == 0
    assert "replayed" not in capsys.readouterr().out
    assert run("verify", flipped, "--replay") == 1
    assert said.format(0) in capsys.readouterr().out


def test_the_rate_of_a_small_journal_can_be_read() -> None:
    assert byte_rate(3_450_000, 1.5) == "2.3 MB/s"
    assert byte_rate(2_000_000_000, 1.0) == "2.00 GB/s"


def test_the_advice_shows_the_frames_around_the_damage(made: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(made, data)
    second = list(journal.inspect(data))[1]
    segment = data / "00000001.journal"
    content = bytearray(segment.read_bytes())
    content[content.index(second["hash"])] ^= 1  # type: ignore[arg-type]
    segment.write_bytes(content)
    (finding,) = journal.verify(data).findings
    assert finding["advice"] == (
        f"what can still be read: medsettle inspect {data} --from 1 --to 3; what a backup holds: medsettle restore "
        "--backup YOUR_BACKUP --to NEW_DIR"
    )
    with pytest.raises(CorruptJournal, match=f"frame by frame: medsettle inspect {data} --from 1 --to 3$"):
        Hub.open(data, settings=SMALL)


def test_the_digest_of_a_snapshot_is_that_which_the_hub_tells(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made, tmp_path / "data")
    with Hub.open(tmp_path / "data", settings=SMALL) as hub:
        operator = hub.acting(["OPERATOR"], OPERATOR)
        header = Caller(OPERATOR, "again-").header()
        operator.operations.snapshot(operations_pb2.OperationsSnapshotRequest(header=header))
        digest = operator.operations.digest(operations_pb2.OperationsDigestRequest()).digest.hex()
    assert run("verify", tmp_path / "data") == 0
    newest = f"{max((tmp_path / 'data').glob('*.snapshot'))}: the state behind frame "
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith(newest))
    assert line.endswith(f"digest {digest}")


def test_what_a_crash_left_of_a_snapshot_is_told_and_is_no_finding(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made, tmp_path / "data")
    left = tmp_path / "data" / "snapshot.tmp"
    left.write_bytes(b"half")
    assert run("verify", tmp_path / "data") == 0
    assert f"{left}: a snapshot that was not finished" in capsys.readouterr().out
