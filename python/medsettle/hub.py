"""The engine embedded in one's own process: `Hub` for threads, `AsyncHub` for asyncio.

Owns the life of an engine object and the way of a request's bytes to it and back.
Invariant: one wake-up of an event loop resolves every answer of a batch; a cancelled call still commits.
Invariant: after `close`, and in the child of a fork, every use raises HubUnusable and says which it was.
Leaves out who may do what: the engine checks the acting institution and its roles for every command.
"""

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import AsyncIterator, Iterable, Iterator
from os import PathLike, fspath
from types import TracebackType
from typing import Self, TypeVar

from google.protobuf.message import Message

from medsettle import _core
from medsettle.auth.actor import Actor
from medsettle.config import EngineSettings
from medsettle.errors import HubUnusable, NoAnswer, Rejected, decoded_refusal
from medsettle.v1 import batch_pb2, options_pb2
from medsettle.v1.facade import METHODS, AsyncServices, Method, Requests, Services, each

R = TypeVar("R", bound=Message)

Answer = tuple[bool, bytes]
"""Whether the request was accepted, and the encoded response or Refusal."""

VERSION = _core.VERSION
"""Of the engine, as `Operations.Status` tells it."""

ManualClock = _core.ManualClock
"""A clock that stands until it is told that time passes; for tests, simulations and rehearsals."""

_SUBMIT = "Batch.Submit"


def role_bits(roles: Iterable[str]) -> int:
    """Give roles as the engine takes them: bit n stands for the role whose number in the contract is n."""
    bits = 0
    for role in roles:
        bits |= 1 << options_pb2.Role.Kind.Value(role)
    return bits


class _OpenEngine:
    """An engine and whether it can be used; the owner of the pass from open to closed or inherited by fork."""

    def __init__(self, native: _core.Engine) -> None:
        self._native = native
        self._unusable = ""
        _OPEN.add(self)

    @property
    def native(self) -> _core.Engine:
        if self._unusable:
            raise HubUnusable(self._unusable)
        return self._native

    def close(self) -> None:
        if not self._unusable:
            self._unusable = "this hub is closed"
            _OPEN.discard(self)
            self._native.close()

    def came_by_fork(self) -> None:
        self._unusable = "this hub was opened before a fork, in the parent process; open one after the fork, or spawn"
        self._native.close_inherited()


_OPEN: "weakref.WeakSet[_OpenEngine]" = weakref.WeakSet()


def _close_all() -> None:
    for engine in list(_OPEN):
        engine.close()


def _disown_all() -> None:
    for engine in list(_OPEN):
        engine.came_by_fork()
    _OPEN.clear()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_disown_all)


def _open(
    data: str | PathLike[str],
    keys: str | PathLike[str] | None,
    kek: str | None,
    settings: EngineSettings | None,
    hub_number: int | None,
    clock: ManualClock | None,
) -> _OpenEngine:
    if settings is None:
        settings = EngineSettings(hub_number=1 if hub_number is None else hub_number)
    elif hub_number is not None:
        raise ValueError("give hub_number or settings, which contain it")
    if _core.is_backup(fspath(data)):
        # A new hub would begin in it, and no backup would go on there any more.
        told = f"{fspath(data)} holds a backup; a data directory is made of it by"
        raise ValueError(f"{told} medsettle restore --backup {fspath(data)} --to NEW_DIR")
    native = _core.Engine.open(
        fspath(data), keys=None if keys is None else fspath(keys), kek=kek, config=settings.to_json(), clock=clock
    )
    return _OpenEngine(native)


class _Opened:
    """What both kinds of hub tell about their engine."""

    def __init__(self, engine: _OpenEngine) -> None:
        self._engine = engine

    @property
    def state(self) -> str:
        """The engine's state by its name in `OperationsStatusResponse.State`."""
        return self._engine.native.state()

    @property
    def halt_reason(self) -> str:
        """Why the engine halted; empty while it has not."""
        return self._engine.native.halt_reason()

    def metrics(self) -> dict[str, int]:
        """Read the engine's counters."""
        return self._engine.native.metrics()


