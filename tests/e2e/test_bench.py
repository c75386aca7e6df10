"""`medsettle bench` over the network: a hub as a process, mutual TLS, and a stream, with the journal as witness."""

import asyncio
import gc
import json
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest

from bench_scenes import run_bench
from medsettle.auth.actor import actor_from_uri
from medsettle.bench.books import Books
from medsettle.bench.drive import Driver
from medsettle.bench.measure import Cpu, Recorder
from medsettle.bench.place import Place
from medsettle.bench.plan import CallKind, Plan, Workload, WrongPlan
from medsettle.bench.stream import StreamOverGrpc
from medsettle.bench.town import Town
from medsettle.bench.transport import Composer
from medsettle.bench.trial import AGENCY, HOSPITAL, Actors, make
from medsettle.bench.work import Work
from medsettle.config import ACTOR_METADATA_KEY
from medsettle.demo.hub_process import HubProcess
from medsettle.hub import AsyncHub, role_bits
from medsettle.v1.facade import METHODS

SMALL = Plan(callers=4, batch_size=7, count=60, warm_up=11, runs=1, persons=80)


def test_a_trial_folder_that_is_served_already_is_said_to_be_in_use(tmp_path: Path) -> None:
    with HubProcess(make(tmp_path / "trial")) as hub:
        hub.start()
        with pytest.raises(WrongPlan, match=r"(?s)the hub did not start; .* is in use by process \d+"):
            run_bench(SMALL, Place(trial=tmp_path / "trial", serve=True))


def test_as_many_callers_as_a_front_end_has_get_their_answers_over_one_connection() -> None:
    report = run_bench(replace(SMALL, callers=256, count=3_000), Place(serve=True))
    assert not report.problems and not report.incomplete


@pytest.mark.parametrize(
    "plan",
    [
        SMALL,
        Plan(workload=Workload.MIXED, call=CallKind.BATCH, batch_size=9, rate=500.0, count=90, runs=1, persons=60),
        Plan(workload=Workload.STAY, callers=3, count=9, warm_up=2, runs=1, persons=30),
    ],
    ids=["visit, unary", "mixed, batch, open", "stay, unary"],
)
def test_a_hub_of_its_own_process_holds_what_the_books_say(plan: Plan) -> None:
    report = run_bench(plan, Place(serve=True))
    assert not report.problems
    assert report.journal_records == sum(
        count
        for (method, outcome), count in report.books.outcomes.items()
        if not METHODS[method].read and outcome in {"ACCEPTED", "CRYPTOGRAM_INVALID"}
    )
    (run,) = report.runs
    assert run.tasks.count == plan.count
    assert run.floor is not None and "Operations.Status" in run.floor.name
    assert run.cpu.server_ns is not None and run.cpu.client_ns > 0


def test_a_hub_that_runs_already_is_loaded_from_the_lines_that_the_trial_folder_printed(tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "medsettle", "bench", "trial", str(tmp_path / "trial")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    serve, load = (shlex.split(line)[1:] for line in made.stdout.splitlines() if line.startswith("medsettle "))
    serve[serve.index("--listen") + 1] = "127.0.0.1:0"
    with subprocess.Popen([sys.executable, "-m", "medsettle", *serve], stdout=subprocess.PIPE, text=True) as hub:
        try:
            assert hub.stdout is not None
            ready = re.match(r"medsettle ready on (\S+)", hub.stdout.readline())
            assert ready
            load[load.index("--target") + 1] = ready[1]
            small = "--call batch --batch-size 8 --count 50 --warmup 10 --runs 2 --persons 40 --callers 2"
            report = tmp_path / "r.json"
            options = [*load, *small.split(), "--server-pid", str(hub.pid), "--json", str(report)]
            loaded = subprocess.run(
                [sys.executable, "-m", "medsettle", *options],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        finally:
            hub.terminate()
    assert loaded.returncode == 0, loaded.stderr
    document = json.loads(report.read_text())
    assert document["books"]["outcomes"] == {"Visits.Settle": {"ACCEPTED": 110}}
    assert document["books"]["journal_records"] == 110
    assert all(run["cpu_ns"]["hub"] is not None for run in document["runs"])


def test_a_stream_gives_each_message_its_own_answer(tmp_path: Path) -> None:
    """The hub's port behind a server of streams: many messages in flight on one stream, answers in their order."""
    scratch = make(tmp_path / "trial")
    books, recorder = Books(), Recorder()

    async def scene() -> None:
        async with await AsyncHub.open(scratch.data, keys=scratch.key_ring, kek=scratch.kek) as hub:
            town = Town(Actors())
            await town.settle_in(
                hub.acting(AGENCY.roles, AGENCY.institution), scratch, SMALL.persons, lambda _done, _all: None
            )
            async with _server(_streams_of(hub)) as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                channels = {actor.institution: channel for actor in (HOSPITAL, AGENCY)}
                metadata = {actor.institution: ((ACTOR_METADATA_KEY, actor.uri),) for actor in (HOSPITAL, AGENCY)}
                async with StreamOverGrpc(channels, metadata) as stream:
                    await stream.check(HOSPITAL)
                    plan = replace(SMALL, workload=Workload.STAY, call=CallKind.STREAM, batch_size=4)
                    work = Work(plan, town, Composer(batched=True)).tasks()
                    driver = Driver(stream, books, recorder, plan.message_size)
                    await driver.closed([next(work) for _ in range(50)], plan.callers)

    asyncio.run(scene())
    assert {outcome for _, outcome in books.outcomes} == {"ACCEPTED"}
    assert books.outcomes["Inpatient.Settle", "ACCEPTED"] == recorder.finished(Cpu(0, None)).tasks.count == 50


@asynccontextmanager
async def _server(*handlers: grpc.GenericRpcHandler) -> AsyncIterator[int]:
    """Serve on loopback and give the port."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)
        # What it does when it is destroyed needs the loop.
        del server
        gc.collect()
        await asyncio.sleep(0)


def _streams_of(hub: AsyncHub) -> grpc.GenericRpcHandler:
    async def stream(messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        metadata = dict(context.invocation_metadata())
        actor, port = actor_from_uri(metadata[ACTOR_METADATA_KEY]), hub.port()
        async for message in messages:
            _, answer = await port.send_batch(role_bits(actor.roles), actor.institution, message)
            yield answer

    service, method = METHODS["Batch.Stream"].path.strip("/").split("/")
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {method: grpc.stream_stream_rpc_method_handler(stream)}
    return grpc.method_handlers_generic_handler(service, handlers)


def test_a_hub_that_serves_no_stream_is_told_so_before_a_run() -> None:
    async def scene() -> None:
        async with (
            _server() as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
            StreamOverGrpc({HOSPITAL.institution: channel}, {HOSPITAL.institution: ()}) as stream,
        ):
            await stream.check(HOSPITAL)

    with pytest.raises(WrongPlan, match=r"does not serve Batch.Stream \(NO_ANSWER UNIMPLEMENTED\); use --call batch"):
        asyncio.run(scene())
