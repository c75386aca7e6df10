"""Many commands in one message: `Batch.Submit` with the requests of the other services."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from medsettle.client import Client
from medsettle.errors import MedsettleError, Rejected, Unavailable, reason_name, refusal_error
from medsettle.v1 import batch_pb2

R = TypeVar("R", bound=Message)

CHUNK = 500
"""Commands of one message: far below the limit in number, and below that in bytes with the longest of them."""

FIELD_OF_REQUEST = {
    field.message_type.full_name: field.name
    for field in batch_pb2.Command.DESCRIPTOR.fields
    if field.message_type is not None
}
"""Field of `Command` by the full name of the request that goes into it."""


def submit(client: Client, requests: Sequence[Message], response_type: type[R]) -> list[R]:
    """Send requests of one kind and return their responses in order; raises the first refusal."""
    responses: list[R] = []
    for result in submit_each(client, requests, response_type):
        if isinstance(result, MedsettleError):
            raise result
        responses.append(result)
    return responses


def submit_each(
    client: Client, requests: Sequence[Message], response_type: type[R]
) -> Iterator[R | Rejected | Unavailable]:
    """Send requests of one kind and give, in order, the response to each or its refusal."""
    for start in range(0, len(requests), CHUNK):
        batch = batch_pb2.BatchSubmitRequest()
        for request in requests[start : start + CHUNK]:
            field = FIELD_OF_REQUEST[request.DESCRIPTOR.full_name]
            getattr(batch.commands.add(), field).CopyFrom(request)
        for result in client.submit(batch).results:
            kind = result.WhichOneof("result")
            if kind is None or kind == "refusal":
                yield refusal_error(reason_name(result.refusal.reason), result.refusal.metadata)
            else:
                response = getattr(result, kind)
                assert isinstance(response, response_type)
                yield response
