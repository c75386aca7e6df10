"""An import that is killed, or whose hub is, goes on and brings every row once, over the network and embedded."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from medsettle import Hub, journal
from medsettle.auth.actor import Actor
from medsettle.config import TlsFiles
from medsettle.demo.relay import LossyRelay
from medsettle.v1 import accounts_pb2, common_pb2, journal_pb2, operations_pb2, persons_pb2
from trial_files import Told, card, holder, identity, person, rejected, told, write
from trial_site import HubProcess, Pki
from trial_world import AUDITOR, OPERATOR, found_world

IMPORTER = "IMPORTER0001"
ROWS = 12_000
"""Three messages of five thousand commands: whatever is killed once the first is decided is killed amid them."""

TIMEOUT_S = 120
COMMAND = (sys.executable, "-m", "medsettle", "import")


@pytest.fixture(scope="module")
def importer(pki: Pki) -> TlsFiles:
    """Give the certificate of an office that imports."""
    actor = Actor(IMPORTER, frozenset({"DESK", "ISSUER", "OPERATOR"}))
    return pki.files(IMPORTER, pki.authority.issue_client(actor))


class FirstMessage(LossyRelay):
    """A line over which an import's first message of persons arrives and the second does not: none ends over it."""

    _left = 1_050_000
    """Of the bytes to the hub: those of 7,500 persons, of which a message has five thousand."""

    def lets_through(self, chunk: bytes, from_hub: bool) -> bool:
        """See `LossyRelay`."""
        if not from_hub:
            self._left -= len(chunk)
        return from_hub or self._left > 0


def over(target: str, tls: TlsFiles) -> list[str]:
    return ["--to", target, "--tls-ca", str(tls.ca), "--tls-cert", str(tls.cert), "--tls-key", str(tls.key)]


def into(data: Path, config: Path) -> list[str]:
    return ["--data", str(data), "--config", str(config), "--institution", IMPORTER]


