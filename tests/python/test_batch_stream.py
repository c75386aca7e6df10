"""Batch.Stream over real sockets and real TLS, before a scripted engine: order, what is held, how a stream ends."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest

from medsettle.auth.actor import Actor
from medsettle.rpc import limits
from medsettle.v1 import reason_pb2
from scripted_hub import ScriptedHub, Site, call, echo, info_of, refusing

STREAM = "/medsettle.v1.Batch/Stream"
OTHER = Actor("H31010000007", frozenset({"HOSPITAL"}))
PATIENCE_S = 30
Call = grpc.aio.StreamStreamCall[bytes, bytes]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def begin(channel: grpc.aio.Channel, timeout: float | None = PATIENCE_S) -> Call:
    method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(STREAM)
    return method(timeout=timeout)


async def answers_of(stream: Call) -> list[bytes]:
    """Read until the stream ends well."""
    answers = []
    while isinstance(answer := await stream.read(), bytes):
        answers.append(answer)
    return answers


async def end_of(stream: Call) -> tuple[list[bytes], grpc.aio.AioRpcError]:
    """Read until the stream is refused; gives what was answered before."""
    answers = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        while isinstance(answer := await stream.read(), bytes):
            answers.append(answer)
    return answers, caught.value


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)


async def settled(count: Callable[[], int]) -> int:
    """Wait until a count stands still."""
    seen = -1
    async with asyncio.timeout(PATIENCE_S):
        while seen != count():
            seen = count()
            await asyncio.sleep(0.3)
    return seen


def on(
    site: Site, hub: ScriptedHub, use: Callable[[grpc.aio.Channel], Awaitable[None]], actor: Actor | None = None
) -> None:
    """Serve a hub and use it over one connection; afterwards nothing of the streams is left."""

    async def main() -> None:
        tls = site.client("one", actor) if actor else site.client("one")
        async with site.serving(hub), site.channel(tls) as channel:
            await use(channel)
            assert site.service is not None
            counters = site.service.counters
            await until(lambda: not counters.in_flight)

    asyncio.run(main())


def test_answers_come_in_the_order_of_the_messages_whatever_the_order_of_the_engine(site: Site) -> None:
    hub = ScriptedHub(lambda _message: None)

    async def use(channel: grpc.aio.Channel) -> None:
        stream = begin(channel)
        for number in range(5):
            await stream.write(b"%d" % number)
        await until(lambda: len(hub.native.sent) == 5)
        for ticket in (4, 2, 5, 3, 1):
            hub.native.finish(ticket, True, b"answer %d" % ticket)
        await stream.done_writing()
        assert await answers_of(stream) == [b"answer %d" % ticket for ticket in range(1, 6)]
        assert hub.native.sent == [(-1, 2, "H11010500001", b"%d" % number) for number in range(5)]

    on(site, hub, use)


def test_no_more_messages_of_a_stream_are_in_flight_than_its_bound(site: Site) -> None:
    hub = ScriptedHub(lambda _message: None)

    async def use(channel: grpc.aio.Channel) -> None:
        stream = begin(channel)
        for _ in range(3 * limits.BATCH_STREAM_MESSAGES):
            await stream.write(b"x")
        assert await settled(lambda: len(hub.native.sent)) == limits.BATCH_STREAM_MESSAGES
        hub.native.finish(1, True, b"first")
        assert await stream.read() == b"first"
        await until(lambda: len(hub.native.sent) == limits.BATCH_STREAM_MESSAGES + 1)
        stream.cancel()

    on(site, hub, use)


def test_a_caller_that_reads_no_answers_is_not_read_any_more_while_others_are(site: Site) -> None:
    answer = bytes(limits.BATCH_STREAM_BYTES // 2)
    hub = ScriptedHub(lambda message: (True, answer if message == b"slow" else message))

    async def use(channel: grpc.aio.Channel) -> None:
        slow, fast = begin(channel), begin(channel)
        writing = asyncio.create_task(_write_for_ever(slow, b"slow"))
        await settled(lambda: len(hub.native.sent))
        for number in range(200):
            await fast.write(b"%d" % number)
            assert await fast.read() == b"%d" % number
        sent = [message for _, _, _, message in hub.native.sent]
        assert sent.count(b"slow") <= 2 + limits.BATCH_STREAM_MESSAGES
        writing.cancel()
        slow.cancel()
        fast.cancel()

    on(site, hub, use)


async def _write_for_ever(stream: Call, message: bytes) -> None:
    while True:
        await stream.write(message)


def test_a_caller_that_reads_no_answers_loses_its_stream_after_a_while(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DEADLINE_S", 0.3)
    hub = ScriptedHub(lambda _message: (True, bytes(8 << 20)))

    async def use(channel: grpc.aio.Channel) -> None:
        stream = begin(channel)
        await stream.write(b"x")
        assert site.service is not None
        counters = site.service.counters
        await until(lambda: counters.in_flight == 1)
        await until(lambda: not counters.in_flight)
        assert counters.snapshot() == {("Batch.Stream", "DEADLINE_EXCEEDED"): 1}

    on(site, hub, use)
