"""Every bad request gets its own reason over real gRPC, with field, details and advice, and changes nothing else."""

import json
from collections.abc import Iterator

import grpc
import pytest

from medsettle.errors import CATALOG
from medsettle.v1 import batch_pb2, common_pb2, operations_pb2, packages_pb2
from medsettle.v1.facade import METHODS
from refusals import MESSAGE_BYTES, TABLE, Row, Scene
from trial_site import CALL_TIMEOUT_S, Failure, HubProcess, Office, failure_of
from trial_world import (
    BEIJING_HOSPITAL,
    CLOSED_HOSPITAL,
    DESK,
    OPERATOR,
    OTHER_HOSPITAL,
    policy,
)

CALLERS = (BEIJING_HOSPITAL, OTHER_HOSPITAL, CLOSED_HOSPITAL, DESK, OPERATOR)

ALONE = {"a_message_over_the_limit", "a_command_too_many"}
"""Rows about a whole message, which cannot be a command of another."""


@pytest.fixture(scope="module")
def scene(hub: HubProcess, office: Office) -> Iterator[Scene]:
    with hub.connect(BEIJING_HOSPITAL) as client, hub.connect(OTHER_HOSPITAL) as other:
        yield Scene(office, client, other)


@pytest.fixture(scope="module")
def channels(hub: HubProcess) -> Iterator[dict[str, grpc.Channel]]:
    opened = {code: hub.channel(hub.pki.client(code)) for code in CALLERS}
    yield opened
    for channel in opened.values():
        channel.close()


def check_details(failed: Failure, reason: str, status: str) -> None:
    """See that a refusal is what the contract declares: status, domain, and advice for the clerk in two languages."""
    entry = CATALOG[reason]
    assert (failed.reason, failed.code.name, failed.domain) == (reason, status, "medsettle")
    assert failed.advice == {"en": entry.advice, "zh-CN": entry.advice_zh}
    assert failed.text == f"{reason}: {entry.advice}"
    assert failed.metadata.keys() <= set(entry.metadata)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_it_is_refused_with_its_reason_and_changes_nothing(
    office: Office, scene: Scene, channels: dict[str, grpc.Channel], row: Row
) -> None:
    bad = row.make(scene)
    before = office.sequence()
    failed = failure_of(channels[row.caller], bad.method, bad.request)
    assert office.sequence() == before + row.remembered
    if row.remembered:
        # It is on record: asked again, it is given again and counts no more.
        assert failure_of(channels[row.caller], bad.method, bad.request) == failed
        assert office.sequence() == before + 1
    check_details(failed, row.reason, row.status)
    expected = dict(bad.metadata) if row.field is None else {"field": row.field, **bad.metadata}
    assert failed.metadata.items() >= expected.items()
    assert failed.metadata.keys() == set(CATALOG[row.reason].metadata) - row.lacks
    assert failed.fields == ([row.field] if row.reason == "REQUEST_MALFORMED" else [])


@pytest.mark.parametrize("row", [row for row in TABLE if row.name not in ALONE], ids=lambda row: row.name)
def test_inside_a_batch_it_is_refused_alike_and_its_neighbours_are_answered(
    office: Office, scene: Scene, channels: dict[str, grpc.Channel], row: Row
) -> None:
    bad = row.make(scene)
    operation = METHODS[bad.method].operation
    body = bad.request if isinstance(bad.request, bytes) else bad.request.SerializeToString()
    status = batch_pb2.Command(operations_status=operations_pb2.OperationsStatusRequest()).SerializeToString()
    wanted = b"".join(_field(1, command) for command in (status, _field(operation, body), status))
    submit: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channels[row.caller].unary_unary(METHODS["Batch.Submit"].path)
    before = office.sequence()
    results = batch_pb2.BatchSubmitResponse.FromString(submit(wanted, timeout=CALL_TIMEOUT_S)).results
    assert office.sequence() == before + row.remembered
    first, refused, last = (result.WhichOneof("result") for result in results)
    assert (first, refused, last) == ("operations_status", "refusal", "operations_status")
    assert results[1].refusal.reason == CATALOG[row.reason].number
    assert row.field is None or results[1].refusal.metadata["field"] == row.field


def _field(number: int, content: bytes) -> bytes:
    """Encode a field that is delimited by its length."""
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def test_a_message_over_twice_the_limit_is_refused_by_the_transport_without_a_reason(
    office: Office, channels: dict[str, grpc.Channel]
) -> None:
    with office.unchanged():
        failed = failure_of(channels[BEIJING_HOSPITAL], "Inpatient.Admit", bytes(2 * MESSAGE_BYTES + 1))
    assert (failed.code, failed.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, None)


def test_every_problem_of_a_package_is_listed_with_its_path(
    office: Office, scene: Scene, channels: dict[str, grpc.Channel]
) -> None:
    faulty = policy()
    faulty.effective_to = "2014-12-31"
    faulty.deductibles.add(amount_fen=0, admission="1")
    faulty.layers[0].bands[0].rate_bp = 10_001
    faulty.layers[0].bands.add(from_fen=100, rate_bp=5_000)
    faulty.layers.add(fund=common_pb2.Fund.POOL, base=packages_pb2.LayerBase.OVERFLOW)
    faulty.unfiled = packages_pb2.Unfiled.REDUCED
    request = packages_pb2.PackagesInstallPolicyRequest(header=scene.agency.operator.header(), policy=faulty)
    with office.unchanged():
        failed = failure_of(channels[OPERATOR], "Packages.InstallPolicy", request)
    check_details(failed, "PACKAGE_INVALID", "INVALID_ARGUMENT")
    paths = {problem["path"] for problem in json.loads(failed.metadata["problems"])}
    assert paths >= {
        "effective_to",
        "deductibles[1]",
        "layers[0].bands[0].rate_bp",
        "layers[1].fund",
        "layers[1].base",
        "unfiled_adjustment",
    }
    assert any(path.startswith("layers[0].bands[1]") for path in paths)


def test_every_malformed_field_of_a_package_is_listed_with_its_path(
    office: Office, scene: Scene, channels: dict[str, grpc.Channel]
) -> None:
    faulty = policy()
    faulty.region = "x"
    faulty.effective_from = "2026-02-30"
    faulty.deductibles[0].amount_fen = -1
    faulty.layers[0].ClearField("fund")
    faulty.layers[0].bands[0].from_fen = -1
    request = packages_pb2.PackagesInstallPolicyRequest(header=scene.agency.operator.header(), policy=faulty)
    with office.unchanged():
        failed = failure_of(channels[OPERATOR], "Packages.InstallPolicy", request)
    check_details(failed, "PACKAGE_INVALID", "INVALID_ARGUMENT")
    paths = [problem["path"] for problem in json.loads(failed.metadata["problems"])]
    assert paths == [
        "region",
        "effective_from",
        "deductibles[0].amount_fen",
        "layers[0].fund",
        "layers[0].bands[0].from_fen",
    ]
