"""The ways of an import's messages: into a hub that is opened here, or over one stream to a hub that runs.

Invariant: the n-th answer belongs to the n-th message; the bytes are the same on both ways, and nobody here reads them.
"""

import asyncio
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

import grpc

from medsettle.auth.actor import Actor
from medsettle.client import call_error, open_channel
from medsettle.config import TlsFiles
from medsettle.errors import MedsettleError, NoAnswer, decoded_refusal
from medsettle.hub import AsyncHub, role_bits
from medsettle.v1 import operations_pb2
from medsettle.v1.facade import METHODS

ROLES = frozenset({"DESK", "ISSUER", "OPERATOR"})
"""What the commands of all kinds of file need together."""

STATUS_TIMEOUT_S = 15.0


class Way(Protocol):
    """A way to a hub."""

    async def status(self, seen_sequence: int) -> operations_pb2.OperationsStatusResponse:
        """Ask for the hub's newest decision, and for the hash of one that it named before."""

    async def send(self, message: bytes) -> asyncio.Future[bytes]:
        """Send a message; the future has its answer, or the error with which it ended."""


class Embedded:
    """A hub that this process opened."""

    def __init__(self, hub: AsyncHub, institution: str) -> None:
        self._port = hub.port()
        self._acting = hub.acting(ROLES, institution)
        self._institution = institution
        self._roles = role_bits(ROLES)

    async def status(self, seen_sequence: int) -> operations_pb2.OperationsStatusResponse:
        """See `Way`."""
        return await self._acting.operations.status(operations_pb2.OperationsStatusRequest(seen_sequence=seen_sequence))

    async def send(self, message: bytes) -> asyncio.Future[bytes]:
        """See `Way`."""
        sent = self._port.send_batch(self._roles, self._institution, message)
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        sent.add_done_callback(lambda future: _resolve(future, answered))
        return answered


def _resolve(sent: "asyncio.Future[tuple[bool, bytes]]", answered: "asyncio.Future[bytes]") -> None:
    if answered.done():
        return
    if sent.cancelled():
        answered.cancel()
    elif (error := sent.exception()) is not None:
        answered.set_exception(error)
    else:
        ok, answer = sent.result()
        if ok:
            answered.set_result(answer)
        else:
            answered.set_exception(decoded_refusal(answer))


class OverStream:
    """A hub that runs, over `Batch.Stream`; an asynchronous context manager that ends the stream."""

    def __init__(self, target: str, *, tls: TlsFiles | None, actor: Actor | None) -> None:
        self._channel, self._metadata = open_channel(target, tls=tls, actor=actor)
        self._call: grpc.aio.StreamStreamCall[bytes, bytes] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._ended: MedsettleError | None = None

    async def status(self, seen_sequence: int) -> operations_pb2.OperationsStatusResponse:
        """See `Way`."""
        method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]
        method = self._channel.unary_unary(METHODS["Operations.Status"].path)
        request = operations_pb2.OperationsStatusRequest(seen_sequence=seen_sequence).SerializeToString()
        try:
            answer = await method(request, timeout=STATUS_TIMEOUT_S, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise call_error(error) from None
        return operations_pb2.OperationsStatusResponse.FromString(answer)

    async def send(self, message: bytes) -> asyncio.Future[bytes]:
        """See `Way`."""
        if self._call is None:
            method: grpc.aio.StreamStreamMultiCallable[bytes, bytes]
            method = self._channel.stream_stream(METHODS["Batch.Stream"].path)
            self._call = method(metadata=self._metadata)
            self._reading = asyncio.create_task(self._read(self._call))
        if self._ended is not None:
            raise self._ended
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(answered)
        # Where the stream has ended, whoever reads it says why, to all that wait.
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await self._call.write(message)
        return answered

    async def _read(self, call: "grpc.aio.StreamStreamCall[bytes, bytes]") -> None:
        try:
            async for answer in call:
                answered = self._waiting.popleft()
                if not answered.done():
                    answered.set_result(answer)
            self._ended = NoAnswer("CANCELLED", "the hub ended the stream")
        except grpc.aio.AioRpcError as error:
            self._ended = call_error(error)
        while self._waiting:
            answered = self._waiting.popleft()
            if not answered.done():
                answered.set_exception(self._ended)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._call is not None:
            self._call.cancel()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)
        for answered in self._waiting:
            answered.cancel()
        await self._channel.close()
