"""Where the hub of a run is: embedded here, a process of its own beside us, or one that somebody started.

Owns the connections to it, whose processor time is whose, and the floor that goes with the place.
Invariant: a hub that was started here is stopped, and a scratch folder removed, however the run ends.
Leaves out what is sent: session.py.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from medsettle.auth import ca
from medsettle.auth.actor import Actor
from medsettle.bench import trial
from medsettle.bench.machine import EngineThreads, own_spent_ns, process_spent_ns
from medsettle.bench.measure import Cpu
from medsettle.bench.plan import CallKind, Plan, WrongPlan
from medsettle.bench.stream import StreamOverGrpc
from medsettle.bench.town import Agency
from medsettle.bench.transport import Embedded, OverGrpc, Transport
from medsettle.bench.trial import Actors
from medsettle.client import connect_async, open_channel
from medsettle.config import EngineSettings, TlsFiles
from medsettle.demo.hub_process import HubProcess
from medsettle.demo.scratch import Scratch
from medsettle.hub import AsyncHub
from medsettle.v1 import operations_pb2


@dataclass(frozen=True, slots=True)
class Place:
    """Where to find or make the hub. Without a target it is embedded, or with `serve` a process of its own.

    `trial` is the trial folder, None for one that is removed at the end; `data` its data directory, where that is to
    lie elsewhere. `tls` names one institution in the roles of both hospital and agency.
    """

    trial: Path | None = None
    data: Path | None = None
    serve: bool = False
    target: str | None = None
    tls: TlsFiles | None = None
    insecure: bool = False
    server_process: int | None = None

    def __post_init__(self) -> None:
        if self.target is None:
            if self.tls is not None or self.insecure or self.server_process is not None:
                raise WrongPlan("TLS files, --insecure and --server-pid are for a hub at --target")
            if self.data is not None and self.serve:
                raise WrongPlan("--serve keeps its data in the trial folder: give --trial instead of --data")
            return
        if self.serve or self.data is not None:
            raise WrongPlan("--target is a hub that runs already: leave --data and --serve out")
        if self.trial is None:
            raise WrongPlan(
                "--target needs --trial, the folder with the issuer keys of the trial cards, from which the hub was "
                "started: medsettle bench trial DIR makes it and says how"
            )
        if self.insecure and self.tls is not None:
            raise WrongPlan("--insecure uses no certificates: leave the TLS files out")


@dataclass(frozen=True, slots=True)
class Opened:
    """A hub that is ready, and how to get at it."""

    name: str
    actors: Actors
    scratch: Scratch
    agency: Agency
    transport: Transport
    status: Transport
    """For the calls of the floor, one command a message."""
    spent: Callable[[], Cpu]
    data: Path
    """Its data directory, as far as it is on this machine."""
    floor_directory: Path | None
    """Where a bare `fdatasync` meets the same disk; None for a hub over the network."""
    certain: bool
    """Whether `data` is the hub's for sure."""


@asynccontextmanager
async def opened(place: Place, plan: Plan) -> AsyncIterator[Opened]:
    """Open, start or find the hub."""
    if place.target is None and not place.serve and plan.call is CallKind.STREAM:
        raise WrongPlan("a stream is a way of the network: --call stream goes with --serve or --target")
    with trial.opened(place.trial) as scratch:
        async with AsyncExitStack() as closing:
            if place.target is not None:
                yield await _target(place.target, place, plan, scratch, closing)
            elif place.serve:
                yield await _served(plan, scratch, closing)
            else:
                yield await _embedded(place, plan, scratch, closing)


