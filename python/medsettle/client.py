"""A hub over gRPC: `Client` for threads, `AsyncClient` for asyncio.

Owns deadlines and retries, and asks a hub that has begun anew to prove that it holds what it answered before.
Invariant: every attempt of a call sends the same bytes, hence the same request id; a hub decides it once.
Invariant: only what the catalog allows, and what brought no answer, is sent again; of a stream both ways nothing is,
because only its caller still has the messages: without their answers, the same go into another stream.
Leaves out the engine and the server, which this module does not import, and what proves forgetting: witness.py.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from medsettle.auth import tls_files
from medsettle.auth.actor import Actor
from medsettle.config import ACTOR_METADATA_KEY, START_METADATA_KEY, TlsFiles
from medsettle.errors import MedsettleError, NoAnswer, Rejected, Unavailable, refusal_error
from medsettle.exchange import AsyncSending, Ending, Sending
from medsettle.v1 import batch_pb2, operations_pb2
from medsettle.v1.facade import METHODS, AsyncServices, Method, Requests, Services
from medsettle.witness import Memory, Witness

__all__ = ["AsyncClient", "Client", "Retries", "TlsFiles", "Witness", "connect", "connect_async"]

R = TypeVar("R", bound=Message)

DEFAULT_TIMEOUT_S = 30.0
"""A clerk's patience: a call that has no answer by then, all attempts together, raises."""

RESPONSE_BYTES = 64 << 20
"""Longest response taken: ten thousand settlements of a batch with their traces are about 20 MB."""

_OPTIONS = (
    ("grpc.max_receive_message_length", RESPONSE_BYTES),
    # The retries are ours: gRPC's know nothing of the catalog.
    ("grpc.enable_retries", 0),
    # A hub that restarts is there again within seconds; gRPC's own pauses grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Also the time that an attempt to connect gets: a hub under load takes its time for a handshake.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # A stream both ways has no deadline unless it is given one: a hub or a line that died must show all the same.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and after which pauses the same request is sent again.

    The n-th pause is random between nothing and `first_pause_s` doubled n times, at most `longest_pause_s`, so that
    clients that failed together do not come back together. An attempt gets at most `attempt_timeout_s`.
    """

    attempts: int = 10
    first_pause_s: float = 0.05
    longest_pause_s: float = 2.0
    attempt_timeout_s: float = 10.0

    def pause_s(self, attempt: int, fraction: float) -> float:
        """Return the pause after the attempt of that number, counted from 1; `fraction` is the random part of it."""
        return fraction * min(self.longest_pause_s, self.first_pause_s * 2.0 ** min(attempt - 1, 32))


class _Attempts:
    """The attempts of one call: how long each may take, and whether and when another follows."""

    def __init__(self, retries: Retries, timeout_s: float) -> None:
        self._retries = retries
        self._end_s = time.monotonic() + timeout_s
        self._made = 0

    def begin_again(self) -> None:
        """Count from the beginning: a stream that brought something did not fail in vain."""
        self._made = 0

    def next_timeout_s(self) -> float:
        self._made += 1
        return max(0.0, min(self._retries.attempt_timeout_s, self._end_s - time.monotonic()))

    def pause_s_after(self, error: MedsettleError) -> float:
        """Return the pause before the next attempt; raises the error when there shall be none."""
        pause_s = self._retries.pause_s(self._made, random.random())
        if (
            not _may_be_sent_again(error)
            or self._made >= self._retries.attempts
            or time.monotonic() + pause_s >= self._end_s
        ):
            raise error
        return pause_s


def _may_be_sent_again(error: MedsettleError) -> bool:
    match error:
        case Rejected():
            return error.retry == "SAME_REQUEST"
        case NoAnswer():
            # A hub that stops cancels the calls that it has not begun.
            return error.status in {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"}
        case _:
            return isinstance(error, Unavailable)


def call_error(call: grpc.RpcError) -> MedsettleError:
    """Make the exception of a failed call: the hub's refusal where the trailer holds one, else NoAnswer."""
    # The stubs know only the blocking call's own kind of pair; both calls give pairs.
    trailer = dict(cast(Iterable[tuple[str, bytes]], call.trailing_metadata() or ()))
    for detail in status_pb2.Status.FromString(trailer.get("grpc-status-details-bin", b"")).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info) and info.domain == "medsettle":
            return refusal_error(info.reason, info.metadata)
    text = call.details() or ""
    if call.code() is grpc.StatusCode.UNAVAILABLE:
        text += "; is the hub running, and does it accept this certificate?"
    return NoAnswer(call.code().name, text)


