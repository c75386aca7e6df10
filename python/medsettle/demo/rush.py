"""The busy hour of a hospital: many stays settled at once, a hub that dies meanwhile, and the cleaning up.

Invariant: a settlement counts as acknowledged only when its response was read; the progress pipe is told afterwards.
"""

import itertools
import os
import queue
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

from medsettle.client import Client, TlsFiles, connect
from medsettle.demo.batch import submit, submit_each
from medsettle.demo.books import Reconciliation
from medsettle.demo.ward import ONE_ATTEMPT, Ward
from medsettle.demo.world import Item
from medsettle.errors import MedsettleError, NoAnswer, Unavailable
from medsettle.v1 import inpatient_pb2, messages_pb2, presentation_pb2

CLERKS = 4
"""Calls in flight of one hospital."""

_Outcome = messages_pb2.MessagesGetOutcomeResponse


@dataclass(frozen=True, slots=True)
class Visit:
    """A whole stay that is known beforehand, with the card's signatures for it."""

    admission: date
    discharge: date
    kind: inpatient_pb2.AdmissionKind.Kind.ValueType
    items: Sequence[Item]
    card_at_admission: presentation_pb2.Presentation
    card_at_settlement: presentation_pb2.Presentation


@dataclass(frozen=True, slots=True)
class Findings:
    """What a hospital finds in the hub that came back, before it sends anything again."""

    acknowledged: int
    unchanged: int
    """Acknowledged settlements that the hub holds exactly as it had answered."""
    unanswered: int
    accepted: int
    """Unanswered requests that the hub holds."""
    unknown: int
    listed: int
    """Rows that the hub lists for the hospital."""
    missing: int
    """Rows of the hospital's books that the hub does not list."""
    unexplained: int
    """Listed rows beyond one for each row of the books and each unanswered request that was accepted."""


class BusyWard(Ward):
    """A ward with a queue of stays to settle."""

    def __init__(self, code: str, target: str, tls: TlsFiles, progress: int) -> None:
        super().__init__(code, target, tls)
        self._progress = progress
        self._waiting: queue.SimpleQueue[inpatient_pb2.InpatientSettleRequest] = queue.SimpleQueue()
        self._acknowledged: dict[int, inpatient_pb2.InpatientSettleResponse] = {}

    def prepare(self, visits: Sequence[Visit]) -> int:
        """Admit, bill and discharge in batches; the stays wait to be settled.

        Visits come in the order of their admissions, because a stay that is open overlaps every later one.
        """
        for _, batch in itertools.groupby(visits, key=lambda visit: visit.admission):
            self._prepare_one_day(list(batch))
        return len(visits)

    def _prepare_one_day(self, visits: Sequence[Visit]) -> None:
        admissions = [self._admission(v.card_at_admission, v.admission, v.kind) for v in visits]
        admitted = submit(self._client, admissions, inpatient_pb2.InpatientAdmitResponse)
        stays = list(zip([response.stay_id for response in admitted], visits, strict=True))
        charges = [self._charges(stay_id, visit.items, visit.admission) for stay_id, visit in stays]
        submit(self._client, charges, inpatient_pb2.InpatientAddChargesResponse)
        discharges = [self._discharge(stay_id, visit.discharge) for stay_id, visit in stays]
        submit(self._client, discharges, inpatient_pb2.InpatientDischargeResponse)
        for stay_id, visit in stays:
            self._waiting.put(self._settlement(stay_id, visit.card_at_settlement))

    def settle_all(self) -> int:
        """Settle what waits, several at once, until nothing waits or the hub is gone.

        Every acknowledgement is one byte on the progress pipe. Returns how many there were.
        """
        before = len(self._acknowledged)
        with connect(self._target, tls=self._tls, retries=ONE_ATTEMPT) as client:
            with ThreadPoolExecutor(CLERKS) as clerks:
                working = [clerks.submit(self._settle_what_waits, client) for _ in range(CLERKS)]
            for clerk in working:
                clerk.result()
        return len(self._acknowledged) - before

    def _settle_what_waits(self, client: Client) -> None:
        while True:
            try:
                request = self._waiting.get_nowait()
            except queue.Empty:
                return
            try:
                response = client.inpatient.settle(request)
            except (NoAnswer, Unavailable):
                self._unanswered[request.header.request_id] = request
                return
            self._acknowledged[response.settlement_id] = self._entered(request, response)
            os.write(self._progress, b".")

    def look_around(self, first_day: date, last_day: date) -> Findings:
        """Compare the hub with what it had acknowledged, and ask for every request without an answer."""
        ids = list(self._acknowledged)
        requests = [inpatient_pb2.InpatientGetSettlementRequest(settlement_id=number) for number in ids]
        found = submit_each(self._client, requests, inpatient_pb2.InpatientGetSettlementResponse)
        unchanged = sum(self._is_as_answered(number, result) for number, result in zip(ids, found, strict=True))
        outcomes = {request_id: self._outcome_of(request_id) for request_id in self._unanswered}
        counts = Counter(outcomes.values())
        accepted = {request_id for request_id, outcome in outcomes.items() if outcome == _Outcome.ACCEPTED}
        books = self.reconcile(first_day, last_day)
        return Findings(
            acknowledged=len(ids),
            unchanged=unchanged,
            unanswered=len(outcomes),
            accepted=counts[_Outcome.ACCEPTED],
            unknown=counts[_Outcome.UNKNOWN],
            listed=len(books.hub),
            missing=len(set(books.own) - set(books.hub)),
            unexplained=_unexplained(books, accepted),
        )

    def send_unanswered_again(self) -> tuple[int, int]:
        """Send every unanswered request again; gives how many were replayed, and how many executed only now."""
        answers = [self.send_again(request_id).header.replayed for request_id in list(self._unanswered)]
        return sum(answers), len(answers) - sum(answers)

    def _outcome_of(self, request_id: str) -> messages_pb2.MessagesGetOutcomeResponse.Outcome.ValueType:
        request = messages_pb2.MessagesGetOutcomeRequest(request_id=request_id)
        return self._client.messages.get_outcome(request).outcome

    def _is_as_answered(
        self, settlement_id: int, found: inpatient_pb2.InpatientGetSettlementResponse | MedsettleError
    ) -> bool:
        return (
            not isinstance(found, MedsettleError)
            and found.settlement.state == inpatient_pb2.Settlement.STANDING
            and found.settlement.split == self._acknowledged[settlement_id].split
            and found.settlement.request_id == self._books[settlement_id].request_id
        )


def _unexplained(books: Reconciliation, accepted: set[str]) -> int:
    explained = {row.request_id for row in books.own} | accepted
    listed = Counter(row.request_id for row in books.hub)
    return sum(count - (request_id in explained) for request_id, count in listed.items())
