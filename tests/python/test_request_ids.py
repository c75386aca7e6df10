"""Row 13: a request that comes again, after a restart, or with another body, over an embedded hub.

A dictionary is the model: an id means the first request that was sent under it, for ever. Everything else about the hub
may change between, also the process.
"""

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from medsettle import Rejected
from medsettle.v1 import accounts_pb2, messages_pb2, operations_pb2
from trial_town import Town
from trial_world import OPERATOR, Caller, Patient

Outcome = messages_pb2.MessagesGetOutcomeResponse
names = st.integers(0, 11)
amounts = st.integers(1, 9)


class RequestIds(RuleBasedStateMachine):
    """Contributions of a few fen under few names, so that names meet again and again."""

    town: Town
    patient: Patient
    histories = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).histories += 1
        self.first: dict[int, tuple[accounts_pb2.AccountsCreditRequest, accounts_pb2.AccountsCreditResponse]] = {}
        self.before_fen = self.balance_fen()

    def balance_fen(self) -> int:
        request = accounts_pb2.AccountsGetRequest(person_id=self.patient.person_id)
        return self.town.acting(OPERATOR).accounts.get(request).accounts[0].balance_fen

    def request(self, name: int, amount_fen: int) -> accounts_pb2.AccountsCreditRequest:
        header = Caller(OPERATOR).header()
        header.request_id = f"h{self.histories}-{name}"
        return accounts_pb2.AccountsCreditRequest(
            header=header,
            person_id=self.patient.person_id,
            amount_fen=amount_fen,
            period_key=f"{header.request_id} of {amount_fen}",
        )

    @rule(name=names, amount_fen=amounts)
    def send(self, name: int, amount_fen: int) -> None:
        request = self.request(name, amount_fen)
        known = self.first.get(name)
        try:
            response = self.town.acting(OPERATOR).accounts.credit(request)
        except Rejected as refusal:
            assert refusal.reason == "REQUEST_ID_REUSED"
            assert known is not None
            assert known[0].amount_fen != amount_fen
            return
        assert response.header.replayed == (known is not None)
        if known is None:
            self.first[name] = request, response
        else:
            assert known[0].amount_fen == amount_fen, "another body was taken for the first"
            self.is_first_answer(response, known[1])

    @staticmethod
    def is_first_answer(
        response: accounts_pb2.AccountsCreditResponse, first: accounts_pb2.AccountsCreditResponse
    ) -> None:
        response.header.replayed = False
        assert response == first

    @precondition(lambda self: self.first)
    @rule(data=st.data())
    def send_again_by_another_clerk(self, data: st.DataObject) -> None:
        request, first = self.first[data.draw(st.sampled_from(sorted(self.first)))]
        again = accounts_pb2.AccountsCreditRequest()
        again.CopyFrom(request)
        again.header.operator = "somebody else"
        response = self.town.acting(OPERATOR).accounts.credit(again)
        assert response.header.replayed
        self.is_first_answer(response, first)

    @rule(name=names)
    def ask_for_the_outcome(self, name: int) -> None:
        request = messages_pb2.MessagesGetOutcomeRequest(request_id=self.request(name, 1).header.request_id)
        found = self.town.acting(OPERATOR).messages.get_outcome(request)
        if name not in self.first:
            assert found.outcome == Outcome.UNKNOWN
            return
        assert (found.outcome, found.method) == (Outcome.ACCEPTED, "Accounts.Credit")
        response = accounts_pb2.AccountsCreditResponse.FromString(found.original_response)
        self.is_first_answer(response, self.first[name][1])

    @rule()
    def restart(self) -> None:
        self.town.hub.close()
        type(self).town.hub = self.town.open()

    def teardown(self) -> None:
        effects_fen = sum(request.amount_fen for request, _ in self.first.values())
        assert self.balance_fen() == self.before_fen + effects_fen, "one effect each"
        books = self.town.acting(OPERATOR).operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
        assert books.sum_fen == 0


@pytest.mark.fault(13)
def test_an_id_means_its_first_request_for_ever() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        town = Town(Path(scratch))
        RequestIds.town, RequestIds.patient = town, town.insured()
        try:
            run_state_machine_as_test(
                RequestIds,
                settings=settings(
                    max_examples=40,
                    stateful_step_count=40,
                    deadline=None,
                    derandomize=True,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            town.hub.close()
