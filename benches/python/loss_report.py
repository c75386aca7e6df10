"""Loss reports under busy callers, over mutual TLS on loopback: how long until a card is dead, beside a settlement.

One server process and this client process. Callers settle discharged stays with soft cards, each waiting for its
answer before the next; beside them one desk reports cards of other persons lost and withdraws the reports, as fast as
it is answered. Both are measured in the same stretches, so both meet the same queue and the same disk. The desk's first
call of a stretch waits for the callers' first answers, so that every report meets a busy hub.

    python benches/python/loss_report.py [--calls 2000] [--stretches 10] [--rounds 3] [--callers 32] [--json FILE]
"""

import argparse
import asyncio
import itertools
import json
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import uvloop
import ward
from figures import Spread, figure, note
from grpc_unary import Server, running_server
from hdrh.histogram import HdrHistogram
from machine import machine_line, scratch_directory

from medsettle.config import TlsFiles
from medsettle.v1 import cards_pb2
from medsettle.v1.facade import METHODS

WARM_UP_CALLS = 500
BYSTANDERS = 100

_CALL_TIMEOUT_S = 30
_LONGEST_US, _DIGITS = 60_000_000, 3

SETTLE, REPORT, WITHDRAW = "settle", "report", "withdraw"
KINDS = (SETTLE, REPORT, WITHDRAW)

Send = Callable[[bytes], Awaitable[bytes]]


def _histogram() -> HdrHistogram:
    return HdrHistogram(1, _LONGEST_US, _DIGITS)


@dataclass(frozen=True, slots=True)
class Round:
    """The latencies of some stretches by kind, in microseconds, and settlements per second."""

    latencies: dict[str, HdrHistogram] = field(default_factory=lambda: {kind: _histogram() for kind in KINDS})
    settled_per_second: list[float] = field(default_factory=list)

    def ms(self, kind: str, percentile: float) -> float:
        """Read a percentile."""
        value: int = self.latencies[kind].get_value_at_percentile(percentile)
        return value / 1e3

    @property
    def ratio(self) -> float:
        """The report's p99 in those of a settlement."""
        return self.ms(REPORT, 99) / self.ms(SETTLE, 99)


@dataclass(frozen=True, slots=True)
class Calls:
    """The three calls on their channels, and the requests that wait."""

    send: dict[str, Send]
    settlements: Iterator[bytes]
    events: Iterator[tuple[str, bytes]]

    async def timed(self, measured: Round, kind: str, request: bytes) -> None:
        """Make one call; a refusal raises."""
        begin_s = time.perf_counter()
        await self.send[kind](request)
        measured.latencies[kind].record_value(max(1, round(1e6 * (time.perf_counter() - begin_s))))


async def stretch(calls: Calls, measured: Round, count: int, callers: int) -> None:
    """Let the callers settle until all is settled, with the desk beside them."""
    requests = iter([next(calls.settlements) for _ in range(count)])
    busy, settling = asyncio.Event(), True

    async def caller() -> None:
        for request in requests:
            await calls.timed(measured, SETTLE, request)
            busy.set()

    async def desk() -> None:
        await busy.wait()
        while settling:
            await calls.timed(measured, *next(calls.events))

    begin_s = time.perf_counter()
    reporting = asyncio.create_task(desk())
    await asyncio.gather(*(caller() for _ in range(callers)))
    measured.settled_per_second.append(count / (time.perf_counter() - begin_s))
    settling = False
    await reporting


def card_events(bystanders: Sequence[ward.Bystander]) -> Iterator[tuple[str, bytes]]:
    """Report one card after the other, by certificate as at the hotline, and withdraw each report; for ever."""
    numbers = itertools.count(1)
    for bystander in itertools.cycle(bystanders):
        report = cards_pb2.CardsReportLossRequest(
            header=ward.header(ward.AGENCY, f"loss-{next(numbers):08d}"),
            certificate=bystander.certificate,
            loss=cards_pb2.Loss.TEMPORARY,
            channel=cards_pb2.Channel.PHONE,
            verified_by="hotline",
        )
        yield REPORT, report.SerializeToString()
        withdrawal = cards_pb2.CardsWithdrawLossRequest(
            header=ward.header(ward.AGENCY, f"loss-{next(numbers):08d}"),
            card_id=bystander.card_id,
            verified_by="hotline",
        )
        yield WITHDRAW, withdrawal.SerializeToString()


