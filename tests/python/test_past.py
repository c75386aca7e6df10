"""The journal told again: a state as it was, tables for analysts, frames by their places; nothing of it opens a hub."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter as Tally
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from medsettle import CorruptJournal, Rejected, journal
from medsettle.cli.as_of import moment_ms
from medsettle.v1 import (
    accounts_pb2,
    batch_pb2,
    fraud_pb2,
    inpatient_pb2,
    journal_pb2,
    operations_pb2,
    persons_pb2,
)
from trial_command import Run
from trial_town import SUCCESSOR_SERIAL, Bank
from trial_visits import PURCHASE, Counter
from trial_world import AUDITOR, BEIJING_HOSPITAL, OPERATOR, Patient, Ward, days_ago, line

Account = accounts_pb2.Account
TRIAL = operations_pb2.OperationsTrialBalanceRequest()


@dataclass
class Told:
    """A directory with a history in which every kind of money moved, and what its hub showed on the way.

    `together` is the second of two decisions that share a frame.
    """

    data: Path
    patient: Patient
    stay_id: int
    settlement_id: int
    together: int
    balances: list[tuple[int, accounts_pb2.AccountsGetResponse]]
    books: operations_pb2.OperationsTrialBalanceResponse


def show(bank: Bank, patient: Patient) -> accounts_pb2.AccountsGetResponse:
    return bank.acting(AUDITOR).accounts.get(accounts_pb2.AccountsGetRequest(person_id=patient.person_id))


def settle(bank: Bank, patient: Patient, past: int, account_fen: int, *, use_family: bool = False) -> tuple[int, int]:
    """Admit, bill, discharge and settle; gives the stay and the settlement."""
    ward, hub = Ward(BEIJING_HOSPITAL, f"s{past}-"), bank.acting(BEIJING_HOSPITAL).inpatient
    admission, discharge = days_ago(past), days_ago(past - 2)
    stay = hub.admit(ward.admission(patient.card_at_admission(), admission)).stay_id
    total_fen = hub.add_charges(ward.charges(stay, line(1, admission, "4"))).stay_sum.total_fen
    hub.discharge(ward.discharge(stay, discharge))
    request = ward.settlement(stay, patient.card_at_settlement(total_fen, account_fen))
    request.use_family = use_family
    return stay, hub.settle(request).settlement_id


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Let money move in every way: contributions, purses, pay-outs, settlements, a negation, a family, a thief."""
    bank = Bank(tmp_path_factory.mktemp("bank"))
    with bank.hub:
        patient, payer, robbed = bank.insured(50_000), bank.insured(5_000), bank.insured(50_000)
        balances = [(seen.header.sequence, seen) for seen in (show(bank, patient),)]
        bank.enable(patient.card_id)
        bank.top_up(patient, Account.OFFLINE, 500)
        bank.top_up(patient, Account.ONLINE, 300)
        bank.purchase(Counter(PURCHASE), patient, Account.OFFLINE, 120)
        bank.agency.link_family(patient, payer)
        stay, settlement = settle(bank, patient, 60, 52_000, use_family=True)
        balances.append(((seen := show(bank, patient)).header.sequence, seen))
        ward = bank.acting(BEIJING_HOSPITAL).inpatient
        settle(bank, patient, 50, 0)
        ward.cancel_settlement(Ward(BEIJING_HOSPITAL, "c-").cancellation(settlement))
        bank.agency.pay_out(patient, 777, "claim-1")
        # The thief uses the limit up, so that the holder's own purchase is recomputed when all is taken back.
        shop = Counter(PURCHASE, "shop-")
        _, own = (
            bank.at(shop)
            .visits.settle(shop.settlement(robbed.card_at_settlement(total, drawn), line(1, days_ago(0), "1", yuan)))
            .settlement_id
            for total, drawn, yuan in ((1_100_000, 20_000, "11000"), (100_000, 0, "1000"))
        )
        bank.acting(OPERATOR).fraud.unwind(
            fraud_pb2.FraudUnwindRequest(
                header=bank.agency.operator.header(),
                scope=fraud_pb2.UnwindScope(card_id=robbed.card_id, since_ms=1, excluded_settlement_ids=[own]),
                case_number="case-1",
                second_approver="another clerk",
            )
        )
        old = bank.successor(patient, purse_fen=700)
        bank.enable(old.card_id)
        bank.enable(bank.successor(old, serial=SUCCESSOR_SERIAL + 1).card_id)
        both = [
            batch_pb2.Command(accounts_credit=bank.agency.credit_request(patient, 1, period)) for period in ("a", "b")
        ]
        together = bank.acting(OPERATOR).submit(batch_pb2.BatchSubmitRequest(commands=both)).header.sequence
        balances.append(((seen := show(bank, patient)).header.sequence, seen))
        books = bank.acting(AUDITOR).operations.trial_balance(TRIAL)
    return Told(bank.data, patient, stay, settlement, together, balances, books)


