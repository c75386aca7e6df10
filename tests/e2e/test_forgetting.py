"""A hub that was put back to an older state: its clients say so at their first call, never of one that remembers."""

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from medsettle.client import Client, Retries, connect, connect_async
from medsettle.errors import Rejected, ServerForgot
from medsettle.v1 import accounts_pb2, batch_pb2, operations_pb2
from trial_site import HubProcess, Office, Pki
from trial_world import AUDITOR, OPERATOR, Patient

STATUS = operations_pb2.OperationsStatusRequest()


class PutBack:
    """A hub that credited a person, of which a copy was taken, and that credited once more behind it."""

    def __init__(self, root: Path, pki: Pki) -> None:
        self.hub = HubProcess(root, pki)
        self.witness_file = root / "witness.json"
        self.copy = root / "copy"
        self.hub.start()
        with Office(self.hub) as office:
            self.patient: Patient = office.agency.insure()
            self.before = office.agency.credit_request(self.patient, 100, "before")
            self.behind = office.agency.credit_request(self.patient, 200, "behind")
            self.third = office.agency.credit_request(self.patient, 300, "third")
            self.many = [office.agency.credit_request(self.patient, 1, f"many{number}") for number in range(200)]
        self.desk = self.connect()
        self.desk.accounts.credit(self.before)
        assert self.hub.terminate() == 0
        shutil.copytree(self.hub.data, self.copy)
        self.hub.start()
        self.desk.accounts.credit(self.behind)

    def connect(self) -> Client:
        return connect(
            self.hub.target, tls=self.hub.pki.client(OPERATOR), retries=Retries(), witness_file=self.witness_file
        )

    def put_back(self) -> None:
        assert self.hub.terminate() == 0
        self.hub.data = self.copy
        self.hub.start()

    def __enter__(self) -> "PutBack":
        return self

    def __exit__(self, *error: object) -> None:
        self.desk.close()
        self.hub.__exit__(*error)


FIRST_CALLS: dict[str, Callable[[PutBack], object]] = {
    "status": lambda site: site.desk.operations.status(STATUS),
    "a read": lambda site: site.desk.accounts.get(accounts_pb2.AccountsGetRequest(person_id=site.patient.person_id)),
    "a command": lambda site: site.desk.accounts.credit(site.third),
    "the lost command": lambda site: site.desk.accounts.credit(site.behind),
    "a replay": lambda site: site.desk.accounts.credit(site.before),
    "a refusal": lambda site: site.desk.accounts.get(accounts_pb2.AccountsGetRequest(person_id=404)),
    "a stream": lambda site: list(
        site.desk.accounts.statement(accounts_pb2.AccountsStatementRequest(person_id=site.patient.person_id))
    ),
    "a stream of batches": lambda site: list(
        site.desk.batch.stream([batch_pb2.BatchStreamRequest(commands=[batch_pb2.Command(accounts_credit=site.third)])])
    ),
}


@pytest.mark.parametrize("first", FIRST_CALLS)
def test_a_client_notices_at_its_first_call_that_its_hub_was_put_back(tmp_path: Path, pki: Pki, first: str) -> None:
    with PutBack(tmp_path, pki) as site:
        seen = site.desk.witness
        assert seen is not None
        site.put_back()
        with pytest.raises(ServerForgot) as noticed:
            FIRST_CALLS[first](site)
        assert noticed.value.seen == seen
        assert f"sequence {seen.sequence} with chain hash {seen.chain_hash.hex()}" in str(noticed.value)
        assert f"its newest is {noticed.value.found}" in str(noticed.value)
        with Office(site.hub) as office:
            sequence = office.sequence()
        with pytest.raises(ServerForgot):
            site.desk.accounts.credit(site.third)
        with site.hub.connect(AUDITOR, Retries()) as auditor:
            assert auditor.operations.status(STATUS).header.sequence == sequence, "nothing more was sent to it"
        site.desk.begin_anew()
        site.desk.accounts.credit(site.behind)


def test_a_client_that_was_started_anew_remembers_by_its_file(tmp_path: Path, pki: Pki) -> None:
    with PutBack(tmp_path, pki) as site:
        site.desk.close()
        site.put_back()
        with site.connect() as again, pytest.raises(ServerForgot):
            again.operations.status(STATUS)
        site.witness_file.write_text("{}")
        with pytest.raises(ValueError, match="holds no witness"):
            site.connect()


def test_the_asynchronous_client_notices_as_well(tmp_path: Path, pki: Pki) -> None:
    async def main(site: PutBack) -> None:
        async with connect_async(site.hub.target, tls=pki.client(OPERATOR)) as desk:
            await desk.operations.status(STATUS)
            seen = desk.witness
            await asyncio.to_thread(site.put_back)
            with pytest.raises(ServerForgot) as noticed:
                await desk.accounts.get(accounts_pb2.AccountsGetRequest(person_id=site.patient.person_id))
            assert noticed.value.seen == seen
            assert isinstance(noticed.value.answer, accounts_pb2.AccountsGetResponse)
            with pytest.raises(ServerForgot):
                await desk.operations.status(STATUS)

    with PutBack(tmp_path, pki) as site:
        asyncio.run(main(site))


def test_another_history_of_the_same_length_is_told_from_the_one_that_was_seen(tmp_path: Path, pki: Pki) -> None:
    with PutBack(tmp_path, pki) as site:
        seen = site.desk.witness
        assert seen is not None
        site.put_back()
        with site.hub.connect(OPERATOR, Retries()) as other:
            credited = other.accounts.credit(site.third)
        assert credited.header.sequence == seen.sequence
        with pytest.raises(ServerForgot, match=f"another chain hash, {credited.header.chain_hash.hex()}"):
            site.desk.operations.status(STATUS)


def test_a_hub_that_remembers_is_never_accused(tmp_path: Path, pki: Pki) -> None:
    with PutBack(tmp_path, pki) as site:
        desk = site.desk
        for end in (site.hub.kill, site.hub.terminate):
            end()
            site.hub.start()
            assert desk.accounts.credit(site.before).header.replayed
            desk.accounts.get(accounts_pb2.AccountsGetRequest(person_id=site.patient.person_id))
            with pytest.raises(Rejected):
                desk.accounts.get(accounts_pb2.AccountsGetRequest(person_id=404))
        with ThreadPoolExecutor(8) as clerks:
            assert len(list(clerks.map(desk.accounts.credit, site.many))) == len(site.many)
        assert desk.witness is not None

        # A failover: what was backed up to the last decision is restored, and a new epoch begins behind it.
        backup, restored = tmp_path / "backup", tmp_path / "restored"
        run("backup", "--from", site.hub.target, "--to", backup, *tls_options(pki))
        assert site.hub.terminate() == 0
        run("restore", "--backup", backup, "--to", restored)
        site.hub.data = restored
        site.hub.start()
        assert desk.accounts.credit(site.before).header.replayed
        assert desk.accounts.credit(site.behind).header.replayed
        desk.accounts.credit(site.third)


def run(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "medsettle", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def tls_options(pki: Pki) -> list[str]:
    tls = pki.client(OPERATOR)
    return ["--tls-ca", str(tls.ca), "--tls-cert", str(tls.cert), "--tls-key", str(tls.key)]
