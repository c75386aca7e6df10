"""Every method of the contract, bound to its operation by the descriptors.

Invariant: no method is named here but Batch.Submit, which has no operation of its own.
Invariant: requests and responses stay bytes, so no message is parsed on the way.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Never, TypeAlias

import grpc

from medsettle.rpc.edge import Context, Edge
from medsettle.v1.facade import METHODS, Method

_SUBMIT = "Batch.Submit"

# Quoted because only the stubs know its parameters.
Handler: TypeAlias = "grpc.RpcMethodHandler[bytes, bytes]"


def service_names() -> list[str]:
    """List the contract's services by their full names."""
    return sorted({_path(method)[0] for method in METHODS.values()})


def handlers(edge: Edge) -> list[grpc.GenericRpcHandler]:
    """Make the handlers of every service."""
    services: dict[str, dict[str, Handler]] = defaultdict(dict)
    for method in METHODS.values():
        service, name = _path(method)
        services[service][name] = _handler(edge, method)
    return [grpc.method_handlers_generic_handler(service, methods) for service, methods in services.items()]


def _path(method: Method) -> tuple[str, str]:
    service, _, name = method.path.removeprefix("/").partition("/")
    return service, name


def _handler(edge: Edge, method: Method) -> Handler:
    if method.client_streaming and method.server_streaming:
        return grpc.stream_stream_rpc_method_handler(_not_available(edge, method))
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(_not_available(edge, method))
    if method.name == _SUBMIT:
        return grpc.unary_unary_rpc_method_handler(_submit(edge, method))
    return grpc.unary_unary_rpc_method_handler(_decide(edge, method))


def _decide(edge: Edge, method: Method) -> Callable[[bytes, Context], Awaitable[bytes]]:
    name, operation = method.name, method.operation
    # To the engine 0 is an empty frame, which no caller may ask for.
    if not operation:
        raise ValueError(f"{name} is neither a command nor a stream")

    async def decide(request: bytes, context: Context) -> bytes:
        return await edge.decide(name, operation, request, context)

    return decide


def _submit(edge: Edge, method: Method) -> Callable[[bytes, Context], Awaitable[bytes]]:
    async def submit(request: bytes, context: Context) -> bytes:
        return await edge.decide_batch(method.name, request, context)

    return submit


def _not_available(edge: Edge, method: Method) -> Callable[[object, Context], Awaitable[Never]]:
    async def refuse(_request: object, context: Context) -> Never:
        await edge.refuse(method.name, "METHOD_NOT_AVAILABLE", {"method": method.name}, context)

    return refuse