@pytest.fixture
def damaged(told: Told, tmp_path: Path) -> Path:
    copy = tmp_path / "damaged"
    shutil.copytree(told.data, copy)
    with (copy / "00000001.journal").open("r+b") as segment:
        segment.seek(4096 + 100)
        (byte,) = segment.read(1)
        segment.seek(4096 + 100)
        segment.write(bytes([byte ^ 1]))
    return copy


def test_a_read_of_the_past_is_what_the_hub_answered_then(told: Told) -> None:
    request = accounts_pb2.AccountsGetRequest(person_id=told.patient.person_id)
    for sequence, answered in told.balances:
        past = journal.as_of(told.data, sequence=sequence)
        assert past.accounts.get(request) == answered
        assert (past.sequence, past.stamp_ms) == (sequence, answered.header.stamp_ms)
    assert len({str(answered.accounts) for _, answered in told.balances}) == 3
    assert past.operations.trial_balance(TRIAL) == told.books
    before, half, whole = (
        journal.as_of(told.data, sequence=told.together - back).accounts.get(request).accounts[0].balance_fen
        for back in (2, 1, 0)
    )
    assert (half - before, whole - half) == (1, 1), "a decision is told from its neighbour in the same frame"


def test_a_moment_holds_all_that_was_decided_at_it(told: Told) -> None:
    stamps: dict[int, int] = {}
    for frame in journal.inspect(told.data):
        if frame["records"]:
            stamps[int(str(frame["stamp_ms"]))] = int(str(frame["last_sequence"]))
    for stamp_ms, last_sequence in list(stamps.items())[::7]:
        assert journal.as_of(told.data, at_ms=stamp_ms).sequence == last_sequence
        assert journal.as_of(told.data, at_ms=stamp_ms - 1).sequence < last_sequence
    empty = journal.as_of(told.data, at_ms=min(stamps) - 1)
    assert empty.sequence == 0
    with pytest.raises(Rejected, match="PERSON_UNKNOWN"):
        empty.persons.get(persons_pb2.PersonsGetRequest(person_id=told.patient.person_id))


def test_the_past_can_be_asked_and_not_be_changed(told: Told) -> None:
    past = journal.as_of(told.data, sequence=told.balances[0][0])
    with pytest.raises(Rejected, match="METHOD_NOT_AVAILABLE"):
        past.operations.status(operations_pb2.OperationsStatusRequest())
    with pytest.raises(Rejected, match="ROLE_FORBIDDEN"):
        past.call("Inpatient.Settle", inpatient_pb2.InpatientSettleRequest())
    statement = accounts_pb2.AccountsStatementRequest(person_id=told.patient.person_id)
    (page,) = past.accounts.statement(statement)
    assert [entry.amount_fen for entry in page.entries] == [50_000]


def test_as_of_shows_each_kind_as_text_and_as_json(told: Told, run: Run) -> None:
    first, last = told.balances[0][0], told.balances[-1][0]
    patient = told.patient
    for kind, number in (("person", patient.person_id), ("account", patient.person_id), ("card", patient.card_id)):
        code, text, err = run("as-of", kind, number, "--data", told.data, "--sequence", first)
        assert (code, err) == (0, ""), err
        assert text.startswith(f"{kind} {number} behind sequence {first}, decided ")
        assert patient.certificate.number not in text
        assert not re.search(r"_(fen|ms|days)=", text), "an amount in yuan and a date do not bear the unit of numbers"
        assert ("balance=500.00 yuan" in text) == (kind == "account")
    code, text, _ = run("as-of", "account", patient.person_id, "--data", told.data, "--sequence", first, "--json")
    assert json.loads(text)["accounts"][0]["balance_fen"] == 50_000
    code, text, _ = run("as-of", "card", patient.chip.card_sn, "--data", told.data, "--sequence", last, "--json")
    assert json.loads(text)["card"]["card_id"] == patient.card_id
    code, text, _ = run("as-of", "stay", told.stay_id, "--data", told.data, "--at", moment_now(), "--json")
    assert json.loads(text)["stay"]["stay_id"] == told.stay_id
    code, text, _ = run("as-of", "person", patient.person_id, "--data", told.data, "--at", "2020-01-01")
    assert code == 1


