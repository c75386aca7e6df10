"""Batch.Stream over real sockets and real TLS, before a scripted engine: order, what is held, how a stream ends."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import pytest

from medsettle.auth.actor import Actor
from medsettle.errors import Overloaded
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
    return [answer async for answer in stream]


async def next_of(stream: Call) -> bytes:
    """Read an answer; unlike read() it gives one that came before the end though the end is there."""
    return await anext(aiter(stream))


async def end_of(stream: Call) -> tuple[list[bytes], grpc.aio.AioRpcError]:
    """Read until the stream is refused; gives what was answered before."""
    answers = []
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for answer in stream:
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
        assert await next_of(stream) == b"first"
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
            assert await next_of(fast) == b"%d" % number
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


@pytest.mark.parametrize(
    ("size", "reason"), [(limits.MESSAGE_BYTES + 1, "REQUEST_TOO_LARGE"), (65 << 20, None)], ids=["5MB", "65MB"]
)
def test_a_message_that_is_too_long_ends_its_stream_when_those_before_it_are_answered(
    site: Site, size: int, reason: str | None
) -> None:
    hub = ScriptedHub(echo)

    async def use(channel: grpc.aio.Channel) -> None:
        stream, other = begin(channel), begin(channel)
        await stream.write(b"before")
        if reason is None:
            # What the transport refuses ends the stream at once, whatever is still under way.
            assert await next_of(stream) == b"answer to before"
        await stream.write(bytes(size))
        answers, error = await end_of(stream)
        if reason is None:
            assert (answers, error.code()) == ([], grpc.StatusCode.RESOURCE_EXHAUSTED)
            assert "grpc-status-details-bin" not in dict(error.trailing_metadata())
        else:
            assert answers == [b"answer to before"]
            assert info_of(error) == (reason, {"limit": str(limits.MESSAGE_BYTES), "size": str(size)})
        await other.write(b"beside")
        assert await next_of(other) == b"answer to beside"
        await other.done_writing()
        assert await answers_of(other) == []
        assert len(hub.native.sent) == 2

    on(site, hub, use)


def test_a_message_that_the_engine_refuses_ends_its_stream_with_the_reason_and_those_behind_it_are_decided(
    site: Site,
) -> None:
    malformed = refusing(reason_pb2.Reason.REQUEST_MALFORMED, field="commands[3]", problem="is not there")
    hub = ScriptedHub(lambda message: malformed(message) if message == b"bad" else None)

    async def use(channel: grpc.aio.Channel) -> None:
        stream = begin(channel)
        for message in (b"good", b"bad", b"behind"):
            await stream.write(message)
        await until(lambda: len(hub.native.sent) == 3)
        hub.native.finish(1, True, b"first")
        answers, error = await end_of(stream)
        assert answers == [b"first"]
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert info_of(error) == ("REQUEST_MALFORMED", {"field": "commands[3]", "problem": "is not there"})
        # It comes when nobody waits for it any more, which disturbs nobody.
        hub.native.finish(3, True, b"late")
        again = begin(channel)
        await again.write(b"good")
        await until(lambda: len(hub.native.sent) == 4)
        hub.native.finish(4, True, b"again")
        assert await next_of(again) == b"again"
        await again.done_writing()
        assert await answers_of(again) == []

    on(site, hub, use)


def test_an_engine_that_takes_no_more_ends_the_stream_as_it_refuses_a_call(site: Site) -> None:
    def full(_message: bytes) -> None:
        raise Overloaded("the queue is full")

    async def use(channel: grpc.aio.Channel) -> None:
        stream = begin(channel)
        await stream.write(b"x")
        answers, error = await end_of(stream)
        assert (answers, error.code()) == ([], grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert info_of(error) == ("OVERLOADED", {})

    on(site, ScriptedHub(full), use)


def test_a_certificate_that_is_revoked_while_its_stream_goes_on_has_no_further_message_decided(site: Site) -> None:
    issued = site.authority.issue_client(OTHER)
    hub = ScriptedHub(echo)

    async def main() -> None:
        async with site.serving(hub), site.channel(site.files("revoked", issued)) as channel:
            stream = begin(channel)
            await stream.write(b"before")
            assert await next_of(stream) == b"answer to before"
            site.authority.revoke(issued.certificate.serial_number)
            await stream.write(b"behind")
            answers, error = await end_of(stream)
            assert (answers, error.code()) == ([], grpc.StatusCode.UNAUTHENTICATED)
            assert info_of(error) == ("CERTIFICATE_NOT_ACCEPTED", {"problem": "the certificate is revoked"})
            # No further stream is begun either.
            assert info_of((await end_of(begin(channel)))[1])[0] == "CERTIFICATE_NOT_ACCEPTED"
        assert [message for _, _, _, message in hub.native.sent] == [b"before"]

    asyncio.run(main())


def test_an_answer_that_does_not_come_ends_the_stream_and_says_that_the_outcome_is_unknown(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DEADLINE_S", 0.05)

    async def use(channel: grpc.aio.Channel) -> None:
        stream = begin(channel, timeout=None)
        await stream.write(b"x")
        _, error = await end_of(stream)
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert error.details() == "The outcome is unknown; send the same request again."

    on(site, ScriptedHub(lambda _message: None), use)


def test_a_stream_on_which_nothing_comes_ends_and_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BATCH_STREAM_IDLE_S", 0.05)

    async def use(channel: grpc.aio.Channel) -> None:
        _, error = await end_of(begin(channel, timeout=None))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert error.details() == "No whole message came for 0.05 s; begin another stream."

    on(site, ScriptedHub(echo), use)


def test_the_callers_own_deadline_ends_its_stream_and_leaves_nothing(site: Site) -> None:
    async def use(channel: grpc.aio.Channel) -> None:
        stream = begin(channel, timeout=0.5)
        await stream.write(b"x")
        _, error = await end_of(stream)
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    on(site, ScriptedHub(lambda _message: None), use)


def test_one_stream_too_many_is_told_so_and_a_place_that_is_left_is_given_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BATCH_STREAMS", 3)
    monkeypatch.setattr(limits, "BATCH_STREAMS_PER_INSTITUTION", 2)

    async def opened(channel: grpc.aio.Channel) -> Call:
        stream = begin(channel)
        await stream.write(b"x")
        assert await next_of(stream) == b"answer to x"
        return stream

    async def use(channel: grpc.aio.Channel) -> None:
        held = [await opened(channel) for _ in range(2)]
        async with site.channel(site.client("other", OTHER)) as others:
            _, error = await end_of(begin(channel))
            assert (error.code(), info_of(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, ("OVERLOADED", {}))
            held.append(await opened(others))
            assert info_of((await end_of(begin(others)))[1])[0] == "OVERLOADED"
            assert await call(channel, b"single") == b"answer to single"
            # However a stream ends, it gives its place back.
            held[0].cancel()
            await held[2].done_writing()
            assert await answers_of(held[2]) == []
            assert site.service is not None
            counters = site.service.counters
            await until(lambda: counters.in_flight == 1)
            for again in (await opened(channel), await opened(others), held[1]):
                again.cancel()

    on(site, ScriptedHub(echo), use)


def test_a_caller_that_dies_amid_a_batch_leaves_nothing_behind_and_its_messages_with_the_engine(site: Site) -> None:
    hub = ScriptedHub(lambda message: None if message == b"slow" else echo(message))

    async def use(channel: grpc.aio.Channel) -> None:
        async with site.channel(site.client("dying")) as line:
            stream = begin(line)
            for _ in range(3):
                await stream.write(b"slow")
            await until(lambda: len(hub.native.sent) == 3)
        assert site.service is not None
        counters = site.service.counters
        await until(lambda: not counters.in_flight)
        for ticket in (1, 2, 3):
            hub.native.finish(ticket, True, b"nobody waits")
        assert await call(channel, b"next") == b"answer to next"
        assert counters.snapshot()["Batch.Stream", "CANCELLED"] == 1

    on(site, hub, use)


def test_a_caller_that_goes_while_it_is_answered_is_no_fault_of_ours(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    hub = ScriptedHub(lambda _message: (True, bytes(1 << 20)))

    async def use(_channel: grpc.aio.Channel) -> None:
        tls = site.client("going")
        for _ in range(10):
            async with site.channel(tls) as line:
                stream = begin(line)
                for _ in range(4):
                    await stream.write(b"x")
                await next_of(stream)
        assert site.service is not None
        counters = site.service.counters
        await until(lambda: not counters.in_flight)
        assert {outcome for _, outcome in counters.snapshot()} == {"OK", "CANCELLED"}
        assert not caplog.records

    on(site, hub, use)


def test_a_service_that_stops_answers_what_it_took_and_reads_nothing_more(site: Site) -> None:
    hub = ScriptedHub(lambda _message: None)

    async def main() -> None:
        async with site.serving(hub), site.channel(site.client("one")) as channel:
            busy, idle = begin(channel), begin(channel)
            await busy.write(b"taken")
            await until(lambda: len(hub.native.sent) == 1)
            assert site.service is not None
            stopping = asyncio.create_task(site.service.stop(PATIENCE_S))
            assert (await end_of(idle))[1].code() is grpc.StatusCode.UNAVAILABLE
            for _ in range(3):
                await busy.write(b"not taken")
            assert await settled(lambda: len(hub.native.sent)) == 1
            hub.native.finish(1, True, b"in time")
            answers, error = await end_of(busy)
            assert (answers, error.code()) == ([b"in time"], grpc.StatusCode.UNAVAILABLE)
            assert error.details() == "The hub is stopping; send the same request again."
            await stopping
        assert len(hub.native.sent) == 1

    asyncio.run(main())


def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
    """Encode a frame of HTTP/2."""
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


def header_block(*fields: tuple[str, str]) -> bytes:
    """Encode header fields as literals that are not indexed."""
    return b"".join(b"\0" + b"".join(bytes([len(text)]) + text.encode() for text in field) for field in fields)


def test_a_caller_that_sends_a_byte_now_and_then_loses_its_stream_and_disturbs_nobody(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BATCH_STREAM_IDLE_S", 0.5)
    hub = ScriptedHub(echo)
    tls = site.client("slow")
    secured = ssl.create_default_context(cafile=str(tls.ca))
    secured.check_hostname = False
    secured.load_cert_chain(tls.cert, tls.key)
    secured.set_alpn_protocols(["h2"])

    async def use(channel: grpc.aio.Channel) -> None:
        _reader, writer = await asyncio.open_connection("127.0.0.1", site.port, ssl=secured)
        headers = header_block(
            (":method", "POST"),
            (":scheme", "https"),
            (":path", STREAM),
            (":authority", "localhost"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
        )
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, headers))
        await writer.drain()
        assert site.service is not None
        counters = site.service.counters
        await until(lambda: counters.in_flight == 1)
        sent_bytes = 0
        message = b"\0" + (1 << 20).to_bytes(4, "big") + bytes(1 << 20)
        while counters.in_flight:
            writer.write(frame(0, 0, 1, message[sent_bytes : sent_bytes + 1]))
            sent_bytes += 1
            assert await call(channel, b"beside") == b"answer to beside"
        assert sent_bytes > 5, "not even the length of the message had been sent"
        assert counters.snapshot()["Batch.Stream", "DEADLINE_EXCEEDED"] == 1
        assert len(hub.native.sent) == sent_bytes
        writer.close()

    on(site, hub, use)
