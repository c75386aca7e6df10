"""Backups by the command line, for tests: made, restored, looked into and spoiled."""

import subprocess
import sys
from pathlib import Path

from medsettle.v1 import operations_pb2
from trial_site import SEGMENT_BYTES, HubProcess, Office, Pki
from trial_world import OPERATOR

TIMEOUT_S = 60


def tls_options(pki: Pki, institution: str = OPERATOR) -> list[str]:
    tls = pki.client(institution)
    return ["--tls-ca", str(tls.ca), "--tls-cert", str(tls.cert), "--tls-key", str(tls.key)]


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "medsettle", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def back_up(hub: HubProcess, directory: Path) -> str:
    done = command("backup", "--from", hub.target, "--to", directory, *tls_options(hub.pki))
    assert done.returncode == 0, done.stderr
    return done.stdout


def restore(backup: Path, data: Path, config: Path) -> subprocess.CompletedProcess[str]:
    return command("restore", "--backup", backup, "--to", data, "--config", config)


def settings(root: Path) -> Path:
    config = root / "restore.toml"
    config.write_text(f"[engine]\nsegment_bytes = {SEGMENT_BYTES}\n")
    return config


def cut_snapshot(office: Office) -> None:
    header = office.agency.operator.header()
    office.operator.operations.snapshot(operations_pb2.OperationsSnapshotRequest(header=header))


def pieces(backup: Path) -> list[Path]:
    return sorted(backup.glob("*.frames"))


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)
