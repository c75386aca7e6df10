"""The same visits settled by PostgreSQL and by a hub, in turns of one run on one file system, side by side.

    python benches/peers/postgres/compare.py [--visits 6000] [--runs 3] [--persons 10000] [--json FILE]

PostgreSQL is a cluster of its own in a scratch directory, loaded by pgbench with prepared statements over a socket.
The hub is embedded in this process, and once more a process of its own over mutual TLS; callers are those of
`medsettle bench`. First both decide the same two dozen visits, whose answers must be equal to the fen.

Leaves out what the rows mean: benches/README.md.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol

import uvloop

sys.path.append(str(Path(__file__).parents[2] / "python"))

from check import books_close, check, packages
from cluster import Cluster, Missing, Programs, found_programs, running
from figures import Figure, Spread, figure, note
from machine import FLOOR, Floor, machine_line, scratch_directory
from state import FIRST_PAN, HERE, Holder, furnish

from medsettle.bench.books import Books, Journal
from medsettle.bench.drive import Driver
from medsettle.bench.measure import ACCEPTED, Cpu, Latencies, Recorder
from medsettle.bench.place import Opened, Place, opened
from medsettle.bench.plan import Plan
from medsettle.bench.town import Town
from medsettle.bench.transport import Composer
from medsettle.bench.work import Task, Work
from medsettle.demo import world
from medsettle.demo.scratch import Scratch
from medsettle.v1 import operations_pb2

CLIENTS = {1: 6, 8: 2, 32: 1}
"""Numbers of callers; few of them take longer, so their stretches have only a part of the visits."""
WARM_UP_VISITS = 1_000
FLOOR_COMMITS = 500
POSTGRES, EMBEDDED, GRPC = "PostgreSQL, pgbench", "hub, embedded", "hub, gRPC unary, mutual TLS"


@dataclass(frozen=True, slots=True)
class Stretch:
    """So many visits by so many callers: their rate and latencies."""

    per_second: float
    p50_ms: float
    p99_ms: float


class Contestant(Protocol):
    """Who settles visits."""

    name: str

    async def settle(self, visits: int, clients: int) -> Stretch:
        """Have callers settle visits, each waiting for its answer; raises AssertionError unless all were accepted."""

    def check_books(self) -> None:
        """Raise AssertionError when what is kept is not what was asked for."""


def _stretch(seconds: float, latencies: Latencies) -> Stretch:
    return Stretch(latencies.count / seconds, latencies.ms(50), latencies.ms(99))


@dataclass
class InPostgres:
    """The function `settle`, called by pgbench."""

    cluster: Cluster
    persons: int
    name: str = POSTGRES
    _stretches: int = 0
    _settled: int = 0
    _used: int = 0
    """How far the counters of cards may have come."""

    async def settle(self, visits: int, clients: int) -> Stretch:
        """See `Contestant`."""
        return await asyncio.to_thread(self._settle, visits, clients)

    def _settle(self, visits: int, clients: int) -> Stretch:
        self._stretches += 1
        each, share = visits // clients, self.persons // clients
        log = self.cluster.root / f"latencies-{self._stretches}"
        variables = {
            "n": -1,
            "share": share,
            "first_atc": self._used + 1,
            "stretch": self._stretches,
            "day": world.today().isoformat(),
        }
        self._used += each // share + 1
        said = self.cluster.bench(
            "--no-vacuum",
            "--protocol=prepared",
            f"--client={clients}",
            f"--jobs={min(clients, len(os.sched_getaffinity(0)))}",
            f"--transactions={each}",
            "--log",
            f"--log-prefix={log}",
            f"--file={self.cluster.root / 'visit.pgbench'}",
            *(f"--define={name}={value}" for name, value in variables.items()),
        )
        self._settled += each * clients
        self.check_books()
        (rate,) = (float(line.split()[2]) for line in said.splitlines() if line.startswith("tps = "))
        latencies = Latencies(_latencies_us(log))
        if latencies.count != each * clients:
            raise AssertionError(f"pgbench timed {latencies.count} of {each * clients} transactions")
        return Stretch(rate, latencies.ms(50), latencies.ms(99))

    def check_books(self) -> None:
        """See `Contestant`."""
        if (found := int(self.cluster.sql("SELECT count(*) FROM settlement;"))) != self._settled:
            raise AssertionError(f"pgbench settled {self._settled} visits, the table holds {found}")
        books_close(self.cluster)


def _latencies_us(log: Path) -> Iterator[int]:
    """Read and remove what pgbench wrote for each transaction, a file for each of its threads."""
    for file in log.parent.glob(f"{log.name}.*"):
        for line in file.read_text().splitlines():
            yield int(line.split()[2])
        file.unlink()


@dataclass
class AtHub:
    """A hub, called as `medsettle bench` calls it."""

    name: str
    hub: Opened
    town: Town
    tasks: Iterator[Task]
    before: int
    books: Books = field(default_factory=Books)

    async def settle(self, visits: int, clients: int) -> Stretch:
        """See `Contestant`."""
        prepared = list(islice(self.tasks, visits // clients * clients))
        recorder = Recorder()
        await Driver(self.hub.transport, self.books, recorder, 1).closed(prepared, clients)
        run = recorder.finished(Cpu(0, None))
        if set(run.outcomes) != {("Visits.Settle", ACCEPTED)}:
            raise AssertionError(f"not all visits were settled: {dict(run.outcomes)}")
        return _stretch(run.seconds, run.calls)

    def check_books(self) -> None:
        """See `Contestant`."""
        if problems := self.books.compare(Journal.read(self.hub.data, self.town.run, self.before)):
            raise AssertionError("; ".join(problems))


@contextlib.asynccontextmanager
async def at_hub(name: str, place: Place, persons: int) -> AsyncIterator[AtHub]:
    """Open a hub and prepare its town."""
    plan = Plan(persons=persons)
    async with opened(place, plan) as hub:
        town = Town(hub.actors)
        await town.settle_in(hub.agency, hub.scratch, persons, lambda _done, _total: None)
        status = await hub.agency.call("Operations.Status", operations_pb2.OperationsStatusRequest())
        assert isinstance(status, operations_pb2.OperationsStatusResponse)
        tasks = Work(plan, town, Composer(batched=False)).tasks()
        yield AtHub(name, hub, town, tasks, status.header.sequence)


@contextlib.contextmanager
def in_postgres(programs: Programs, persons: int) -> Iterator[InPostgres]:
    """Start a cluster and fill its tables."""
    with running(programs) as cluster:
        furnish(cluster, packages()[0][1], [Holder(FIRST_PAN + number) for number in range(1, persons + 1)])
        (cluster.root / "visit.pgbench").write_text((HERE / "visit.pgbench").read_text("utf-8"))
        yield InPostgres(cluster, persons)


Stretches = dict[int, dict[str, list[Stretch]]]
"""By number of callers and name."""


async def measured(programs: Programs, root: Path, options: argparse.Namespace) -> tuple[Stretches, list[float]]:
    """Let all take turns; gives their stretches, and the rate of bare syncs before every turn."""
    found: Stretches = {clients: {} for clients in CLIENTS}
    floors = []
    async with contextlib.AsyncExitStack() as closing:
        contestants: Sequence[Contestant] = (
            closing.enter_context(in_postgres(programs, options.persons)),
            await closing.enter_async_context(at_hub(EMBEDDED, Place(), options.persons)),
            await closing.enter_async_context(at_hub(GRPC, Place(serve=True), options.persons)),
        )
        for one in contestants:
            await one.settle(WARM_UP_VISITS, max(CLIENTS))
        for clients, fewer in CLIENTS.items():
            for run in range(options.runs):
                print(f"{clients} callers, turn {run + 1} of {options.runs}", file=sys.stderr, flush=True)
                with Floor(root) as floor:
                    latencies = Latencies(floor.latencies_us(FLOOR_COMMITS))
                floors.append(1e3 / latencies.mean_ms)
                for one in contestants:
                    found[clients].setdefault(one.name, []).append(await one.settle(options.visits // fewer, clients))
        for one in contestants:
            one.check_books()
    return found, floors


def print_table(found: Stretches) -> None:
    """Print medians with least and most, and what each is of PostgreSQL in the same turn."""
    print(f"{'callers':>7}  {'who settles':28}  {'settlements/s':>23}  {'p50 ms':>20}  {'p99 ms':>20}  of PostgreSQL")
    for clients, by_name in found.items():
        for name, stretches in by_name.items():
            rate = Spread.over([one.per_second for one in stretches]).text(0)
            p50 = Spread.over([one.p50_ms for one in stretches]).text(2)
            p99 = Spread.over([one.p99_ms for one in stretches]).text(2)
            ratio = Spread.over(
                [a.per_second / b.per_second for a, b in zip(stretches, by_name[POSTGRES], strict=True)]
            )
            print(f"{clients:>7}  {name:28}  {rate:>23}  {p50:>20}  {p99:>20}  {ratio.text(2)}")


def figures_of(found: Stretches, machine: str) -> Iterator[Figure]:
    """Give every figure, those of hubs with PostgreSQL as their floor."""
    for clients, by_name in found.items():
        for name, stretches in by_name.items():
            for unit, read in (("/s", "per_second"), ("p50 ms", "p50_ms"), ("p99 ms", "p99_ms")):
                values = [getattr(one, read) for one in stretches]
                beside = [getattr(one, read) for one in by_name[POSTGRES]]
                title = f"visits, {name}, {clients} callers" + ("" if unit == "/s" else f", {unit.split()[0]}")
                floor = (POSTGRES, beside) if name != POSTGRES else ("", None)
                yield figure(title, unit.split()[-1], values, machine, *floor)


def main() -> None:
    """Check, measure, print."""
    parser = argparse.ArgumentParser(description="Settle the same visits with PostgreSQL and with a hub.")
    parser.add_argument("--visits", type=int, default=6_000, help="visits of one stretch, of all callers together")
    parser.add_argument("--runs", type=int, default=3, help="stretches of each, taking turns")
    parser.add_argument("--persons", type=int, default=10_000, help="persons on either side")
    parser.add_argument("--check-only", action="store_true", help="see that both decide alike, and measure nothing")
    parser.add_argument("--json", type=Path, help="write all stretches to this file")
    options = parser.parse_args()
    if options.persons < max(CLIENTS) or options.visits < 200 or options.runs < 1:
        parser.error(f"at least {max(CLIENTS)} persons, 200 visits, one run")
    # So that what was started is stopped and removed as at any other end.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit("stopped"))
    try:
        programs = found_programs()
        for what, policy in packages():
            with tempfile.TemporaryDirectory(prefix="medsettle-bench-") as directory:
                equal = asyncio.run(check(programs, Scratch(Path(directory)), policy))
            print(f"{equal} answers of hub and PostgreSQL are equal to the fen: {what}", flush=True)
        if options.check_only:
            return
        with scratch_directory() as root:
            machine = machine_line(root)
            print(f"{machine}, PostgreSQL {programs.version}", flush=True)
            found, floors = uvloop.run(measured(programs, root, options))
    except Missing as missing:
        sys.exit(str(missing))
    print_table(found)
    print(f"{FLOOR} of 4 KiB, one after the other: {Spread.over(floors).text(0)}/s in the same turns")
    print("every settlement of a hub verifies its card's cryptogram; those of PostgreSQL verify none")
    for one in figures_of(found, machine):
        note(one)
    if options.json:
        stretches = {
            str(clients): {name: [asdict(one) for one in runs] for name, runs in by_name.items()}
            for clients, by_name in found.items()
        }
        document = {
            "machine": machine,
            "postgresql": programs.version,
            "floor_per_second": floors,
            "callers": stretches,
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
