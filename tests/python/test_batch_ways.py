"""The same commands give the same results embedded, one by one, in a batch and in a stream of batches over real TLS."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from medsettle import Hub
from medsettle.auth.actor import Actor
from medsettle.client import AsyncClient, connect_async
from medsettle.errors import Rejected
from medsettle.hub import AsyncActing, AsyncHub, ManualClock
from medsettle.rpc.server import Listening, Service
from medsettle.v1 import accounts_pb2, batch_pb2, common_pb2, reason_pb2
from medsettle.v1.facade import METHODS
from trial_site import Pki
from trial_town import Town
from trial_world import OPERATOR, Agency, Ward, days_ago

ACTOR = Actor(OPERATOR, frozenset({"OPERATOR", "DESK"}))
Results = list[batch_pb2.CommandResult]
Asking = AsyncClient | AsyncActing
Way = Callable[[Asking, list[batch_pb2.Command]], Awaitable[Results]]


class Founded:
    """A data directory with a person, and commands that nobody has sent yet."""

    def __init__(self, root: Path) -> None:
        town = Town(root)
        with town.hub:
            self.patient = town.agency.insure()
        self.data, self.ring = town.data, town.ring
        self.commands = list(self._commands(town.agency))
        self.now_ms = time.time_ns() // 1_000_000 + 1_000

    def clock(self) -> ManualClock:
        """Give a clock that stands at the same time for every hub, behind the founding."""
        return ManualClock(self.now_ms)

    def _commands(self, agency: Agency) -> Iterator[batch_pb2.Command]:
        credits = [agency.credit_request(self.patient, 100 + number, str(number)) for number in range(20)]
        enrolment = agency.enrolment(777)
        enrolment.header.CopyFrom(agency.operator.header())
        reused, unknown = accounts_pb2.AccountsCreditRequest(), accounts_pb2.AccountsCreditRequest()
        reused.CopyFrom(credits[0])
        reused.amount_fen = 1
        unknown.CopyFrom(agency.credit_request(self.patient, 1, "unknown"))
        unknown.person_id = 404
        negative = agency.credit_request(self.patient, -1, "negative")
        read = accounts_pb2.AccountsGetRequest(person_id=self.patient.person_id)
        ward = Ward("H11010500001").admission(self.patient.card_at_admission(), days_ago(0))
        for credit in credits[:10]:
            yield batch_pb2.Command(accounts_credit=credit)
        yield batch_pb2.Command(accounts_get=read)
        yield batch_pb2.Command(persons_enroll=enrolment)
        for credit in (reused, unknown, negative, credits[0], *credits[10:]):
            yield batch_pb2.Command(accounts_credit=credit)
        yield batch_pb2.Command(inpatient_admit=ward)
        yield batch_pb2.Command(accounts_get=read)


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    return Founded(tmp_path_factory.mktemp("founded"))


def cut(commands: Sequence[batch_pb2.Command], size: int) -> Iterator[batch_pb2.BatchStreamRequest]:
    for first in range(0, len(commands), size):
        yield batch_pb2.BatchStreamRequest(commands=commands[first : first + size])


def streamed(size: int) -> Way:
    async def way(hub: Asking, commands: list[batch_pb2.Command]) -> Results:
        return [result async for answer in hub.batch.stream(cut(commands, size)) for result in answer.results]

    return way


async def submitted(hub: Asking, commands: list[batch_pb2.Command]) -> Results:
    return list((await hub.submit(batch_pb2.BatchSubmitRequest(commands=commands))).results)


async def one_by_one(hub: Asking, commands: list[batch_pb2.Command]) -> Results:
    results = []
    names = {method.operation: name for name, method in METHODS.items() if method.operation}
    for command in commands:
        field = command.WhichOneof("command")
        assert field is not None
        name = names[command.DESCRIPTOR.fields_by_name[field].number]
        result = batch_pb2.CommandResult()
        try:
            getattr(result, field).CopyFrom(await hub.call(name, getattr(command, field)))
        except Rejected as refused:
            result.refusal.reason = reason_pb2.Reason.Code.Value(refused.reason)
            result.refusal.metadata.update(refused.detail)
        results.append(result)
    return results


def told(results: Results) -> list[str]:
    """Tell results without the hash of the frame, which says in which company a command was decided."""
    for result in results:
        field = result.WhichOneof("result")
        header = getattr(getattr(result, field or ""), "header", None)
        if isinstance(header, common_pb2.ResponseHeader):
            header.ClearField("chain_hash")
    return [str(result) for result in results]


def embedded(founded: Founded, data: Path) -> Results:
    shutil.copytree(founded.data, data)
    with Hub.open(data, keys=founded.ring.path, kek=founded.ring.kek, clock=founded.clock()) as hub:
        acting = hub.acting(ACTOR.roles, ACTOR.institution)
        return [result for answer in acting.batch.stream(cut(founded.commands, 7)) for result in answer.results]


WAYS: dict[str, Way] = {
    "one by one": one_by_one,
    "in one batch": submitted,
    "as a stream of single commands": streamed(1),
    "as a stream of batches": streamed(7),
}


@pytest.mark.parametrize("over", ["the network", "asyncio"])
@pytest.mark.parametrize("way", WAYS)
def test_the_results_are_those_of_an_embedded_hub_when_they_are_sent(
    tmp_path: Path, pki: Pki, founded: Founded, way: str, over: str
) -> None:
    expected = told(embedded(founded, tmp_path / "embedded"))
    refused = [text for text in expected if text.startswith("refusal")]
    assert (len(expected), len(refused)) == (len(founded.commands), 4)
    data = tmp_path / "other"
    shutil.copytree(founded.data, data)

    async def main() -> Results:
        ring, clock = founded.ring, founded.clock()
        async with await AsyncHub.open(data, keys=ring.path, kek=ring.kek, clock=clock) as hub:
            if over == "asyncio":
                return await WAYS[way](hub.acting(ACTOR.roles, ACTOR.institution), founded.commands)
            service = Service(hub, Listening("127.0.0.1:0", tls=pki.server))
            port = await service.start()
            tls = pki.files(f"ways-{tmp_path.name}", pki.authority.issue_client(ACTOR))
            async with connect_async(f"127.0.0.1:{port}", tls=tls) as client:
                results = await WAYS[way](client, founded.commands)
            await service.stop(0)
            return results

    assert told(asyncio.run(main())) == expected
