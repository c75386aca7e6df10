"""When something is sent: callers that wait for their answers (closed loop), or a rate that waits for nobody (open).

Invariant: in the open loop the n-th message is due at the beginning plus n intervals, and its latency begins then: a
hub that stalls makes every message wait that was due meanwhile (no coordinated omission).
Invariant: what is in flight is bounded; what is due beyond that waits in the generator, on the clock.
"""

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from medsettle.auth.actor import Actor
from medsettle.bench.books import Books
from medsettle.bench.measure import Recorder
from medsettle.bench.transport import Command, Transport
from medsettle.bench.work import Steps, Task

_NS = 1_000_000_000


class Clock(Protocol):
    """Time as a run sees it."""

    def now_ns(self) -> int:
        """Give nanoseconds since some moment."""

    async def until(self, moment_ns: int) -> None:
        """Wait for a moment; return at once when it is past."""


class SteadyClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """See `Clock`."""
        return time.perf_counter_ns()

    async def until(self, moment_ns: int) -> None:
        """See `Clock`."""
        await asyncio.sleep(max(0, moment_ns - time.perf_counter_ns()) / _NS)


@dataclass
class _Going:
    """A task under way: its next command, and whether an answer of it did not come."""

    steps: Steps
    command: Command
    lost: bool = False


class Driver:
    """Carries out tasks and enters what became of them."""

    def __init__(
        self, transport: Transport, books: Books, recorder: Recorder, message_size: int, clock: Clock | None = None
    ) -> None:
        self._transport = transport
        self._books = books
        self._recorder = recorder
        self._size = message_size
        self._clock = clock or SteadyClock()

    async def closed(self, tasks: Iterable[Task], callers: int, duration_s: float | None = None) -> None:
        """Let callers carry out tasks, each waiting for an answer before it sends again, until none is left."""
        waiting = iter(tasks)
        end_ns = None if duration_s is None else self._clock.now_ns() + round(duration_s * _NS)

        async def caller() -> None:
            while end_ns is None or self._clock.now_ns() < end_ns:
                message = list(islice(waiting, self._size))
                if not message:
                    return
                await self._carry_out(message, self._clock.now_ns())

        self._recorder.begin(self._clock.now_ns())
        async with asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(caller())
        self._recorder.end(self._clock.now_ns())

    async def open(self, tasks: Iterable[Task], rate: float, most_in_flight: int) -> None:
        """Begin tasks at a rate per second, whatever the answers do."""
        interval_ns = self._size * _NS / rate
        slots = asyncio.Semaphore(most_in_flight)
        begin_ns = self._clock.now_ns()
        self._recorder.begin(begin_ns)

        async def one(message: Sequence[Task], due_ns: int) -> None:
            try:
                await self._carry_out(message, due_ns)
            finally:
                slots.release()

        async with asyncio.TaskGroup() as group:
            for number, message in enumerate(_messages(tasks, self._size)):
                due_ns = begin_ns + round(number * interval_ns)
                if self._clock.now_ns() < due_ns:
                    await self._clock.until(due_ns)
                await slots.acquire()
                group.create_task(one(message, due_ns))
        self._recorder.end(self._clock.now_ns())

    async def _carry_out(self, tasks: Sequence[Task], due_ns: int) -> None:
        """Send the first commands of the tasks, then the next of those that go on, until all are done."""
        begun_ns, sent_ns = due_ns, due_ns
        going = []
        for task in tasks:
            steps = task()
            going.append(_Going(steps, next(steps)))
        begun = tuple(going)
        while going:
            going = await self._round(going, sent_ns)
            sent_ns = self._clock.now_ns()
        self._recorder.task(begun_ns, sent_ns, sum(not one.lost for one in begun))

    async def _round(self, going: Sequence[_Going], since_ns: int) -> list[_Going]:
        by_actor: dict[Actor, list[_Going]] = {}
        for one in going:
            by_actor.setdefault(one.command.by, []).append(one)
        if len(by_actor) == 1:
            ((by, all_of_it),) = by_actor.items()
            return await self._message(by, all_of_it, since_ns)
        # An institution acts for itself only, so each has a message of its own.
        done = await asyncio.gather(*(self._message(by, part, since_ns) for by, part in by_actor.items()))
        return [one for part in done for one in part]

    async def _message(self, by: Actor, going: Sequence[_Going], since_ns: int) -> list[_Going]:
        reply = await self._transport.send(by, [one.command for one in going])
        now_ns = self._clock.now_ns()
        self._recorder.message()
        following = []
        for one, answer in zip(going, reply(), strict=True):
            outcome = self._books.enter(one.command, answer)
            one.lost |= answer.unknown
            self._recorder.call(one.command.method, outcome, since_ns, now_ns)
            try:
                one.command = one.steps.send(answer)
            except StopIteration:
                continue
            following.append(one)
        return following


def _messages(tasks: Iterable[Task], size: int) -> Iterator[list[Task]]:
    waiting = iter(tasks)
    while message := list(islice(waiting, size)):
        yield message
