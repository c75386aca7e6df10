"""Hospitals that settle while the hub dies, and an oracle that knows what they asked and were answered.

Owns the load, the books kept of it, and the comparison of the two with a hub that came back.
Invariant: the oracle learns from requests and answers only, and knows nothing of the journal.
Invariant: every caller has one request under way, so at most that one is in doubt after a crash.
Leaves out how the hub dies: the tests kill it, or cut the power of its disk.
"""

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Self

from google.protobuf.message import Message

from journal_witness import Key, Witness
from medsettle.client import Client
from medsettle.errors import NoAnswer, Unavailable
from medsettle.v1 import (
    accounts_pb2,
    batch_pb2,
    common_pb2,
    inpatient_pb2,
    messages_pb2,
    operations_pb2,
)
from medsettle.v1.facade import METHODS
from trial_site import HubProcess, Office
from trial_world import (
    BEIJING_HOSPITAL,
    LOCAL_HOSPITAL,
    OTHER_HOSPITAL,
    Patient,
    Ward,
    days_ago,
    line,
)

SEED = 20_260_301
CALLERS = 16
PATIENTS_PER_CALLER = 4
BALANCE_FEN = 100_000_000
NIGHTS = 2
DAYS = 4_000
ROUND_TIMEOUT_S = 60
CHUNK = 200
WARDS = (BEIJING_HOSPITAL, OTHER_HOSPITAL, LOCAL_HOSPITAL)

Ask = tuple[str, Message]
OUTCOME = messages_pb2.MessagesGetOutcomeResponse
_FIELD_OF_METHOD = {
    name: field.name
    for name, method in METHODS.items()
    for field in batch_pb2.Command.DESCRIPTOR.fields
    if field.message_type is method.request_type.DESCRIPTOR
}


def header_of(request: Message) -> common_pb2.RequestHeader:
    header = request.header  # type: ignore[attr-defined]
    assert isinstance(header, common_pb2.RequestHeader)
    return header


def as_first_sent(response: Message) -> Message:
    """Give a response without the mark that it was given before."""
    copy = type(response)()
    copy.CopyFrom(response)
    copy.header.replayed = False  # type: ignore[attr-defined]
    return copy


@dataclass
class Oracle:
    """What was asked and what was answered; for any number of threads."""

    asked: dict[Key, Ask] = field(default_factory=dict)
    answered: dict[Key, Message] = field(default_factory=dict)
    witness: Witness = field(default_factory=Witness)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def ask(self, client: Client, ask: Ask) -> Message:
        """Record, send, and record the answer once it was read."""
        key = self.witness.asks(ask[1])
        with self._changed:
            self.asked[key] = ask
        response = client.call(*ask)
        self.witness.reads(key, response)
        with self._changed:
            self.answered[key] = response
            self._changed.notify_all()
        return response

    def await_answers(self, count: int, working: Sequence[Future[None]]) -> None:
        """Wait until so many answers more were read; who stops working before the hub is killed has failed."""
        for one in working:
            one.add_done_callback(self._wake)
        with self._changed:
            goal = len(self.answered) + count
            ended = self._changed.wait_for(
                lambda: len(self.answered) >= goal or any(one.done() for one in working), ROUND_TIMEOUT_S
            )
        assert ended, "the callers get no answers"
        for one in working:
            assert not one.done(), one.exception()

    def _wake(self, _ended: object) -> None:
        with self._changed:
            self._changed.notify_all()


@dataclass
class Caller:
    """One clerk of a hospital: what is asked next, and the request that is under way."""

    oracle: Oracle
    visits: Generator[Ask, Message, None]
    pending: Ask

    @classmethod
    def of(cls, oracle: Oracle, ward: Ward, patients: Sequence[Patient], rng: random.Random) -> "Caller":
        visits = _visits(ward, patients, rng)
        return cls(oracle, visits, next(visits))

    @property
    def key(self) -> Key:
        """Name the request under way."""
        header = header_of(self.pending[1])
        return header.institution_code, header.request_id

    def work(self, client: Client) -> None:
        """Ask until the hub does not answer any more."""
        while True:
            try:
                self.send(client)
            except (NoAnswer, Unavailable):
                return

    def send(self, client: Client) -> Message:
        response = self.oracle.ask(client, self.pending)
        self.pending = self.visits.send(response)
        return response

    def resolve(self, client: Client) -> None:
        """Ask what became of the request under way, then send it again: the same answer, or the first one only now."""
        found = client.messages.get_outcome(
            messages_pb2.MessagesGetOutcomeRequest(request_id=header_of(self.pending[1]).request_id)
        )
        response = self.send(client)
        if found.outcome == OUTCOME.UNKNOWN:
            assert not response.header.replayed  # type: ignore[attr-defined]
        else:
            assert found.outcome == OUTCOME.ACCEPTED
            assert found.original_response == response.SerializeToString(deterministic=True)
            assert response.header.replayed  # type: ignore[attr-defined]


