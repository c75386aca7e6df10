"""Row 5: a write or sync of a frame fails in the real process, which answers nothing, halts, says why, retries nothing.

strace fails the calls of the writing thread, so the disk itself stays sound and a restart shows what was left on it.
`MEDSETTLE_FAULT_CALLS` says how many calls are failed, one after another; `make faults` takes more.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from trial_credits import Credits
from trial_site import HubProcess, Office, Pki
from trial_strace import WRITER, Traced, thread_of
from trial_world import OPERATOR

CALLS = int(os.environ.get("MEDSETTLE_FAULT_CALLS", "3"))
HALTED = 3
"""Exit code of a hub that halted."""

SETTINGS = {"segment_bytes": 32 << 10, "seal_after_ms": 3_600_000}
"""Segments of seven frames, so that calls at their borders fail as well; no frames but those of the test."""


@dataclass(frozen=True)
class Failure:
    """What strace does to a call, what the hub says of it, and whether the whole frame is on the disk nevertheless."""

    call: str
    inject: str
    said: str
    frame_stays: bool = False


FAILURES = {
    "a write gives EIO": Failure("pwrite64", "error=EIO", "Input/output error"),
    "a write gives ENOSPC": Failure("pwrite64", "error=ENOSPC", "No space left on device"),
    "a write is short": Failure("pwrite64", "retval=512", "short write: 512 of 4096 bytes"),
    "a sync gives EIO": Failure("fdatasync", "error=EIO", "Input/output error", frame_stays=True),
    "a sync gives ENOSPC": Failure("fdatasync", "error=ENOSPC", "No space left on device", frame_stays=True),
}


@pytest.mark.fault(5)
@pytest.mark.usefixtures("strace")
@pytest.mark.timeout(120 + 20 * CALLS)
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_hub_whose_disk_fails_answers_nothing_halts_and_comes_back_with_what_it_acknowledged(
    tmp_path: Path, pki: Pki, failure: Failure
) -> None:
    with HubProcess(tmp_path, pki, settings=SETTINGS) as hub:
        with Office(hub) as office:
            credits = Credits(hub, office)
        for nth in range(1, CALLS + 1):
            paid, said_before = len(credits.acknowledged), len(hub.log)
            inject = f"{failure.inject}:when={nth}"
            writer = thread_of(hub.pid, WRITER)
            traced = Traced(tmp_path / "trace", writer, "pwrite64,fdatasync", inject_at=failure.call, inject=inject)
            with hub.reach(OPERATOR) as client, traced:
                assert credits.pay_until_it_dies(client, nth), "the hub answered what it could not make durable"
                assert hub.ended() == HALTED
            assert len(credits.acknowledged) == paid + nth - 1
            said = hub.log[said_before:]
            assert "medsettle: the hub halted: " in said
            assert failure.said in said

            calls = traced.calls()
            assert [call.injected for call in calls].count(True) == 1
            assert calls[-1].injected, "a halted hub touches the disk no more"
            assert calls[-1].name == failure.call

            hub.start()
            assert credits.check() == failure.frame_stays
            with hub.reach(OPERATOR) as client:
                credits.pay(client)
        assert not credits.check(everything=True)
