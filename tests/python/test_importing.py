"""`medsettle import` into a data directory: everything arrives once, to the fen, and what does not arrive is told."""

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest

from medsettle import Hub, journal
from medsettle.v1 import accounts_pb2, cards_pb2, common_pb2, filings_pb2, journal_pb2, operations_pb2, persons_pb2
from trial_command import Outcome, Run
from trial_files import Told, card, fen, holder, identity, person, rejected, total, write
from trial_town import OF_PERSONS
from trial_world import BEIJING, OPERATOR, found_world

IMPORTER = "IMPORTER0001"
EVERYBODY = 40
KINDS = ("persons", "cards", "accounts", "accumulators", "filings")
READS = ["DESK", "OPERATOR", "AUDITOR"]


class Site:
    """A data directory with the insured world, and files beside it."""

    def __init__(self, root: Path, run: Run) -> None:
        self.root, self.data, self._run = root, root / "data", run
        self.config = root / "hub.toml"
        self.config.write_text("[engine]\nsegment_bytes = 1048576\n")
        with Hub.open(self.data) as hub:
            found_world(hub.acting(["OPERATOR"], OPERATOR))

    def bring(self, kind: str, file: Path, *options: object, by: str = IMPORTER) -> Outcome:
        where = ("--data", self.data, "--config", self.config, "--institution", by)
        return self._run("import", kind, file, *where, *options)

    def check(self, kind: str, file: Path, *options: object) -> Outcome:
        return self._run("import", kind, file, "--dry-run", *options)

    def again(self, kind: str, file: Path, *options: object, by: str = IMPORTER) -> Outcome:
        """Import a file whose checkpoint is gone."""
        for ending in (".checkpoint.json", ".rejects.csv"):
            Path(f"{file}{ending}").unlink(missing_ok=True)
        return self.bring(kind, file, *options, by=by)

    def sequence(self) -> int:
        with Hub.open(self.data) as hub:
            return (
                hub.acting(READS, OPERATOR).operations.status(operations_pb2.OperationsStatusRequest()).header.sequence
            )

    def facts(self) -> Counter[str]:
        """Count the decisions of the importer by what they left."""
        counted: Counter[str] = Counter()
        for frame in journal.inspect(self.data):
            for encoded in frame["records"]:  # type: ignore[attr-defined]
                record = journal_pb2.Record.FromString(encoded)
                counted.update(
                    str(fact.WhichOneof("fact")) for fact in record.facts if record.institution_code == IMPORTER
                )
        return counted


@pytest.fixture
def site(tmp_path: Path, run: Run) -> Site:
    return Site(tmp_path, run)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """One file of each kind about the same people."""
    everybody = range(EVERYBODY)
    sums = ("eligible_fen", "pool_fen", "own_burden_fen")
    rows = {
        "persons": [person(n) for n in everybody],
        "cards": [
            card(n, ("MADE", "ISSUED", "ENABLED")[n % 3], purse_fen=n, bank_state="ENABLED" if n % 3 == 2 else "")
            for n in everybody
        ],
        "accounts": [{**holder(n), "amount_fen": 100 + n, "period_key": "opening"} for n in everybody],
        "accumulators": [
            {**holder(n), "insurance_type": "EMPLOYEE", "benefit_year": 2026, "counter": "INPATIENT", "admissions": 1}
            | dict(zip(sums, (3 * n, 2 * n, n), strict=True))
            for n in everybody
        ],
        "filings": [
            {**holder(n), "kind": "TRANSFER", "destination": BEIJING, "valid_from": "2026-01-01"} for n in everybody
        ],
    }
    return {kind: write(tmp_path / f"{kind}.csv", rows[kind]) for kind in KINDS}


def in_whole(files: dict[str, Path]) -> dict[str, Told]:
    """Tell what importing each of the files for the first time must tell."""
    n = EVERYBODY
    money = {"cards": sum(range(n)), "accounts": 100 * n + sum(range(n)), "accumulators": 6 * sum(range(n))}
    return {kind: Told((n, money.get(kind, 0)), (0, 0), (0, 0)) for kind in files}


