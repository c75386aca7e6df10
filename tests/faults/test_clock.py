"""Row 14: a real hub on a journal from a later day. It decides nothing until an operator confirms the clock.

No LD_PRELOAD reaches the hub's clock, which asks the kernel without the C library, so here the journal is from tomorrow
instead of the clock from yesterday; every other jump is tried with an injected clock in rust/engine/clock.rs.
"""

import time
from pathlib import Path

import pytest

from medsettle import Hub, ManualClock
from medsettle.client import Client
from medsettle.errors import Rejected
from medsettle.v1 import accounts_pb2, operations_pb2, persons_pb2
from trial_site import HubProcess, Pki
from trial_world import AUDITOR, DESK, ISSUER, OPERATOR, ROLE_OF, Agency, Caller, found_world

DAY_MS = 86_400_000
Status = operations_pb2.OperationsStatusResponse


def status(client: Client) -> Status:
    return client.operations.status(operations_pb2.OperationsStatusRequest())


@pytest.mark.fault(14)
def test_a_hub_whose_clock_is_a_day_behind_its_journal_decides_nothing_until_an_operator_confirms_it(
    tmp_path: Path, pki: Pki
) -> None:
    hub = HubProcess(tmp_path, pki, settings={"seal_after_ms": 3_600_000})
    tomorrow = ManualClock(time.time_ns() // 1_000_000 + DAY_MS)
    with Hub.open(hub.data, clock=tomorrow) as written:
        office = {code: written.acting([ROLE_OF[code]], code) for code in (OPERATOR, DESK, ISSUER)}
        found_world(office[OPERATOR])
        patient = Agency(office[DESK], office[ISSUER], office[OPERATOR]).insure()
    with hub, hub.reach(OPERATOR) as operator, hub.reach(AUDITOR) as auditor:
        before = status(auditor)
        assert (before.state, before.header.stamp_ms) == (Status.CLOCK_SUSPECT, tomorrow.now_ms)
        caller = Caller(OPERATOR, "clock-")
        credit = accounts_pb2.AccountsCreditRequest(
            header=caller.header(), person_id=patient.person_id, amount_fen=7, period_key="1"
        )
        with pytest.raises(Rejected, match="CLOCK_SUSPECT"):
            operator.accounts.credit(credit)
        with hub.reach(DESK) as desk:
            read = desk.persons.get(persons_pb2.PersonsGetRequest(person_id=patient.person_id))
            assert read.person.person_id == patient.person_id, "reads go on"
        assert status(auditor).header == before.header

        operator.operations.confirm_clock(operations_pb2.OperationsConfirmClockRequest(header=caller.header()))
        assert status(auditor).state == Status.SERVING
        credited = operator.accounts.credit(credit)
        assert credited.header.stamp_ms == tomorrow.now_ms, "a stamp never goes back"
        after = status(auditor)
        hub.kill()
        hub.start()
        with hub.reach(AUDITOR) as again:
            assert status(again).header == after.header, "replay gives the same"
