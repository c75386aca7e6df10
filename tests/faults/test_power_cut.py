"""Rows 8 and 19: the power fails, and what no sync had written is gone.

The data directory lies in an image, and the GOINGDOWN ioctl cuts the power of the file system in it: the page cache is
gone, and not even the file system's own journal is flushed. `MEDSETTLE_CUTS` says how often under load.
"""

import os
import signal
from pathlib import Path

import pytest

from trial_credits import Credits
from trial_disks import Disk, Disks
from trial_oracle import Load
from trial_report import Figures
from trial_site import HubProcess, Office, Pki
from trial_strace import WRITER, Traced, thread_of
from trial_world import OPERATOR

CUTS = int(os.environ.get("MEDSETTLE_CUTS", "3"))
ANSWERS = (100, 400)
SETTINGS = {"segment_bytes": 1 << 20}
UNSEALED = {**SETTINGS, "seal_after_ms": 3_600_000}
"""The sync of a seal frame would write out what no sync had written before."""
KINDS = ("ext4", "xfs")


def restart_after_power_cut(hub: HubProcess, disk: Disk) -> None:
    """Kill what is left of the hub, and start it on a machine that starts."""
    hub.kill()
    disk.power_on()
    hub.start()


@pytest.mark.fault(8)
@pytest.mark.timeout(120 + 40 * CUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_acknowledged_survives_power_cuts_under_load(
    tmp_path: Path, pki: Pki, disks: Disks, figures: Figures, kind: str
) -> None:
    disk = disks.image(kind)
    hub = HubProcess(tmp_path / "site", pki, data=disk.path / "data", settings=SETTINGS)
    with hub, Office(hub) as office, Load(hub, office) as load:
        for _ in range(CUTS):
            load.work_until_the_hub_dies(ANSWERS, disk.cut_power)
            restart_after_power_cut(hub, disk)
            load.check_the_hub_that_came_back()
        load.check_everything()
    figures(
        f"{CUTS} power cuts on {kind} under load: {len(load.oracle.answered)} answers acknowledged, each there once"
    )


@pytest.mark.fault(8)
@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("kind", KINDS)
def test_a_power_cut_loses_what_a_disk_only_said_to_have_synced(
    tmp_path: Path, pki: Pki, disks: Disks, kind: str
) -> None:
    """The cut is real: where the sync is a lie, acknowledged facts are gone, which the other tests would see."""
    disk = disks.image(kind)
    with HubProcess(tmp_path / "site", pki, data=disk.path / "data", settings=UNSEALED) as hub:
        with Office(hub) as office:
            credits = Credits(hub, office)
        with hub.reach(OPERATOR) as client:
            credits.pay(client)
            writer = thread_of(hub.pid, WRITER)
            with Traced(tmp_path / "trace", writer, "fdatasync", inject_at="fdatasync", inject="retval=0"):
                assert not credits.pay_until_it_dies(client, 5)
        assert credits.answered_count() == 6
        disk.cut_power()
        restart_after_power_cut(hub, disk)
        assert credits.answered_count() == 1


@pytest.mark.fault(19)
@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_killed_hub_had_written_but_not_synced_is_not_answered_and_then_lost(
    tmp_path: Path, pki: Pki, disks: Disks, kind: str
) -> None:
    disk = disks.image(kind)
    with HubProcess(tmp_path / "site", pki, data=disk.path / "data", settings=UNSEALED) as hub:
        with Office(hub) as office:
            credits = Credits(hub, office)
        with hub.reach(OPERATOR) as client:
            credits.pay(client)
            # The frame is in the page cache; the process dies instead of syncing it.
            writer = thread_of(hub.pid, WRITER)
            with Traced(tmp_path / "trace", writer, "fdatasync", inject_at="fdatasync", inject="signal=KILL"):
                assert credits.pay_until_it_dies(client, 1)
        assert hub.ended() == -signal.SIGKILL
        hub.start()
        assert credits.check(), "the restarted hub reads the frame from the page cache"
        with hub.reach(OPERATOR) as client:
            credits.pay(client)
        assert credits.acknowledged[-1][1].header.replayed
        disk.cut_power()
        restart_after_power_cut(hub, disk)
        with hub.reach(OPERATOR) as client:
            request, first = credits.acknowledged[-1]
            assert client.accounts.credit(request) == first, "what was answered stays answered"