def test_charges_are_shown_with_quantities_and_prices_as_bills_have_them(told: Told, run: Run) -> None:
    code, text, err = run("inspect", told.data, "--to-sequence", told.balances[-1][0])
    assert (code, err) == (0, "")
    charged = [row for row in text.splitlines() if "item_code=" in row]
    assert charged
    assert all(re.search(r"  quantity=[\d.]+  unit_price=[\d,.]+ yuan  ", row) for row in charged), charged
    alone = re.findall(r"^frame \d+ .*  sequence (\d+)  hash", text, re.MULTILINE)
    assert alone, "a frame of one decision names it once"


def moment_now() -> str:
    return datetime.now(UTC).isoformat()


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        (
            ["person", "12", "--sequence", "5"],
            1,
            "no person has the id 12 behind sequence 5; the newest decision was 5",
        ),
        (["person", "Li", "--sequence", "5"], 2, "'Li' is no id"),
        (["person", "12"], 1, "no person has the id 12 behind sequence "),
        (["person", "12", "--at", "2020-01-01", "--sequence", "5"], 2, "give one of --at, --sequence"),
        (["person", "12", "--sequence", "999999"], 2, "there is no sequence 999999 yet"),
        (["person", "12", "--at", "2999-01-01"], 2, "the moment lies in the future"),
        (["person", "12", "--at", "yesterday"], 2, "'yesterday' is no moment"),
        (["person", "12", "--at", "2026-01-01T10:00"], 2, "does not say in which time zone"),
    ],
)
def test_what_cannot_be_shown_has_a_reason(told: Told, run: Run, options: list[str], code: int, reason: str) -> None:
    ended, out, err = run("as-of", *options, "--data", told.data)
    assert (ended, out) == (code, "")
    assert reason in err
    assert len(err.splitlines()) == 1


def test_a_day_stands_for_its_end_where_the_business_is() -> None:
    end = datetime(2026, 3, 1, 15, 59, 59, 999_000, UTC)
    assert moment_ms("2026-03-01") == int(end.timestamp() * 1000) == moment_ms("2026-03-01T23:59:59.999+08:00")


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "{data}", "--from", 1 << 64],
        ["inspect", "{data}", "--from-sequence", 10**23],
        ["inspect", "{data}", "--limit", 10**23],
        ["explain", "{data}", 10**23],
        ["as-of", "person", 1, "--data", "{data}", "--sequence", 10**23],
        ["as-of", "person", 1, "--data", "{data}", "--at", 10**23],
        ["as-of", "person", 1, "--data", "{data}", "--at", "0001-01-01"],
        ["as-of", "person", 1, "--data", "{data}", "--at", "9999-12-31"],
        ["export", "{data}", "--to-sequence", 1 << 64, "--out", "nowhere"],
    ],
)
def test_a_number_or_a_moment_that_nothing_can_have_costs_one_line(
    told: Told, run: Run, arguments: list[object]
) -> None:
    outcome = run(*(told.data if argument == "{data}" else argument for argument in arguments))
    assert (outcome.code, outcome.out) == (2, "")
    assert "Traceback" not in outcome.err


def test_today_is_what_there_is_of_it_so_far(told: Told, run: Run) -> None:
    china = timezone(timedelta(hours=8))
    before = datetime.now(china)
    code, text, err = run("as-of", "stay", told.stay_id, "--data", told.data, "--at", f"{before:%Y-%m-%d}", "--json")
    if datetime.now(china).date() == before.date():
        assert (code, err) == (0, "")
        assert json.loads(text)["sequence"] == list(journal.inspect(told.data))[-1]["last_sequence"]
        tomorrow = before + timedelta(days=1)
        code, _, err = run("as-of", "stay", told.stay_id, "--data", told.data, "--at", f"{tomorrow:%Y-%m-%d}")
        assert (code, "the moment lies in the future" in err) == (2, True)


