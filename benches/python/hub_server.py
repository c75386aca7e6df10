"""The server of the network benchmark: the hub's own service with its floors beside it.

Owns `/bench/Echo`, which answers with the request at once, and `/bench/EchoStream`, which does so on a stream;
`/bench/BareCommit`, which awaits the native group commit
of an empty frame; and `/bench/EmptyCommit`, which does so as the contract's methods do, after looking who calls and
until when.
All are handlers of bytes on the same server, loop, TLS and port of the engine.
Leaves out everything else: what is measured is the service that operators run.
"""

import argparse
import os
from functools import partial

import grpc
import uvloop
import ward

from medsettle.config import TlsFiles
from medsettle.hub import AsyncHub, role_bits
from medsettle.ops.counters import Counters
from medsettle.rpc.edge import Context, by_certificate, handler
from medsettle.rpc.server import Listening, serve

EMPTY_COMMIT = 0
"""The engine's number for an empty frame; no method of the contract has it."""


def floors(hub: AsyncHub) -> grpc.GenericRpcHandler:
    """Make the handlers of the floors for the running loop."""
    port = hub.port()
    roles, institution = role_bits(("HOSPITAL",)), ward.HOSPITAL.code

    async def echo(request: bytes, _context: Context) -> bytes:
        return request

    async def echo_stream(_requests: object, context: Context) -> None:
        while isinstance(message := await context.read(), bytes):
            await context.write(message)

    async def bare_commit(request: bytes, _context: Context) -> bytes:
        _, answer = await port.send(EMPTY_COMMIT, roles, institution, request)
        return answer

    send = partial(port.send, EMPTY_COMMIT)
    empty_commit = handler("bench.EmptyCommit", send, by_certificate(None), Counters(), ())
    return grpc.method_handlers_generic_handler(
        "bench",
        {
            "Echo": grpc.unary_unary_rpc_method_handler(echo),
            "EchoStream": grpc.stream_stream_rpc_method_handler(echo_stream),
            "BareCommit": grpc.unary_unary_rpc_method_handler(bare_commit),
            "EmptyCommit": grpc.unary_unary_rpc_method_handler(empty_commit),
        },
    )


async def main(options: argparse.Namespace) -> None:
    """Serve a data directory on a free port, which is printed, until SIGTERM."""
    async with await AsyncHub.open(options.data, keys=options.keys, kek=options.kek) as hub:
        if options.bind_python:
            # The engine's threads run already and keep all cores; what gRPC starts from here on inherits the one.
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        tls = TlsFiles(ca=options.tls_ca, cert=options.tls_cert, key=options.tls_key)
        listening = Listening("127.0.0.1:0", tls=tls)
        await serve(hub, listening, lambda port: print(port, flush=True), [floors(hub)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("data", "keys", "kek", "tls-ca", "tls-cert", "tls-key"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--bind-python", action="store_true", help="bind the threads of Python to one core")
    uvloop.run(main(parser.parse_args()))
