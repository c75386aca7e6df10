"""What a client's two-way stream sends: messages by the caller's pace, no more of them unanswered than a bound.

Owns the messages in flight, and what was known of the hub as each was sent.
Invariant: what the caller's messages raise is raised to the caller, after everything that was sent is answered.
Leaves out the answers and what they prove: client.py.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from medsettle.v1.facade import Requests, each
from medsettle.witness import Witness

IN_FLIGHT_MESSAGES = 16
"""Messages sent and not answered: twice what a hub takes of one stream, so that it never waits for the next."""

LATE_STATUS_S = 1.0
"""How long the hub's status may come behind a write that failed because of it: both stand in one read of the socket."""

LATE_STATUS_LOOKS = 100

_OVERWRITTEN = "Internal error from Core"

T = TypeVar("T")

BeforeCall = Callable[[], Witness | None]
"""Gives what is known of the hub as a message begins; raises ServerForgot."""


class Sending(Iterator[bytes]):
    """The encoded messages of a stream, for the thread in which gRPC asks for them."""

    def __init__(self, requests: Iterable[Message], before_call: BeforeCall) -> None:
        self._requests = iter(requests)
        self._before_call = before_call
        self._room = threading.Semaphore(IN_FLIGHT_MESSAGES)
        self._known: deque[Witness | None] = deque()
        self._closed = False
        self.failed: BaseException | None = None

    def __next__(self) -> bytes:
        self._room.acquire()
        if self._closed:
            raise StopIteration
        try:
            encoded = next(self._requests).SerializeToString()
            self._known.append(self._before_call())
        except StopIteration:
            raise
        except BaseException as error:
            self.failed = error
            raise StopIteration from None
        return encoded

    def answered(self) -> Witness | None:
        """Make room for another message; gives what was known as the answered one was sent."""
        known = self._known.popleft()
        self._room.release()
        return known

    def close(self) -> None:
        """Give no further message."""
        self._closed = True
        self._room.release()


class AsyncSending:
    """The same for asyncio, written to the call by a task of its own."""

    def __init__(self, requests: Requests[Message], before_call: BeforeCall) -> None:
        self._requests = each(requests)
        self._before_call = before_call
        self._room = asyncio.Semaphore(IN_FLIGHT_MESSAGES)
        self._known: deque[Witness | None] = deque()
        self.failed: Exception | None = None

    async def feed(self, call: "grpc.aio.StreamStreamCall[bytes, bytes]") -> None:
        """Write the messages; of a call that has ended its reader tells why."""
        more = True
        while more:
            await self._room.acquire()
            try:
                encoded = (await anext(self._requests)).SerializeToString()
                self._known.append(self._before_call())
            except StopAsyncIteration:
                more = False
            except Exception as error:
                self.failed, more = error, False
            try:
                await (call.write(encoded) if more else call.done_writing())
            except (grpc.RpcError, asyncio.InvalidStateError):
                return

    def answered(self) -> Witness | None:
        """Make room for another message; gives what was known as the answered one was sent."""
        known = self._known.popleft()
        self._room.release()
        return known


class Ending:
    """How a call of asyncio ended, as the hub said it.

    A write that fails because the hub has just ended the call makes gRPC put a status of its own over the hub's, with
    which the reason of a refusal would be lost (github.com/grpc/grpc/issues/36066). Either may come first.
    """

    def __init__(self, call: "grpc.aio.StreamStreamCall[bytes, bytes]") -> None:
        self._call = call
        self._first: grpc.aio.AioRpcError | None = None
        call.add_done_callback(self._note)

    def _note(self, call: "grpc.aio.StreamStreamCall[bytes, bytes]") -> None:
        self._first = _status_of(call)

    async def said(self, seen: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:
        """Give what the hub said, or what was seen where it said nothing."""
        if self._first is not None and self._first.details() != _OVERWRITTEN:
            return self._first
        for _ in range(LATE_STATUS_LOOKS):
            newest = _status_of(self._call)
            if newest.details() != _OVERWRITTEN:
                return newest
            await asyncio.sleep(LATE_STATUS_S / LATE_STATUS_LOOKS)
        return seen


def _status_of(call: "grpc.aio.StreamStreamCall[bytes, bytes]") -> grpc.aio.AioRpcError:
    trailer = _at_once(call.trailing_metadata())
    return grpc.aio.AioRpcError(_at_once(call.code()), grpc.aio.Metadata(), trailer, _at_once(call.details()))


def _at_once(coroutine: Coroutine[None, None, T]) -> T:
    """Give the result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("a call that is done still waits for its status")
