"""A regional hub that embeds the engine: whole stays through the typed facades, same refusals, same durability."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from medsettle import AsyncHub, EngineSettings, Hub, HubUnusable, NoAnswer, Rejected, journal
from medsettle.errors import CATALOG
from medsettle.hub import Acting
from medsettle.v1 import (
    accounts_pb2,
    batch_pb2,
    common_pb2,
    inpatient_pb2,
    institutions_pb2,
    journal_pb2,
    messages_pb2,
    operations_pb2,
    persons_pb2,
)
from trial_world import (
    AUDITOR,
    BEIJING_HOSPITAL,
    DESK,
    ISSUER,
    OPERATOR,
    OTHER_HOSPITAL,
    ROLE_OF,
    Agency,
    KeyRing,
    Patient,
    Ward,
    days_ago,
    found_world,
    line,
    presented,
)

SMALL = EngineSettings(segment_bytes=1 << 20)
CREDIT_FEN = 100_000
DRAWN_FEN = 30_000


class Home:
    """A founded world in a directory, open in this process."""

    def __init__(self, root: Path) -> None:
        self.data = root / "data"
        self.ring = KeyRing.make(root)
        self.hub = self.open()
        found_world(self.acting(OPERATOR))
        self.agency = Agency(self.acting(DESK), self.acting(ISSUER), self.acting(OPERATOR))
        self.ward = Ward(BEIJING_HOSPITAL)

    def open(self) -> Hub:
        return Hub.open(self.data, keys=self.ring.path, kek=self.ring.kek, settings=SMALL)

    def acting(self, institution: str) -> Acting:
        return self.hub.acting([ROLE_OF.get(institution, "HOSPITAL")], institution)

    def discharged(self, patient: Patient) -> tuple[int, int]:
        """Admit, bill and discharge; gives the stay and its total."""
        hub = self.acting(BEIJING_HOSPITAL).inpatient
        stay = hub.admit(self.ward.admission(patient.card_at_admission(), days_ago(9))).stay_id
        charged = hub.add_charges(
            self.ward.charges(stay, line(1, days_ago(9), "4"), line(2, days_ago(9), "1", "12.34"))
        )
        hub.discharge(self.ward.discharge(stay, days_ago(5)))
        return stay, charged.stay_sum.total_fen


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    opened = Home(tmp_path)
    with opened.hub:
        yield opened


def recorded(data: Path) -> list[journal_pb2.Record]:
    frames = journal.inspect(data)
    return [
        journal_pb2.Record.FromString(cast(bytes, one))
        for frame in frames
        for one in cast(list[object], frame["records"])
    ]


def balance_fen(operator: Acting, patient: Patient) -> int:
    accounts = operator.accounts.get(accounts_pb2.AccountsGetRequest(person_id=patient.person_id)).accounts
    return sum(account.balance_fen for account in accounts)


def test_a_stay_settles_as_it_was_quoted_and_the_card_accepts_the_answer(home: Home) -> None:
    patient = home.agency.insure()
    home.agency.credit(patient, CREDIT_FEN)
    stay, total = home.discharged(patient)
    hub = home.acting(BEIJING_HOSPITAL).inpatient
    quote = hub.quote(inpatient_pb2.InpatientQuoteRequest(stay_id=stay, account_request_fen=DRAWN_FEN))
    signed = patient.chip.sign(total, DRAWN_FEN, days_ago(0), 0)
    request = home.ward.settlement(stay, presented(signed))
    request.quote_digest = quote.quote_digest
    settled = hub.settle(request)
    assert settled.split == quote.split
    # 2,012.34 in scope; 500.00 deductible; 70 % of the rest for an emergency elsewhere.
    assert (total, settled.split.pool_fen, settled.split.account_fen) == (201_234, 105_864, DRAWN_FEN)
    assert settled.split.cash_fen == total - 105_864 - DRAWN_FEN
    assert settled.balance_after_fen == CREDIT_FEN - DRAWN_FEN
    assert patient.chip.check_arpc(signed, settled.chip_answer.arc, settled.chip_answer.arpc)


def test_a_request_gives_its_first_answer_again_also_by_its_name_in_a_batch_and_after_a_restart(home: Home) -> None:
    patient = home.agency.insure()
    stay, total = home.discharged(patient)
    request = home.ward.settlement(stay, patient.card_at_settlement(total))
    ward = home.acting(BEIJING_HOSPITAL)
    first = ward.inpatient.settle(request)
    assert not first.header.replayed
    first.header.replayed = True
    assert ward.inpatient.settle(request) == first
    assert ward.call("Inpatient.Settle", request) == first
    batch = batch_pb2.BatchSubmitRequest(commands=[batch_pb2.Command(inpatient_settle=request)])
    assert ward.submit(batch).results[0].inpatient_settle == first
    home.hub.close()
    with home.open() as again:
        ward = again.acting(["HOSPITAL"], BEIJING_HOSPITAL)
        assert ward.inpatient.settle(request) == first
        outcome = ward.messages.get_outcome(
            messages_pb2.MessagesGetOutcomeRequest(request_id=request.header.request_id)
        )
    assert outcome.outcome == outcome.ACCEPTED
    assert inpatient_pb2.InpatientSettleResponse.FromString(outcome.original_response) == first


def test_a_journal_says_which_hub_forwarded_a_request_also_when_it_was_opened_again(home: Home) -> None:
    patient = home.agency.insure()
    stay, total = home.discharged(patient)
    request = home.ward.settlement(stay, patient.card_at_settlement(total))
    forwarding = "HUB310000001"
    settled = home.hub.acting(["HUB"], forwarding).inpatient.settle(request)
    home.hub.close()
    with home.open() as again:
        # The answer is the hospital's, whoever brings its request.
        assert again.acting(["HOSPITAL"], BEIJING_HOSPITAL).inpatient.settle(request).split == settled.split
    by_sequence = {record.sequence: record for record in recorded(home.data)}
    record = by_sequence[settled.header.sequence]
    assert (record.institution_code, record.forwarded_by) == (BEIJING_HOSPITAL, forwarding)
    assert [one.sequence for one in by_sequence.values() if one.forwarded_by] == [record.sequence]


def test_a_suspension_stops_what_is_new_and_not_a_stay_that_lies_open_also_after_a_restart(home: Home) -> None:
    person, other = home.agency.insure(), home.agency.insure()
    stay, total = home.discharged(person)
    operator = home.acting(OPERATOR)
    last_day = days_ago(-30).isoformat()
    operator.persons.suspend_network(
        persons_pb2.PersonsSuspendNetworkRequest(
            header=home.agency.operator.header(),
            person_id=person.person_id,
            from_date=days_ago(0).isoformat(),
            to_date=last_day,
            case_number="F-2026-1",
        )
    )
    operator.institutions.suspend(
        institutions_pb2.InstitutionsSuspendRequest(
            header=home.agency.operator.header(),
            subject_code=BEIJING_HOSPITAL,
            from_date=days_ago(0).isoformat(),
            case_number="F-2026-2",
        )
    )
    home.hub.close()
    with home.open() as again:
        ward = again.acting(["HOSPITAL"], BEIJING_HOSPITAL).inpatient
        ward.settle(home.ward.settlement(stay, person.card_at_settlement(total)))
        with pytest.raises(Rejected) as of_place:
            ward.admit(home.ward.admission(other.card_at_admission(), days_ago(0)))
        assert (of_place.value.reason, of_place.value.detail) == ("INSTITUTION_SUSPENDED", {})
        again.acting(["OPERATOR"], OPERATOR).institutions.resume(
            institutions_pb2.InstitutionsResumeRequest(
                header=home.agency.operator.header(), subject_code=BEIJING_HOSPITAL
            )
        )
        with pytest.raises(Rejected) as of_person:
            ward.admit(home.ward.admission(person.card_at_admission(), days_ago(0)))
        assert (of_person.value.reason, of_person.value.detail) == ("PERSON_SUSPENDED", {"until": last_day})
        ward.admit(home.ward.admission(other.card_at_admission(), days_ago(0)))


def test_another_body_under_the_same_request_id_is_refused_with_the_details_of_the_catalog(home: Home) -> None:
    patient = home.agency.insure()
    request = home.agency.credit_request(patient, 1, "a")
    operator = home.acting(OPERATOR)
    bound = operator.accounts.credit(request).header.sequence
    request.amount_fen = 2
    with pytest.raises(Rejected) as refused:
        operator.accounts.credit(request)
    assert refused.value.reason == "REQUEST_ID_REUSED"
    assert refused.value.detail == {"request_id": request.header.request_id, "original_sequence": str(bound)}
    assert (refused.value.number, refused.value.status, refused.value.retry) == (1002, "ALREADY_EXISTS", "NEVER")
    assert balance_fen(operator, patient) == 1


def test_rights_hold_for_every_command_of_an_embedded_hub(home: Home) -> None:
    patient = home.agency.insure()
    ward, request = home.acting(BEIJING_HOSPITAL), home.agency.credit_request(patient, 1, "a")
    with pytest.raises(Rejected, match="ROLE_FORBIDDEN"):
        ward.accounts.credit(request)
    with pytest.raises(Rejected, match="ROLE_FORBIDDEN"):
        ward.call("Accounts.Credit", request)
    batch = batch_pb2.BatchSubmitRequest(commands=[batch_pb2.Command(accounts_credit=request)])
    assert ward.submit(batch).results[0].refusal.reason == CATALOG["ROLE_FORBIDDEN"].number
    admission = home.ward.admission(patient.card_at_admission(), days_ago(9))
    with pytest.raises(Rejected, match="NOT_YOUR_INSTITUTION"):
        home.acting(OTHER_HOSPITAL).inpatient.admit(admission)
    assert balance_fen(home.acting(OPERATOR), patient) == 0


@pytest.mark.parametrize(
    ("roles", "institution"),
    [(["KING"], OPERATOR), ([], OPERATOR), (["OPERATOR"], "short"), (["OPERATOR"], OPERATOR.lower())],
)
def test_an_actor_that_cannot_be_is_named_at_once(home: Home, roles: list[str], institution: str) -> None:
    with pytest.raises(ValueError, match=r"role|12 characters"):
        home.hub.acting(roles, institution)


def test_a_timeout_makes_no_sense(home: Home) -> None:
    auditor = home.acting(AUDITOR)
    with pytest.raises(ValueError, match="no timeout"):
        next(auditor.accounts.statement(accounts_pb2.AccountsStatementRequest(person_id=1), timeout=1.0))
    with pytest.raises(ValueError, match="no timeout"):
        auditor.operations.status(operations_pb2.OperationsStatusRequest(), timeout=1.0)


def test_a_thousand_calls_of_one_event_loop_are_each_decided_once(home: Home) -> None:
    calls, patient = 1_000, home.agency.insure()
    requests = [home.agency.credit_request(patient, 1, str(number)) for number in range(calls)]
    home.hub.close()

    async def credit_all() -> set[int]:
        async with await open_async(home) as hub:
            operator = hub.acting(["OPERATOR"], OPERATOR)
            # Each is asked twice at the same time: one is decided, the other gets its answer.
            answers = await asyncio.gather(*(operator.accounts.credit(request) for request in requests * 2))
            assert sum(answer.header.replayed for answer in answers) == calls
            return {answer.header.sequence for answer in answers}

    assert len(asyncio.run(credit_all())) == calls
    with home.open() as again:
        assert balance_fen(again.acting(["OPERATOR"], OPERATOR), patient) == calls


def test_a_cancelled_call_is_carried_out_all_the_same(home: Home) -> None:
    patient = home.agency.insure()
    cancelled, late = (home.agency.credit_request(patient, 10, period) for period in ("cancelled", "late"))
    home.hub.close()

    async def credit() -> list[common_pb2.ResponseHeader]:
        async with await open_async(home) as hub:
            operator = hub.acting(["OPERATOR"], OPERATOR)
            call = asyncio.create_task(operator.accounts.credit(cancelled))
            # One turn of the loop sends it; nothing has come back yet when it is cancelled.
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            with pytest.raises(NoAnswer, match="DEADLINE_EXCEEDED"):
                await operator.accounts.credit(late, timeout=0)
            return [(await operator.accounts.credit(request)).header for request in (cancelled, late)]

    assert [header.replayed for header in asyncio.run(credit())] == [True, True]
    with home.open() as again:
        assert balance_fen(again.acting(["OPERATOR"], OPERATOR), patient) == 20


def test_an_asynchronous_hub_that_was_closed_says_so(home: Home) -> None:
    home.hub.close()

    async def use_after_close() -> None:
        hub = await open_async(home)
        operator = hub.acting(["OPERATOR"], OPERATOR)
        await operator.operations.status(operations_pb2.OperationsStatusRequest())
        await hub.close()
        await hub.close()
        with pytest.raises(HubUnusable, match="closed"):
            await operator.operations.status(operations_pb2.OperationsStatusRequest())

    asyncio.run(use_after_close())


async def open_async(home: Home) -> AsyncHub:
    return await AsyncHub.open(home.data, keys=home.ring.path, kek=home.ring.kek, settings=SMALL)


def test_without_a_key_ring_every_chip_is_refused(home: Home) -> None:
    patient = home.agency.insure()
    home.hub.close()
    with Hub.open(home.data, settings=SMALL) as keyless, pytest.raises(Rejected, match="SCHEME_NOT_ALLOWED"):
        keyless.acting(["HOSPITAL"], BEIJING_HOSPITAL).inpatient.admit(
            home.ward.admission(patient.card_at_admission(), days_ago(9))
        )


def test_an_updated_stay_is_answered_without_the_bill_that_is_on_record_already(home: Home) -> None:
    hub = home.acting(BEIJING_HOSPITAL).inpatient
    stay = hub.admit(home.ward.admission(home.agency.insure().card_at_admission(), days_ago(9))).stay_id
    charged = hub.add_charges(home.ward.charges(stay, line(1, days_ago(9), "4"), line(2, days_ago(9), "1", "12.34")))
    updated = hub.update_stay(
        inpatient_pb2.InpatientUpdateStayRequest(header=home.ward.header(), stay_id=stay, department="surgery")
    ).stay
    assert (updated.department, updated.sum, len(updated.lines)) == ("surgery", charged.stay_sum, 0)
    assert len(hub.get_stay(inpatient_pb2.InpatientGetStayRequest(stay_id=stay)).stay.lines) == 2
