"""The ways to a hub: one message there, one reply back, whether it carries one command or many.

Owns what a command looks like when it is ready to go, and how its answer is read.
Invariant: a message goes out once; nothing is sent again in secret, so every answer counted is one that came.
Leaves out when something is sent: drive.py. A further way (a stream) is one more class with `send`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from google.protobuf.message import Message

from medsettle.auth.actor import Actor
from medsettle.bench.measure import NO_ANSWER
from medsettle.client import call_error
from medsettle.demo.batch import FIELD_OF_REQUEST
from medsettle.errors import MedsettleError, NoAnswer, Rejected, Unavailable, decoded_refusal, reason_name
from medsettle.hub import LoopPort, role_bits
from medsettle.v1 import batch_pb2
from medsettle.v1.facade import METHODS

CALL_TIMEOUT_S = 60.0

SUBMIT = "Batch.Submit"


@dataclass(frozen=True, slots=True)
class Command:
    """One request, encoded: alone, and as a part of a batch. Encoded batches are joined by putting them together."""

    method: str
    by: Actor
    request_id: str
    """Empty for a read."""
    body: bytes
    in_batch: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a command: a response, or the reason why not; `unknown` when no answer came."""

    response: Message | None
    reason: str = ""
    unknown: bool = False

    @property
    def replayed(self) -> bool:
        """Whether it is the answer of an earlier request with the same id."""
        header: Any = getattr(self.response, "header", None)
        return header is not None and bool(header.replayed)


Reply = Callable[[], list[Answer]]
"""Reads the answers of a message; called when no clock runs."""


class Transport(Protocol):
    """One way to a hub."""

    async def send(self, by: Actor, commands: Sequence[Command]) -> Reply:
        """Send commands of one actor in one message and wait for what comes back."""


class Composer:
    """Makes commands; with `batched` also their form in a batch."""

    def __init__(self, *, batched: bool) -> None:
        self._batched = batched

    def command(self, method: str, by: Actor, request: Message, prepared: bytes = b"") -> Command:
        """Encode a request; `prepared` is the encoding of the fields that it leaves out."""
        header: Any = getattr(request, "header", None)
        request_id = "" if header is None else header.request_id
        body = prepared + request.SerializeToString()
        return Command(method, by, request_id, body, in_batch(method, body) if self._batched else b"")


def in_batch(method: str, body: bytes) -> bytes:
    """Encode a batch of one encoded request."""
    batch = batch_pb2.BatchSubmitRequest()
    field = FIELD_OF_REQUEST[METHODS[method].request_type.DESCRIPTOR.full_name]
    getattr(batch.commands.add(), field).ParseFromString(body)
    return batch.SerializeToString()


class Embedded:
    """A hub in this process, on one event loop."""

    def __init__(self, port: LoopPort, *, batched: bool) -> None:
        self._port = port
        self._batched = batched

    async def send(self, by: Actor, commands: Sequence[Command]) -> Reply:
        """See `Transport`."""
        roles = role_bits(by.roles)
        try:
            if self._batched:
                body = b"".join(command.in_batch for command in commands)
                ok, answer = await self._port.send_batch(roles, by.institution, body)
            else:
                (command,) = commands
                operation = METHODS[command.method].operation
                ok, answer = await self._port.send(operation, roles, by.institution, command.body)
        except MedsettleError as error:
            return failed_reply(error, len(commands))
        if not ok:
            return failed_reply(decoded_refusal(answer), len(commands))
        return reply_reader(commands, answer, batched=self._batched)


class OverGrpc:
    """A hub over gRPC: one connection for each actor, of this event loop."""

    def __init__(
        self, channels: dict[str, grpc.aio.Channel], metadata: dict[str, tuple[tuple[str, str], ...]], *, batched: bool
    ) -> None:
        self._batched = batched
        self._metadata = metadata
        self._calls: dict[tuple[str, str], grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = {
            (institution, name): channel.unary_unary(method.path)
            for institution, channel in channels.items()
            for name, method in METHODS.items()
            if not method.client_streaming and not method.server_streaming
        }

    async def send(self, by: Actor, commands: Sequence[Command]) -> Reply:
        """See `Transport`."""
        if self._batched:
            method, body = SUBMIT, b"".join(command.in_batch for command in commands)
        else:
            (command,) = commands
            method, body = command.method, command.body
        call = self._calls[by.institution, method]
        try:
            answer: bytes = await call(body, timeout=CALL_TIMEOUT_S, metadata=self._metadata[by.institution])
        except grpc.aio.AioRpcError as error:
            return failed_reply(call_error(error), len(commands))
        return reply_reader(commands, answer, batched=self._batched)


def reply_reader(commands: Sequence[Command], answer: bytes, *, batched: bool) -> Reply:
    """Make what reads the answers of a message."""
    if batched:
        return lambda: _batch_answers(answer, len(commands))
    response_type = METHODS[commands[0].method].response_type
    return lambda: [Answer(response_type.FromString(answer))]


def _batch_answers(answer: bytes, sent: int) -> list[Answer]:
    results = batch_pb2.BatchSubmitResponse.FromString(answer).results
    if len(results) != sent:
        raise AssertionError(f"{sent} commands were sent, {len(results)} results came back")
    return [_result(result) for result in results]


def _result(result: batch_pb2.CommandResult) -> Answer:
    kind = result.WhichOneof("result")
    if kind is None or kind == "refusal":
        return Answer(None, reason_name(result.refusal.reason))
    return Answer(getattr(result, kind))


def failed_reply(error: MedsettleError, count: int) -> Reply:
    """Give every command of a message the same reason; raises what is no answer to a command at all."""
    match error:
        case Rejected() | Unavailable():
            answer = Answer(None, error.reason)
        case NoAnswer():
            answer = Answer(None, f"{NO_ANSWER} {error.status}", unknown=True)
        case _:
            raise error
    return lambda: [answer] * count
