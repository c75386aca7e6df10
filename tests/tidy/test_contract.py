"""The contract is complete: whatever it declares, it declares wholly."""

import re
from pathlib import Path
from typing import Any

import pytest

from medsettle.errors import CATALOG
from medsettle.rpc import limits
from medsettle.v1 import batch_pb2, options_pb2, reason_pb2
from medsettle.v1.facade import METHODS

ROOT = Path(__file__).parents[2]
UNARY = {name: method for name, method in METHODS.items() if not (method.client_streaming or method.server_streaming)}


def _message(field: Any) -> str:
    """Name the message of a field; descriptors of the two protobuf runtimes share no type."""
    return field.message_type.full_name if field.message_type else ""


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_who_may_call_it(name: str) -> None:
    assert METHODS[name].roles, f"{name} is refused to all"


def test_every_reason_says_how_it_travels_and_what_to_do() -> None:
    for value in reason_pb2.Reason.Code.DESCRIPTOR.values:
        if value.number == 0:
            continue
        options = value.GetOptions()
        assert options.Extensions[options_pb2.status], value.name
        assert options.Extensions[options_pb2.retry], value.name
        assert options.Extensions[options_pb2.advice].endswith("."), value.name
        assert options.Extensions[options_pb2.advice_zh].endswith("。"), value.name


def test_the_catalog_knows_every_reason() -> None:
    declared = {value.name for value in reason_pb2.Reason.Code.DESCRIPTOR.values if value.number}
    assert set(CATALOG) == declared


def test_a_batch_takes_exactly_the_unary_methods_of_the_other_services() -> None:
    commands = batch_pb2.Command.DESCRIPTOR.oneofs_by_name["command"].fields
    others = {name: method for name, method in UNARY.items() if not name.startswith("Batch.")}
    assert {_message(field) for field in commands} == {
        method.request_type.DESCRIPTOR.full_name for method in others.values()
    }
    assert {field.number for field in commands} == {method.operation for method in others.values()}
    results = {field.number: _message(field) for field in batch_pb2.CommandResult.DESCRIPTOR.fields}
    for method in others.values():
        assert results[method.operation] == method.response_type.DESCRIPTOR.full_name


@pytest.mark.parametrize("name", UNARY)
def test_what_changes_something_names_its_request_and_every_response_its_frame(name: str) -> None:
    method = UNARY[name]
    request = method.request_type.DESCRIPTOR.fields_by_number.get(1)
    named = request is not None and request.name == "header" and _message(request) == "medsettle.v1.RequestHeader"
    assert named == (not method.read) or name.startswith("Batch.")
    response = method.response_type.DESCRIPTOR.fields_by_number[1]
    assert (response.name, _message(response)) == ("header", "medsettle.v1.ResponseHeader")


def test_edge_and_engine_refuse_a_request_of_the_same_size() -> None:
    bound = re.search(r"MAX_REQUEST_BYTES: usize = (\d+) << (\d+);", (ROOT / "rust/wire/src/limits.rs").read_text())
    assert bound
    assert int(bound[1]) << int(bound[2]) == limits.MESSAGE_BYTES
