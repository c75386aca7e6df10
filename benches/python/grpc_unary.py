"""Unary calls over mutual TLS on loopback: settlements beside an echo and beside an empty commit of the same server.

One server process and this client process. Real settlements of discharged patients with soft cards, signed before any
clock starts. Echo, commits and settlement take turns in short stretches, so that all meet the same moods of the
machine.

    python benches/python/grpc_unary.py [--calls 500] [--runs 20] [--callers 32] [--bind-python] [--json FILE]
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import grpc
import uvloop
import ward
from figures import figure, note
from machine import FLOOR, Floor, machine_line, scratch_directory

from medsettle.config import TlsFiles
from medsettle.demo.scratch import Scratch
from medsettle.v1 import inpatient_pb2
from medsettle.v1.facade import METHODS

WARM_UP_CALLS = 500
"""Calls of each kind before the first that counts: connections, code paths and the engine's tables are warm then."""

_STOP_TIMEOUT_S = 30
_CALL_TIMEOUT_S = 30

Send: TypeAlias = Callable[[bytes], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of call with its requests; an accepted answer is checked after the clock has stopped."""

    name: str
    send: Send
    requests: Iterator[bytes]
    check: Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Run:
    """One measured stretch: calls per second, the latencies of its calls and the server's processor time for one."""

    per_second: float
    p50_ms: float
    p99_ms: float
    server_us: float


Figures: TypeAlias = dict[str, list[Run]]


@dataclass(frozen=True, slots=True)
class Server:
    """The server process and where it listens."""

    process: int
    target: str

    def spent_s(self) -> float:
        """Read the processor time of all its threads, in the kernel's ticks of 10 ms."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def stretch(server: Server, kind: Kind, calls: int, callers: int) -> Run:
    """Let callers make calls one after the other until all are made; each waits for its answer before the next."""
    requests = iter([next(kind.requests) for _ in range(calls)])
    latencies_s: list[float] = []
    answers: list[bytes] = []

    async def caller() -> None:
        for request in requests:
            begin_s = time.perf_counter()
            answers.append(await kind.send(request))
            latencies_s.append(time.perf_counter() - begin_s)

    server_begin_s, begin_s = server.spent_s(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    spent_s, server_s = time.perf_counter() - begin_s, server.spent_s() - server_begin_s
    for answer in answers:
        kind.check(answer)
    percentiles = statistics.quantiles(latencies_s, n=100, method="inclusive")
    return Run(len(answers) / spent_s, 1e3 * percentiles[49], 1e3 * percentiles[98], 1e6 * server_s / len(answers))


async def measure(server: Server, kinds: Sequence[Kind], calls: int, callers: int, runs: int) -> Figures:
    """Measure the kinds in turn, as often as asked."""
    figures: Figures = {kind.name: [] for kind in kinds}
    for _ in range(runs):
        for kind in kinds:
            figures[kind.name].append(await stretch(server, kind, calls, callers))
    return figures


def kinds_over(channel: grpc.aio.Channel, settlements: Sequence[inpatient_pb2.InpatientSettleRequest]) -> list[Kind]:
    """Make the kinds; the floors are sent the bytes of a settlement."""
    encoded = [request.SerializeToString() for request in settlements]

    def over(path: str) -> Send:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)

        async def send(request: bytes) -> bytes:
            answer: bytes = await call(request, timeout=_CALL_TIMEOUT_S)
            return answer

        return send

    def is_echo(answer: bytes) -> None:
        if answer != encoded[0]:
            raise AssertionError("the echo came back changed")

    def is_committed(answer: bytes) -> None:
        if not answer:
            raise AssertionError("an empty commit came back without a header")

    def is_settled(answer: bytes) -> None:
        response = inpatient_pb2.InpatientSettleResponse.FromString(answer)
        if response.header.replayed or response.split.total_fen != ward.BILL_FEN:
            raise AssertionError("a settlement came back that is not the one asked for")

    def again_and_again() -> Iterator[bytes]:
        while True:
            yield encoded[0]

    return [
        Kind("echo", over("/bench/Echo"), again_and_again(), is_echo),
        Kind("bare commit", over("/bench/BareCommit"), again_and_again(), is_committed),
        Kind("empty commit", over("/bench/EmptyCommit"), again_and_again(), is_committed),
        Kind("settle", over(METHODS["Inpatient.Settle"].path), iter(encoded), is_settled),
    ]


@contextmanager
def running_server(scratch: Scratch, *, bind_python: bool) -> Iterator[Server]:
    """Start the server on the furnished directory, and stop it at the end."""
    options = {
        "--data": scratch.data,
        "--keys": scratch.key_ring,
        "--kek": scratch.kek,
        "--tls-ca": scratch.server_tls.ca,
        "--tls-cert": scratch.server_tls.cert,
        "--tls-key": scratch.server_tls.key,
    }
    arguments = [str(part) for option in options.items() for part in option]
    if bind_python:
        arguments.append("--bind-python")
    script = Path(__file__).with_name("hub_server.py")
    process = subprocess.Popen([sys.executable, str(script), *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError("the server did not start; what it said stands above")
        yield Server(process.pid, f"127.0.0.1:{port}")
    finally:
        process.terminate()
        process.communicate(timeout=_STOP_TIMEOUT_S)


async def benchmark(
    server: Server, tls: TlsFiles, furnished: ward.Ward, options: argparse.Namespace
) -> dict[int, Figures]:
    """Measure one caller, then many; gives the figures by number of callers."""
    ca, key, cert = (Path(path).read_bytes() for path in (tls.ca, tls.key, tls.cert))
    credentials = grpc.ssl_channel_credentials(ca, key, cert)
    async with grpc.aio.secure_channel(server.target, credentials) as channel:
        kinds = kinds_over(channel, furnished.settlements)
        await measure(server, kinds, WARM_UP_CALLS, options.callers, 1)
        return {
            callers: await measure(server, kinds, options.calls, callers, options.runs)
            for callers in (1, options.callers)
        }


def commits_per_second(directory: Path, calls: int = 2_000) -> float:
    """Measure the floor of one caller's commit: bare writes and syncs, one after the other."""
    with Floor(directory) as floor:
        begin_s = time.perf_counter()
        for _ in range(calls):
            floor.commit()
        return calls / (time.perf_counter() - begin_s)


def print_figures(figures: dict[int, Figures]) -> None:
    """Print medians over the runs with least and most, and each kind's ratio to its floor within the same runs."""
    print(
        f"{'callers':>7}  {'call':12}  {'calls/s':>22}  {'p50 ms':>20}  {'p99 ms':>20}  {'server us/call':>14}  "
        "ratio to empty commit"
    )
    for callers, by_kind in figures.items():
        for name, runs in by_kind.items():
            rates = _spread([run.per_second for run in runs], 0)
            p50, p99 = _spread([run.p50_ms for run in runs], 2), _spread([run.p99_ms for run in runs], 2)
            server_us, ratio = _spread([run.server_us for run in runs], 0), _spread(ratios(by_kind, name), 2)
            print(f"{callers:>7}  {name:12}  {rates:>22}  {p50:>20}  {p99:>20}  {server_us:>14}  {ratio}")


def ratios(figures: Figures, name: str) -> list[float]:
    """Divide each run of a kind by the run of the empty commit that stood beside it."""
    return [a.per_second / b.per_second for a, b in zip(figures[name], figures["empty commit"], strict=True)]


def note_figures(figures: dict[int, Figures], machine: str, bare_sync: float) -> None:
    """Note settlements beside both commits, the commits beside the echo, and the latency of one caller."""
    for callers, by_kind in figures.items():
        rates = {name: [run.per_second for run in runs] for name, runs in by_kind.items()}
        for name, floor in (
            ("bare commit", "echo"),
            ("empty commit", "echo"),
            ("settle", "empty commit"),
            ("settle", "bare commit"),
        ):
            title = f"gRPC unary, {callers} callers, {name} beside {floor}"
            note(figure(title, "/s", rates[name], machine, floor, rates[floor]))
        for percentile in ("p50_ms", "p99_ms"):
            settle, empty = ([getattr(run, percentile) for run in by_kind[name]] for name in ("settle", "empty commit"))
            title = f"gRPC unary, {callers} callers, settle, {percentile.removesuffix('_ms')}"
            note(figure(title, "ms", settle, machine, "empty commit", empty))
    note(
        figure(
            "gRPC unary, echo of one caller",
            "/s",
            [r.per_second for r in figures[1]["echo"]],
            machine,
            FLOOR,
            [bare_sync],
        )
    )


def _spread(values: Sequence[float], digits: int) -> str:
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} ({least:,.{digits}f}-{most:,.{digits}f})"


