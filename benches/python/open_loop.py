"""Unary settlements at a given rate over mutual TLS on loopback, and the same while snapshots are cut and segments end.

Two hubs, each a process of its own, take turns with the same rate. The first is left alone and has long segments. The
second cuts one snapshot after the other, and its segments are so short that each stretch uses up some. A call begins
when it was meant to be made (no coordinated omission). The floor is `Operations.Status` at the same rate, a call that
commits nothing.

    python benches/python/open_loop.py [--rate 1000] [--seconds 10] [--runs 3] [--persons 2000]
"""

import argparse
import asyncio
import contextlib
import gc
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import uvloop
from figures import Spread, figure, note
from machine import machine_line, scratch_directory

from medsettle.bench import trial
from medsettle.bench.books import Books
from medsettle.bench.drive import Driver
from medsettle.bench.measure import ACCEPTED, Cpu, Latencies, Recorder
from medsettle.bench.place import Opened, Place, opened
from medsettle.bench.plan import Plan
from medsettle.bench.town import Town
from medsettle.bench.transport import Composer
from medsettle.bench.work import Single, Task, Work
from medsettle.rpc.limits import STREAMS_PER_CONNECTION
from medsettle.v1 import operations_pb2

SHORT_SEGMENT_BYTES = 2 << 20
WARM_UP_CALLS = 1_000
IN_FLIGHT = STREAMS_PER_CONNECTION // 2
"""Calls of the one connection at once. What is due beyond them waits, and its waiting counts."""

PERCENTILES = (50.0, 99.0, 99.9)

CALM, BUSY, STATUS = "settle", "settle while snapshots are cut", "Operations.Status"


@dataclass
class Hub:
    """A hub that is asked at a rate."""

    opened: Opened
    town: Town
    work: Work
    snapshots: int = 0
    _enough: bool = False

    async def settle(self, rate: float, count: int) -> Latencies:
        """Have visits settled; raises AssertionError unless all were accepted."""
        return await self._asked(list(islice(self.work.tasks(), count)), rate, "Visits.Settle")

    async def status(self, rate: float, count: int) -> Latencies:
        """Ask for the status."""
        composer, by = Composer(batched=False), self.town.actors.hospital
        task = Single(composer.command(STATUS, by, operations_pb2.OperationsStatusRequest()))
        return await self._asked([task] * count, rate, STATUS)

    async def settle_beside_snapshots(self, rate: float, count: int) -> Latencies:
        """Have visits settled while one snapshot after the other is cut."""
        tasks = list(islice(self.work.tasks(), count))
        self._enough = False
        cutting = asyncio.create_task(self._cut())
        try:
            return await self._asked(tasks, rate, "Visits.Settle")
        finally:
            # The last one is cut to its end, so that it is not in the next stretch.
            self._enough = True
            await cutting

    async def _cut(self) -> None:
        while not self._enough:
            request = operations_pb2.OperationsSnapshotRequest(header=self.town.header(self.town.actors.agency))
            await self.opened.agency.call("Operations.Snapshot", request)
            self.snapshots += 1

    async def _asked(self, tasks: Sequence[Task], rate: float, method: str) -> Latencies:
        recorder = Recorder()
        gc.collect()
        gc.disable()
        try:
            await Driver(self.opened.transport, Books(), recorder, 1).open(tasks, rate, IN_FLIGHT)
        finally:
            gc.enable()
        run = recorder.finished(Cpu(0, None))
        if set(run.outcomes) != {(method, ACCEPTED)}:
            raise AssertionError(f"not all calls were accepted: {dict(run.outcomes)}")
        return run.calls

    def segments(self) -> int:
        """Give the number of the newest segment that is there; those that snapshots have made superfluous are not."""
        return max(int(path.stem) for path in self.opened.data.rglob("*.journal"))


@contextlib.asynccontextmanager
async def hub_in(root: Path, persons: int, segment_bytes: int | None) -> AsyncIterator[Hub]:
    """Serve a trial folder with a town in it."""
    scratch = trial.make(root)
    if segment_bytes is not None:
        scratch.config.write_text(f"[engine]\nsegment_bytes = {segment_bytes}\n", "utf-8")
    plan = Plan(persons=persons)
    async with opened(Place(trial=root, serve=True), plan) as hub:
        town = Town(hub.actors)
        await town.settle_in(hub.agency, hub.scratch, persons, lambda _done, _total: None)
        yield Hub(hub, town, Work(plan, town, Composer(batched=False)))


Found = dict[str, list[Latencies]]


async def measured(root: Path, options: argparse.Namespace) -> tuple[Found, int, int]:
    """Let both hubs and the floor take turns; gives the latencies, and the snapshots and segments of the second."""
    rate, count = options.rate, round(options.rate * options.seconds)
    found: Found = {STATUS: [], CALM: [], BUSY: []}
    async with (
        hub_in(root / "calm", options.persons, None) as calm,
        hub_in(root / "busy", options.persons, SHORT_SEGMENT_BYTES) as busy,
    ):
        for hub in (calm, busy):
            await hub.settle(rate, WARM_UP_CALLS)
        before = busy.segments()
        for number in range(options.runs):
            print(f"turn {number + 1} of {options.runs}", file=sys.stderr, flush=True)
            found[STATUS].append(await calm.status(rate, count))
            found[CALM].append(await calm.settle(rate, count))
            found[BUSY].append(await busy.settle_beside_snapshots(rate, count))
        return found, busy.snapshots, busy.segments() - before


def print_and_note(found: Found, rate: float, machine: str) -> None:
    """Print a line for each kind of call, and note all percentiles beside their floors."""
    floors = {CALM: STATUS, BUSY: CALM}
    print(f"{'call':32}" + "".join(f"  {f'p{percentile:g} ms':>20}" for percentile in PERCENTILES) + "  p99 to floor")
    for name, runs in found.items():
        spreads = [Spread.over([run.ms(percentile) for run in runs]).text(2) for percentile in PERCENTILES]
        ratio = ""
        for percentile in PERCENTILES if name in floors else ():
            values, beside = ([run.ms(percentile) for run in found[one]] for one in (name, floors[name]))
            title = f"gRPC unary, open loop, {rate:,.0f}/s, {name}, p{percentile:g}"
            one = figure(title, "ms", values, machine, floors[name], beside)
            note(one)
            if percentile == 99.0 and one.ratio is not None:
                ratio = f"{one.ratio.text(2)} x {floors[name]}"
        print(f"{name:32}" + "".join(f"  {spread:>20}" for spread in spreads) + f"  {ratio}")


def main() -> None:
    """Serve, measure, print."""
    parser = argparse.ArgumentParser(description="Settle at a given rate, alone and while snapshots are cut.")
    parser.add_argument("--rate", type=float, default=1_000, help="calls per second")
    parser.add_argument("--seconds", type=float, default=10, help="length of one stretch")
    parser.add_argument("--runs", type=int, default=3, help="stretches of each, taking turns")
    parser.add_argument("--persons", type=int, default=2_000, help="persons of each hub")
    options = parser.parse_args()
    with scratch_directory() as root:
        machine = machine_line(root)
        print(machine, flush=True)
        found, snapshots, segments = uvloop.run(measured(root, options))
    print_and_note(found, options.rate, machine)
    print(f"meanwhile {snapshots} snapshots were cut and {segments} segments begun")


if __name__ == "__main__":
    main()