def started(kind: str, file: Path, where: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, kind, str(file), *where], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finished(kind: str, file: Path, where: list[str], code: int = 0) -> Told:
    ran = subprocess.run(
        [*COMMAND, kind, str(file), *where], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert ran.returncode == code, ran.stderr
    return told(ran.stdout)


def until(happened: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Wait for something that the process brings about, and leave it stopped, so that it goes no further."""
    deadline_s = time.monotonic() + TIMEOUT_S
    process.send_signal(signal.SIGSTOP)
    while not happened():
        process.send_signal(signal.SIGCONT)
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
        process.send_signal(signal.SIGSTOP)


def end(process: "subprocess.Popen[str]", number: signal.Signals) -> str:
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=TIMEOUT_S)
    return err


def facts(data: Path) -> Counter[str]:
    """Count what the importer's decisions left in the journal."""
    counted: Counter[str] = Counter()
    for frame in journal.inspect(data):
        for encoded in frame["records"]:  # type: ignore[attr-defined]
            record = journal_pb2.Record.FromString(encoded)
            counted.update(str(fact.WhichOneof("fact")) for fact in record.facts if record.institution_code == IMPORTER)
    return counted


def persons_file(directory: Path) -> Path:
    """Write persons of whom two are rejected, one before and one behind wherever the import is killed."""
    rows = [person(number) for number in range(ROWS)]
    rows[1] |= {"sex": "F"}
    rows[-1] |= {"region": "990000"}
    return write(directory / "persons.csv", rows)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_import_over_the_network_that_is_broken_off_goes_on_and_brings_everybody_once(
    tmp_path: Path, pki: Pki, importer: TlsFiles, number: signal.Signals
) -> None:
    file = persons_file(tmp_path)
    with HubProcess(tmp_path / "hub", pki) as hub, hub.reach(OPERATOR) as operator, hub.connect(AUDITOR) as auditor:
        found_world(operator)

        def persons() -> int:
            return auditor.operations.status(operations_pb2.OperationsStatusRequest()).persons

        with FirstMessage(hub.target) as line:
            process = started("persons", file, over(line.target, importer))
            until(lambda: persons() > 0, process)
            end(process, number)
        assert 0 < persons() < ROWS
        # Everybody is imported by this import, whichever of its runs was answered.
        assert finished("persons", file, over(hub.target, importer), code=1) == Told((ROWS - 2, 0), (0, 0), (2, 0))
        assert persons() == ROWS - 2
        assert hub.terminate() == 0
        assert facts(hub.data) == {"person_enrolled": ROWS - 2}
    rejects = tmp_path / "persons.csv.rejects.csv"
    assert rejected(rejects) == [(2, "sex", "REQUEST_MALFORMED"), (ROWS, "", "REGION_UNKNOWN")]


@pytest.mark.timeout(300)
def test_a_right_that_the_certificate_lacks_ends_the_import_and_rejects_no_row(tmp_path: Path, pki: Pki) -> None:
    with HubProcess(tmp_path / "hub", pki) as hub, hub.reach(OPERATOR) as operator:
        found_world(operator)
        where = over(hub.target, pki.client(OPERATOR))
        assert finished("persons", write(tmp_path / "persons.csv", [person(0)]), where).imported == (1, 0)
        process = started("cards", write(tmp_path / "cards.csv", [card(0)]), where)
        _, err = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, "ROLE_FORBIDDEN (method=Cards.Apply)" in err) == (2, True), err
    assert rejected(tmp_path / "cards.csv.rejects.csv") == []


@pytest.mark.timeout(300)
def test_a_hub_that_is_killed_under_an_import_ends_it_and_the_import_goes_on_when_it_is_back(
    tmp_path: Path, pki: Pki, importer: TlsFiles
) -> None:
    file = persons_file(tmp_path)
    with HubProcess(tmp_path / "hub", pki) as hub:
        with hub.reach(OPERATOR) as operator, hub.connect(AUDITOR) as auditor, FirstMessage(hub.target) as line:
            found_world(operator)
            process = started("persons", file, over(line.target, importer))
            status = operations_pb2.OperationsStatusRequest()
            until(lambda: auditor.operations.status(status).persons > 0, process)
            hub.kill()
            process.send_signal(signal.SIGCONT)
            _, err = process.communicate(timeout=TIMEOUT_S)
        assert (process.returncode, "no answer from the hub" in err) == (2, True), err
        hub.start()
        assert finished("persons", file, over(hub.target, importer), code=1) == Told((ROWS - 2, 0), (0, 0), (2, 0))
        assert hub.terminate() == 0
        assert facts(hub.data) == {"person_enrolled": ROWS - 2}


@pytest.mark.timeout(300)
def test_an_import_into_a_directory_that_is_killed_goes_on_and_every_fen_arrives_once(tmp_path: Path) -> None:
    data, config = tmp_path / "data", tmp_path / "hub.toml"
    config.write_text("[engine]\nsegment_bytes = 4194304\n")
    with Hub.open(data) as hub:
        found_world(hub.acting(["OPERATOR"], OPERATOR))
    everybody = [person(number) for number in range(ROWS)]
    assert finished("persons", write(tmp_path / "persons.csv", everybody), into(data, config)).imported == (ROWS, 0)
    credits = [{**holder(n), "amount_fen": 1 + n, "period_key": "opening"} for n in range(ROWS)]
    file, money = write(tmp_path / "accounts.csv", credits), ROWS * (ROWS + 1) // 2
    checkpoint = tmp_path / "accounts.csv.checkpoint.json"

    before = facts(data)["person_enrolled"]
    process = started("accounts", file, into(data, config))
    until(checkpoint.exists, process)
    until(lambda: facts(data)["account_credited"] > 0, process)
    end(process, signal.SIGKILL)
    assert finished("accounts", file, into(data, config)) == Told((ROWS, money), (0, 0), (0, 0))
    assert facts(data) == {"person_enrolled": before, "account_credited": ROWS}
    with Hub.open(data) as hub:
        auditor = hub.acting(["AUDITOR"], AUDITOR)
        books = auditor.operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
        personal = operations_pb2.LedgerBalance.PERSONAL_ACCOUNTS
        assert abs(sum(row.balance_fen for row in books.balances if row.account == personal)) == money
        certificate = common_pb2.Certificate(kind=common_pb2.Certificate.IDENTITY_CARD, number=identity(ROWS - 1))
        last = auditor.persons.get(persons_pb2.PersonsGetRequest(certificate=certificate)).person.person_id
        statement = auditor.accounts.statement(accounts_pb2.AccountsStatementRequest(person_id=last))
        assert [(entry.amount_fen, entry.reference) for page in statement for entry in page.entries] == [
            (ROWS, "opening")
        ]
