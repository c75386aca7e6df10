"""Streams: page by page from a scripted engine over real TLS, and read on by a client whose connection breaks."""

import asyncio
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest

from medsettle.auth.actor import Actor
from medsettle.client import Client, Retries, connect, connect_async
from medsettle.errors import NoAnswer, Rejected
from medsettle.rpc import edge
from medsettle.rpc.refusal import DETAILS_KEY, wire_refusal
from medsettle.v1 import accounts_pb2, reason_pb2
from scripted_hub import Answer, ScriptedHub, Site, info_of, refusing

STATEMENT = "/medsettle.v1.Accounts/Statement"
PAGE_OPERATION = 309
AUDITOR = Actor("A11010500001", frozenset({"AUDITOR"}))
FAST = Retries(attempts=4, first_pause_s=0.001, longest_pause_s=0.002, attempt_timeout_s=0.3)
LAST = 5
"""The page that begins behind this sequence is the last."""


def page(request: bytes, padding: int = 0) -> bytes:
    """Answer as an engine that has one entry with each sequence up to the last."""
    after = accounts_pb2.AccountsStatementRequest.FromString(request).after_sequence
    entry = accounts_pb2.StatementEntry(sequence=after + 1, terminal_id="T" * padding)
    following = 0 if after == LAST else after + 1
    return accounts_pb2.AccountsStatementResponse(entries=[entry], next_after_sequence=following).SerializeToString()


def sequences(answers: list[bytes]) -> list[int]:
    return [accounts_pb2.AccountsStatementResponse.FromString(answer).entries[0].sequence for answer in answers]


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("site"))


async def read(channel: grpc.aio.Channel, request: accounts_pb2.AccountsStatementRequest) -> list[bytes]:
    method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(STATEMENT)
    return [answer async for answer in method(request.SerializeToString(), timeout=10)]


def test_a_stream_is_asked_for_page_by_page_behind_what_the_caller_knows(site: Site) -> None:
    async def main() -> None:
        hub = ScriptedHub(lambda request: (True, page(request)))
        request = accounts_pb2.AccountsStatementRequest(person_id=7, after_sequence=3)
        async with site.serving(hub), site.channel(site.client("auditor", AUDITOR)) as channel:
            assert sequences(await read(channel, request)) == [4, 5, 6]
        asked = [accounts_pb2.AccountsStatementRequest.FromString(body) for _, _, _, body in hub.native.sent]
        assert [(one.person_id, one.after_sequence) for one in asked] == [(7, 3), (7, 4), (7, 5)]
        assert {(operation, institution) for operation, _, institution, _ in hub.native.sent} == {
            (PAGE_OPERATION, AUDITOR.institution)
        }

    asyncio.run(main())


def test_a_certificate_that_is_revoked_while_its_stream_goes_on_gets_no_further_page(site: Site) -> None:
    issued = site.authority.issue_client(AUDITOR)

    def revoke_at_the_second(request: bytes) -> tuple[bool, bytes]:
        if accounts_pb2.AccountsStatementRequest.FromString(request).after_sequence == 1:
            site.authority.revoke(issued.certificate.serial_number)
        return True, page(request)

    async def main() -> None:
        hub = ScriptedHub(revoke_at_the_second)
        async with site.serving(hub), site.channel(site.files("revoked", issued)) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await read(channel, accounts_pb2.AccountsStatementRequest())
        assert info_of(caught.value) == ("CERTIFICATE_NOT_ACCEPTED", {"problem": "the certificate is revoked"})
        assert len(hub.native.sent) == 2

    asyncio.run(main())


def test_a_caller_that_reads_slowly_is_sent_no_more_than_fits_its_window(site: Site) -> None:
    async def main() -> None:
        pages = 400
        hub = ScriptedHub(_endless(1 << 16))
        async with site.serving(hub), site.channel(site.client("auditor", AUDITOR)) as channel:
            method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(STATEMENT)
            call = method(b"", timeout=10)
            await call.read()
            asked = 0
            async with asyncio.timeout(10):
                while asked != len(hub.native.sent):
                    asked = len(hub.native.sent)
                    await asyncio.sleep(0.2)
            assert asked < pages
            call.cancel()
            assert site.service is not None
            async with asyncio.timeout(10):
                while site.service.counters.in_flight:
                    await asyncio.sleep(0.01)

    asyncio.run(main())


