"""The client over a real socket: what it sends again, what it never does, and what it raises.

The hub behind it is a scripted server, because lost answers and refusals must come in a given order.
"""

import asyncio
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import grpc
import pytest

from medsettle.auth.actor import Actor
from medsettle.client import Client, Retries, Witness, connect, connect_async
from medsettle.errors import MedsettleError, NoAnswer, Overloaded, Rejected
from medsettle.rpc.refusal import DETAILS_KEY, wire_refusal
from medsettle.v1 import common_pb2, inpatient_pb2

HOSPITAL = Actor("H11010500001", frozenset({"HOSPITAL"}))
FAST = Retries(attempts=4, first_pause_s=0.001, longest_pause_s=0.002, attempt_timeout_s=0.3)
REQUEST = inpatient_pb2.InpatientSettleRequest(header=common_pb2.RequestHeader(request_id="r-1", created_ms=1))


def answer(sequence: int, *, replayed: bool = False) -> bytes:
    header = common_pb2.ResponseHeader(sequence=sequence, chain_hash=b"%032d" % sequence, replayed=replayed)
    return inpatient_pb2.InpatientSettleResponse(header=header).SerializeToString()


class ScriptedServer:
    """Answers Inpatient.Settle by its script: each step is bytes, a reason, a bare status, or None for silence."""

    def __init__(self) -> None:
        self.script: list[bytes | str | grpc.StatusCode | None] = []
        self.seen: list[bytes] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._settle)
        generic = grpc.method_handlers_generic_handler("medsettle.v1.Inpatient", {"Settle": handler})
        self._server.add_generic_rpc_handlers((generic,))
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _settle(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.seen.append(request)
        step = self.script.pop(0)
        if isinstance(step, bytes):
            return step
        if isinstance(step, str):
            refusal = wire_refusal(step, {})
            context.set_trailing_metadata(((DETAILS_KEY, refusal.details),))
            context.abort(refusal.code, refusal.text)
        if step is not None:
            context.abort(step, "")
        silent = futures.Future[None]()
        context.add_callback(lambda: silent.set_result(None))
        silent.result()
        return b""

    def stop(self) -> None:
        self._server.stop(None).wait()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[Client]:
    with connect(server.target, actor=HOSPITAL, retries=FAST) as connected:
        yield connected


def test_a_lost_answer_is_asked_for_again_with_the_same_bytes(server: ScriptedServer, client: Client) -> None:
    server.script = [None, grpc.StatusCode.UNAVAILABLE, "OVERLOADED", answer(7)]
    response = client.inpatient.settle(REQUEST)
    assert response.header.sequence == 7
    assert server.seen == [REQUEST.SerializeToString()] * 4


def test_the_asynchronous_client_asks_again_as_well(server: ScriptedServer) -> None:
    server.script = [None, "RECOVERING", answer(7)]

    async def main() -> None:
        async with connect_async(server.target, actor=HOSPITAL, retries=FAST) as connected:
            assert (await connected.inpatient.settle(REQUEST)).header.sequence == 7
            assert connected.witness == Witness(7, b"%032d" % 7)

    asyncio.run(main())
    assert server.seen == [REQUEST.SerializeToString()] * 3


@pytest.mark.parametrize("reason", ["STAY_UNKNOWN", "QUOTE_STALE", "INTERNAL", "REQUEST_ID_REUSED"])
def test_a_refusal_that_will_not_change_is_not_asked_for_again(
    server: ScriptedServer, client: Client, reason: str
) -> None:
    server.script = [reason]
    with pytest.raises(Rejected) as caught:
        client.inpatient.settle(REQUEST)
    assert caught.value.reason == reason
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("step", "kind"), [("OVERLOADED", Overloaded), ("DISK_FULL", Rejected), (grpc.StatusCode.UNAVAILABLE, NoAnswer)]
)
def test_the_last_attempt_s_error_is_raised(
    server: ScriptedServer, client: Client, step: str | grpc.StatusCode, kind: type[MedsettleError]
) -> None:
    server.script = [step] * FAST.attempts
    with pytest.raises(kind):
        client.inpatient.settle(REQUEST)
    assert len(server.seen) == FAST.attempts


def test_a_message_that_the_transport_refused_is_not_sent_again(server: ScriptedServer, client: Client) -> None:
    server.script = [grpc.StatusCode.RESOURCE_EXHAUSTED]
    with pytest.raises(NoAnswer, match="RESOURCE_EXHAUSTED"):
        client.inpatient.settle(REQUEST)
    assert len(server.seen) == 1


def test_the_callers_timeout_covers_all_attempts(server: ScriptedServer, client: Client) -> None:
    server.script = [None] * FAST.attempts
    with pytest.raises(NoAnswer, match="DEADLINE_EXCEEDED"):
        client.inpatient.settle(REQUEST, timeout=0.1)
    assert len(server.seen) == 1


def test_the_newest_decision_is_remembered(server: ScriptedServer, client: Client) -> None:
    assert client.witness is None
    server.script = [answer(9), answer(8, replayed=True)]
    for _ in range(2):
        client.inpatient.settle(REQUEST)
    assert client.witness == Witness(9, b"%032d" % 9)


def test_pauses_double_up_to_the_longest_and_are_random_below() -> None:
    retries = Retries(first_pause_s=0.05, longest_pause_s=2.0)
    assert [retries.pause_s(attempt, 1.0) for attempt in (1, 2, 3, 6, 7, 1_000)] == [0.05, 0.1, 0.2, 1.6, 2.0, 2.0]
    assert retries.pause_s(3, 0.0) == 0.0


def test_a_client_says_who_it_is_in_one_way() -> None:
    with pytest.raises(ValueError, match="give tls"):
        connect("127.0.0.1:1")


def test_a_witness_file_may_be_named_by_text(server: ScriptedServer, tmp_path: Path) -> None:
    file = tmp_path / "witness.json"
    server.script = [answer(7)]
    with connect(server.target, actor=HOSPITAL, retries=FAST, witness_file=str(file)) as client:
        client.inpatient.settle(REQUEST)
        seen = client.witness
    with connect(server.target, actor=HOSPITAL, retries=FAST, witness_file=str(file)) as again:
        assert again.witness == seen is not None

    async def known() -> Witness | None:
        async with connect_async(server.target, actor=HOSPITAL, retries=FAST, witness_file=str(file)) as client:
            return client.witness

    assert asyncio.run(known()) == seen
