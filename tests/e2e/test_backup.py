"""Backups of a hub that goes on settling, and what comes of them: a directory that answers as it did, or a clear no."""

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from google.protobuf.message import Message

from medsettle import Hub
from medsettle.client import Client, Retries
from medsettle.config import EngineSettings
from medsettle.errors import Rejected
from medsettle.journal import Backup
from medsettle.v1 import inpatient_pb2, operations_pb2, packages_pb2
from trial_backup import TIMEOUT_S, back_up, command, cut_snapshot, flip, pieces, restore, settings, tls_options
from trial_site import SEGMENT_BYTES, HubProcess, Office, Pki
from trial_world import BEIJING_HOSPITAL, OPERATOR, Patient, Ward, days_ago, line

CALLERS = 16
FEW, MANY = 60, 200
"""Answers to wait for before and behind a backup."""

TAKE_ALL = operations_pb2.OperationsTakeJournalRequest()

Answered = tuple[str, Message, Message]


class Settling:
    """Sixteen clerks of a hospital who settle until they are told to stop; what was answered is kept."""

    def __init__(self, client: Client, patients: list[Patient]) -> None:
        self._client = client
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self.answered: list[Answered] = []
        self._pool = ThreadPoolExecutor(CALLERS)
        self._working = [self._pool.submit(self._work, number, patient) for number, patient in enumerate(patients)]

    def _ask(self, method: str, request: Message) -> Message:
        response = self._client.call(method, request)
        with self._changed:
            self.answered.append((method, request, response))
            self._changed.notify_all()
        return response

    def _work(self, number: int, patient: Patient) -> None:
        ward = Ward(BEIJING_HOSPITAL, f"{number}-")
        for past in range(4_000, 10, -2):
            if self._stopping.is_set():
                return
            admission, discharge = days_ago(past), days_ago(past - 2)
            admitted = self._ask("Inpatient.Admit", ward.admission(patient.card_at_admission(), admission))
            assert isinstance(admitted, inpatient_pb2.InpatientAdmitResponse)
            stay = admitted.stay_id
            charged = self._ask("Inpatient.AddCharges", ward.charges(stay, line(1, admission, "2", "450.50")))
            assert isinstance(charged, inpatient_pb2.InpatientAddChargesResponse)
            self._ask("Inpatient.Discharge", ward.discharge(stay, discharge))
            card = patient.card_at_settlement(charged.stay_sum.total_fen, 100)
            self._ask("Inpatient.Settle", ward.settlement(stay, card))

    def until(self, more: int) -> None:
        """Wait until so many answers more were read."""
        with self._changed:
            goal = len(self.answered) + more
            reached = self._changed.wait_for(
                lambda: len(self.answered) >= goal or any(one.done() for one in self._working), TIMEOUT_S
            )
        assert reached, "the callers get no answers"
        for one in self._working:
            if one.done():
                one.result()

    def stop(self) -> None:
        self._stopping.set()
        for one in self._working:
            one.result(TIMEOUT_S)
        self._pool.shutdown()


def sequence_in(text: str) -> int:
    return int(text.rpartition("sequence ")[2].partition(", hash")[0].replace(",", ""))


@pytest.mark.timeout(240)
def test_what_was_acknowledged_before_a_backup_ended_is_answered_again_by_the_restored_hub(
    tmp_path: Path, pki: Pki
) -> None:
    backup, data = tmp_path / "backup", tmp_path / "restored"
    with (
        HubProcess(tmp_path / "hub", pki) as hub,
        Office(hub) as office,
        hub.connect(BEIJING_HOSPITAL, Retries()) as ward,
    ):
        patients = [office.agency.insure() for _ in range(CALLERS)]
        for patient in patients:
            office.agency.credit(patient, 10_000_000)
        settling = Settling(ward, patients)
        settling.until(FEW)
        back_up(hub, backup)
        settling.until(MANY)
        acknowledged = len(settling.answered)
        told = back_up(hub, backup)
        settling.until(FEW)
        settling.stop()
        assert hub.terminate() == 0
        assert command("verify", hub.data).returncode == 0

        last = sequence_in(told)
        restored = restore(backup, data, settings(tmp_path))
        assert restored.returncode == 0, restored.stderr
        assert sequence_in(restored.stdout) == last
        verified = command("verify", data)
        assert (verified.returncode, verified.stderr) == (0, ""), verified.stdout
        assert sequence_in(verified.stdout) == last

        kept = [one for one in settling.answered if one[2].header.sequence <= last]  # type: ignore[attr-defined]
        assert set(map(id, settling.answered[:acknowledged])) <= set(map(id, kept))
        assert len(kept) < len(settling.answered), "the hub went on behind the backup"
        hub.data = data
        hub.start()
        with hub.connect(BEIJING_HOSPITAL, Retries()) as again:
            for method, request, first in kept:
                response = again.call(method, request)
                assert response.header.replayed  # type: ignore[attr-defined]
                response.header.replayed = False  # type: ignore[attr-defined]
                assert response == first
            books = office.auditor.operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
        assert books.sum_fen == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Path:
    """Make a backup of two pieces."""
    root = tmp_path_factory.mktemp("made")
    with HubProcess(root / "hub", pki) as hub, Office(hub) as office:
        patient = office.agency.insure()
        assert "0 frame(s)" not in back_up(hub, root / "backup")
        office.agency.credit(patient, 100)
        back_up(hub, root / "backup")
        assert "nothing new" in back_up(hub, root / "backup")
    return root / "backup"