def _over(channel: grpc.aio.Channel, method: str) -> Send:
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHODS[method].path)

    async def send(request: bytes) -> bytes:
        answer: bytes = await call(request, timeout=_CALL_TIMEOUT_S)
        return answer

    return send


async def benchmark(
    server: Server, hospital: TlsFiles, desk: TlsFiles, furnished: ward.Ward, options: argparse.Namespace
) -> list[Round]:
    """Warm up, then measure the rounds."""
    async with _channel(server, hospital) as settling, _channel(server, desk) as reporting:
        calls = Calls(
            {
                SETTLE: _over(settling, "Inpatient.Settle"),
                REPORT: _over(reporting, "Cards.ReportLoss"),
                WITHDRAW: _over(reporting, "Cards.WithdrawLoss"),
            },
            (request.SerializeToString() for request in furnished.settlements),
            card_events(furnished.bystanders),
        )
        await stretch(calls, Round(), WARM_UP_CALLS, options.callers)
        rounds = [Round() for _ in range(options.rounds)]
        # The rounds take turns, so that each has its share of the machine's moods.
        for measured in rounds * options.stretches:
            await stretch(calls, measured, options.calls, options.callers)
        return rounds


def _channel(server: Server, tls: TlsFiles) -> grpc.aio.Channel:
    ca, key, cert = (Path(path).read_bytes() for path in (tls.ca, tls.key, tls.cert))
    return grpc.aio.secure_channel(server.target, grpc.ssl_channel_credentials(ca, key, cert))


def print_rounds(rounds: Sequence[Round], callers: int) -> None:
    """Print every round and the median ratio."""
    print(f"{callers} callers settle, one desk reports and withdraws; latencies in ms")
    columns = f"{'call':9}  {'calls':>7}  {'p50':>7}  {'p99':>7}  {'p99.9':>7}  {'settled/s':>9}"
    print(f"round  {columns}  p99 to settle's")
    for number, measured in enumerate(rounds, 1):
        for kind in KINDS:
            count: int = measured.latencies[kind].get_total_count()
            p50, p99, p999 = (measured.ms(kind, percentile) for percentile in (50, 99, 99.9))
            rate = f"{statistics.median(measured.settled_per_second):,.0f}" if kind == SETTLE else ""
            ratio = f"{p99 / measured.ms(SETTLE, 99):.2f}"
            print(f"{number:>5}  {kind:9}  {count:>7,}  {p50:7.2f}  {p99:7.2f}  {p999:7.2f}  {rate:>9}  {ratio}")
    print(f"loss report / settlement, p99: {Spread.over([measured.ratio for measured in rounds]).text(2)}")


def main() -> None:
    """Furnish a ward, serve it, measure, print."""
    parser = argparse.ArgumentParser(description="Measure loss reports beside settlements over mutual TLS on loopback.")
    parser.add_argument("--calls", type=int, default=2_000, help="settlements in one stretch")
    parser.add_argument("--stretches", type=int, default=10, help="stretches in one round")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, whose stretches take turns")
    parser.add_argument("--callers", type=int, default=32, help="concurrent callers that settle")
    parser.add_argument("--json", type=Path, help="write the figures of every round to this file")
    options = parser.parse_args()
    with scratch_directory() as root:
        machine = machine_line(root)
        print(machine, flush=True)
        patients = WARM_UP_CALLS + options.calls * options.stretches * options.rounds
        scratch, furnished = ward.furnish(root, patients, BYSTANDERS)
        hospital = scratch.client_tls(ward.HOSPITAL.code, "HOSPITAL")
        desk = scratch.client_tls(ward.AGENCY, "DESK")
        with running_server(scratch, bind_python=False) as server:
            rounds = uvloop.run(benchmark(server, hospital, desk, furnished, options))
    print_rounds(rounds, options.callers)
    reports, settlements = ([measured.ms(kind, 99) for measured in rounds] for kind in (REPORT, SETTLE))
    note(
        figure("gRPC unary, loss report, p99", "ms", reports, machine, "settlement of the same stretches", settlements)
    )
    if options.json:
        document = [
            {kind: {str(at): measured.ms(kind, at) for at in (50, 90, 99, 99.9)} for kind in KINDS}
            for measured in rounds
        ]
        options.json.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main()
