"""Every method of the contract, bound to its operation by the descriptors.

Invariant: no method is named here but Batch.Submit, which has no operation; what streams both ways are batches.
Invariant: requests and responses stay bytes, so no message is parsed on the way.
"""

from collections import defaultdict
from functools import partial
from typing import TypeAlias

import grpc

from medsettle.hub import LoopPort, next_page
from medsettle.ops.counters import Counters
from medsettle.rpc import edge
from medsettle.rpc.batch_stream import BatchStreams
from medsettle.rpc.edge import Identify
from medsettle.v1.facade import METHODS, Method

_SUBMIT = "Batch.Submit"

# Quoted because only the stubs know its parameters.
MethodHandler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"


def service_names() -> list[str]:
    """List the contract's services by their full names."""
    return sorted({_path(method)[0] for method in METHODS.values()})


def handlers(
    port: LoopPort, streams: BatchStreams, identify: Identify, counters: Counters, start: edge.Start
) -> list[grpc.GenericRpcHandler]:
    """Make the handlers of every service, for the loop of the port; `start` stands in the metadata of every answer."""
    services: dict[str, dict[str, MethodHandler]] = defaultdict(dict)
    for method in METHODS.values():
        service, name = _path(method)
        if method.client_streaming:
            services[service][name] = grpc.stream_stream_rpc_method_handler(streams.answer)
        else:
            services[service][name] = _method_handler(port, method, identify, counters, start)
    return [grpc.method_handlers_generic_handler(service, methods) for service, methods in services.items()]


def _path(method: Method) -> tuple[str, str]:
    service, _, name = method.path.removeprefix("/").partition("/")
    return service, name


def _send(port: LoopPort, method: Method) -> edge.Send:
    if method.page_operation:
        return partial(port.send, method.page_operation)
    if method.name == _SUBMIT:
        return port.send_batch
    # To the engine 0 is an empty frame, which no caller may ask for.
    if not method.operation:
        raise ValueError(f"{method.name} is neither a command nor a stream")
    return partial(port.send, method.operation)


def _method_handler(
    port: LoopPort, method: Method, identify: Identify, counters: Counters, start: edge.Start
) -> MethodHandler:
    send = _send(port, method)
    if method.page_operation:
        pages = edge.stream_handler(method.name, send, partial(next_page, method), identify, counters, start)
        return grpc.unary_stream_rpc_method_handler(pages)
    return grpc.unary_unary_rpc_method_handler(edge.handler(method.name, send, identify, counters, start))
