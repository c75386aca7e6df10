"""The holder's statement from an embedded hub, for threads and for an event loop, and the same once opened again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from medsettle import AsyncHub, EngineSettings, Rejected
from medsettle.v1 import accounts_pb2, fraud_pb2, presentation_pb2
from trial_town import Town
from trial_visits import OUTPATIENT, PURCHASE, Counter
from trial_world import AUDITOR, OPERATOR, Patient, days_ago, line

Entry = accounts_pb2.StatementEntry
PAGE = 256
"""Entries after which a message of the stream ends."""


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    opened = Town(tmp_path)
    with opened.hub:
        yield opened


def statement(town: Town, patient: Patient, **bounds: str | int) -> list[Entry]:
    request = accounts_pb2.AccountsStatementRequest(person_id=patient.person_id)
    for name, value in bounds.items():
        setattr(request, name, value)
    return [entry for message in town.acting(AUDITOR).accounts.statement(request) for entry in message.entries]


def test_f9_the_holder_sees_every_debit_with_institution_terminal_card_cryptogram_and_time(town: Town) -> None:
    patient, debits = town.insured(10_000), []
    for kind, drawn_fen in ((PURCHASE, 1_500), (OUTPATIENT, 700)):
        counter = Counter(kind)
        card = patient.card_at_settlement(10_000, drawn_fen)
        settled = town.at(counter).visits.settle(counter.settlement(card, line(1, days_ago(0), "1", "100")))
        debits.append((counter, drawn_fen, settled))
    town.at(debits[0][0]).visits.cancel(debits[0][0].cancellation(debits[0][2].settlement_id))
    credit, *rows, back = statement(town, patient)
    assert (credit.kind, credit.amount_fen, credit.balance_fen, credit.reference) == (
        Entry.CREDIT,
        10_000,
        10_000,
        "2026-01",
    )
    for row, balance_fen, (counter, drawn_fen, settled) in zip(rows, (8_500, 7_800), debits, strict=True):
        assert row == Entry(
            kind=Entry.SETTLEMENT,
            sequence=settled.header.sequence,
            stamp_ms=settled.header.stamp_ms,
            account=accounts_pb2.Account.INSURANCE,
            amount_fen=-drawn_fen,
            balance_fen=balance_fen,
            institution_code=counter.institution,
            terminal_id="T1",
            card_sn=patient.chip.card_sn,
            card_id=patient.card_id,
            credential=presentation_pb2.Credential.CHIP,
            cryptogram_valid=True,
            settlement_id=settled.settlement_id,
            total_fen=10_000,
            fund_total_fen=5_500,
            visit_kind=counter.kind,
        )
    assert (back.kind, back.amount_fen, back.balance_fen) == (Entry.CANCELLATION, 1_500, 9_300)
    assert (back.settlement_id, back.total_fen, back.fund_total_fen) == (rows[0].settlement_id, -10_000, -5_500)
    town.hub.close()
    town.hub = town.open()
    assert statement(town, patient) == [credit, *rows, back]


def test_f9_a_debit_that_was_unwound_shows_the_terminal_the_card_and_the_bill_again(town: Town) -> None:
    """A holder saw that a debit came back, and not from which terminal and of which bill."""
    patient, counter = town.insured(10_000), Counter(PURCHASE)
    card = patient.card_at_settlement(10_000, 1_500)
    town.at(counter).visits.settle(counter.settlement(card, line(1, days_ago(0), "1", "100")))
    scope = fraud_pb2.UnwindScope(card_id=patient.card_id, since_ms=1)
    unwound = town.acting(OPERATOR).fraud.unwind(
        fraud_pb2.FraudUnwindRequest(
            header=town.agency.operator.header(), scope=scope, case_number="F-1", second_approver="director"
        )
    )
    _, debit, back = statement(town, patient)
    told = ("terminal_id", "card_sn", "card_id", "credential", "cryptogram_valid", "settlement_id", "visit_kind")
    assert [getattr(back, name) for name in told] == [getattr(debit, name) for name in told]
    assert (back.total_fen, back.fund_total_fen) == (-debit.total_fen, -debit.fund_total_fen)
    assert (back.kind, back.amount_fen, back.unwind_id) == (Entry.UNWIND, 1_500, unwound.unwind_id)


def test_a_payer_sees_whose_bill_was_paid_and_the_patient_sees_the_limit_used(town: Town) -> None:
    child, mother = town.insured(100), town.insured(5_000)
    town.agency.link_family(child, mother)
    counter = Counter(PURCHASE)
    request = counter.settlement(child.card_at_settlement(10_000, 1_100), line(1, days_ago(0), "1", "100"))
    request.use_family = True
    settled = town.at(counter).visits.settle(request)
    paid = statement(town, mother)[-1]
    assert (paid.kind, paid.amount_fen, paid.balance_fen) == (Entry.FAMILY_PAYMENT, -1_000, 4_000)
    assert (paid.patient_person_id, paid.settlement_id) == (child.person_id, settled.settlement_id)
    own = statement(town, child)[-1]
    assert (own.kind, own.amount_fen, own.balance_fen, own.total_fen) == (Entry.SETTLEMENT, -100, 0, 10_000)
    town.at(counter).visits.cancel(counter.cancellation(settled.settlement_id))
    back = statement(town, mother)[-1]
    assert (back.kind, back.amount_fen, back.balance_fen) == (Entry.FAMILY_RETURN, 1_000, 5_000)


def test_a_long_statement_comes_in_messages_of_bounded_size_to_threads_and_to_an_event_loop(town: Town) -> None:
    patient = town.agency.insure()
    for period in range(2 * PAGE + 1):
        town.agency.credit(patient, 1, f"p{period}")
    request = accounts_pb2.AccountsStatementRequest(person_id=patient.person_id)
    messages = list(town.acting(AUDITOR).accounts.statement(request))
    assert [len(message.entries) for message in messages] == [PAGE, PAGE, 1]
    assert [entry.balance_fen for message in messages for entry in message.entries] == list(range(1, 2 * PAGE + 2))
    assert statement(town, patient, after_sequence=messages[1].entries[-1].sequence) == list(messages[2].entries)
    assert statement(town, patient, from_date="2000-01-01", to_date="2000-01-02") == []
    town.hub.close()

    async def main() -> None:
        hub = await AsyncHub.open(town.data, settings=EngineSettings(segment_bytes=1 << 20))
        async with hub:
            stream = hub.acting(["AUDITOR"], AUDITOR).accounts.statement(request)
            assert [len(message.entries) async for message in stream] == [PAGE, PAGE, 1]

    asyncio.run(main())


def test_a_statement_is_for_those_who_may_read_it(town: Town) -> None:
    patient = town.insured()
    request = accounts_pb2.AccountsStatementRequest(person_id=patient.person_id)
    with pytest.raises(Rejected, match="ROLE_FORBIDDEN"):
        next(town.at(Counter(OUTPATIENT)).accounts.statement(request))
    with pytest.raises(Rejected, match="PERSON_UNKNOWN"):
        statement(town, Patient(4_711, patient.certificate, 0, patient.chip))
    for field, value in (("from_date", "yesterday"), ("to_date", "2026-02-30")):
        with pytest.raises(Rejected) as refusal:
            statement(town, patient, **{field: value})
        assert (refusal.value.reason, refusal.value.detail["field"]) == ("REQUEST_MALFORMED", field)
    with pytest.raises(Rejected) as refusal:
        statement(town, patient, from_date="2026-02-02", to_date="2026-02-01")
    assert refusal.value.detail["field"] == "to_date"
