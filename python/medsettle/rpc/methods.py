"""Every method of the contract, bound to its operation by the descriptors.

Invariant: no method is named here but Batch.Submit, which has no operation of its own.
Invariant: requests and responses stay bytes, so no message is parsed on the way.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Never, TypeAlias

import grpc

from medsettle.errors import Rejected
from medsettle.hub import LoopPort
from medsettle.rpc.edge import Context, Edge
from medsettle.v1.facade import METHODS, Method

_SUBMIT = "Batch.Submit"

# Quoted because only the stubs know its parameters.
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"


def service_names() -> list[str]:
    """List the contract's services by their full names."""
    return sorted({_path(method)[0] for method in METHODS.values()})


def handlers(edge: Edge, port: LoopPort) -> list[grpc.GenericRpcHandler]:
    """Make the handlers of every service, for the loop of the port."""
    services: dict[str, dict[str, Handler]] = defaultdict(dict)
    for method in METHODS.values():
        service, name = _path(method)
        services[service][name] = _handler(edge, port, method)
    return [grpc.method_handlers_generic_handler(service, methods) for service, methods in services.items()]


def _path(method: Method) -> tuple[str, str]:
    service, _, name = method.path.removeprefix("/").partition("/")
    return service, name


def _handler(edge: Edge, port: LoopPort, method: Method) -> Handler:
    if method.server_streaming:
        refuse = _not_available(edge, method)
        if method.client_streaming:
            return grpc.stream_stream_rpc_method_handler(refuse)
        return grpc.unary_stream_rpc_method_handler(refuse)
    send = port.send_batch if method.name == _SUBMIT else partial(port.send, _operation(method))
    return grpc.unary_unary_rpc_method_handler(partial(edge.answer, method.name, send))


def _operation(method: Method) -> int:
    # To the engine 0 is an empty frame, which no caller may ask for.
    if not method.operation:
        raise ValueError(f"{method.name} is neither a command nor a stream")
    return method.operation


def _not_available(edge: Edge, method: Method) -> Callable[[object, Context], Awaitable[bytes]]:
    def send(_roles: int, _institution: str, _request: bytes) -> Never:
        raise Rejected("METHOD_NOT_AVAILABLE", {"method": method.name})

    async def refuse(_request: object, context: Context) -> bytes:
        # Who calls is looked at all the same.
        return await edge.answer(method.name, send, b"", context)

    return refuse