def _visits(ward: Ward, patients: Sequence[Patient], rng: random.Random) -> Generator[Ask, Message, None]:
    """Admit, bill, discharge and settle, over years; now and then a settlement is cancelled and made again."""
    # A person lies in one bed at a time, so everybody's stays follow each other through the years.
    for past, patient in itertools.product(range(DAYS, NIGHTS, -NIGHTS), patients):
        admission, discharge = days_ago(past), days_ago(past - NIGHTS)
        admitted = yield "Inpatient.Admit", ward.admission(patient.card_at_admission(), admission)
        assert isinstance(admitted, inpatient_pb2.InpatientAdmitResponse)
        stay = admitted.stay_id
        lines = [line(1, admission, str(NIGHTS), f"{rng.randint(300, 900)}.{rng.randint(0, 99):02}")]
        lines.append(line(2, discharge, "1", str(rng.randint(1, 200)), "PRIVATE-ROOM"))
        charged = yield "Inpatient.AddCharges", ward.charges(stay, *lines)
        assert isinstance(charged, inpatient_pb2.InpatientAddChargesResponse)
        yield "Inpatient.Discharge", ward.discharge(stay, discharge)
        total = charged.stay_sum.total_fen
        cancels = rng.randrange(4) == 0
        for again in range(1 + cancels):
            card = patient.card_at_settlement(total, rng.randint(0, 1_000))
            settled = yield "Inpatient.Settle", ward.settlement(stay, card)
            assert isinstance(settled, inpatient_pb2.InpatientSettleResponse)
            if cancels and not again:
                yield "Inpatient.CancelSettlement", ward.cancellation(settled.settlement_id)


def check_outcomes(oracle: Oracle, keys: Sequence[Key], clients: Mapping[str, Client]) -> None:
    """See that every acknowledged id has its first response, asked for by GetOutcome and sent again."""
    for institution, client in clients.items():
        own = [key for key in keys if key[0] == institution]
        for start in range(0, len(own), CHUNK):
            chunk = own[start : start + CHUNK]
            batch = batch_pb2.BatchSubmitRequest()
            for key in chunk:
                batch.commands.add().messages_get_outcome.request_id = key[1]
                method, request = oracle.asked[key]
                getattr(batch.commands.add(), _FIELD_OF_METHOD[method]).CopyFrom(request)
            results = iter(client.submit(batch).results)
            for key, found, again in zip(chunk, results, results, strict=True):
                check_outcome(oracle, key, found.messages_get_outcome, again)


def check_outcome(oracle: Oracle, key: Key, found: OUTCOME, again: batch_pb2.CommandResult) -> None:
    first, (method, _) = as_first_sent(oracle.answered[key]), oracle.asked[key]
    assert (found.outcome, found.method) == (OUTCOME.ACCEPTED, method), key
    assert as_first_sent(METHODS[method].response_type.FromString(found.original_response)) == first
    replayed = getattr(again, _FIELD_OF_METHOD[method])
    assert replayed.header.replayed
    assert as_first_sent(replayed) == first


def listed(client: Client, first_day: date) -> Iterator[inpatient_pb2.SettlementRow]:
    """Read every row of an institution since a day."""
    for ordinal in range(first_day.toordinal(), days_ago(0).toordinal() + 1):
        request = inpatient_pb2.InpatientListSettlementsRequest(day=date.fromordinal(ordinal).isoformat())
        while True:
            page = client.inpatient.list_settlements(request)
            yield from page.rows
            if not page.next_page_token:
                break
            request.page.page_token = page.next_page_token


@dataclass
class Books:
    """What the oracle makes of the rows that the hub lists: standing settlements and money drawn, by person."""

    standing: Counter[int] = field(default_factory=Counter)
    drawn_fen: Counter[int] = field(default_factory=Counter)


def check_listings(oracle: Oracle, clients: Mapping[str, Client], unanswered: set[Key], first_day: date) -> Books:
    """See that every row was asked for, what was acknowledged is there once, and no stay is settled twice."""
    person_of = {
        response.stay_id: response.person_id
        for response in oracle.answered.values()
        if isinstance(response, inpatient_pb2.InpatientAdmitResponse)
    }
    books, seen, stay_of = Books(), Counter[Key](), dict[int, int]()
    standing_of_stay = Counter[int]()
    for institution, client in clients.items():
        for row in listed(client, first_day):
            key = institution, row.request_id
            assert key in oracle.asked, "a settlement that nobody asked for"
            seen[key] += 1
            request = oracle.asked[key][1]
            if isinstance(request, inpatient_pb2.InpatientCancelSettlementRequest):
                assert row.cancels_settlement_id == request.settlement_id
                stay, sign = stay_of[request.settlement_id], -1
            else:
                assert isinstance(request, inpatient_pb2.InpatientSettleRequest)
                assert (row.cancels_settlement_id, row.total_fen) == (0, request.total_fen)
                stay, sign = request.stay_id, 1
                stay_of[row.settlement_id] = stay
            standing_of_stay[stay] += sign
            assert standing_of_stay[stay] in (0, 1), "a stay settled twice"
            books.standing[person_of[stay]] += sign
            books.drawn_fen[person_of[stay]] += row.account_fen
            check_row(row, oracle.answered.get(key))
            assert key in oracle.answered or key in unanswered
    settling = (inpatient_pb2.InpatientSettleResponse, inpatient_pb2.InpatientCancelSettlementResponse)
    acknowledged = {key for key, response in oracle.answered.items() if isinstance(response, settling)}
    assert acknowledged <= seen.keys(), "an acknowledged settlement is gone"
    assert set(seen.values()) <= {1}
    return books