def test_files_of_every_kind_arrive_in_the_hub_to_the_fen(site: Site, files: dict[str, Path]) -> None:
    assert {kind: total(site.bring(kind, files[kind])) for kind in KINDS} == in_whole(files)
    with Hub.open(site.data) as hub:
        desk = hub.acting(READS, OPERATOR)
        books = desk.operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
        held = sum(row.balance_fen for row in books.balances if row.account in OF_PERSONS)
        assert abs(held) == 100 * EVERYBODY + sum(range(EVERYBODY)) + sum(range(EVERYBODY))
        assert books.sum_fen == 0
        for n in (0, 1, 2, 17, EVERYBODY - 1):
            certificate = common_pb2.Certificate(kind=common_pb2.Certificate.IDENTITY_CARD, number=identity(n))
            found = desk.persons.get(persons_pb2.PersonsGetRequest(certificate=certificate)).person
            assert (found.name, found.birth_date) == (f"张{n}", person(n)["birth_date"])
            (year,) = desk.accounts.get_accumulators(
                accounts_pb2.AccountsGetAccumulatorsRequest(person_id=found.person_id)
            ).years
            assert year.accumulators == common_pb2.Accumulators(
                admissions=1, eligible_fen=3 * n, pool_fen=2 * n, own_burden_fen=n
            )
            (filing,) = desk.filings.list(filings_pb2.FilingsListRequest(person_id=found.person_id)).filings
            assert (filing.destination, filing.valid_from) == (BEIJING, "2026-01-01")
            (kept,) = desk.cards.list(cards_pb2.CardsListRequest(person_id=found.person_id)).cards
            states = (cards_pb2.Card.MADE, cards_pb2.Card.ISSUED, cards_pb2.Card.ENABLED)
            assert kept.insurance_state == states[n % 3]
            assert (kept.bank_state == cards_pb2.Card.ENABLED) == (n % 3 == 2)
            assert (kept.pan, kept.card_sn) == (card(n)["pan"], card(n)["card_sn"])


@pytest.mark.parametrize("by", [IMPORTER, "IMPORTER0002"])
def test_the_same_files_once_more_double_nothing_whoever_brings_them(
    site: Site, files: dict[str, Path], by: str
) -> None:
    """Under another institution no request id is known: what keeps a row from being doubled are the rules.

    They do not tell the amount of a period that was credited, nor the sums that a year was opened with, so these rows
    are not counted as if they were there.
    """
    first = {kind: total(site.bring(kind, files[kind])) for kind in KINDS}
    before = site.sequence()
    unknown = set() if by == IMPORTER else {"accounts", "accumulators"}
    second = {kind: total(site.again(kind, files[kind], by=by), code=int(kind in unknown)) for kind in KINDS}
    there = {kind: Told((0, 0), one.imported, (0, 0)) for kind, one in first.items()}
    assert second == there | {kind: Told((0, 0), (0, 0), first[kind].imported) for kind in unknown}
    assert site.sequence() == before


def test_a_file_that_was_imported_to_its_end_is_not_sent_again(site: Site, files: dict[str, Path]) -> None:
    site.bring("persons", files["persons"])
    again = site.bring("persons", files["persons"])
    assert total(again).imported == (EVERYBODY, 0)
    assert "nothing was sent" in again.out


def test_a_dry_run_needs_no_hub_and_tells_what_would_be_rejected(site: Site, tmp_path: Path) -> None:
    before = site.sequence()
    rows = [person(0), person(1) | {"sex": "F"}, person(2) | {"region": "37010"}, person(3)]
    file = write(tmp_path / "persons.csv", rows)
    checked = site.check("persons", file)
    assert checked.code == 1
    assert "well formed 2 rows" in checked.out
    assert rejected(tmp_path / "persons.csv.dry-run.csv") == [
        (2, "sex", "REQUEST_MALFORMED"),
        (3, "region", "REQUEST_MALFORMED"),
    ]
    assert site.sequence() == before
    assert not (tmp_path / "persons.csv.checkpoint.json").exists()


def test_a_dry_run_without_rejects_leaves_no_file_and_a_pipe_where_it_is(site: Site, tmp_path: Path) -> None:
    file, pipe = write(tmp_path / "persons.csv", [person(0), person(1)]), tmp_path / "pipe"
    assert site.check("persons", file).code == 0
    assert not (tmp_path / "persons.csv.dry-run.csv").exists()
    os.mkfifo(pipe)
    held = os.open(pipe, os.O_RDWR)
    try:
        assert site.check("persons", file, "--rejects", pipe).code == 0
        assert pipe.is_fifo()
    finally:
        os.close(held)


