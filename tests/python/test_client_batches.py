"""What the clients send on a batch stream, how far ahead, and what they raise when it breaks or the hub forgot.

The hub behind them is a scripted server, because answers must break off and contradict each other in a given order.
"""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent import futures

import grpc
import pytest

from medsettle.auth.actor import Actor
from medsettle.client import Retries, connect, connect_async
from medsettle.errors import MedsettleError, NoAnswer, Rejected, ServerForgot
from medsettle.exchange import IN_FLIGHT_MESSAGES
from medsettle.rpc.refusal import DETAILS_KEY, wire_refusal
from medsettle.v1 import batch_pb2, common_pb2

HOSPITAL = Actor("H11010500001", frozenset({"HOSPITAL"}))
FAST = Retries(attempts=4, first_pause_s=0.001, longest_pause_s=0.002, attempt_timeout_s=0.3)
PATIENCE_S = 30
Sent = batch_pb2.BatchStreamRequest
Answers = list[int]


def message(number: int) -> Sent:
    made = Sent()
    made.commands.add().accounts_get.person_id = number
    return made


def response(sequence: int) -> bytes:
    header = common_pb2.ResponseHeader(sequence=sequence, chain_hash=b"%032d" % sequence)
    return batch_pb2.BatchStreamResponse(header=header).SerializeToString()


