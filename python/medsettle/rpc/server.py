"""The service put together: sockets, TLS, health, reflection, start and drain.

Owns where it listens and with which certificate.
Invariant: one service per port; a second one is refused, never shares it.
Invariant: without TLS it listens on loopback only, and only when it was asked to.
Leaves out what a call does: edge.py; how many and how large: limits.py.
"""

import asyncio
import contextlib
import gc
import ipaddress
import logging
import os
import secrets
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from medsettle.auth import tls_files
from medsettle.auth.revocation import RevocationList
from medsettle.config import START_METADATA_KEY, TlsFiles
from medsettle.errors import HubUnusable, MedsettleError
from medsettle.hub import AsyncHub
from medsettle.ops.counters import Counters
from medsettle.rpc import limits, methods
from medsettle.rpc.batch_stream import BatchStreams
from medsettle.rpc.edge import by_certificate, by_metadata

_log = logging.getLogger("medsettle.rpc")

_OPTIONS = (
    # Otherwise a second hub would share the port in silence, and each would get some of the calls.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", limits.TRANSPORT_MESSAGE_BYTES),
    ("grpc.max_allowed_incoming_connections", limits.CONNECTIONS),
    ("grpc.max_concurrent_streams", limits.STREAMS_PER_CONNECTION),
    ("grpc.server_handshake_timeout_ms", limits.HANDSHAKE_TIMEOUT_MS),
    ("grpc.keepalive_time_ms", limits.KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", limits.KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", limits.KEEPALIVE_LEAST_MS),
)


_START_BYTES = 8
"""Enough that no two starts of any hub that a client meets share their name."""


class CannotListen(MedsettleError):
    """The service cannot listen as it was asked to; the text says why."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where and how to listen: "host:port", port 0 for a free one; with TLS, or `insecure` on loopback.

    `revoked` is the list of revoked serial numbers; it is read again whenever it changes, as are the TLS files.
    """

    address: str
    tls: TlsFiles | None = None
    revoked: Path | None = None
    insecure: bool = False

    def check(self) -> None:
        """Raise CannotListen when this would expose the hub or contradicts itself."""
        if self.insecure == (self.tls is not None):
            raise CannotListen("give TLS files, or ask for plaintext with insecure on a loopback address")
        host, separator, port = self.address.rpartition(":")
        if not separator or not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:
            raise CannotListen(f"an address is host:port, not {self.address!r}")
        if self.insecure and not _is_loopback(host):
            raise CannotListen(f"without TLS a hub listens on loopback only; {host or 'every address'} is not")

    def rehearse(self) -> None:
        """Raise what the start of a service would: CannotListen, and OSError and ValueError for files.

        For whoever opens, or makes, a hub for it first.
        """
        self.check()
        if self.tls is not None:
            _ServerCertificate(self.tls)
        if self.revoked is not None:
            RevocationList.load(self.revoked)
        if not _can_bind(self.address):
            raise _taken(self.address)