def test_a_caller_that_goes_while_it_is_answered_is_no_fault_of_ours(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with site.serving(ScriptedHub(_endless(1 << 20))):
            assert site.service is not None
            counters, tls = site.service.counters, site.client("going")
            for _ in range(10):
                async with site.channel(tls) as channel:
                    method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(STATEMENT)
                    await method(b"", timeout=10).read()
            async with asyncio.timeout(10):
                while counters.in_flight:
                    await asyncio.sleep(0.01)
            assert {outcome for _, outcome in counters.snapshot()} == {"CANCELLED"}
            assert not caplog.records

    asyncio.run(main())


def _endless(padding: int) -> Answer:
    def answer(request: bytes) -> tuple[bool, bytes]:
        shown = accounts_pb2.AccountsStatementResponse.FromString(page(request, padding))
        shown.next_after_sequence = shown.entries[0].sequence
        return True, shown.SerializeToString()

    return answer


def test_a_page_that_does_not_come_ends_the_stream_at_its_deadline(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "DEADLINE_S", 0.05)

    async def main() -> None:
        async with site.serving(ScriptedHub(lambda _request: None)), site.channel(site.client("one")) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await read(channel, accounts_pb2.AccountsStatementRequest())
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    asyncio.run(main())


def test_a_stream_is_refused_with_the_reason_of_the_engine(site: Site) -> None:
    async def main() -> None:
        hub = ScriptedHub(refusing(reason_pb2.Reason.PERSON_UNKNOWN))
        async with site.serving(hub), site.channel(site.client("one")) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await read(channel, accounts_pb2.AccountsStatementRequest())
        assert info_of(caught.value)[0] == "PERSON_UNKNOWN"

    asyncio.run(main())


class BreakingServer:
    """Gives pages, and breaks off after as many as its script says for each call, with a status or a reason."""

    def __init__(self) -> None:
        self.script: list[tuple[int, grpc.StatusCode | str]] = []
        self.began_after: list[int] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(self._statement)
        generic = grpc.method_handlers_generic_handler("medsettle.v1.Accounts", {"Statement": handler})
        self._server.add_generic_rpc_handlers((generic,))
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _statement(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        asked = accounts_pb2.AccountsStatementRequest.FromString(request)
        self.began_after.append(asked.after_sequence)
        pages, end = self.script.pop(0) if self.script else (LAST + 1, grpc.StatusCode.OK)
        for _ in range(pages):
            answer = page(asked.SerializeToString())
            yield answer
            asked.after_sequence = accounts_pb2.AccountsStatementResponse.FromString(answer).next_after_sequence
            if not asked.after_sequence:
                return
        if isinstance(end, str):
            refusal = wire_refusal(end, {})
            context.set_trailing_metadata(((DETAILS_KEY, refusal.details),))
            context.abort(refusal.code, refusal.text)
        context.abort(end, "")

    def stop(self) -> None:
        self._server.stop(None).wait()


@pytest.fixture
def server() -> Iterator[BreakingServer]:
    breaking = BreakingServer()
    yield breaking
    breaking.stop()


@pytest.fixture
def client(server: BreakingServer) -> Iterator[Client]:
    with connect(server.target, actor=AUDITOR, retries=FAST) as connected:
        yield connected


def test_a_broken_stream_goes_on_behind_what_was_read(server: BreakingServer, client: Client) -> None:
    server.script = [(2, grpc.StatusCode.UNAVAILABLE), (0, "OVERLOADED"), (1, grpc.StatusCode.UNAVAILABLE)]
    request = accounts_pb2.AccountsStatementRequest(person_id=7)
    shown = [response.entries[0].sequence for response in client.accounts.statement(request)]
    assert shown == [1, 2, 3, 4, 5, 6]
    assert server.began_after == [0, 2, 2, 3]
    assert request.after_sequence == 0, "the caller's request stays as it was"


def test_the_asynchronous_client_goes_on_as_well(server: BreakingServer) -> None:
    server.script = [(3, grpc.StatusCode.UNAVAILABLE)]

    async def main() -> None:
        async with connect_async(server.target, actor=AUDITOR, retries=FAST) as connected:
            request = accounts_pb2.AccountsStatementRequest(person_id=7)
            shown = [response.entries[0].sequence async for response in connected.accounts.statement(request)]
            assert shown == [1, 2, 3, 4, 5, 6]

    asyncio.run(main())
    assert server.began_after == [0, 3]


def test_a_stream_that_will_not_be_given_is_not_asked_for_again(server: BreakingServer, client: Client) -> None:
    server.script = [(1, "PERSON_UNKNOWN")]
    stream = client.accounts.statement(accounts_pb2.AccountsStatementRequest())
    assert next(stream).entries[0].sequence == 1
    with pytest.raises(Rejected, match="PERSON_UNKNOWN"):
        next(stream)
    server.script = [(0, grpc.StatusCode.UNAVAILABLE)] * FAST.attempts
    with pytest.raises(NoAnswer, match="UNAVAILABLE"):
        next(client.accounts.statement(accounts_pb2.AccountsStatementRequest()))
    assert server.script == []
