"""Batch streams over mutual TLS on loopback: settlements a second by items per message, beside an echo stream.

One server process and this client process, which sends prepared messages. Real settlements of discharged patients with
soft cards. Echo and settlements take turns in short stretches. Then one stream asks message by message, alone and
beside slow streams that ask for answers and never read them.

    python benches/python/grpc_stream.py [--items 20000] [--runs 5] [--slow 200] [--asks 2000] [--bind-python]
"""

import argparse
import asyncio
import contextlib
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import uvloop
import ward
from figures import figure, note
from grpc_unary import Server, running_server
from hdrh.histogram import HdrHistogram
from machine import machine_line, scratch_directory

from medsettle.config import TlsFiles
from medsettle.v1 import batch_pb2, operations_pb2
from medsettle.v1.facade import METHODS

ITEMS_PER_MESSAGE = (1, 100, 1_000)
FEWER_MESSAGES = 10
"""Single items are slow messages: a stretch of them takes a tenth of the items."""

STREAM, ECHO = METHODS["Batch.Stream"].path, "/bench/EchoStream"
IN_FLIGHT = 16
SLOW_MESSAGES = 400
STILL_S = 0.05
"""Processor time of a server, in a second, below which nothing goes on there."""

READS_NOTHING = (("grpc.http2.bdp_probe", 0),)
"""Settings of a connection whose window stays as it is. Else the library takes answers that nobody asked it for, by the
megabyte, and the hub goes on answering."""

_TIMEOUT_S = 600
_LONGEST_US, _DIGITS = 60_000_000, 3


async def exchanged(channel: grpc.aio.Channel, path: str, messages: Sequence[bytes]) -> tuple[float, list[bytes]]:
    """Send messages with a bound on the unanswered ones; gives the time and the answers."""
    method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(path)
    stream, room, answers = method(timeout=_TIMEOUT_S), asyncio.Semaphore(IN_FLIGHT), []

    async def write() -> None:
        for message in messages:
            await room.acquire()
            await stream.write(message)
        await stream.done_writing()

    begin_s = time.perf_counter()
    writing = asyncio.create_task(write())
    async for answer in stream:
        answers.append(answer)
        room.release()
    await writing
    return time.perf_counter() - begin_s, answers


def check_settled(answers: Sequence[bytes], items: int) -> None:
    results = [result for answer in answers for result in batch_pb2.BatchStreamResponse.FromString(answer).results]
    settled = [result for result in results if result.HasField("inpatient_settle")]
    if len(settled) != items or any(one.inpatient_settle.header.replayed for one in settled):
        raise AssertionError("a settlement came back that is not the one asked for")


def cut(commands: Iterator[batch_pb2.Command], items: int, size: int) -> list[bytes]:
    """Prepare the messages of a stretch."""
    taken = [next(commands) for _ in range(items)]
    batches = [taken[first : first + size] for first in range(0, items, size)]
    return [batch_pb2.BatchStreamRequest(commands=batch).SerializeToString() for batch in batches]


async def throughput(
    server: Server,
    channel: grpc.aio.Channel,
    commands: Iterator[batch_pb2.Command],
    options: argparse.Namespace,
    machine: str,
) -> None:
    """Measure settlements and echoes in turn, and print and note a line for each size."""
    print(f"{'items/message':>13}  {'settlements/s':>24}  {'server us each':>14}  {'echo items/s':>12}  ratio to echo")
    for size in ITEMS_PER_MESSAGE:
        items = options.items // (FEWER_MESSAGES if size == 1 else 1)
        rates, echoes, server_us = [], [], []
        for _ in range(options.runs):
            messages = cut(commands, items, size)
            echo_s, _ = await exchanged(channel, ECHO, messages)
            server_begin_s = server.spent_s()
            spent_s, answers = await exchanged(channel, STREAM, messages)
            server_us.append(1e6 * (server.spent_s() - server_begin_s) / items)
            check_settled(answers, items)
            rates.append(items / spent_s)
            echoes.append(items / echo_s)
        found = figure(f"gRPC stream, settlements, {size:,} a message", "/s", rates, machine, "echo stream", echoes)
        note(found)
        assert found.ratio is not None
        print(
            f"{size:>13}  {found.value.text(0):>24}  {statistics.median(server_us):>14.0f}  "
            f"{statistics.median(echoes):>12,.0f}  {found.ratio.text(2)}",
            flush=True,
        )