def main() -> None:
    """Furnish a ward, serve it, measure, print."""
    parser = argparse.ArgumentParser(description="Measure unary calls over mutual TLS on loopback.")
    parser.add_argument("--calls", type=int, default=500, help="calls of each kind in one run")
    parser.add_argument("--runs", type=int, default=20, help="runs of each kind, taking turns")
    parser.add_argument("--callers", type=int, default=32, help="concurrent callers beside the single one")
    parser.add_argument("--bind-python", action="store_true", help="bind the server's Python threads to one core")
    parser.add_argument("--json", type=Path, help="write the figures of every run to this file")
    options = parser.parse_args()
    with scratch_directory() as root:
        machine = machine_line(root)
        print(machine, flush=True)
        patients = WARM_UP_CALLS + 2 * options.calls * options.runs
        scratch, furnished = ward.furnish(root, patients)
        tls = scratch.client_tls(ward.HOSPITAL.code, "HOSPITAL")
        floor = commits_per_second(root)
        print(f"bare write and fdatasync of 4 KiB: {floor:,.0f}/s, {1e3 / floor:.3f} ms each", flush=True)
        with running_server(scratch, bind_python=options.bind_python) as server:
            figures = uvloop.run(benchmark(server, tls, furnished, options))
    print_figures(figures)
    note_figures(figures, machine, floor)
    if options.json:
        document = {
            str(callers): {name: [asdict(run) for run in runs] for name, runs in by_kind.items()}
            for callers, by_kind in figures.items()
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