def test_mended_rejects_are_imported_and_rows_that_were_not_rejected_stay_as_they_are(
    site: Site, tmp_path: Path
) -> None:
    unknown = "990000"
    rows = [person(0), person(1) | {"region": unknown}, person(2) | {"sex": ""}, person(3), person(0)]
    file = write(tmp_path / "persons.csv", rows)
    first = site.bring("persons", file)
    assert total(first, code=1) == Told((2, 0), (1, 0), (2, 0))
    rejects = tmp_path / "persons.csv.rejects.csv"
    assert rejected(rejects) == [(2, "", "REGION_UNKNOWN"), (3, "sex", "REQUEST_MALFORMED")]
    mended = tmp_path / "mended.csv"
    mended.write_text(rejects.read_text().replace(unknown, "370102").replace("张2,,", "张2,FEMALE,"))
    assert total(site.bring("persons", mended)) == Told((2, 0), (0, 0), (0, 0))
    assert site.facts() == {"person_enrolled": 4}


def test_a_row_that_says_something_else_of_what_is_there_is_rejected_and_changes_nothing(
    site: Site, tmp_path: Path
) -> None:
    credit = {**holder(0), "amount_fen": 700, "period_key": "opening"}
    site.bring("persons", write(tmp_path / "persons.csv", [person(0)]))
    site.bring("accounts", write(tmp_path / "first.csv", [credit]))
    before = site.sequence()
    for name, kind, row, by, reason in (
        ("a", "accounts", credit | {"amount_fen": 800}, IMPORTER, "REQUEST_ID_REUSED"),
        ("b", "persons", person(0) | {"name": "李"}, IMPORTER, "REQUEST_ID_REUSED"),
        ("c", "persons", person(0) | {"name": "李"}, "IMPORTER0002", "CERTIFICATE_IN_USE"),
    ):
        file = write(tmp_path / f"{name}.csv", [row])
        assert total(site.bring(kind, file, by=by), code=1).rejected[0] == 1
        assert [why for _, _, why in rejected(tmp_path / f"{name}.csv.rejects.csv")] == [reason]
    assert site.sequence() == before


@pytest.mark.parametrize(
    "announced", [("--expect-rows", 3), ("--expect-total-fen", 301), ("--control-totals", "totals.json")]
)
def test_what_was_announced_must_agree_before_anything_is_sent(
    site: Site, tmp_path: Path, announced: tuple[str, object]
) -> None:
    site.bring("persons", write(tmp_path / "persons.csv", [person(0), person(1)]))
    rows = [{**holder(n), "amount_fen": 100 + 100 * n, "period_key": "opening"} for n in range(2)]
    file = write(tmp_path / "accounts.csv", rows)
    (tmp_path / "totals.json").write_text(json.dumps({"rows": 2, "total_fen": fen(rows, "amount_fen") + 1}))
    before = site.sequence()
    option, value = announced
    refused = site.bring("accounts", file, option, tmp_path / value if isinstance(value, str) else value)
    assert refused.code == 1
    assert "was announced; nothing was sent" in refused.err
    assert site.sequence() == before
    assert total(site.bring("accounts", file, "--expect-rows", 2, "--expect-total-fen", 300)).imported == (2, 300)


def test_an_import_never_ends_a_card_that_is_in_use(site: Site, tmp_path: Path) -> None:
    site.bring("persons", write(tmp_path / "persons.csv", [person(0), person(1)]))
    other = {"pan": "9156777777777", "card_sn": "F" * 32}
    rows = [
        card(0),
        card(0) | other,
        card(1),
        card(1, "ISSUED") | other | {"card_sn": "E" * 32, "pan": "9156777777778"},
    ]
    told = site.bring("cards", write(tmp_path / "cards.csv", rows))
    assert total(told, code=1) == Told((3, 0), (0, 0), (1, 0))
    assert rejected(tmp_path / "cards.csv.rejects.csv") == [(2, "insurance_state", "CARD_EXISTS")]
    assert site.facts()["card_applied"] == 3


def test_a_card_that_is_malformed_leaves_no_application_behind(site: Site, tmp_path: Path) -> None:
    site.bring("persons", write(tmp_path / "persons.csv", [person(0)]))
    broken = [
        card(0, pan="9156"),
        card(0, "LOST"),
        card(0, "MADE", bank_state="ENABLED"),
        card(0, collected_by="x" * 65),
        card(0, scheme="PBOC_SM4", key_index="-1"),
    ]
    told = site.bring("cards", write(tmp_path / "cards.csv", broken))
    assert total(told, code=1).rejected[0] == len(broken)
    fields = [field for _, field, _ in rejected(tmp_path / "cards.csv.rejects.csv")]
    assert fields == ["pan", "insurance_state", "bank_state", "collected_by", "key_index"]
    assert site.facts() == {"person_enrolled": 1}