@pytest.fixture(scope="module")
def stood_still(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> tuple[Path, bytes]:
    """Make a backup with a snapshot of a hub that has done something since; and the digest of the hub then."""
    root = tmp_path_factory.mktemp("stood-still")
    with HubProcess(root / "hub", pki) as hub, Office(hub) as office:
        patient = office.agency.insure()
        assert "it holds the snapshot" not in back_up(hub, root / "backup"), "there is none"
        cut_snapshot(office)
        assert "it holds the snapshot behind frame" in back_up(hub, root / "backup")
        office.agency.credit(patient, 100)
        cut_snapshot(office)
        office.agency.credit(patient, 200, "2026-02")
        back_up(hub, root / "backup")
        digest = office.auditor.operations.digest(operations_pb2.OperationsDigestRequest()).digest
    assert len(list((root / "backup").glob("*.snapshot"))) == 1, "the newest one is kept"
    return root / "backup", digest


@pytest.fixture(scope="module")
def with_snapshot(stood_still: tuple[Path, bytes]) -> Path:
    return stood_still[0]


def digest_of(data: Path) -> tuple[bytes, int]:
    """Open a directory; the digest of its state, and the frame of the snapshot that it began with."""
    with Hub.open(data, settings=EngineSettings(segment_bytes=SEGMENT_BYTES)) as hub:
        auditor = hub.acting(["AUDITOR"], OPERATOR)
        digest = auditor.operations.digest(operations_pb2.OperationsDigestRequest()).digest
        return digest, hub.metrics()["begun_behind_frame"]


def test_a_backup_goes_on_where_it_ended_and_restores_whole(made: Path, tmp_path: Path) -> None:
    names = [path.stem.split("-") for path in pieces(made)]
    assert len(names) == 2
    assert int(names[1][0]) == int(names[0][1]) + 1
    restored = restore(made, tmp_path / "data", settings(tmp_path))
    assert restored.returncode == 0, restored.stderr
    shown = command("inspect", tmp_path / "data", "--from", str(int(names[1][1]) + 1))
    assert "epoch  epoch 2" in shown.stdout
    assert not list(tmp_path.glob("data/*.tmp"))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (lambda last: flip(last, 20), "frame"),
        (lambda last: flip(last, last.stat().st_size - 1), "does not have the hash it bears"),
        (lambda last: flip(last, 0), "label"),
        (lambda last: last.write_bytes(last.read_bytes()[:-1]), "the file ends within frame"),
        (lambda last: last.write_bytes(last.read_bytes()[:16]), "the file ends within frame"),
        (lambda last: last.write_bytes(last.read_bytes() + bytes(200)), "more than the frames"),
        (lambda last: pieces(last.parent)[0].unlink(), "are missing before it"),
    ],
)
def test_a_damaged_backup_is_refused_with_file_offset_and_reason_and_makes_nothing_that_opens(
    made: Path, tmp_path: Path, harm: object, reason: str
) -> None:
    backup, data = tmp_path / "backup", tmp_path / "data"
    shutil.copytree(made, backup)
    last = pieces(backup)[-1]
    assert callable(harm)
    harm(last)
    restored = restore(backup, data, settings(tmp_path))
    assert restored.returncode == 1, restored.stdout
    assert f"{last} at offset " in restored.stderr
    assert reason in restored.stderr
    if data.exists():
        opened = command("serve", "--data", data, "--insecure", "--listen", "127.0.0.1:0")
        assert opened.returncode == 1
        assert "a restore into this directory was interrupted; run it again" in opened.stderr
        mended = restore(made, data, settings(tmp_path))
        assert mended.returncode == 0, mended.stderr


