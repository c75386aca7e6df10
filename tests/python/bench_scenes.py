"""What the tests of the load tester share: a listener that counts nothing, a clock that is turned, and a hub by script.

Invariant: no time passes but that which a test lets pass.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from medsettle import journal
from medsettle.auth.actor import Actor
from medsettle.bench.place import Place
from medsettle.bench.plan import Plan
from medsettle.bench.session import Report, benchmark
from medsettle.bench.transport import Answer, Command, Composer, Reply
from medsettle.bench.work import Single, Task
from medsettle.v1 import journal_pb2, operations_pb2
from medsettle.v1.facade import METHODS

ASKING = Actor("H11010500001", frozenset({"HOSPITAL"}))
MS = 1_000_000


class Silent:
    """Is told how far a benchmark is, and says nothing."""

    def stage(self, doing: str, total: int) -> None:
        """See `Telling`."""

    def show(self, done: int, note: str = "") -> None:
        """See `Telling`."""


def run_bench(plan: Plan, place: Place) -> Report:
    return asyncio.run(benchmark(plan, place, Silent()))


def in_journal(data: Path, run: str) -> Counter[tuple[str, bool]]:
    """Count the records of a run by method and whether they are refusals, without the code under test."""
    names = {method.operation: name for name, method in METHODS.items() if method.operation}
    found: Counter[tuple[str, bool]] = Counter()
    for frame in journal.inspect(data):
        for encoded in cast(Sequence[bytes], frame["records"]):
            record = journal_pb2.Record.FromString(encoded)
            if run in record.request_id:
                found[names[record.operation], record.refused] += 1
    return found


def status_tasks(count: int) -> list[Task]:
    status = operations_pb2.OperationsStatusRequest()
    return [Single(Composer(batched=False).command("Operations.Status", ASKING, status)) for _ in range(count)]


class TurnedClock:
    """A clock that stands until it is turned; whoever waits for a moment is told when it is there."""

    def __init__(self) -> None:
        self._now_ns = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        """See `Clock`."""
        return self._now_ns

    async def until(self, moment_ns: int) -> None:
        """See `Clock`."""
        if moment_ns > self._now_ns:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append((moment_ns, future))
            await future

    async def turn(self, to_ns: int) -> None:
        """Go on to a moment, by way of every moment before it that somebody waits for."""
        await _settled()
        while due := sorted((at, number) for number, (at, _) in enumerate(self._waiting) if at <= to_ns):
            at, number = due[0]
            self._now_ns = max(self._now_ns, at)
            self._waiting.pop(number)[1].set_result(None)
            await _settled()
        self._now_ns = to_ns


async def _settled() -> None:
    """Let everybody who can go on do so; a task takes a few turns of the loop from one wait to the next."""
    for _ in range(20):
        await asyncio.sleep(0)


class Stalling:
    """A way to a hub that answers at once, except while it stalls: then when it is let go."""

    def __init__(self) -> None:
        self.sent = 0
        self._open = asyncio.Event()
        self._open.set()

    def stall(self) -> None:
        self._open.clear()

    def go_on(self) -> None:
        self._open.set()

    async def send(self, by: Actor, commands: Sequence[Command]) -> Reply:
        """See `Transport`."""
        self.sent += 1
        await self._open.wait()
        return lambda: [Answer(operations_pb2.OperationsStatusResponse()) for _ in commands]
