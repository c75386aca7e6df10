"""Row 6: the disk is full when the next segment is prepared, and has room again later; the same process goes on.

Also row 5's other half: a disk without room is met by the preparer, so it is refused work and no halt.
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from medsettle.client import Client
from medsettle.errors import Rejected
from medsettle.v1 import operations_pb2
from trial_credits import Credits
from trial_disks import MIB, Disk, Disks
from trial_site import HubProcess, Office, Pki
from trial_world import AUDITOR, OPERATOR

SEGMENT_BYTES = MIB
ROOM_BYTES = 2 * SEGMENT_BYTES + SEGMENT_BYTES // 2
"""Two segments, and half of the third."""
MOST_COMMITS = 600
NOTICED_S = 30

Status = operations_pb2.OperationsStatusResponse


def in_memory(disks: Disks) -> tuple[Disk, Callable[[], None]]:
    disk = disks.memory(ROOM_BYTES)
    return disk, lambda: disk.enlarge(8 * SEGMENT_BYTES)


def on_ext4(disks: Disks) -> tuple[Disk, Callable[[], None]]:
    disk = disks.image("ext4")
    ballast = disk.path / "ballast"
    with ballast.open("wb") as file:
        size = 1 << 16
        try:
            while True:
                file.write(bytes(size))
                file.flush()
        except OSError:
            file.truncate(file.tell() // MIB * MIB - ROOM_BYTES)
    return disk, ballast.unlink


def state(auditor: Client) -> int:
    return auditor.operations.status(operations_pb2.OperationsStatusRequest()).state


@pytest.mark.fault(6)
@pytest.mark.parametrize("full", [in_memory, on_ext4], ids=["tmpfs is enlarged", "space is freed on ext4"])
def test_a_full_disk_refuses_new_work_stays_readable_and_goes_on_by_itself(
    tmp_path: Path, pki: Pki, disks: Disks, full: Callable[[Disks], tuple[Disk, Callable[[], None]]]
) -> None:
    disk, make_room = full(disks)
    settings = {"segment_bytes": SEGMENT_BYTES, "seal_after_ms": 3_600_000}
    # The records index wants more room than all these segments, so it lies elsewhere: the preparer is to meet it.
    data, index = disk.path / "data", tmp_path / "index"
    data.mkdir()
    index.mkdir()
    (data / "index").symlink_to(index)
    with HubProcess(tmp_path / "site", pki, data=data, settings=settings) as hub:
        pid = hub.pid
        with Office(hub) as office:
            credits = Credits(hub, office)
        with hub.reach(OPERATOR) as client, hub.connect(AUDITOR) as auditor:
            with pytest.raises(Rejected) as refused:
                for _ in range(MOST_COMMITS):
                    credits.pay(client)
            assert refused.value.reason == "DISK_FULL"
            assert state(auditor) == Status.DISK_FULL
            assert not credits.check(everything=True), "what was acknowledged is told, what was refused is not there"
            assert len(credits.acknowledged) > SEGMENT_BYTES // 4096 // 2

            make_room()
            until_s = time.monotonic() + NOTICED_S
            while state(auditor) != Status.SERVING:
                assert time.monotonic() < until_s, "the room is not noticed"
                time.sleep(0.05)
            for _ in range(10):
                credits.pay(client)
            assert not credits.acknowledged[-10][1].header.replayed, "the refusal bound no request id"
        assert not credits.check(everything=True)
        assert hub.pid == pid
        hub.kill()
        hub.start()
        assert not credits.check(everything=True)
