"""Batch.Stream: messages of many commands, several of a caller in flight, each answered in its turn.

Owns what a stream holds, how many streams there are, and how one ends.
Invariant: answers leave in the order of their messages, and a refusal is the last word of its stream.
Invariant: a stream is read only as far as its caller takes the answers, so a slow one holds little and delays nobody.
Leaves out what a command may do: the engine; what a refusal looks like: edge.py; how much is too much: limits.py.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from medsettle.errors import HubUnusable, Overloaded, decoded_refusal
from medsettle.ops.counters import Counters
from medsettle.rpc import limits
from medsettle.rpc.edge import Context, Identify, Send, Start, accepted, refusal_of
from medsettle.rpc.refusal import DETAILS_KEY

_NAME = "Batch.Stream"


class BatchStreams:
    """The streams of one service, for the loop of its port."""

    def __init__(self, send: Send, identify: Identify, counters: Counters, start: Start) -> None:
        self._send = send
        self._identify = identify
        self._counters = counters
        self._start = start
        self._streams: set[_Stream] = set()
        self._of_institution: Counter[str] = Counter()
        self._draining = False

    async def answer(self, _requests: object, context: Context) -> None:
        """Serve one stream until its caller has all answers, or it ends with a refusal."""
        self._counters.in_flight += 1
        # What a caller that went away leaves standing; what the engine took is carried out all the same.
        outcome = "CANCELLED"
        try:
            try:
                await context.send_initial_metadata(self._start)
                with self._place(self._identify(context).institution):
                    await self._serve(context)
            except Exception as error:
                outcome, refusal = refusal_of(error, _NAME)
            else:
                outcome = ""
                context.set_trailing_metadata(self._start)
                return
        finally:
            self._counters.in_flight -= 1
            if outcome:
                self._counters.answered(_NAME, outcome)
        details = ((DETAILS_KEY, refusal.details),) if refusal.details else ()
        await context.abort(refusal.code, refusal.text, (*self._start, *details))

    def drain(self) -> None:
        """Read no further message of any stream; each ends when what was read is answered."""
        self._draining = True
        for stream in self._streams:
            stream.stop_reading()

    @contextmanager
    def _place(self, institution: str) -> Iterator[None]:
        of_institution = self._of_institution
        if of_institution.total() >= limits.BATCH_STREAMS:
            raise Overloaded("there are as many streams as the service holds")
        if of_institution[institution] >= limits.BATCH_STREAMS_PER_INSTITUTION:
            raise Overloaded("the institution has as many streams as one may have")
        of_institution[institution] += 1
        try:
            yield
        finally:
            of_institution[institution] -= 1
            if not of_institution[institution]:
                del of_institution[institution]

    async def _serve(self, context: Context) -> None:
        if self._draining:
            raise HubUnusable("the service is stopping")

        def take(message: bytes) -> asyncio.Future[tuple[bool, bytes]]:
            # Who calls is looked at for every message: a certificate may end or be revoked while its stream goes on.
            return accepted(self._send, self._identify(context), message)

        stream = _Stream(context, take, lambda: self._counters.answered(_NAME, "OK"))
        self._streams.add(stream)
        try:
            await stream.serve()
        finally:
            self._streams.discard(stream)


@dataclass(frozen=True, slots=True)
class _Taken:
    """A message that was handed to the engine, until its answer is on its way."""

    length: int
    answer: asyncio.Future[tuple[bool, bytes]]

    def held_bytes(self) -> int:
        # Of a message that the engine has answered only the answer is left.
        return len(self.answer.result()[1]) if self.answer.done() else self.length


class _Stream:
    """One stream: a task that reads, beside the caller's own that writes."""

    def __init__(
        self,
        context: Context,
        take: Callable[[bytes], asyncio.Future[tuple[bool, bytes]]],
        answered: Callable[[], None],
    ) -> None:
        self._context = context
        self._take = take
        self._answered = answered
        self._taken: deque[_Taken] = deque()
        self._reader: asyncio.Task[None] | None = None
        self._ended = False
        self._why: Exception | None = None
        self._news, self._room = asyncio.Event(), asyncio.Event()

    async def serve(self) -> None:
        """Answer every message; raises why the stream ends before its caller ended it."""
        self._reader = asyncio.create_task(self._read())
        try:
            await self._write()
        finally:
            self._reader.cancel()
            for taken in self._taken:
                taken.answer.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    def stop_reading(self) -> None:
        if self._reader is not None and not self._ended:
            self._why = HubUnusable("the service is stopping")
            self._reader.cancel()

    async def _read(self) -> None:
        try:
            while True:
                while self._is_full():
                    self._room.clear()
                    await self._room.wait()
                message = await self._next()
                if message is None:
                    return
                self._taken.append(_Taken(len(message), self._take(message)))
                self._news.set()
        except Exception as error:
            self._why = error
        finally:
            self._ended = True
            self._news.set()

    async def _next(self) -> bytes | None:
        idle_s = limits.BATCH_STREAM_IDLE_S
        try:
            async with asyncio.timeout(idle_s):
                message = await self._context.read()
        except TimeoutError:
            raise TimeoutError(f"No whole message came for {idle_s:g} s; begin another stream.") from None
        return message if isinstance(message, bytes) else None

    def _is_full(self) -> bool:
        if len(self._taken) >= limits.BATCH_STREAM_MESSAGES:
            return True
        return sum(taken.held_bytes() for taken in self._taken) >= limits.BATCH_STREAM_BYTES

    async def _write(self) -> None:
        while True:
            while not self._taken:
                if self._ended:
                    if self._why is not None:
                        raise self._why
                    return
                self._news.clear()
                await self._news.wait()
            async with asyncio.timeout(limits.DEADLINE_S):
                ok, answer = await self._taken[0].answer
            if not ok:
                raise decoded_refusal(answer)
            # Ours ends a stream that nobody reads any more; until then its messages wait in the caller's process.
            async with asyncio.timeout(limits.DEADLINE_S):
                await self._context.write(answer)
            self._answered()
            self._taken.popleft()
            self._room.set()
