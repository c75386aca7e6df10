"""A refusal on the wire: google.rpc.Status with ErrorInfo, advice in two languages and the field that is wrong.

Invariant: a caller sees the reason, its catalogued advice and the metadata that the catalog declares; nothing else.
Leaves out reading it back: client.py, which may not import this package.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from medsettle.errors import catalog_entry
from medsettle.rpc.limits import REFUSAL_DETAIL_BYTES

DOMAIN = "medsettle"
DETAILS_KEY = "grpc-status-details-bin"

_STATUS_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class WireRefusal:
    """A refusal as gRPC sends it: status, text and the details of the trailer."""

    code: grpc.StatusCode
    text: str
    details: bytes


def wire_refusal(reason: str, detail: Mapping[str, str]) -> WireRefusal:
    """Map a refusal by the catalog; a reason that the catalog lacks is a fault of ours and goes out as INTERNAL."""
    entry = catalog_entry(reason)
    if not entry.number:
        entry, detail = catalog_entry("INTERNAL"), {}
    detail = _shortened({key: detail[key] for key in entry.metadata if key in detail})
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=entry.reason, domain=DOMAIN, metadata=detail),
        error_details_pb2.LocalizedMessage(locale="en", message=entry.advice),
        error_details_pb2.LocalizedMessage(locale="zh-CN", message=entry.advice_zh),
    ]
    if entry.reason == "REQUEST_MALFORMED":
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=detail.get("field", ""), description=detail.get("problem", "")
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    code: int = code_pb2.Code.Value(entry.status)
    text = f"{entry.reason}: {entry.advice}"
    status = status_pb2.Status(code=code, message=text, details=[_packed(part) for part in details])
    return WireRefusal(_STATUS_CODES[code], text, status.SerializeToString())


def _packed(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed


def _shortened(detail: Mapping[str, str]) -> dict[str, str]:
    """Cut long values so that the trailer arrives; a value that was cut ends in an ellipsis."""
    left = REFUSAL_DETAIL_BYTES
    shortened = {}
    # The short values first: a list of a hundred bad lines must not push out the number beside it.
    for key, value in sorted(detail.items(), key=lambda pair: len(pair[1])):
        octets = value.encode()
        if len(octets) > left:
            value = octets[:left].decode(errors="ignore") + "…"
        left -= min(len(octets), left)
        shortened[key] = value
    return shortened
