"""Batch.Stream as one more way to a hub: many messages in flight on one stream, answers in the order of the messages.

Invariant: the n-th answer of a stream belongs to the n-th message that was written to it.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import grpc

from medsettle.auth.actor import Actor
from medsettle.bench.plan import WrongPlan
from medsettle.bench.transport import Command, Composer, Reply, failed_reply, reply_reader
from medsettle.client import call_error
from medsettle.errors import MedsettleError, NoAnswer
from medsettle.v1 import operations_pb2
from medsettle.v1.facade import METHODS


@dataclass
class _OneStream:
    """A stream of one actor: who waits for the next answers, and the task that reads them."""

    call: Any
    waiting: deque[asyncio.Future[bytes]] = field(default_factory=deque)
    writing: asyncio.Lock = field(default_factory=asyncio.Lock)
    reading: asyncio.Task[None] | None = None
    ended: MedsettleError | None = None

    async def read(self) -> None:
        """Hand every answer to whoever wrote its message; when the stream ends, say so to all that wait."""
        try:
            async for answer in self.call:
                future = self.waiting.popleft()
                if not future.done():
                    future.set_result(answer)
            self.ended = NoAnswer("CANCELLED", "the hub ended the stream")
        except grpc.aio.AioRpcError as error:
            self.ended = call_error(error)
        while self.waiting:
            future = self.waiting.popleft()
            if not future.done():
                future.set_exception(self.ended)


class StreamOverGrpc:
    """A hub over gRPC, one stream for each actor; an asynchronous context manager that ends them."""

    def __init__(
        self, channels: Mapping[str, grpc.aio.Channel], metadata: Mapping[str, tuple[tuple[str, str], ...]]
    ) -> None:
        self._streams: dict[str, _OneStream] = {}
        self._open: dict[str, tuple[Any, tuple[tuple[str, str], ...]]] = {
            institution: (channel.stream_stream(METHODS["Batch.Stream"].path), metadata[institution])
            for institution, channel in channels.items()
        }

    async def check(self, by: Actor) -> None:
        """Ask something on a stream; raises WrongPlan when the hub serves none."""
        status = Composer(batched=True).command("Operations.Status", by, operations_pb2.OperationsStatusRequest())
        (answer,) = (await self.send(by, [status]))()
        if answer.response is None:
            raise WrongPlan(f"this hub does not serve Batch.Stream ({answer.reason}); use --call batch")

    async def send(self, by: Actor, commands: Sequence[Command]) -> Reply:
        """See `Transport`."""
        stream = self._stream(by.institution)
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        try:
            async with stream.writing:
                if stream.ended is not None:
                    raise stream.ended
                stream.waiting.append(answered)
                await stream.call.write(b"".join(command.in_batch for command in commands))
            answer = await answered
        except grpc.aio.AioRpcError as error:
            return failed_reply(call_error(error), len(commands))
        except asyncio.InvalidStateError:
            # The stream ended between the look at it and the writing; its reader says why.
            return failed_reply(stream.ended or NoAnswer("UNKNOWN", "the stream ended"), len(commands))
        except MedsettleError as error:
            return failed_reply(error, len(commands))
        return reply_reader(commands, answer, batched=True)

    def _stream(self, institution: str) -> _OneStream:
        stream = self._streams.get(institution)
        if stream is None:
            method, metadata = self._open[institution]
            stream = self._streams[institution] = _OneStream(method(metadata=metadata))
            stream.reading = asyncio.create_task(stream.read())
        return stream

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self._streams.values():
            stream.call.cancel()
            if stream.reading is not None:
                await asyncio.gather(stream.reading, return_exceptions=True)