async def asked(channel: grpc.aio.Channel, asks: int) -> HdrHistogram:
    """Ask one message after the other on a stream; gives the latencies."""
    status = batch_pb2.Command(operations_status=operations_pb2.OperationsStatusRequest())
    question = batch_pb2.BatchStreamRequest(commands=[status]).SerializeToString()
    method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(STREAM)
    stream, latencies = method(timeout=_TIMEOUT_S), HdrHistogram(1, _LONGEST_US, _DIGITS)
    answers = aiter(stream)
    for _ in range(asks):
        begin_s = time.perf_counter()
        await stream.write(question)
        await anext(answers)
        latencies.record_value(max(1, round(1e6 * (time.perf_counter() - begin_s))))
    await stream.done_writing()
    return latencies


async def beside_slow_streams(
    server: Server, fast: grpc.aio.Channel, slow: Sequence[grpc.aio.Channel], count: int, asks: int, machine: str
) -> None:
    """Measure a fast stream alone and beside streams that never read, and print both."""
    alone = await asked(fast, asks)
    status = batch_pb2.Command(operations_status=operations_pb2.OperationsStatusRequest())
    question = batch_pb2.BatchStreamRequest(commands=[status] * 100).SerializeToString()

    async def flood(stream: "grpc.aio.StreamStreamCall[bytes, bytes]") -> None:
        for _ in range(SLOW_MESSAGES):
            await stream.write(question)

    streams: list[grpc.aio.StreamStreamCall[bytes, bytes]] = [
        slow[number % len(slow)].stream_stream(STREAM)(timeout=_TIMEOUT_S) for number in range(count)
    ]
    floods = [asyncio.create_task(flood(stream)) for stream in streams]
    # What each may hold is work like any other; what is measured is that they stand still behind it.
    spent_s = server.spent_s()
    while True:
        await asyncio.sleep(1)
        before_s, spent_s = spent_s, server.spent_s()
        if spent_s - before_s < STILL_S:
            break
    beside = await asked(fast, asks)
    for task in floods:
        task.cancel()
    await asyncio.gather(*floods, return_exceptions=True)
    for name, latencies in (("alone", alone), (f"beside {count} slow streams", beside)):
        p50, p99 = (latencies.get_value_at_percentile(percentile) / 1e3 for percentile in (50, 99))
        print(f"a fast stream {name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms over {asks} messages")
    p99_ms, alone_ms = (one.get_value_at_percentile(99) / 1e3 for one in (beside, alone))
    note(
        figure(
            f"gRPC stream, a question beside {count} slow streams, p99", "ms", [p99_ms], machine, "alone", [alone_ms]
        )
    )
    print(f"p99 beside slow streams / alone: {p99_ms / alone_ms:.2f}")


async def benchmark(
    server: Server, tls: TlsFiles, furnished: ward.Ward, options: argparse.Namespace, machine: str
) -> None:
    ca, key, cert = (Path(path).read_bytes() for path in (tls.ca, tls.key, tls.cert))
    credentials = grpc.ssl_channel_credentials(ca, key, cert)
    # Each has a connection of its own, and takes answers as long as the hub gives them.
    settings = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 64 << 20))
    async with contextlib.AsyncExitStack() as opened:
        channels = [
            await opened.enter_async_context(grpc.aio.secure_channel(server.target, credentials, options=of_each))
            for of_each in (settings, *[settings + READS_NOTHING] * -(-options.slow // 100))
        ]
        commands = (batch_pb2.Command(inpatient_settle=request) for request in furnished.settlements)
        await throughput(server, channels[0], commands, options, machine)
        await beside_slow_streams(server, channels[0], channels[1:], options.slow, options.asks, machine)


def main() -> None:
    """Furnish a ward, serve it, measure, print."""
    parser = argparse.ArgumentParser(description="Measure batch streams over mutual TLS on loopback.")
    parser.add_argument("--items", type=int, default=20_000, help="settlements of one run; a tenth of it one by one")
    parser.add_argument("--runs", type=int, default=5, help="runs of each kind, taking turns")
    parser.add_argument("--slow", type=int, default=200, help="streams that never read their answers")
    parser.add_argument("--asks", type=int, default=2_000, help="messages of the fast stream beside them")
    parser.add_argument("--bind-python", action="store_true", help="bind the server's Python threads to one core")
    options = parser.parse_args()
    with scratch_directory() as root:
        machine = machine_line(root)
        print(machine, flush=True)
        patients = options.runs * (2 * options.items + options.items // FEWER_MESSAGES)
        scratch, furnished = ward.furnish(root, patients)
        tls = scratch.client_tls(ward.HOSPITAL.code, "HOSPITAL")
        with running_server(scratch, bind_python=options.bind_python) as server:
            uvloop.run(benchmark(server, tls, furnished, options, machine))


if __name__ == "__main__":
    main()
