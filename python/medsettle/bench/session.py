"""One benchmark from beginning to end: the town, the warm-up, the runs beside their floor, and the books.

Invariant: a run's requests are prepared before it begins, and its floor is measured right before it.
Leaves out how the result is shown: report.py, page.py.
"""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice, repeat
from math import ceil
from typing import Protocol

from medsettle.bench.books import Books, Journal
from medsettle.bench.drive import Driver
from medsettle.bench.machine import Floor, machine_line
from medsettle.bench.measure import NO_ANSWER, Cpu, FloorRun, Latencies, Recorder, Run
from medsettle.bench.place import Opened, Place, opened
from medsettle.bench.plan import MOST_OPEN, MOST_TASKS, CallKind, Plan
from medsettle.bench.town import Town
from medsettle.bench.transport import Composer
from medsettle.bench.work import Single, Task, Work
from medsettle.v1 import operations_pb2

FLOOR_COMMITS = 200
FLOOR_CALLS = 500
FLOOR_S = 2.0
"""How long an open loop's floor is measured at most."""
BARE_SYNC, EMPTY_CALL = "bare write and fdatasync of 4 KiB", "Operations.Status"

SPARE, SPARE_OF_BATCHES = 1.5, 3.0
"""How many more requests are prepared for a closed loop of some duration than the warm-up's rate would take; the
warm-up of batches is only a few messages, which say little of the rate."""

HELD = 0.95
"""A rate of which less is done was not held."""

_LOOKS_PER_SECOND = 5


class Telling(Protocol):
    """Who is told how far a benchmark is."""

    def stage(self, doing: str, total: int) -> None:
        """Begin something of so many steps."""

    def show(self, done: int, note: str = "") -> None:
        """Tell how far it is."""


@dataclass(frozen=True, slots=True)
class Report:
    """All that one benchmark found."""

    plan: Plan
    place: str
    machine: str
    version: str
    """Of the hub."""
    begun: datetime
    town: str
    """Part of every request id of this benchmark."""
    runs: Sequence[Run]
    books: Books
    journal_records: int | None
    """Records of this benchmark in the hub's journal; None where it could not be read."""
    problems: Sequence[str]
    """What books and journal disagree about."""
    incomplete: Sequence[str]
    """Runs that ended early, and commands without an answer."""
    remarks: Sequence[str]
    """What else must be known to read the figures."""


async def benchmark(plan: Plan, place: Place, telling: Telling) -> Report:
    """Do all of it; raises WrongPlan, MedsettleError, OSError."""
    begun = datetime.now(UTC)
    async with opened(place, plan) as hub:
        session = _Session(plan, hub, telling)
        await session.settle_in()
        runs = await session.runs()
        machine = machine_line(hub.floor_directory)
        records, problems = await asyncio.to_thread(session.compare)
    return Report(
        plan=plan,
        place=hub.name,
        machine=machine,
        version=session.version,
        begun=begun,
        town=session.town.run,
        runs=runs,
        books=session.books,
        journal_records=records,
        problems=problems,
        incomplete=session.incomplete,
        remarks=session.remarks,
    )


