"""What rots in a backup is found where it lies, by `medsettle verify` and by the next backup."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from trial_backup import back_up, command, cut_snapshot, flip, pieces, restore, settings, tls_options
from trial_site import HubProcess, Office, Pki


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Path:
    """Make a backup of two pieces, with the snapshot between them."""
    root = tmp_path_factory.mktemp("made")
    with HubProcess(root / "hub", pki) as hub, Office(hub) as office:
        patient = office.agency.insure()
        cut_snapshot(office)
        back_up(hub, root / "backup")
        office.agency.credit(patient, 100)
        back_up(hub, root / "backup")
    return root / "backup"


def test_a_sound_backup_verifies_and_tells_what_it_holds(made: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in made.iterdir()}
    done = command("verify", made, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    shown = json.loads(done.stdout)
    restored = restore(made, tmp_path / "data", settings(tmp_path))
    verified = command("verify", tmp_path / "data", "--json")
    data = json.loads(verified.stdout)
    assert (shown["frames"] + 1, shown["records"]) == (data["frames"], data["records"]), "an epoch begins behind it"
    assert f"hash {shown['last_hash']}" in restored.stdout
    assert [one["digest"] for one in shown["snapshots"]] == [one["digest"] for one in data["snapshots"]]
    assert shown["bytes"] == sum(path.stat().st_size for path in made.iterdir() if path.name != "LOCK")
    assert (shown["pieces"], shown["findings"], shown["unfinished"]) == (len(pieces(made)), [], [])
    assert f"sequence {shown['last_sequence']:,}, hash" in command("verify", made).stdout
    assert {path.name: path.read_bytes() for path in made.iterdir()} == before
    assert command("verify", made, "--replay").returncode == 2


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda piece: flip(piece, 20), "frame 1"),
        (lambda piece: flip(piece, piece.stat().st_size - 1), "does not have the hash it bears"),
        (lambda piece: flip(piece, 0), "label"),
        (lambda piece: piece.write_bytes(piece.read_bytes()[:-1]), "the file ends within frame"),
        (lambda piece: piece.unlink(), "are missing before it"),
    ],
)
def test_what_rotted_in_an_old_piece_is_found_although_a_backup_goes_on_behind_it(
    made: Path, tmp_path: Path, harm: Callable[[Path], object], reason: str
) -> None:
    backup = tmp_path / "backup"
    shutil.copytree(made, backup)
    first, second = pieces(backup)
    harm(first)
    done = command("verify", backup)
    assert done.returncode == 1
    told = done.stdout.splitlines()
    assert told[0].startswith(f"{first if first.exists() else second} at offset ")
    assert reason in told[0]
    assert told[0].endswith("another while the hub runs: medsettle backup --from HOST:PORT --to NEW_DIR")
    assert len([row for row in told if " at offset " in row]) == 1, "what lies behind it is sound"
    assert f"{backup}: 1 finding(s); nothing was changed" in done.stderr


def test_a_rotten_snapshot_of_a_backup_is_found_and_taken_anew(tmp_path: Path, pki: Pki) -> None:
    backup = tmp_path / "backup"
    with HubProcess(tmp_path / "hub", pki) as hub, Office(hub) as office:
        office.agency.insure()
        cut_snapshot(office)
        back_up(hub, backup)
        (snapshot,) = backup.glob("*.snapshot")
        whole = snapshot.read_bytes()
        flip(snapshot, 5_000)
        found = command("verify", backup)
        assert found.returncode == 1
        assert found.stdout.startswith(f"{snapshot} at offset 4096: the snapshot cannot be used: its content does not")
        assert "the next medsettle backup takes it anew" in found.stdout
        assert "1 finding(s); the frames are whole; nothing was changed" in found.stderr
        again = command("backup", "--from", hub.target, "--to", backup, *tls_options(pki))
        assert (again.returncode, again.stderr.count("was passed over: its content")) == (0, 1), again.stderr
        assert snapshot.read_bytes() == whole
        assert command("verify", backup).returncode == 0


def test_a_backup_does_not_go_on_with_a_snapshot_whose_piece_rotted(tmp_path: Path, pki: Pki) -> None:
    backup = tmp_path / "backup"
    with HubProcess(tmp_path / "hub", pki) as hub, Office(hub) as office:
        patient = office.agency.insure()
        cut_snapshot(office)
        back_up(hub, backup)
        office.agency.credit(patient, 100)
        back_up(hub, backup)
        first, second = pieces(backup)
        before = second.read_bytes()
        flip(first, 20)
        refused = command("backup", "--from", hub.target, "--to", backup, *tls_options(pki))
        assert refused.returncode == 1, refused.stdout
        assert f"{first} at offset 16: frame 1" in refused.stderr
        assert refused.stderr.endswith(f"All that is wrong: medsettle verify {backup}\n")
        assert (pieces(backup), second.read_bytes()) == ([first, second], before)