class ScriptedServer:
    """Answers each message of a stream with the next sequence of its script; a reason or a status ends it."""

    def __init__(self) -> None:
        self.script: list[int | str | grpc.StatusCode] = []
        self.streams: list[list[int]] = []
        self.seen = threading.Semaphore(0)
        self.may_answer = threading.Event()
        self.may_answer.set()
        self._server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._stream)
        generic = grpc.method_handlers_generic_handler("medsettle.v1.Batch", {"Stream": handler})
        self._server.add_generic_rpc_handlers((generic,))
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def _stream(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        numbers: list[int] = []
        self.streams.append(numbers)
        arrived: futures.Future[None] = futures.Future()

        def take() -> None:
            # A stream that is cancelled ends with an error here.
            with contextlib.suppress(grpc.RpcError):
                for request in requests:
                    numbers.append(Sent.FromString(request).commands[0].accounts_get.person_id)
                    self.seen.release()
            arrived.set_result(None)

        reader = threading.Thread(target=take, daemon=True)
        reader.start()
        for answered in itertools.count():
            while len(numbers) <= answered and not arrived.done():
                self.seen.acquire(timeout=0.01)
            if len(numbers) <= answered:
                return
            self.may_answer.wait(PATIENCE_S)
            step = self.script.pop(0)
            if isinstance(step, str):
                refusal = wire_refusal(step, {})
                context.set_trailing_metadata(((DETAILS_KEY, refusal.details),))
                context.abort(refusal.code, refusal.text)
            if isinstance(step, grpc.StatusCode):
                context.abort(step, "")
            yield response(step)

    def stop(self) -> None:
        self._server.stop(None).wait()


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.stop()


Ask = Callable[[ScriptedServer, Iterable[Sent], Answers], None]
"""Sends messages and appends the sequences that are answered."""


def asked(server: ScriptedServer, messages: Iterable[Sent], answers: Answers) -> None:
    with connect(server.target, actor=HOSPITAL, retries=FAST) as client:
        for answer in client.batch.stream(messages, timeout=PATIENCE_S):
            answers.append(answer.header.sequence)


def asked_asynchronously(server: ScriptedServer, messages: Iterable[Sent], answers: Answers) -> None:
    async def main() -> None:
        async with connect_async(server.target, actor=HOSPITAL, retries=FAST) as client:
            async for answer in client.batch.stream(messages, timeout=PATIENCE_S):
                answers.append(answer.header.sequence)

    asyncio.run(main())


BOTH = pytest.mark.parametrize("ask", [asked, asked_asynchronously], ids=["for_threads", "for_asyncio"])


@BOTH
def test_every_message_is_answered_in_its_turn(server: ScriptedServer, ask: Ask) -> None:
    server.script = list(range(1, 41))
    answers: Answers = []
    ask(server, map(message, range(40)), answers)
    assert (answers, server.streams) == (list(range(1, 41)), [list(range(40))])


@BOTH
def test_no_more_messages_are_unanswered_than_the_bound(server: ScriptedServer, ask: Ask) -> None:
    server.script = list(range(1, 101))
    server.may_answer.clear()
    made: list[int] = []

    def messages() -> Iterator[Sent]:
        for number in range(100):
            made.append(number)
            if number == IN_FLIGHT_MESSAGES - 1:
                # The last that may be under way without an answer; now the answers begin.
                threading.Timer(0.3, check).start()
            yield message(number)

    most: list[int] = []

    def check() -> None:
        most.append(len(made))
        server.may_answer.set()

    answers: Answers = []
    ask(server, messages(), answers)
    assert (most, len(answers)) == ([IN_FLIGHT_MESSAGES], 100)


@BOTH
@pytest.mark.parametrize(
    ("end", "kind"),
    [(grpc.StatusCode.UNAVAILABLE, NoAnswer), ("REQUEST_TOO_LARGE", Rejected)],
    ids=["broken", "refused"],
)
def test_a_stream_that_ends_early_is_not_begun_again_in_silence(
    server: ScriptedServer, ask: Ask, end: grpc.StatusCode | str, kind: type[MedsettleError]
) -> None:
    server.script = [1, 2, end]
    answers: Answers = []
    with pytest.raises(kind):
        ask(server, map(message, range(10)), answers)
    assert (answers, len(server.streams)) == ([1, 2], 1)


@BOTH
def test_what_making_a_message_raises_comes_to_the_caller_behind_the_answers_of_the_others(
    server: ScriptedServer, ask: Ask
) -> None:
    server.script = [1, 2]

    def messages() -> Iterator[Sent]:
        yield message(0)
        yield message(1)
        raise KeyError("no such ward")

    answers: Answers = []
    with pytest.raises(KeyError, match="no such ward"):
        ask(server, messages(), answers)
    assert answers == [1, 2]


def test_an_answer_that_names_an_older_place_shows_that_the_hub_forgot(server: ScriptedServer) -> None:
    server.script = [7, 8, 3]
    answered = threading.Event()

    def messages() -> Iterator[Sent]:
        yield message(0)
        # Begun behind the first answer, so what answers them may name nothing older.
        answered.wait(PATIENCE_S)
        yield message(1)
        yield message(2)

    with connect(server.target, actor=HOSPITAL, retries=FAST) as client:
        stream = client.batch.stream(messages(), timeout=PATIENCE_S)
        assert next(stream).header.sequence == 7
        answered.set()
        assert next(stream).header.sequence == 8
        with pytest.raises(ServerForgot):
            next(stream)
        with pytest.raises(ServerForgot):
            next(client.batch.stream(messages()))


def test_the_asynchronous_client_notices_a_hub_that_forgot_and_takes_asynchronous_messages(
    server: ScriptedServer,
) -> None:
    server.script = [7, 3]

    async def main() -> None:
        answered = asyncio.Event()

        async def messages() -> AsyncIterator[Sent]:
            yield message(0)
            await answered.wait()
            yield message(1)

        async with connect_async(server.target, actor=HOSPITAL, retries=FAST) as client:
            stream = client.batch.stream(messages(), timeout=PATIENCE_S)
            assert (await anext(stream)).header.sequence == 7
            answered.set()
            with pytest.raises(ServerForgot):
                await anext(stream)
            with pytest.raises(ServerForgot):
                await anext(client.batch.stream(messages()))

    asyncio.run(main())


def test_a_caller_that_stops_reading_leaves_no_thread_that_would_send_more(server: ScriptedServer) -> None:
    server.script = list(range(1, 1_000))
    senders: set[threading.Thread] = set()
    all_made = threading.Event()

    def messages() -> Iterator[Sent]:
        for number in itertools.count():
            senders.add(threading.current_thread())
            if number == IN_FLIGHT_MESSAGES:
                all_made.set()
            yield message(number)

    with connect(server.target, actor=HOSPITAL, retries=FAST) as client:
        stream = client.batch.stream(messages())
        assert next(stream).header.sequence == 1
        # One was answered, so that as many as the bound are unanswered, and it waits for room.
        assert all_made.wait(PATIENCE_S)
        (sender,) = senders
        assert sender.is_alive()
        del stream
        sender.join(PATIENCE_S)
        assert not sender.is_alive()
