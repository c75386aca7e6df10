"""An operator who pays one fen after another into one account, and what the hub must hold of it.

Owns the smallest load whose every commit moves money, so that what is lost or there twice shows in the books.
Invariant: one request is under way at a time; it is sent again, unchanged, until it is answered.
"""

import itertools

from medsettle.client import Client
from medsettle.errors import NoAnswer, Unavailable
from medsettle.v1 import accounts_pb2, messages_pb2, operations_pb2
from trial_site import HubProcess, Office
from trial_world import AUDITOR, OPERATOR, Caller

Paid = tuple[accounts_pb2.AccountsCreditRequest, accounts_pb2.AccountsCreditResponse]


class Credits:
    """Contributions to the account of one person."""

    def __init__(self, hub: HubProcess, office: Office) -> None:
        self._hub = hub
        self._patient = office.agency.insure()
        self._caller, self._periods = Caller(OPERATOR, "credit-"), itertools.count(1)
        self._facts_before = office.sequence()
        self.acknowledged: list[Paid] = []
        self._checked = 0
        self.in_doubt: accounts_pb2.AccountsCreditRequest | None = None

    def pay(self, client: Client) -> None:
        """Pay one fen; what is in doubt is paid first."""
        request = self.in_doubt or accounts_pb2.AccountsCreditRequest(
            header=self._caller.header(),
            person_id=self._patient.person_id,
            amount_fen=1,
            period_key=str(next(self._periods)),
        )
        self.in_doubt = request
        response = client.accounts.credit(request)
        self.acknowledged.append((request, response))
        self.in_doubt = None

    def pay_until_it_dies(self, client: Client, at_most: int) -> bool:
        """Pay as often as that, or until the hub is gone; gives whether it is."""
        try:
            for _ in range(at_most):
                self.pay(client)
        except (NoAnswer, Unavailable):
            return True
        return False

    def check(self, *, everything: bool = False) -> bool:
        """See that the hub holds exactly what was acknowledged, and at most what is in doubt; gives whether it does."""
        with self._hub.reach(OPERATOR) as client, self._hub.reach(AUDITOR) as auditor:
            found = self.in_doubt is not None and self._is_accepted(client, self.in_doubt)
            count = len(self.acknowledged) + found
            trial = auditor.operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
            assert (trial.sum_fen, trial.personal_balances_fen) == (0, count)
            status = auditor.operations.status(operations_pb2.OperationsStatusRequest())
            assert status.header.sequence == self._facts_before + count, "facts that nobody asked for, or too few"
            for request, first in self.acknowledged[0 if everything else self._checked :]:
                again = client.accounts.credit(request)
                assert again.header.replayed
                again.header.replayed = first.header.replayed
                assert again == first
        self._checked = len(self.acknowledged)
        return found

    def answered_count(self) -> int:
        """Count what the hub has of the acknowledged, without judging it."""
        with self._hub.reach(OPERATOR) as client:
            return sum(self._is_accepted(client, request) for request, _ in self.acknowledged)

    @staticmethod
    def _is_accepted(client: Client, request: accounts_pb2.AccountsCreditRequest) -> bool:
        asked = messages_pb2.MessagesGetOutcomeRequest(request_id=request.header.request_id)
        outcome = client.messages.get_outcome(asked).outcome
        assert outcome in (
            messages_pb2.MessagesGetOutcomeResponse.ACCEPTED,
            messages_pb2.MessagesGetOutcomeResponse.UNKNOWN,
        )
        return outcome == messages_pb2.MessagesGetOutcomeResponse.ACCEPTED
