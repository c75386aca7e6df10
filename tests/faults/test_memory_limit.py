"""Row 15: the hub grows until its memory ends. What it acknowledged is safe, whoever says no first.

What the state holds grows with persons, so people are enrolled until the hub refuses or the kernel kills it.
"""

import os
import signal
from pathlib import Path

import pytest

from medsettle.client import Client
from medsettle.errors import NoAnswer, Rejected, Unavailable
from medsettle.v1 import batch_pb2, common_pb2, messages_pb2, operations_pb2
from trial_memory import MemoryLimit
from trial_report import Figures
from trial_site import HubProcess, Office, Pki
from trial_world import AUDITOR, DESK

ROOM_BYTES = 24 << 20
BATCH = 1_000
MOST_BATCHES = 300
CHUNK = 5_000
KILLED = "killed by the kernel"
Outcome = messages_pb2.MessagesGetOutcomeResponse


def enrolments(office: Office, numbers: range) -> batch_pb2.BatchSubmitRequest:
    batch = batch_pb2.BatchSubmitRequest()
    for number in numbers:
        request = batch.commands.add().persons_enroll
        request.CopyFrom(office.agency.enrolment(0))
        passport = common_pb2.Certificate(kind=common_pb2.Certificate.PASSPORT, number=f"E{number:010d}")
        request.certificates[0].CopyFrom(passport)
    return batch


def ids_of(batch: batch_pb2.BatchSubmitRequest) -> list[str]:
    return [command.persons_enroll.header.request_id for command in batch.commands]


def enrol_until_refused_or_killed(office: Office, client: Client, acknowledged: list[str]) -> str:
    """Enrol thousand after thousand; gives how that ended."""
    for number in range(MOST_BATCHES):
        batch = enrolments(office, range(number * BATCH, (number + 1) * BATCH))
        try:
            results = client.submit(batch).results
        except (Rejected, Unavailable) as refused:
            return f"refused with {refused}"
        except NoAnswer:
            return KILLED
        assert {result.WhichOneof("result") for result in results} == {"persons_enroll"}
        acknowledged += ids_of(batch)
    raise AssertionError("the memory never ended")


@pytest.mark.fault(15)
@pytest.mark.timeout(300)
def test_a_hub_without_memory_loses_nothing_that_it_acknowledged(tmp_path: Path, pki: Pki, figures: Figures) -> None:
    acknowledged: list[str] = []
    with (
        MemoryLimit(f"medsettle-tests-{os.getpid()}") as memory,
        HubProcess(tmp_path, pki, launcher=memory.launcher) as hub,
        Office(hub) as office,
    ):
        memory.set(memory.used_bytes() + ROOM_BYTES)
        with hub.reach(DESK) as desk:
            end = enrol_until_refused_or_killed(office, desk, acknowledged)
        if end == KILLED:
            assert hub.ended() == -signal.SIGKILL
            assert memory.kills() == 1
        else:
            hub.kill()
        hub.launcher = ()
        hub.start()
        check(hub, acknowledged)
    figures(f"{ROOM_BYTES >> 20} MiB for growing: {end} after {len(acknowledged)} enrolments, each there once")


def check(hub: HubProcess, acknowledged: list[str]) -> None:
    with hub.reach(DESK) as desk, hub.reach(AUDITOR) as auditor:
        for start in range(0, len(acknowledged), CHUNK):
            batch = batch_pb2.BatchSubmitRequest()
            for request_id in acknowledged[start : start + CHUNK]:
                batch.commands.add().messages_get_outcome.request_id = request_id
            outcomes = {result.messages_get_outcome.outcome for result in desk.submit(batch).results}
            assert outcomes == {Outcome.ACCEPTED}
        status = auditor.operations.status(operations_pb2.OperationsStatusRequest())
        assert len(acknowledged) <= status.persons <= len(acknowledged) + BATCH
        trial = auditor.operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
        assert trial.sum_fen == 0