def test_a_hub_that_cannot_read_its_journal_refers_the_operator_to_its_log(tmp_path: Path, pki: Pki) -> None:
    with HubProcess(tmp_path / "hub", pki) as hub, Office(hub) as office:
        office.agency.insure()
        segment = hub.data / "00000001.journal"
        with segment.open("r+b") as opened:
            opened.seek(4_096 + 100)
            opened.write(b"\xff")
        done = command("backup", "--from", hub.target, "--to", tmp_path / "backup", *tls_options(pki))
        assert done.returncode == 1
        assert done.stderr == (
            f"medsettle: {hub.target}: the hub cannot read its journal any further; its log says where. What was taken "
            "so far is kept. On its machine: medsettle verify DATA\n"
        )
        assert f"{segment} at offset 4096" in hub.log


@pytest.mark.parametrize(
    "name", ["LOCK", "IDENTITY", "00000001.journal.tmp", "00000001.journal", "index", "snapshot.tmp"]
)
def test_a_restore_that_was_killed_leaves_nothing_that_opens_and_can_be_run_again(
    made: Path, with_snapshot: Path, tmp_path: Path, name: str
) -> None:
    backup = with_snapshot if name in ("index", "snapshot.tmp") else made
    data, config = tmp_path / "data", settings(tmp_path)
    options = ["--backup", backup, "--to", data, "--config", config]
    process = subprocess.Popen(
        [sys.executable, "-m", "medsettle", "restore", *map(str, options)], stdout=subprocess.DEVNULL
    )
    while not (data / name).exists() and process.poll() is None:
        pass
    process.kill()
    process.wait(TIMEOUT_S)
    identity = data / "IDENTITY"
    if process.returncode == -signal.SIGKILL and not (identity.exists() and identity.read_bytes()[:8] == b"MEDIDENT"):
        if identity.exists():
            verified = command("verify", data)
            assert verified.returncode == 1
            assert "a restore into this directory was interrupted; run it again" in verified.stdout
        assert restore(backup, data, config).returncode == 0
    assert command("verify", data).returncode == 0


def test_a_restore_never_touches_a_directory_that_holds_something(made: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "mine").write_text("mine")
    restored = restore(made, data, settings(tmp_path))
    assert (restored.returncode, restored.stdout) == (2, "")
    assert f"{data} is not empty" in restored.stderr
    assert [path.name for path in data.iterdir()] == ["mine"]
    nothing = restore(tmp_path / "data", tmp_path / "other", settings(tmp_path))
    assert nothing.returncode == 2
    assert "holds no backup" in nothing.stderr


def test_a_restore_never_takes_a_hub_whose_identity_is_lost_for_what_an_interrupted_one_left(
    made: Path, tmp_path: Path
) -> None:
    data, config = tmp_path / "data", settings(tmp_path)
    assert restore(made, data, config).returncode == 0
    (data / "IDENTITY").write_bytes(b"")
    segment = (data / "00000001.journal").read_bytes()
    assert restore(made, data, config).returncode == 2
    assert (data / "00000001.journal").read_bytes() == segment


def test_a_restored_hub_starts_with_the_snapshot_of_its_backup_and_has_the_digest_it_had(
    stood_still: tuple[Path, bytes], tmp_path: Path
) -> None:
    backup, digest = stood_still
    (snapshot,) = backup.glob("*.snapshot")
    frame = int(snapshot.stem)
    data = tmp_path / "data"
    restored = restore(backup, data, settings(tmp_path))
    assert (restored.returncode, restored.stderr) == (0, "")
    assert f"the first start begins with the snapshot behind frame {frame:,}\n" in restored.stdout
    verified = command("verify", data, "--replay")
    assert (verified.returncode, verified.stderr) == (0, ""), verified.stdout
    assert f"the state behind frame {frame:,}," in verified.stdout
    assert digest_of(data) == (digest, frame)


def test_a_backup_whose_snapshot_is_damaged_restores_whole_and_says_what_it_passed_over(
    stood_still: tuple[Path, bytes], tmp_path: Path
) -> None:
    made, digest = stood_still
    backup, data = tmp_path / "backup", tmp_path / "data"
    shutil.copytree(made, backup)
    (snapshot,) = backup.glob("*.snapshot")
    flip(snapshot, 5_000)
    restored = restore(backup, data, settings(tmp_path))
    assert restored.returncode == 0
    assert restored.stderr == f"medsettle: {snapshot} was passed over: its content does not have the hash it bears\n"
    assert "the first start begins without a snapshot" in restored.stdout
    assert digest_of(data) == (digest, 0)


def test_a_damaged_snapshot_of_the_hub_is_left_for_the_one_before(tmp_path: Path, pki: Pki) -> None:
    with HubProcess(tmp_path / "hub", pki) as hub, Office(hub) as office:
        for _ in range(2):
            patient = office.agency.insure()
            cut_snapshot(office)
        older, newer = sorted(hub.data.glob("*.snapshot"))
        flip(newer, 5_000)
        done = command("backup", "--from", hub.target, "--to", tmp_path / "backup", *tls_options(pki))
        assert (done.returncode, done.stderr.count("was passed over: its content")) == (0, 1), done.stderr
        assert [path.name for path in (tmp_path / "backup").glob("*.snapshot")] == [older.name]
        office.agency.credit(patient, 1)
        # What cannot be used is asked for again, and again the one before is there already.
        assert f"frame {int(older.stem):,}" in back_up(hub, tmp_path / "backup")