def test_without_a_place_the_newest_decision_is_taken(told: Told, run: Run) -> None:
    newest = list(journal.inspect(told.data))[-1]["last_sequence"]
    assert journal.as_of(told.data).sequence == newest
    code, text, err = run("as-of", "stay", told.stay_id, "--data", told.data)
    assert (code, err) == (0, "")
    assert text.startswith(f"stay {told.stay_id} behind sequence {newest}, decided ")


def test_no_past_is_told_from_a_damaged_journal(damaged: Path, run: Run) -> None:
    for arguments in (["as-of", "person", "12", "--sequence", "5"], ["export", "--out", str(damaged / "out")]):
        code, out, err = run(*arguments, "--data", damaged)
        assert (code, out) == (1, "")
        assert f"{damaged / '00000001.journal'} at offset 4096" in err
    assert not (damaged / "out").exists(), "there is no half export"
    program = [sys.executable, "-m", "medsettle", "as-of", "person", "12", "--sequence", "5", "--data", str(damaged)]
    told = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert len(told.stderr.splitlines()) == 1, "what cannot be folded is not tried"
    with pytest.raises(CorruptJournal):
        list(journal.inspect(damaged))


def test_frames_are_chosen_by_number_or_by_sequence(told: Told, run: Run) -> None:
    frames = list(journal.inspect(told.data))
    middle = frames[len(frames) // 2]
    number = int(str(middle["number"]))
    assert list(journal.inspect(told.data, from_frame=number, to_frame=number)) == [middle]
    by_sequence = [frame for frame in frames if frame["records"]][5]
    sequence = int(str(by_sequence["last_sequence"]))
    found = [frame for frame in journal.inspect(told.data, from_sequence=sequence, to_sequence=sequence)]
    assert found == [by_sequence]
    # Both decisions of one frame are found by either.
    for one in (told.together - 1, told.together):
        (shared,) = journal.inspect(told.data, from_sequence=one, to_sequence=one)
        assert (shared["first_sequence"], shared["last_sequence"]) == (told.together - 1, told.together)
    code, text, _ = run("inspect", told.data, "--json", "--from-frame", number, "--to-frame", number)
    assert (code, json.loads(text)["hash"]) == (0, bytes(middle["hash"]).hex())  # type: ignore[call-overload]
    code, _, err = run("inspect", told.data, "--from", 1, "--from-sequence", 1)
    assert (code, "both say where to begin" in err) == (2, True)


def test_what_ends_before_it_begins_is_refused_and_not_an_empty_journal(told: Told, run: Run) -> None:
    for kind in ("", "-sequence"):
        code, out, err = run("inspect", told.data, f"--from{kind}", 9, f"--to{kind}", 3)
        assert (code, out, err) == (2, "", f"medsettle: --from{kind} 9 lies behind --to{kind} 3\n")


def test_frames_are_cut_off_only_where_a_person_reads_them_and_never_in_silence(
    told: Told, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medsettle.cli.journal._FRAMES_SHOWN", 3)
    code, text, _ = run("inspect", told.data)
    assert (code, text.splitlines()[-1]) == (0, "3 frames shown; for more: --from 4")
    code, text, err = run("inspect", told.data, "--json")
    frames = [json.loads(row)["number"] for row in text.splitlines()]
    assert (code, err, frames) == (0, "", [frame["number"] for frame in journal.inspect(told.data)])
    assert len(frames) > 3
    code, text, err = run("inspect", told.data, "--json", "--limit", 2)
    assert (code, len(text.splitlines()), err) == (0, 2, "2 frames shown; for more: --from 3\n")
    code, text, _ = run("inspect", told.data, "--from", 5, "--limit", 1)
    assert (code, text.splitlines()[-1]) == (0, "1 frame shown; for more: --from 6")


def test_a_reader_who_stops_early_ends_the_reading(told: Told) -> None:
    frames = journal.inspect(told.data)
    assert next(frames)["number"] == 1
    del frames
    assert next(journal.inspect(told.data))["number"] == 1


@pytest.fixture
def exported(told: Told, tmp_path: Path, run: Run) -> dict[str, Any]:
    pytest.importorskip("pyarrow", reason="the extra `export` is not installed")
    import pyarrow.parquet

    code, out, err = run("export", "--data", told.data, "--out", tmp_path / "out")
    assert (code, err) == (0, ""), err
    assert "the ledger's legs sum to 0.00" in out
    return {path.stem: pyarrow.parquet.read_table(path) for path in (tmp_path / "out").iterdir()}


def test_the_exported_legs_are_the_trial_balance_and_the_movements_what_persons_hold(
    told: Told, exported: dict[str, Any]
) -> None:
    kinds = operations_pb2.LedgerBalance.Account
    expected: Tally[tuple[str, str]] = Tally()
    for row in told.books.balances:
        expected[kinds.Name(row.account), row.region or row.institution_code] += row.balance_fen
    legs: Tally[tuple[str, str]] = Tally()
    for leg in exported["ledger_legs"].to_pylist():
        legs[leg["account"], leg["region"] or leg["institution_code"]] += leg["amount_fen"]
    assert sum(legs.values()) == 0
    assert +legs == +expected
    assert -legs == -expected
    movements = [row for row in exported["account_movements"].to_pylist() if row["account"] != "BANK"]
    assert sum(row["amount_fen"] for row in movements) == told.books.personal_balances_fen
    assert {row["event"] for row in movements} == {
        "account_credited",
        "topped_up",
        "purchased",
        "card_made",
        "card_enabled",
        "settled",
        "settlement_cancelled",
        "unwound",
    }


def test_the_exported_tables_hold_every_record_and_settlement_with_typed_columns(
    told: Told, exported: dict[str, Any]
) -> None:
    records = [
        journal_pb2.Record.FromString(encoded)
        for frame in journal.inspect(told.data)
        for encoded in frame["records"]  # type: ignore[attr-defined]
    ]
    assert exported["records"]["sequence"].to_pylist() == [record.sequence for record in records]
    assert exported["records"]["stamp"].type.tz == "UTC"
    rows = exported["settlements"].to_pylist()
    assert Tally(row["kind"] for row in rows) == {"SETTLED": 4, "CANCELLED": 1, "ADJUSTED": 1, "UNWOUND": 1}
    settled, cancelled = (
        next(row for row in rows if (row["kind"], row["settlement_id"]) == (kind, told.settlement_id))
        for kind in ("SETTLED", "CANCELLED")
    )
    assert (
        settled["cash_fen"] + settled["account_fen"] + settled["fund_total_fen"] + settled["hospital_part_fen"]
        == (settled["total_fen"])
    )
    assert {name: -value for name, value in settled.items() if name in ("total_fen", "account_fen", "family_fen")} == {
        name: cancelled[name] for name in ("total_fen", "account_fen", "family_fen")
    }
    assert settled["family_fen"] > 0
    assert isinstance(settled["admission_date"], date)
    assert all(str(table.schema.field(name).type) == "int64" for table in exported.values() for name in fen(table))
    events = Tally(row["event"] for row in exported["card_events"].to_pylist())
    assert events["card_applied"] == 5
    text = json.dumps({name: table.to_pylist() for name, table in exported.items()}, default=str)
    assert told.patient.certificate.number not in text
    assert told.patient.chip.pan not in text


def fen(table: Any) -> list[str]:
    return [name for name in table.column_names if name.endswith("_fen")]


def test_an_export_ends_where_it_is_told_to_and_never_replaces_another(told: Told, run: Run, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow.parquet", reason="the extra `export` is not installed")
    # In the middle of a frame.
    sequence = told.together - 1
    code, out, _ = run("export", "--data", told.data, "--out", tmp_path, "--to-sequence", sequence)
    assert (code, f"up to sequence {sequence}" in out) == (0, True)
    assert pyarrow.read_table(tmp_path / "records.parquet")["sequence"].to_pylist()[-1] == sequence
    books = journal.as_of(told.data, sequence=sequence).operations.trial_balance(TRIAL)
    moved = pyarrow.read_table(tmp_path / "account_movements.parquet").to_pylist()
    assert sum(row["amount_fen"] for row in moved if row["account"] != "BANK") == books.personal_balances_fen
    code, _, err = run("export", "--data", told.data, "--out", tmp_path)
    assert (code, "never replaces another" in err) == (2, True)


def test_without_pyarrow_an_export_says_what_to_install(told: Told, tmp_path: Path) -> None:
    program = "import sys; sys.modules['pyarrow'] = None; from medsettle.cli import main; main(sys.argv[1:])"
    arguments = ["export", "--data", str(told.data), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "medsettle: the tables are written by pyarrow, which is not installed: pip install 'medsettle[export]'\n"
    )
    assert not (tmp_path / "out").exists()