def test_a_card_that_was_refused_when_it_was_made_is_imported_once_its_row_is_mended(
    site: Site, tmp_path: Path
) -> None:
    """Its application stands; the mended row goes on with it, or asks for one of its own for somebody else."""
    site.bring("persons", write(tmp_path / "persons.csv", [person(n) for n in range(4)]))
    taken = str(card(0)["pan"])
    rows = [card(0), card(1, pan=taken), card(2, pan=taken)]
    told = site.bring("cards", write(tmp_path / "cards.csv", rows))
    assert total(told, code=1) == Told((1, 0), (0, 0), (2, 0))
    assert [why for _, _, why in rejected(tmp_path / "cards.csv.rejects.csv")] == ["CARD_EXISTS"] * 2
    mended = [card(1), card(2) | holder(3)]
    assert total(site.bring("cards", write(tmp_path / "mended.csv", mended))) == Told((2, 0), (0, 0), (0, 0))
    assert site.facts()["card_made"] == 3


def test_a_checkpoint_of_another_hub_or_of_an_older_state_of_it_is_refused(site: Site, tmp_path: Path) -> None:
    """Rows that the hub had forgotten would otherwise be passed over for ever."""
    older = tmp_path / "older"
    shutil.copytree(site.data, older)
    file = write(tmp_path / "persons.csv", [person(n) for n in range(5)])
    site.bring("persons", file)
    checkpoint = tmp_path / "persons.csv.checkpoint.json"
    unfinished = json.loads(checkpoint.read_text()) | {"finished": False}
    checkpoint.write_text(json.dumps(unfinished))
    assert total(site.bring("persons", file)).imported == (5, 0)
    checkpoint.write_text(json.dumps(unfinished))
    shutil.rmtree(site.data)
    older.rename(site.data)
    refused = site.bring("persons", file)
    assert refused.code == 1
    assert "put back to an older state" in refused.err
    assert total(site.again("persons", file)).imported == (5, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text + "x", "is no checkpoint"),
        (lambda text: text.replace(IMPORTER, "IMPORTER0002"), "is of another file, kind or institution"),
        (lambda text: text.replace('"rows": 2', '"rows": 1'), "does not fit"),
        (lambda text: text.replace('"rejects_bytes": ', '"rejects_bytes": 9'), "is shorter than the checkpoint says"),
    ],
)
def test_a_checkpoint_that_was_tampered_with_is_refused(site: Site, tmp_path: Path, change: object, said: str) -> None:
    file = write(tmp_path / "persons.csv", [person(0), person(1) | {"sex": "F"}])
    site.bring("persons", file)
    checkpoint = tmp_path / "persons.csv.checkpoint.json"
    text = checkpoint.read_text().replace('"finished": true', '"finished": false')
    checkpoint.write_text(change(text))  # type: ignore[operator]
    refused = site.bring("persons", file)
    assert refused.code == 2
    assert said in refused.err


def test_a_row_that_may_not_be_asked_for_stops_the_import_and_is_not_rejected(site: Site, tmp_path: Path) -> None:
    file = write(tmp_path / "persons.csv", [person(0)])
    refused = site.bring("persons", file, by="importer")
    assert refused.code == 2
    assert "12 characters" in refused.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"name,shoe_size\n", 'unknown columns: "shoe_size"'),
        (b"name,sex\n", 'missing columns: "birth_date"'),
        ("a,b\n".encode("utf-16"), "UTF-8"),
        (b"PAR1PAR1", "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_refused_before_anything_is_sent(
    site: Site, tmp_path: Path, content: bytes, said: str
) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    refused = site.bring("persons", file)
    assert refused.code == 2
    assert said in refused.err
    assert not (tmp_path / "file.csv.rejects.csv").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_the_columns_of_a_kind_are_shown_and_described_in_the_readme(run: Run, kind: str) -> None:
    from medsettle.importing import session

    shown = run("import", kind, "--columns")
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert shown.code == 0
    for column in session.columns(kind):
        assert column.name in shown.out
        assert f"`{column.name}`" in readme, column.name
