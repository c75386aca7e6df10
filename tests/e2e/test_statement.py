"""A statement over real gRPC: many messages, for the desk and not for a hospital."""

import pytest

from medsettle.errors import Rejected
from medsettle.v1 import accounts_pb2
from trial_site import HubProcess, Office
from trial_world import AUDITOR, BEIJING_HOSPITAL

CREDITS = 600


def test_a_long_statement_arrives_whole_and_in_order_for_who_may_read_it(hub: HubProcess, office: Office) -> None:
    patient = office.agency.insure()
    for period in range(CREDITS):
        office.agency.credit(patient, period + 1, f"p{period}")
    request = accounts_pb2.AccountsStatementRequest(person_id=patient.person_id)
    with hub.connect(AUDITOR) as auditor:
        messages = list(auditor.accounts.statement(request))
    entries = [entry for message in messages for entry in message.entries]
    assert len(messages) > 1
    assert [entry.amount_fen for entry in entries] == list(range(1, CREDITS + 1))
    assert entries[-1].balance_fen == sum(range(1, CREDITS + 1))
    assert messages[0].header.chain_hash
    with hub.connect(BEIJING_HOSPITAL) as ward, pytest.raises(Rejected, match="ROLE_FORBIDDEN"):
        next(ward.accounts.statement(request))