class _Session:
    """The steps, and what they leave for each other."""

    def __init__(self, plan: Plan, hub: Opened, telling: Telling) -> None:
        self._plan = plan
        self._hub = hub
        self._telling = telling
        self.town = Town(hub.actors)
        self._before = 0
        self.version = ""
        self.books = Books()
        self.incomplete: list[str] = []
        self.remarks: list[str] = []

    async def settle_in(self) -> None:
        """Prepare the town and note up to where the journal is its."""
        self._telling.stage("preparing the trial town", self._plan.persons)
        show = self._telling.show
        await self.town.settle_in(
            self._hub.agency, self._hub.scratch, self._plan.persons, lambda done, _total: show(done)
        )
        status = await self._hub.agency.call("Operations.Status", operations_pb2.OperationsStatusRequest())
        assert isinstance(status, operations_pb2.OperationsStatusResponse)
        self._before, self.version = status.header.sequence, status.version

    async def runs(self) -> list[Run]:
        """Warm up, then measure as often as planned."""
        plan = self._plan
        work = Work(plan, self.town, Composer(batched=plan.call is not CallKind.UNARY)).tasks()
        warm = Recorder()
        tasks = await self._prepared(work, plan.warm_up, "warm-up")
        driver = Driver(self._hub.transport, self.books, warm, plan.message_size)
        await self._watched("warming up", len(tasks), warm, driver.closed(tasks, plan.callers))
        rate = warm.finished(Cpu(0, None)).tasks_per_second
        measured = []
        for number in range(1, plan.runs + 1):
            name = f"run {number} of {plan.runs}"
            tasks = await self._prepared(work, plan.tasks or self._enough(rate), name)
            floor = await self._floor()
            run = await self._run(tasks, name)
            measured.append(replace(run, floor=floor))
            self._look_at(run, name, len(tasks))
        return measured

    def _look_at(self, run: Run, name: str, prepared: int) -> None:
        """Say what the figures of a run do not."""
        plan, due = self._plan, self._plan.open_rate
        if plan.tasks is None and run.tasks.count == prepared:
            self.incomplete.append(
                f"{name} ended after {run.seconds:.1f} s with all {prepared:,} prepared requests; use --count"
            )
        if run.unanswered:
            kinds = Counter({kind: count for (_, kind), count in run.outcomes.items() if kind.startswith(NO_ANSWER)})
            listed = ", ".join(f"{count:,} {kind.removeprefix(NO_ANSWER).strip()}" for kind, count in kinds.items())
            self.incomplete.append(f"{name}: no answer came to {listed}; rates and latencies are of the others")
        # It ends with its last answer, which cannot come sooner than the quickest one takes.
        done = run.tasks.count / max(run.seconds - run.tasks.least_ms / 1e3, 1e-9)
        if due is not None and done < HELD * due:
            self.remarks.append(
                f"{name}: {due:,.0f} a second were due and {done:,.0f} were done: its latencies are those of a queue "
                "that grows, and the longer it lasts the longer they are"
            )

    def compare(self) -> tuple[int | None, list[str]]:
        """Put the books beside the journal, where it is on this machine."""
        if not self._hub.data.exists():
            return None, []
        found = Journal.read(self._hub.data, self.town.run, self._before)
        if not found.records and not self._hub.certain:
            return None, []
        return found.records, self.books.compare(found)

    def _enough(self, rate: float) -> int:
        """Give how many tasks a closed loop may need for the planned duration."""
        assert self._plan.duration_s is not None
        spare = SPARE if self._plan.message_size == 1 else SPARE_OF_BATCHES
        wanted = max(self._plan.in_flight, round(spare * max(rate, 1_000.0) * self._plan.duration_s))
        return min(MOST_TASKS, wanted, (self._plan.most_tasks - self._plan.warm_up) // self._plan.runs)

    async def _prepared(self, work: Iterator[Task], count: int, name: str) -> list[Task]:
        self._telling.stage(f"signing for {name}", count)
        tasks: list[Task] = []
        while len(tasks) < count:
            tasks += islice(work, min(200, count - len(tasks)))
            self._telling.show(len(tasks))
            # The connection's keepalives and an interruption get their turn.
            await asyncio.sleep(0)
        return tasks

    async def _run(self, tasks: Sequence[Task], name: str) -> Run:
        plan, recorder = self._plan, Recorder()
        driver = Driver(self._hub.transport, self.books, recorder, plan.message_size)
        if plan.open_rate is None:
            going = driver.closed(tasks, plan.callers, plan.duration_s)
        else:
            going = driver.open(tasks, plan.open_rate, MOST_OPEN)
        gc.collect()
        gc.disable()
        try:
            before = self._hub.spent()
            await self._watched(name, len(tasks), recorder, going)
            after = self._hub.spent()
        finally:
            gc.enable()
        return recorder.finished(after.since(before))

    async def _watched(
        self, doing: str, total: int, recorder: Recorder, going: Coroutine[object, object, None]
    ) -> None:
        """Carry something out and tell meanwhile how far it is."""
        self._telling.stage(doing, total)

        async def look() -> None:
            seen, seen_s = 0, time.monotonic()
            while True:
                await asyncio.sleep(1 / _LOOKS_PER_SECOND)
                now_s = time.monotonic()
                calls = recorder.calls_done
                note = f"{(calls - seen) / (now_s - seen_s):,.0f} calls/s"
                if refused := recorder.refused_done:
                    note += f", {refused:,} refused"
                self._telling.show(recorder.tasks_done, note)
                seen, seen_s = calls, now_s

        looking = asyncio.create_task(look())
        try:
            await going
        finally:
            looking.cancel()
        self._telling.show(total)

    async def _floor(self) -> FloorRun:
        """Measure what nothing at this place can be faster than."""
        if self._hub.floor_directory is not None:
            with Floor(self._hub.floor_directory) as floor:
                latencies = Latencies(await asyncio.to_thread(floor.latencies_us, FLOOR_COMMITS))
            return FloorRun(BARE_SYNC, 1e3 / max(latencies.mean_ms, 1e-9), latencies)
        recorder, composer = Recorder(), Composer(batched=False)
        status = composer.command(EMPTY_CALL, self._hub.actors.hospital, operations_pb2.OperationsStatusRequest())
        driver = Driver(self._hub.status, Books(), recorder, 1)
        if self._plan.open_rate is None:
            how = f"{self._plan.callers} callers"
            await driver.closed(repeat(Single(status), FLOOR_CALLS), self._plan.callers)
        else:
            rate = self._plan.open_rate / self._plan.message_size
            how = f"{rate:,.4g}/s"
            await driver.open(repeat(Single(status), min(FLOOR_CALLS, ceil(FLOOR_S * rate))), rate, MOST_OPEN)
        run = recorder.finished(Cpu(0, None))
        return FloorRun(f"{EMPTY_CALL}, {how}", run.calls_per_second, run.calls)