def _can_bind(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError:
        return False
    for family, kind, protocol, _, where in found:
        with contextlib.suppress(OSError), socket.socket(family, kind, protocol) as tried:
            # As gRPC does: what lingers of a service that ended is in nobody's way.
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(where)
            return True
    return False


def _taken(address: str) -> CannotListen:
    return CannotListen(f"cannot listen on {address}: it is in use, or no address of this machine")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Service:
    """A hub's service on one address.

    `extra` handlers are served beside the contract's and without its edge: nothing asks who calls them.
    """

    def __init__(self, hub: AsyncHub, listening: Listening, extra: Sequence[grpc.GenericRpcHandler] = ()) -> None:
        """Prepare to listen; raises CannotListen, or OSError and ValueError for files that cannot be used."""
        listening.check()
        self._hub = hub
        self._listening = listening
        self._extra = extra
        self._credentials = None if listening.tls is None else _ServerCertificate(listening.tls).credentials()
        revoked = None if listening.revoked is None else RevocationList.load(listening.revoked)
        self._identify = by_metadata if listening.insecure else by_certificate(revoked)
        self._health = health.aio.HealthServicer()
        self._follower: asyncio.Task[None] | None = None
        self._server: grpc.aio.Server | None = None
        self._streams: BatchStreams | None = None
        self.counters = Counters()

    async def start(self) -> int:
        """Listen and return the port; raises CannotListen when the address is taken or not ours."""
        start = ((START_METADATA_KEY, secrets.token_hex(_START_BYTES)),)
        port_to_engine = self._hub.port()
        self._streams = BatchStreams(port_to_engine.send_batch, self._identify, self.counters, start)
        contract = methods.handlers(port_to_engine, self._streams, self._identify, self.counters, start)
        server = grpc.aio.server(handlers=[*contract, *self._extra], options=_OPTIONS)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = methods.service_names()
        reflection.enable_server_reflection((*names, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        await self._show_health(serving=False)
        try:
            if self._credentials is None:
                port = server.add_insecure_port(self._listening.address)
            else:
                port = server.add_secure_port(self._listening.address, self._credentials)
        except RuntimeError:
            raise _taken(self._listening.address) from None
        await server.start()
        self._server = server
        self._follower = asyncio.create_task(self._follow_state())
        return port

    async def stop(self, grace_s: float = limits.DRAIN_S) -> None:
        """Take no new calls, let those in flight end for `grace_s`, then cut them off."""
        if self._server is None or self._follower is None or self._streams is None:
            return
        self._follower.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._follower
        await self._health.enter_graceful_shutdown()
        # They would go on for as long as their callers have something to send.
        self._streams.drain()
        await self._server.stop(grace_s)

    async def _follow_state(self) -> None:
        shown = False
        while True:
            try:
                serving = self._hub.state == "SERVING"
            except HubUnusable:
                serving = False
            if serving != shown:
                await self._show_health(serving=serving)
                shown = serving
            await asyncio.sleep(limits.HEALTH_INTERVAL_S)

    async def _show_health(self, *, serving: bool) -> None:
        response = health_pb2.HealthCheckResponse
        status = response.SERVING if serving else response.NOT_SERVING
        for name in ("", *methods.service_names()):
            await self._health.set(name, status)


class _ServerCertificate:
    """The service's certificate on disk, read again for the first connection after its files changed.

    Invariant: a pair that does not fit together is never used; while files are being replaced the old pair stays.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        self._version = self._on_disk()
        self._configuration = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        # gRPC takes None for no change, which its stubs do not know.
        fetch = cast(Callable[[], grpc.ServerCertificateConfiguration], self._changed)
        return grpc.dynamic_ssl_server_credentials(self._configuration, fetch, require_client_authentication=True)

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return the new certificate, None where there is none; gRPC asks before every handshake."""
        try:
            version = self._on_disk()
            if version == self._version:
                return None
            configuration = self._read()
        except (OSError, ValueError) as error:
            _log.error("the new server certificate cannot be used, the old one stays: %s", error)
            return None
        self._version = version
        _log.info("the server certificate was read again")
        return configuration

    def _on_disk(self) -> tuple[tuple[int, int], ...]:
        status = [os.stat(path) for path in (self._files.ca, self._files.cert, self._files.key)]
        return tuple((one.st_mtime_ns, one.st_ino) for one in status)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        authority, chain, key = tls_files.read(self._files.ca, self._files.cert, self._files.key)
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=authority)


async def serve(
    hub: AsyncHub, listening: Listening, ready: Callable[[int], None], extra: Sequence[grpc.GenericRpcHandler] = ()
) -> None:
    """Serve until SIGTERM or SIGINT, then drain; `ready` gets the port. The hub stays open."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    service = Service(hub, listening, extra)
    ready(await service.start())
    # What was made until now stays for good; the collector need not walk it again and again between calls.
    gc.collect()
    gc.freeze()
    await stopping.wait()
    _log.info("draining, %d calls in flight", service.counters.in_flight)
    await service.stop()
    _log.info("stopped after %d calls", sum(service.counters.snapshot().values()))