class Hub(_Opened):
    """A hub in this process, for any number of threads; a context manager that closes it."""

    @classmethod
    def open(
        cls,
        data: str | PathLike[str],
        *,
        keys: str | PathLike[str] | None = None,
        kek: str | None = None,
        hub_number: int | None = None,
        settings: EngineSettings | None = None,
        clock: ManualClock | None = None,
    ) -> Self:
        """Open or create a data directory and recover it.

        `keys` is the key ring file and `kek` its key-encryption key: "file:PATH", "env:NAME" or "passphrase:TEXT".
        `clock` is a `ManualClock` where days shall pass faster than on the machine's.
        Raises DirectoryLocked, CorruptJournal, KeyRingError, or ValueError for settings that cannot be.
        """
        return cls(_open(data, keys, kek, settings, hub_number, clock))

    def acting(self, roles: Iterable[str], institution: str) -> "Acting":
        """View the hub as one institution in its roles; raises ValueError for an unknown role or a malformed code."""
        return Acting(self._engine, Actor(institution, _names(roles)))

    def close(self) -> None:
        """Answer what is queued and stop; may be called again."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _names(roles: Iterable[str]) -> frozenset[str]:
    # A text is an iterable of texts too, and would be taken for roles of one letter each.
    if isinstance(roles, str):
        raise ValueError(f"roles are a list of names, such as [{roles!r}]")
    return frozenset(roles)


def next_page(method: Method, request: bytes, response: bytes) -> bytes:
    """Give the request for the page of a stream that follows a response; empty after the last."""
    begins = getattr(method.response_type.FromString(response), f"next_{method.page_cursor}")
    if not begins:
        return b""
    following = method.request_type.FromString(request)
    setattr(following, method.page_cursor, begins)
    return following.SerializeToString()


class Acting(Services):
    """A hub as one institution sees it: `acting.inpatient.settle(request)` and so on for every service.

    Every call waits until its answer is durable, so a timeout is refused: there is no network to lose an answer.
    Raises Rejected when refused, Unavailable when the hub cannot take the request, HubUnusable.
    """

    def __init__(self, engine: _OpenEngine, actor: Actor) -> None:
        super().__init__(self._call, self._stream, self._exchange)
        self._engine = engine
        self._institution = actor.institution
        self._roles = role_bits(actor.roles)

    def call(self, name: str, request: Message) -> Message:
        """Call a method by its name, such as "Inpatient.Settle"."""
        return self._call(name, request, METHODS[name].response_type)

    def submit(self, request: batch_pb2.BatchSubmitRequest) -> batch_pb2.BatchSubmitResponse:
        """Decide many commands in their order; each has its own result."""
        return self._call(_SUBMIT, request, batch_pb2.BatchSubmitResponse)

    def _call(self, name: str, request: Message, response_type: type[R], timeout: float | None = None) -> R:
        _takes_no(timeout)
        native, body = self._engine.native, request.SerializeToString()
        if name == _SUBMIT:
            ok, answer = native.submit(self._roles, self._institution, body)
        else:
            ok, answer = native.call(_operation(METHODS[name]), self._roles, self._institution, body)
        return _decoded(response_type, ok, answer)

    def _stream(self, name: str, request: Message, response_type: type[R], timeout: float | None = None) -> Iterator[R]:
        _takes_no(timeout)
        method, body = METHODS[name], request.SerializeToString()
        operation, more = _page_operation(method), True
        while more:
            ok, answer = self._engine.native.call(operation, self._roles, self._institution, body)
            yield _decoded(response_type, ok, answer)
            body = next_page(method, body, answer)
            more = bool(body)

    def _exchange(
        self, _name: str, requests: Iterable[Message], response_type: type[R], timeout: float | None = None
    ) -> Iterator[R]:
        _takes_no(timeout)
        for request in requests:
            # A message of the stream has the shape of one that stands alone.
            ok, answer = self._engine.native.submit(self._roles, self._institution, request.SerializeToString())
            yield _decoded(response_type, ok, answer)


class AsyncHub(_Opened):
    """A hub in this process, for any number of event loops; an asynchronous context manager that closes it."""

    def __init__(self, engine: _OpenEngine) -> None:
        super().__init__(engine)
        self._ports: dict[asyncio.AbstractEventLoop, LoopPort] = {}
        self._ports_lock = threading.Lock()

    @classmethod
    async def open(
        cls,
        data: str | PathLike[str],
        *,
        keys: str | PathLike[str] | None = None,
        kek: str | None = None,
        hub_number: int | None = None,
        settings: EngineSettings | None = None,
        clock: ManualClock | None = None,
    ) -> Self:
        """Open or create a data directory as `Hub.open` does, without holding up the event loop."""
        return cls(await asyncio.to_thread(_open, data, keys, kek, settings, hub_number, clock))

    def acting(self, roles: Iterable[str], institution: str) -> "AsyncActing":
        """View the hub as one institution in its roles; raises ValueError for an unknown role or a malformed code."""
        return AsyncActing(self, Actor(institution, _names(roles)))

    def port(self) -> "LoopPort":
        """Return the running loop's way to the engine; one per loop."""
        loop = asyncio.get_running_loop()
        native = self._engine.native
        with self._ports_lock:
            port = self._ports.get(loop)
            if port is None:
                for ended in [other for other in self._ports if other.is_closed()]:
                    self._ports.pop(ended).close()
                port = self._ports[loop] = LoopPort(native.port(), loop)
        return port

    async def close(self) -> None:
        """Answer what is queued and stop; may be called again."""
        await asyncio.to_thread(self._engine.close)
        with self._ports_lock:
            ports, self._ports = self._ports, {}
        for loop, port in ports.items():
            if loop is asyncio.get_running_loop() or loop.is_closed():
                port.close()
            else:
                loop.call_soon_threadsafe(port.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class LoopPort:
    """The engine as one event loop sees it: a future for every request, resolved in batches. Not for other threads."""

    def __init__(self, native: _core.Port, loop: asyncio.AbstractEventLoop) -> None:
        self._native = native
        self._loop = loop
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._ticket = 0
        loop.add_reader(native.fileno(), self._resolve)

    def send(self, operation: int, roles: int, institution: str, request: bytes) -> asyncio.Future[Answer]:
        """Queue one command; raises Unavailable when the engine takes none now."""
        self._ticket += 1
        self._native.send(self._ticket, operation, roles, institution, request)
        return self._wait(self._ticket)

    def send_batch(self, roles: int, institution: str, request: bytes) -> asyncio.Future[Answer]:
        """Queue an encoded BatchSubmitRequest; raises Unavailable when the engine takes none now."""
        self._ticket += 1
        self._native.send_batch(self._ticket, roles, institution, request)
        return self._wait(self._ticket)

    def _wait(self, ticket: int) -> asyncio.Future[Answer]:
        # Answers are taken on this loop only, so none can come before its future stands here.
        future = self._waiting[ticket] = self._loop.create_future()
        return future

    def _resolve(self) -> None:
        for ticket, ok, answer in self._native.reap():
            future = self._waiting.pop(ticket)
            if not future.done():
                future.set_result((ok, answer))

    def close(self) -> None:
        """Hand out the answers that are there and fail the rest; for the engine's closing alone."""
        if not self._loop.is_closed():
            self._loop.remove_reader(self._native.fileno())
            self._resolve()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(HubUnusable("this hub was closed before it answered"))
        self._waiting.clear()
        self._native.close()


class AsyncActing(AsyncServices):
    """A hub as one institution sees it: `await acting.inpatient.settle(request)` and so on for every service.

    Raises Rejected when refused, Unavailable when the hub cannot take the request, HubUnusable, and NoAnswer when a
    timeout (seconds) ends the waiting: the request is carried out all the same.
    """

    def __init__(self, hub: AsyncHub, actor: Actor) -> None:
        super().__init__(self._call, self._stream, self._exchange)
        self._hub = hub
        self._institution = actor.institution
        self._roles = role_bits(actor.roles)

    async def call(self, name: str, request: Message, timeout: float | None = None) -> Message:
        """Call a method by its name, such as "Inpatient.Settle"."""
        return await self._call(name, request, METHODS[name].response_type, timeout)

    async def submit(
        self, request: batch_pb2.BatchSubmitRequest, timeout: float | None = None
    ) -> batch_pb2.BatchSubmitResponse:
        """Decide many commands in their order; each has its own result."""
        return await self._call(_SUBMIT, request, batch_pb2.BatchSubmitResponse, timeout)

    async def _call(self, name: str, request: Message, response_type: type[R], timeout: float | None = None) -> R:
        port, body = self._hub.port(), request.SerializeToString()
        if name == _SUBMIT:
            future = port.send_batch(self._roles, self._institution, body)
        else:
            future = port.send(_operation(METHODS[name]), self._roles, self._institution, body)
        try:
            async with asyncio.timeout(timeout):
                ok, answer = await future
        except TimeoutError:
            raise NoAnswer("DEADLINE_EXCEEDED", f"{name} took longer than {timeout} s") from None
        return _decoded(response_type, ok, answer)

    async def _stream(
        self, name: str, request: Message, response_type: type[R], timeout: float | None = None
    ) -> AsyncIterator[R]:
        method, body = METHODS[name], request.SerializeToString()
        operation, more = _page_operation(method), True
        ends = None if timeout is None else asyncio.get_running_loop().time() + timeout
        while more:
            future = self._hub.port().send(operation, self._roles, self._institution, body)
            ok, answer = await _until(ends, future, name, timeout)
            yield _decoded(response_type, ok, answer)
            body = next_page(method, body, answer)
            more = bool(body)

    async def _exchange(
        self, name: str, requests: Requests[Message], response_type: type[R], timeout: float | None = None
    ) -> AsyncIterator[R]:
        ends = None if timeout is None else asyncio.get_running_loop().time() + timeout
        async for request in each(requests):
            sent = self._hub.port().send_batch(self._roles, self._institution, request.SerializeToString())
            ok, answer = await _until(ends, sent, name, timeout)
            yield _decoded(response_type, ok, answer)


async def _until(ends: float | None, future: asyncio.Future[Answer], name: str, timeout: float | None) -> Answer:
    try:
        async with asyncio.timeout_at(ends):
            return await future
    except TimeoutError:
        raise NoAnswer("DEADLINE_EXCEEDED", f"{name} took longer than {timeout} s") from None


def _takes_no(timeout: float | None) -> None:
    if timeout is not None:
        raise ValueError("an embedded hub answers when the answer is durable; it takes no timeout")


def _page_operation(method: Method) -> int:
    if not method.page_operation:
        raise Rejected("METHOD_NOT_AVAILABLE", {"method": method.name})
    return method.page_operation


def _operation(method: Method) -> int:
    # Streams have no operation, and to the engine 0 is an empty frame.
    if not method.operation:
        raise Rejected("METHOD_NOT_AVAILABLE", {"method": method.name})
    return method.operation


def _decoded(response_type: type[R], ok: bool, answer: bytes) -> R:
    if not ok:
        raise decoded_refusal(answer)
    return response_type.FromString(answer)
