"""Requests in files, for load tools that people already have: ghz, h2load, and whatever posts a file.

Owns the forms: JSON as ghz reads it, an encoded message, and the same behind the five bytes that gRPC puts before it.
Invariant: the persons of the requests are in the hub when the files are written, so that each can be accepted once.
"""

import json
from itertools import islice
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.json_format import MessageToDict

from medsettle.bench.place import Opened, Place, opened
from medsettle.bench.plan import Plan, WrongPlan
from medsettle.bench.session import Telling
from medsettle.bench.town import Town
from medsettle.bench.transport import Composer
from medsettle.bench.work import Work
from medsettle.v1 import batch_pb2, visits_pb2

VISITS_JSON, BATCH, BATCH_FRAMED, STATUS_FRAMED = "visits.json", "batch.bin", "batch.grpc", "status.grpc"
PROTOSET = "medsettle.protoset"


def framed(message: bytes) -> bytes:
    """Put gRPC's head before a message: not compressed, and its length."""
    return b"\x00" + len(message).to_bytes(4) + message


def described() -> descriptor_pb2.FileDescriptorSet:
    """Give the contract as tools take it that do not read .proto files: every file behind those that it imports."""
    found = descriptor_pb2.FileDescriptorSet()
    seen: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name in seen:
            return
        seen.add(file.name)
        for imported in file.dependencies:
            add(imported)
        file.CopyToProto(found.file.add())

    add(batch_pb2.DESCRIPTOR)
    return found


async def write(directory: Path, place: Place, plan: Plan, telling: Telling) -> None:
    """Prepare a town in the hub and write the files.

    `visits.json` holds `plan.count` requests of Visits.Settle, an array; `batch.bin` one BatchSubmitRequest of
    `plan.batch_size` further ones, `batch.grpc` the same framed; `status.grpc` is an empty Operations.Status, framed;
    `medsettle.protoset` is the contract.
    Raises WrongPlan when the directory is not empty.
    """
    if directory.exists() and any(directory.iterdir()):
        raise WrongPlan(f"{directory} is not empty; the requests go into a new directory")
    async with opened(place, plan) as hub:
        directory.mkdir(parents=True, exist_ok=True)
        await _write(directory, hub, plan, telling)


async def _write(directory: Path, hub: Opened, plan: Plan, telling: Telling) -> None:
    town = Town(hub.actors)
    telling.stage("preparing the trial town", plan.persons)
    await town.settle_in(hub.agency, hub.scratch, plan.persons, lambda done, _total: telling.show(done))
    commands = Work(plan, town, Composer(batched=True)).visits()
    telling.stage("signing", plan.count + plan.batch_size)
    visits = [_as_json(command.body) for command in islice(commands, plan.count)]
    (directory / VISITS_JSON).write_text(json.dumps(visits, indent=1) + "\n", "utf-8")
    batch = b"".join(command.in_batch for command in islice(commands, plan.batch_size))
    (directory / BATCH).write_bytes(batch)
    (directory / BATCH_FRAMED).write_bytes(framed(batch))
    (directory / STATUS_FRAMED).write_bytes(framed(b""))
    (directory / PROTOSET).write_bytes(described().SerializeToString())
    telling.show(plan.count + plan.batch_size)


def _as_json(body: bytes) -> object:
    return MessageToDict(visits_pb2.VisitsSettleRequest.FromString(body), preserving_proto_field_name=True)
