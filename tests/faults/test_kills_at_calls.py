"""Row 7: SIGKILL at every system call of the commit path, of whichever thread makes it.

One commit after another is watched first; then the hub is killed at the n-th call of every kind that was seen. Dying
behind a call is dying before the next one. `MEDSETTLE_FAULT_CALLS` says how many of a kind; random kills under load are
in e2e/test_kill.py.
"""

import os
import signal
from pathlib import Path

import pytest

from trial_credits import Credits
from trial_report import Figures
from trial_site import HubProcess, Office, Pki
from trial_strace import Traced
from trial_world import OPERATOR

CALLS = int(os.environ.get("MEDSETTLE_FAULT_CALLS", "3"))
SETTINGS = {"segment_bytes": 32 << 10, "seal_after_ms": 3_600_000}
WATCHED = 16
"""Commits: more than two segments hold, so that the preparer is seen at work."""
MOST_COMMITS = 40


def seen_calls(hub: HubProcess, credits: Credits, log: Path) -> list[str]:
    """Name every system call that the hub makes while it commits."""
    with hub.reach(OPERATOR) as client, Traced(log, hub.pid, "all", follow=True) as traced:
        assert not credits.pay_until_it_dies(client, WATCHED)
    return sorted({call.name for call in traced.calls()})


@pytest.mark.fault(7)
@pytest.mark.usefixtures("strace")
@pytest.mark.timeout(300 + 300 * CALLS)
def test_a_hub_killed_at_any_system_call_of_a_commit_keeps_what_it_acknowledged_and_nothing_else(
    tmp_path: Path, pki: Pki, figures: Figures
) -> None:
    killed_at: list[str] = []
    with HubProcess(tmp_path, pki, settings=SETTINGS) as hub:
        with Office(hub) as office:
            credits = Credits(hub, office)
        names = seen_calls(hub, credits, tmp_path / "trace")
        assert {"pwrite64", "fdatasync", "rename", "fsync"} <= set(names), names
        for name in names:
            for nth in range(1, CALLS + 1):
                inject = f"signal=KILL:when={nth}"
                traced = Traced(tmp_path / "trace", hub.pid, name, inject_at=name, inject=inject, follow=True)
                with hub.reach(OPERATOR) as client, traced:
                    died = credits.pay_until_it_dies(client, MOST_COMMITS)
                if not died:
                    break
                assert hub.ended() == -signal.SIGKILL
                killed_at.append(name)
                hub.start()
                credits.check()
        assert not credits.check(everything=True)
    assert {"pwrite64", "fdatasync"} <= set(killed_at)
    figures(
        f"killed at {len(killed_at)} system calls of {len(set(killed_at))} kinds "
        f"({', '.join(dict.fromkeys(killed_at))}): {len(credits.acknowledged)} commits acknowledged, each there once"
    )