class _Reading:
    """How far a stream was read: a broken one goes on behind what was taken, so nothing comes twice."""

    def __init__(self, method: Method, request: Message) -> None:
        self._request: Any = type(request)()
        self._request.CopyFrom(request)
        self._cursor = method.page_cursor
        self.ended = False

    def body(self) -> bytes:
        encoded: bytes = self._request.SerializeToString()
        return encoded

    def note(self, response: Any) -> None:
        if following := getattr(response, f"next_{self._cursor}"):
            setattr(self._request, self._cursor, following)
        else:
            self.ended = True


class Client(Services):
    """A hub over gRPC, for any number of threads: `client.inpatient.settle(request)` and so on for every service.

    Raises Rejected when refused, Unavailable when the hub could not take the request for as long as the retries went,
    NoAnswer when the outcome is unknown, ServerForgot when the hub no longer holds what it had answered: then for every
    call, until `begin_anew`. A context manager that closes the connection.
    """

    def __init__(
        self, channel: grpc.Channel, metadata: tuple[tuple[str, str], ...], retries: Retries, memory: Memory
    ) -> None:
        super().__init__(self._call, self._stream, self._exchange)
        self._channel = channel
        self._closed = False
        self._metadata = metadata
        self._retries = retries
        self._memory = memory
        self._methods: dict[str, grpc.UnaryUnaryMultiCallable[bytes, bytes]] = {
            name: channel.unary_unary(method.path)
            for name, method in METHODS.items()
            if not method.client_streaming and not method.server_streaming
        }
        self._streams: dict[str, grpc.UnaryStreamMultiCallable[bytes, bytes]] = {
            name: channel.unary_stream(method.path) for name, method in METHODS.items() if method.page_operation
        }
        self._exchanges: dict[str, grpc.StreamStreamMultiCallable[bytes, bytes]] = {
            name: channel.stream_stream(method.path) for name, method in METHODS.items() if method.client_streaming
        }

    @property
    def witness(self) -> Witness | None:
        """The newest decision that any answer named."""
        return self._memory.witness

    def begin_anew(self) -> None:
        """Take the hub as it is, after ServerForgot: whoever is in charge knows what was lost."""
        self._memory.begin_anew()

    def call(self, name: str, request: Message, timeout: float | None = None) -> Message:
        """Call a method by its name, such as "Inpatient.Settle"; `timeout` in seconds, over all attempts."""
        return self._call(name, request, METHODS[name].response_type, timeout)

    def submit(
        self, request: batch_pb2.BatchSubmitRequest, timeout: float | None = None
    ) -> batch_pb2.BatchSubmitResponse:
        """Send many commands, decided in their order; each has its own result."""
        return self._call("Batch.Submit", request, batch_pb2.BatchSubmitResponse, timeout)

    def _call(self, name: str, request: Message, response_type: type[R], timeout: float | None = None) -> R:
        method, body = self._methods[name], request.SerializeToString()
        attempts = _Attempts(self._retries, DEFAULT_TIMEOUT_S if timeout is None else timeout)
        while True:
            known = self._memory.before_call()
            response = None
            try:
                answer, call = method.with_call(body, timeout=attempts.next_timeout_s(), metadata=self._metadata)
            except grpc.RpcError as error:
                failed, start = call_error(error), _start_of(error.trailing_metadata())
            else:
                response, start = response_type.FromString(answer), _start_of(call.trailing_metadata())
            # Outside of the handler, so that what is raised does not drag the transport's own error along.
            self._prove(start, response)
            if response is not None:
                self._memory.note(response, None if METHODS[name].read else known)
                return response
            time.sleep(attempts.pause_s_after(failed))
            if self._closed:
                raise failed

    def _stream(self, name: str, request: Message, response_type: type[R], timeout: float | None = None) -> Iterator[R]:
        method, reading = _stream_of(self._streams, name), _Reading(METHODS[name], request)
        attempts = _Attempts(self._retries, DEFAULT_TIMEOUT_S if timeout is None else timeout)
        while True:
            self._memory.before_call()
            begun = False
            answers = method(reading.body(), timeout=attempts.next_timeout_s(), metadata=self._metadata)
            try:
                for answer in answers:
                    if not begun:
                        begun = True
                        self._prove(_start_of(answers.initial_metadata()), None)
                    response = response_type.FromString(answer)
                    self._memory.note(response, None)
                    reading.note(response)
                    attempts.begin_again()
                    yield response
            except grpc.RpcError as error:
                failed = call_error(error)
            finally:
                # Whoever stops reading leaves nothing behind at the hub.
                answers.cancel()
            if reading.ended:
                return
            time.sleep(attempts.pause_s_after(failed))
            if self._closed:
                raise failed

    def _exchange(
        self, name: str, requests: Iterable[Message], response_type: type[R], timeout: float | None = None
    ) -> Iterator[R]:
        self._memory.before_call()
        sending = Sending(requests, self._memory.before_call)
        answers = self._exchanges[name](sending, timeout=timeout, metadata=self._metadata)
        failed = None
        try:
            for answer in answers:
                response = response_type.FromString(answer)
                self._prove(_start_of(answers.initial_metadata()), response)
                self._memory.note(response, sending.answered())
                yield response
        except grpc.RpcError as error:
            failed, start = call_error(error), _start_of(error.trailing_metadata())
        finally:
            sending.close()
            answers.cancel()
        if failed is not None:
            self._prove(start, None)
            raise failed
        if sending.failed is not None:
            raise sending.failed

    def _prove(self, start: str, answer: Message | None) -> None:
        """Have a hub that began since the last answer prove that it holds the witness; raises ServerForgot."""
        witness = self._memory.must_be_proved(start)
        if witness is None:
            return
        request = operations_pb2.OperationsStatusRequest(seen_sequence=witness.sequence).SerializeToString()
        try:
            status = self._methods[_STATUS](request, timeout=self._retries.attempt_timeout_s, metadata=self._metadata)
        except grpc.RpcError:
            # It is asked again with the next answer.
            return
        self._memory.prove(start, witness, operations_pb2.OperationsStatusResponse.FromString(status), answer)

    def close(self) -> None:
        """Close the connection; calls under way fail with NoAnswer."""
        self._closed = True
        self._memory.close()
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(AsyncServices):
    """A hub over gRPC, for one event loop: `await client.inpatient.settle(request)`; otherwise as `Client`."""

    def __init__(
        self, channel: grpc.aio.Channel, metadata: tuple[tuple[str, str], ...], retries: Retries, memory: Memory
    ) -> None:
        super().__init__(self._call, self._stream, self._exchange)
        self._channel = channel
        self._metadata = metadata
        self._retries = retries
        self._memory = memory
        self._methods: dict[str, grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {
            name: channel.unary_unary(method.path)
            for name, method in METHODS.items()
            if not method.client_streaming and not method.server_streaming
        }
        self._streams: dict[str, grpc.aio.UnaryStreamMultiCallable[bytes, bytes]] = {
            name: channel.unary_stream(method.path) for name, method in METHODS.items() if method.page_operation
        }
        self._exchanges: dict[str, grpc.aio.StreamStreamMultiCallable[bytes, bytes]] = {
            name: channel.stream_stream(method.path) for name, method in METHODS.items() if method.client_streaming
        }

    @property
    def witness(self) -> Witness | None:
        """The newest decision that any answer named."""
        return self._memory.witness

    def begin_anew(self) -> None:
        """Take the hub as it is, after ServerForgot: whoever is in charge knows what was lost."""
        self._memory.begin_anew()

    async def call(self, name: str, request: Message, timeout: float | None = None) -> Message:
        """Call a method by its name, such as "Inpatient.Settle"; `timeout` in seconds, over all attempts."""
        return await self._call(name, request, METHODS[name].response_type, timeout)

    async def submit(
        self, request: batch_pb2.BatchSubmitRequest, timeout: float | None = None
    ) -> batch_pb2.BatchSubmitResponse:
        """Send many commands, decided in their order; each has its own result."""
        return await self._call("Batch.Submit", request, batch_pb2.BatchSubmitResponse, timeout)

    async def _call(self, name: str, request: Message, response_type: type[R], timeout: float | None = None) -> R:
        method, body = self._methods[name], request.SerializeToString()
        attempts = _Attempts(self._retries, DEFAULT_TIMEOUT_S if timeout is None else timeout)
        while True:
            known = self._memory.before_call()
            response = None
            call = method(body, timeout=attempts.next_timeout_s(), metadata=self._metadata)
            try:
                response = response_type.FromString(await call)
            except grpc.aio.AioRpcError as error:
                failed, start = call_error(error), _start_of(error.trailing_metadata())
            else:
                start = _start_of(await call.trailing_metadata())
            await self._prove(start, response)
            if response is not None:
                self._memory.note(response, None if METHODS[name].read else known)
                return response
            await asyncio.sleep(attempts.pause_s_after(failed))

    async def _stream(
        self, name: str, request: Message, response_type: type[R], timeout: float | None = None
    ) -> AsyncIterator[R]:
        method, reading = _stream_of(self._streams, name), _Reading(METHODS[name], request)
        attempts = _Attempts(self._retries, DEFAULT_TIMEOUT_S if timeout is None else timeout)
        while True:
            self._memory.before_call()
            begun = False
            answers = method(reading.body(), timeout=attempts.next_timeout_s(), metadata=self._metadata)
            try:
                async for answer in answers:
                    if not begun:
                        begun = True
                        await self._prove(_start_of(await answers.initial_metadata()), None)
                    response = response_type.FromString(answer)
                    self._memory.note(response, None)
                    reading.note(response)
                    attempts.begin_again()
                    yield response
            except grpc.aio.AioRpcError as error:
                failed = call_error(error)
            finally:
                answers.cancel()
            if reading.ended:
                return
            await asyncio.sleep(attempts.pause_s_after(failed))

    async def _exchange(
        self, name: str, requests: Requests[Message], response_type: type[R], timeout: float | None = None
    ) -> AsyncIterator[R]:
        self._memory.before_call()
        call = self._exchanges[name](timeout=timeout, metadata=self._metadata)
        sending = AsyncSending(requests, self._memory.before_call)
        ending, feeding = Ending(call), asyncio.create_task(sending.feed(call))
        failed = None
        try:
            # Not by read(): of a call that has ended it gives no more answers, though they came before the end.
            async for answer in call:
                response = response_type.FromString(answer)
                await self._prove(_start_of(await call.initial_metadata()), response)
                self._memory.note(response, sending.answered())
                yield response
        except grpc.aio.AioRpcError as error:
            said = await ending.said(error)
            failed, start = call_error(said), _start_of(said.trailing_metadata())
        finally:
            feeding.cancel()
            call.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        if failed is not None:
            await self._prove(start, None)
            raise failed
        if sending.failed is not None:
            raise sending.failed

    async def _prove(self, start: str, answer: Message | None) -> None:
        """Have a hub that began since the last answer prove that it holds the witness; raises ServerForgot."""
        witness = self._memory.must_be_proved(start)
        if witness is None:
            return
        request = operations_pb2.OperationsStatusRequest(seen_sequence=witness.sequence).SerializeToString()
        try:
            status = await self._methods[_STATUS](
                request, timeout=self._retries.attempt_timeout_s, metadata=self._metadata
            )
        except grpc.aio.AioRpcError:
            # It is asked again with the next answer.
            return
        self._memory.prove(start, witness, operations_pb2.OperationsStatusResponse.FromString(status), answer)

    async def close(self) -> None:
        """Close the connection; calls under way fail with NoAnswer."""
        self._memory.close()
        await self._channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


S = TypeVar("S")

_STATUS = "Operations.Status"


def _start_of(metadata: object) -> str:
    """Read which start of which hub answered; empty where nothing says so."""
    for key, value in cast(Iterable[tuple[str, str]], metadata or ()):
        if key == START_METADATA_KEY:
            return value
    return ""


def _stream_of(streams: Mapping[str, S], name: str) -> S:
    if name not in streams:
        raise Rejected("METHOD_NOT_AVAILABLE", {"method": name})
    return streams[name]


def connect(
    target: str,
    *,
    tls: TlsFiles | None = None,
    actor: Actor | None = None,
    retries: Retries | None = None,
    witness_file: str | PathLike[str] | None = None,
) -> Client:
    """Make a client of the hub at "host:port"; nothing is sent before the first call.

    With `tls` the certificate names the caller. A hub without TLS, on loopback, is told the `actor`. In `witness_file`,
    one for each hub, a client that starts anew still finds what the hub had answered. Raises ValueError for what cannot
    be used.
    """
    metadata = _plaintext_metadata(tls, actor)
    if tls is None:
        channel = grpc.insecure_channel(target, options=_OPTIONS)
    else:
        channel = grpc.secure_channel(target, _credentials(tls), options=_OPTIONS)
    return Client(channel, metadata, retries or Retries(), _memory(witness_file))


def connect_async(
    target: str,
    *,
    tls: TlsFiles | None = None,
    actor: Actor | None = None,
    retries: Retries | None = None,
    witness_file: str | PathLike[str] | None = None,
) -> AsyncClient:
    """Make an asynchronous client as `connect` does; for the event loop in which it is first used."""
    channel, metadata = open_channel(target, tls=tls, actor=actor)
    return AsyncClient(channel, metadata, retries or Retries(), _memory(witness_file))


def open_channel(
    target: str, *, tls: TlsFiles | None = None, actor: Actor | None = None
) -> tuple[grpc.aio.Channel, tuple[tuple[str, str], ...]]:
    """Make a bare channel, without retries and witness, and the metadata that every call on it needs."""
    metadata = _plaintext_metadata(tls, actor)
    if tls is None:
        return grpc.aio.insecure_channel(target, options=_OPTIONS), metadata
    return grpc.aio.secure_channel(target, _credentials(tls), options=_OPTIONS), metadata


def _memory(witness_file: str | PathLike[str] | None) -> Memory:
    return Memory(None if witness_file is None else Path(witness_file))


def _plaintext_metadata(tls: TlsFiles | None, actor: Actor | None) -> tuple[tuple[str, str], ...]:
    if (tls is None) == (actor is None):
        raise ValueError("give tls, whose certificate names the caller, or the actor for a hub without TLS")
    return () if actor is None else ((ACTOR_METADATA_KEY, actor.uri),)


def _credentials(tls: TlsFiles) -> grpc.ChannelCredentials:
    authority, chain, key = tls_files.read(tls.ca, tls.cert, tls.key)
    return grpc.ssl_channel_credentials(authority, key, chain)