async def _embedded(place: Place, plan: Plan, scratch: Scratch, closing: AsyncExitStack) -> Opened:
    data = place.data or scratch.data
    if place.data is not None and place.trial is None and data.exists() and any(data.iterdir()):
        raise WrongPlan(f"{data} is not empty: a hub that serves people is no place for trial persons")
    threads = EngineThreads()
    settings = EngineSettings.load(scratch.config)
    hub = await closing.enter_async_context(
        await AsyncHub.open(data, keys=scratch.key_ring, kek=scratch.kek, settings=settings)
    )
    actors, port, batched = Actors(), hub.port(), plan.call is not CallKind.UNARY

    def spent() -> Cpu:
        engine_ns = threads.spent_ns()
        return Cpu(own_spent_ns() - engine_ns, engine_ns)

    return Opened(
        name="embedded",
        actors=actors,
        scratch=scratch,
        agency=hub.acting(actors.agency.roles, actors.agency.institution),
        transport=Embedded(port, batched=batched),
        status=Embedded(port, batched=False),
        spent=spent,
        data=data,
        floor_directory=data.parent,
        certain=True,
    )


async def _served(plan: Plan, scratch: Scratch, closing: AsyncExitStack) -> Opened:
    process = closing.enter_context(HubProcess(scratch))
    try:
        await asyncio.to_thread(process.start)
    except RuntimeError as error:
        raise WrongPlan(str(error)) from None
    actors = Actors()
    tls = trial.certificates(scratch, actors)
    return await _connected(
        process.target,
        "own process over mutual TLS",
        actors,
        dict(tls),
        plan,
        scratch,
        closing,
        process.process_id,
        True,
    )


async def _target(target: str, place: Place, plan: Plan, scratch: Scratch, closing: AsyncExitStack) -> Opened:
    tls: dict[str, TlsFiles | None]
    if place.insecure:
        actors = Actors()
        tls = {actors.hospital.institution: None, actors.agency.institution: None}
    elif place.tls is not None:
        actor = actor_of(place.tls)
        actors, tls = Actors(actor, actor), {actor.institution: place.tls}
    else:
        actors = Actors()
        tls = dict(trial.certificates(scratch, actors))
    how = "in plaintext" if place.insecure else "over mutual TLS"
    return await _connected(target, f"{target} {how}", actors, tls, plan, scratch, closing, place.server_process, False)


async def _connected(
    target: str,
    name: str,
    actors: Actors,
    tls: "dict[str, TlsFiles | None]",
    plan: Plan,
    scratch: Scratch,
    closing: AsyncExitStack,
    server_process: int | None,
    certain: bool,
) -> Opened:
    channels: dict[str, grpc.aio.Channel] = {}
    metadata: dict[str, tuple[tuple[str, str], ...]] = {}
    for actor in {actors.hospital, actors.agency}:
        files = tls[actor.institution]
        channel, named = open_channel(target, tls=files, actor=None if files else actor)
        channels[actor.institution] = await closing.enter_async_context(channel)
        metadata[actor.institution] = named
    files = tls[actors.agency.institution]
    agency = await closing.enter_async_context(connect_async(target, tls=files, actor=None if files else actors.agency))
    # The first call says whether there is a hub and whether it takes the certificate.
    await agency.call("Operations.Status", operations_pb2.OperationsStatusRequest(), timeout=15.0)
    transport: Transport
    if plan.call is CallKind.STREAM:
        stream = await closing.enter_async_context(StreamOverGrpc(channels, metadata))
        await stream.check(actors.agency)
        transport = stream
    else:
        transport = OverGrpc(channels, metadata, batched=plan.call is CallKind.BATCH)

    def spent() -> Cpu:
        return Cpu(own_spent_ns(), None if server_process is None else process_spent_ns(server_process))

    return Opened(
        name=name,
        actors=actors,
        scratch=scratch,
        agency=agency,
        transport=transport,
        status=OverGrpc(channels, metadata, batched=False),
        spent=spent,
        data=scratch.data,
        floor_directory=None,
        certain=certain,
    )


def actor_of(tls: TlsFiles) -> Actor:
    """Read whom a certificate names, and check that it can play both parts; raises WrongPlan."""
    actor = ca.actor_of(Path(tls.cert))
    needed = trial.HOSPITAL.roles | trial.AGENCY.roles
    if missing := sorted(needed - actor.roles):
        raise WrongPlan(
            f"{tls.cert} names {actor.institution} as {', '.join(sorted(actor.roles))}; to prepare the trial town and "
            f"settle in it, it must also be {', '.join(missing)}"
        )
    return actor
