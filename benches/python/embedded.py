"""Visits and whole stays at an embedded hub, a thousand commands a message: what engine and binding take together.

A stay is nine commands, each of which needs the answer to the one before, so a thousand stays go through them together.
Requests are ready before the clock starts and answers are read after it has stopped; it stands between the steps of
stays. The floor is a bare write and `fdatasync` of as many bytes as a message left in the journal, one after the other.

    python benches/python/embedded.py [--visits 50000] [--stays 5000] [--runs 3] [--persons 10000] [--in-flight 4]
"""

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

import uvloop
from figures import Spread, figure, note
from machine import machine_line, scratch_directory

from medsettle import journal
from medsettle.bench.measure import ACCEPTED
from medsettle.bench.place import Opened, Place, opened
from medsettle.bench.plan import CallKind, Plan, Workload
from medsettle.bench.town import Town
from medsettle.bench.transport import Answer, Command, Composer, Reply, Transport
from medsettle.bench.work import Steps, Task, Work
from medsettle.v1 import operations_pb2

MESSAGE_LEN = 1_000
BARE = "bare write and fdatasync of a message's bytes"

_FILE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Run:
    """So many tasks: the time that the hub had them, commands, and the bytes that they left in the journal."""

    tasks: int
    commands: int
    seconds: float
    messages: int
    journal_bytes: int

    @property
    def per_second(self) -> float:
        """Tasks each second."""
        return self.tasks / self.seconds


class Lockstep:
    """Carries out tasks together, step by step; only what lies between message and answer is on the clock."""

    def __init__(self, transport: Transport, in_flight: int) -> None:
        self._transport = transport
        self._in_flight = in_flight

    async def carry_out(self, tasks: Sequence[Task]) -> tuple[float, int, int]:
        """Give the seconds, the messages and the commands; raises AssertionError unless all were accepted."""
        seconds, messages, commands = 0.0, 0, 0
        going: list[tuple[Steps, Command]] = []
        for task in tasks:
            steps = task()
            going.append((steps, next(steps)))
        while going:
            cut = [going[first : first + MESSAGE_LEN] for first in range(0, len(going), MESSAGE_LEN)]
            spent, replies = await self._sent([[command for _, command in part] for part in cut])
            seconds, messages, commands = seconds + spent, messages + len(cut), commands + len(going)
            going = [
                following for part, reply in zip(cut, replies, strict=True) for following in _following(part, reply())
            ]
        return seconds, messages, commands

    async def _sent(self, cut: Sequence[Sequence[Command]]) -> tuple[float, list[Reply]]:
        replies: dict[int, Reply] = {}
        waiting = iter(enumerate(cut))

        async def caller() -> None:
            for number, message in waiting:
                replies[number] = await self._transport.send(message[0].by, message)

        begin_s = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(self._in_flight)))
        return time.perf_counter() - begin_s, [replies[number] for number in range(len(cut))]


def _following(part: Sequence[tuple[Steps, Command]], answers: Sequence[Answer]) -> Iterator[tuple[Steps, Command]]:
    for (steps, command), answer in zip(part, answers, strict=True):
        if answer.response is None or answer.replayed:
            raise AssertionError(f"{command.method} was not {ACCEPTED}: {answer.reason or 'replayed'}")
        try:
            yield steps, steps.send(answer)
        except StopIteration:
            continue


async def sequence_of(hub: Opened) -> int:
    """Ask how far the journal is."""
    status = await hub.agency.call("Operations.Status", operations_pb2.OperationsStatusRequest())
    assert isinstance(status, operations_pb2.OperationsStatusResponse)
    return status.header.sequence


def bytes_behind(data: Path, sequence: int) -> int:
    """Read how long the records behind a sequence are."""
    frames = journal.inspect(data, from_sequence=sequence + 1)
    return sum(len(record) for frame in frames for record in cast(list[bytes], frame["records"]))


def bare_seconds(directory: Path, run: Run) -> float:
    """Write and sync as many times as many bytes as the messages of a run left."""
    block = os.urandom(max(1, run.journal_bytes // run.messages))
    path = directory / "bare"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for offset in range(0, _FILE_BYTES, 1 << 20):
            os.pwrite(file, bytes(1 << 20), offset)
        os.fsync(file)
        places = max(1, _FILE_BYTES // len(block))
        begin_s = time.perf_counter()
        for number in range(run.messages):
            os.pwrite(file, block, number % places * len(block))
            os.fdatasync(file)
        return time.perf_counter() - begin_s
    finally:
        os.close(file)
        path.unlink()


async def measured(options: argparse.Namespace, workload: Workload, count: int) -> tuple[list[Run], list[float]]:
    """Settle visits or stays as often as asked, each run beside its floor; gives the runs and the floors in tasks/s."""
    plan = Plan(workload=workload, call=CallKind.BATCH, batch_size=1, callers=1, persons=options.persons)
    runs, floors = [], []
    async with opened(Place(), plan) as hub:
        town = Town(hub.actors)
        print(f"preparing {options.persons:,} persons", file=sys.stderr, flush=True)
        await town.settle_in(hub.agency, hub.scratch, options.persons, lambda _done, _total: None)
        tasks = Work(plan, town, Composer(batched=True)).tasks()
        lockstep = Lockstep(hub.transport, options.in_flight)
        await lockstep.carry_out(list(islice(tasks, min(count, MESSAGE_LEN))))
        for number in range(options.runs):
            print(f"{workload}, run {number + 1} of {options.runs}", file=sys.stderr, flush=True)
            prepared = list(islice(tasks, count))
            before = await sequence_of(hub)
            seconds, messages, commands = await lockstep.carry_out(prepared)
            run = Run(count, commands, seconds, messages, bytes_behind(hub.data, before))
            runs.append(run)
            floors.append(count / bare_seconds(hub.data.parent, run))
    return runs, floors


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Settle visits and whole stays at an embedded hub, by the thousand.")
    parser.add_argument("--visits", type=int, default=50_000, help="visits of one run")
    parser.add_argument("--stays", type=int, default=5_000, help="stays of one run")
    parser.add_argument("--runs", type=int, default=3, help="runs of each")
    parser.add_argument("--persons", type=int, default=10_000, help="persons of the hub")
    parser.add_argument("--in-flight", type=int, default=4, help="messages that wait for their answers at once")
    options = parser.parse_args()
    with scratch_directory() as root:
        machine = machine_line(root)
    print(machine, flush=True)
    print(f"{'what':34}  {'per second':>26}  {'bytes each':>10}  {'floor/s':>10}  ratio to floor")
    for noun, workload, count in (("visits", Workload.VISIT, options.visits), ("stays", Workload.STAY, options.stays)):
        runs, floors = uvloop.run(measured(options, workload, count))
        name = f"embedded, messages of {MESSAGE_LEN:,}, {noun}, {options.persons:,} persons"
        found = figure(name, "/s", [run.per_second for run in runs], machine, BARE, floors)
        note(found)
        each = runs[0].journal_bytes / runs[0].tasks
        assert found.ratio is not None
        title = f"{noun}, {runs[0].commands // runs[0].tasks} commands each"
        print(
            f"{title:34}  {found.value.text(0):>26}  {each:>10.0f}  {Spread.over(floors).median:>10,.0f}  "
            f"{found.ratio.text(3)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