def test_a_hub_that_cannot_read_its_snapshot_fails_no_backup(made: Path, tmp_path: Path, pki: Pki) -> None:
    data = tmp_path / "data"
    assert restore(made, data, settings(tmp_path)).returncode == 0
    with HubProcess(tmp_path / "hub", pki, data=data) as hub:
        (data / f"{1:020}.snapshot").mkdir()
        done = command("backup", "--from", hub.target, "--to", tmp_path / "backup", *tls_options(pki))
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("medsettle: no snapshot was taken: INTERNAL")
        assert "Operations.TakeSnapshot failed." in hub.log
    assert restore(tmp_path / "backup", tmp_path / "again", settings(tmp_path)).returncode == 0


def test_a_snapshot_that_is_replaced_while_it_is_taken_fails_no_backup(tmp_path: Path, pki: Pki) -> None:
    with HubProcess(tmp_path / "hub", pki) as hub, Office(hub) as office, Backup(tmp_path / "backup") as kept:
        random = Random(7)
        for year in range(2001, 2005):
            items = [
                packages_pb2.CatalogueItem(code=f"B{number}", name=random.randbytes(75).hex())
                for number in range(8_000)
            ]
            for item in items:
                setattr(item, "class", packages_pb2.CatalogueItem.A)
            request = packages_pb2.PackagesInstallCatalogueRequest(
                header=office.agency.operator.header(),
                catalogue=packages_pb2.Catalogue(region="370100", effective_from=f"{year}-01-01", items=items),
            )
            office.operator.packages.install_catalogue(request)
        cut_snapshot(office)
        (first,) = hub.data.glob("*.snapshot")
        whole = first.read_bytes()
        for page in office.operator.operations.take_journal(TAKE_ALL):
            kept.take(page.frames)
        messages = 0

        def ask(last_frame: int) -> Iterator[operations_pb2.OperationsTakeSnapshotResponse]:
            nonlocal messages
            request = operations_pb2.OperationsTakeSnapshotRequest(last_frame_number=last_frame)
            for page in office.operator.operations.take_snapshot(request):
                messages += 1
                yield page
                if messages == 1:
                    for _ in range(2):
                        office.agency.insure()
                        cut_snapshot(office)
                    assert not first.exists()

        assert kept.take_snapshot(ask) == []
        assert messages > 1
        assert (tmp_path / "backup" / first.name).read_bytes() == whole


def test_a_hub_that_has_forgotten_what_its_backup_holds_is_told_so(made: Path, tmp_path: Path, pki: Pki) -> None:
    backup = tmp_path / "backup"
    shutil.copytree(made, backup)
    with HubProcess(tmp_path / "hub", pki) as hub:
        told = command("backup", "--from", hub.target, "--to", backup, *tls_options(pki))
    assert told.returncode == 1
    assert "the hub has forgotten" in told.stderr
    assert [path.name for path in pieces(backup)] == [path.name for path in pieces(made)]


def test_only_an_operator_takes_the_journal(hub: HubProcess, tmp_path: Path, pki: Pki) -> None:
    take_snapshot = operations_pb2.OperationsTakeSnapshotRequest(last_frame_number=1)
    with hub.connect(BEIJING_HOSPITAL, Retries()) as ward:
        with pytest.raises(Rejected, match="ROLE_FORBIDDEN"):
            list(ward.operations.take_journal(TAKE_ALL))
        with pytest.raises(Rejected, match="ROLE_FORBIDDEN"):
            list(ward.operations.take_snapshot(take_snapshot))
    refused = command("backup", "--from", hub.target, "--to", tmp_path / "b", *tls_options(pki, BEIJING_HOSPITAL))
    assert refused.returncode == 1
    assert "ROLE_FORBIDDEN" in refused.stderr


def test_a_taker_who_does_not_read_holds_up_nobody(hub: HubProcess, office: Office) -> None:
    patient = office.agency.insure()
    with hub.connect(OPERATOR, Retries()) as operator:
        slow = operator.operations.take_journal(TAKE_ALL)
        first = next(slow)
        assert first.frames[0].frame_number == 1
        for number in range(50):
            office.agency.credit(patient, 1, f"p{number}")
        slow.close()  # type: ignore[attr-defined]
    with hub.connect(OPERATOR, Retries()) as operator:
        numbers = [frame.frame_number for page in operator.operations.take_journal(TAKE_ALL) for frame in page.frames]
    assert numbers == list(range(1, len(numbers) + 1))