def check_row(row: inpatient_pb2.SettlementRow, answered: Message | None) -> None:
    if answered is None:
        return
    split: common_pb2.Split = answered.split  # type: ignore[attr-defined]
    assert (row.total_fen, row.fund_total_fen, row.account_fen, row.cash_fen) == (
        split.total_fen,
        split.fund_total_fen,
        split.account_fen,
        split.cash_fen,
    )


def check_money(office: Office, patients: Sequence[Patient], books: Books) -> None:
    """See that the ledger sums to zero and holds what the people hold, who hold what they did not draw."""
    trial = office.auditor.operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
    assert trial.sum_fen == 0
    assert sum(row.balance_fen for row in trial.balances) == 0
    personal = [row for row in trial.balances if row.account == operations_pb2.LedgerBalance.PERSONAL_ACCOUNTS]
    drawn_fen = sum(books.drawn_fen.values())
    assert sum(row.balance_fen for row in personal) == trial.personal_balances_fen
    assert trial.personal_balances_fen == BALANCE_FEN * len(patients) - drawn_fen
    for patient in patients:
        asked = accounts_pb2.AccountsGetRequest(person_id=patient.person_id)
        balances = [account.balance_fen for account in office.auditor.accounts.get(asked).accounts]
        assert sum(balances) == BALANCE_FEN - books.drawn_fen[patient.person_id]
        used = office.auditor.accounts.get_accumulators(
            accounts_pb2.AccountsGetAccumulatorsRequest(person_id=patient.person_id)
        )
        admissions = sum(year.accumulators.admissions for year in used.years)
        assert admissions == books.standing[patient.person_id], "counted twice, or not at all"


class Load:
    """Sixteen clerks of three hospitals, round by round until the hub dies; a context manager."""

    def __init__(self, hub: HubProcess, office: Office) -> None:
        self.hub, self.office, self.oracle = hub, office, Oracle()
        self.first_day = days_ago(0)
        self.rng = random.Random(SEED)
        self.patients = [office.agency.insure() for _ in range(CALLERS * PATIENTS_PER_CALLER)]
        for patient in self.patients:
            office.agency.credit(patient, BALANCE_FEN)
        self._callers = [self._caller(number) for number in range(CALLERS)]
        self._clients = self._connected()
        self._before: set[Key] = set()
        self._pool = ThreadPoolExecutor(CALLERS)

    def _caller(self, number: int) -> Caller:
        ward = Ward(WARDS[number % len(WARDS)], f"{number}-")
        return Caller.of(self.oracle, ward, self.patients[number::CALLERS], random.Random(self.rng.random()))

    def _connected(self) -> dict[str, Client]:
        return {institution: self.hub.reach(institution) for institution in WARDS}

    def _client_of(self, caller: Caller) -> Client:
        return self._clients[caller.key[0]]

    def work_until_the_hub_dies(self, answers: tuple[int, int], strike: Callable[[], None]) -> None:
        """Let everybody work, strike after a random number of answers, and wait until nobody gets any more."""
        self._before = set(self.oracle.answered)
        working = [self._pool.submit(caller.work, self._client_of(caller)) for caller in self._callers]
        self.oracle.await_answers(self.rng.randint(*answers), working)
        strike()
        for ended in working:
            ended.result(ROUND_TIMEOUT_S)

    def check_the_hub_that_came_back(self) -> None:
        """Compare it with the oracle, then ask about what is in doubt and send that again."""
        unanswered = {caller.key for caller in self._callers}
        self._close_clients()
        self._clients = self._connected()
        # What was acknowledged before this hub began has survived a crash before; the newest has not.
        check_outcomes(self.oracle, sorted(set(self.oracle.answered) - self._before), self._clients)
        self._check_books(unanswered)
        for caller in self._callers:
            caller.resolve(self._client_of(caller))

    def check_everything(self) -> None:
        """Compare every answer that was ever read with what the hub says of it now."""
        check_outcomes(self.oracle, sorted(self.oracle.answered), self._clients)
        self._check_books(set())

    def _check_books(self, unanswered: set[Key]) -> None:
        books = check_listings(self.oracle, self._clients, unanswered, self.first_day)
        check_money(self.office, self.patients, books)

    def _close_clients(self) -> None:
        for client in self._clients.values():
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()
        self._close_clients()
