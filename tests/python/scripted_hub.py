"""A hub with a scripted engine behind real sockets and real TLS, and calls to it, for the tests of the edge.

The engine is scripted because the mapping between it and the network is what is tested.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from medsettle.auth.actor import Actor
from medsettle.auth.ca import CertificateAuthority, IssuedCertificate
from medsettle.config import TlsFiles
from medsettle.hub import AsyncHub, LoopPort
from medsettle.rpc.server import Listening, Service
from medsettle.v1 import reason_pb2, refusal_pb2

HOSPITAL = Actor("H11010500001", frozenset({"HOSPITAL"}))
SETTLE = "/medsettle.v1.Inpatient/Settle"

Answer = Callable[[bytes], tuple[bool, bytes] | None]


@dataclass
class ScriptedPort:
    """Stands for `_core.Port`: answers as its script says, over a real eventfd; None leaves the request waiting."""

    answer: Answer
    sent: list[tuple[int, int, str, bytes]] = field(default_factory=list)
    ready: list[tuple[int, bool, bytes]] = field(default_factory=list)
    last_ticket: int = 0

    def __post_init__(self) -> None:
        self._event = os.eventfd(0, os.EFD_NONBLOCK)

    def fileno(self) -> int:
        return self._event

    def send(self, ticket: int, operation: int, roles: int, institution: str, request: bytes) -> None:
        answer = self.answer(request)
        self.sent.append((operation, roles, institution, request))
        self.last_ticket = ticket
        if answer is not None:
            self.finish(ticket, *answer)

    def send_batch(self, ticket: int, roles: int, institution: str, request: bytes) -> None:
        self.send(ticket, -1, roles, institution, request)

    def finish(self, ticket: int, ok: bool, answer: bytes) -> None:
        self.ready.append((ticket, ok, answer))
        os.eventfd_write(self._event, 1)

    def reap(self) -> list[tuple[int, bool, bytes]]:
        if self.ready:
            os.eventfd_read(self._event)
        answers, self.ready = self.ready, []
        return answers

    def close(self) -> None:
        os.close(self._event)


class ScriptedHub:
    """Stands for `AsyncHub` towards the service."""

    def __init__(self, answer: Answer) -> None:
        self.native = ScriptedPort(answer)
        self.state = "SERVING"

    def port(self) -> LoopPort:
        return LoopPort(cast(Any, self.native), asyncio.get_running_loop())


def echo(request: bytes) -> tuple[bool, bytes]:
    return True, b"answer to " + request


def refusing(reason: reason_pb2.Reason.Code.ValueType, **metadata: str) -> Answer:
    return lambda _request: (False, refusal_pb2.Refusal(reason=reason, metadata=metadata).SerializeToString())


class Site:
    """An authority with its files, and the service under test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = CertificateAuthority.create(directory / "ca")
        self.server = self.files("server", self.authority.issue_server())
        self.service: Service | None = None
        self.port = 0

    def files(self, name: str, issued: IssuedCertificate) -> TlsFiles:
        issued.write(self.directory, name)
        return TlsFiles(
            ca=self.authority.certificate_path, cert=self.directory / f"{name}.pem", key=self.directory / f"{name}.key"
        )

    def client(self, name: str, actor: Actor = HOSPITAL) -> TlsFiles:
        return self.files(name, self.authority.issue_client(actor))

    @asynccontextmanager
    async def serving(self, hub: ScriptedHub) -> AsyncIterator[None]:
        listening = Listening("127.0.0.1:0", tls=self.server, revoked=self.authority.revoked_path)
        self.service = Service(cast(AsyncHub, hub), listening)
        self.port = await self.service.start()
        try:
            yield
        finally:
            await self.service.stop(0)

    def channel(self, tls: TlsFiles) -> grpc.aio.Channel:
        ca, key, cert = (Path(path).read_bytes() for path in (tls.ca, tls.key, tls.cert))
        return grpc.aio.secure_channel(f"127.0.0.1:{self.port}", grpc.ssl_channel_credentials(ca, key, cert))


async def call(
    channel: grpc.aio.Channel, request: bytes = b"x", path: str = SETTLE, timeout: float | None = 10
) -> bytes:
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
    return await method(request, timeout=timeout)


async def refusal_of(channel: grpc.aio.Channel, request: bytes = b"x", path: str = SETTLE) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(channel, request, path)
    return caught.value


def info_of(error: grpc.aio.AioRpcError) -> tuple[str, dict[str, str]]:
    status = status_of(dict(error.trailing_metadata())["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "medsettle"
    return info.reason, dict(info.metadata)


def status_of(trailer: object) -> status_pb2.Status:
    assert isinstance(trailer, bytes)
    return status_pb2.Status.FromString(trailer)


def one_call(site: Site, answer: Answer, tls: TlsFiles | None = None, path: str = SETTLE) -> grpc.aio.AioRpcError:
    """Make one call that is refused."""

    async def main() -> grpc.aio.AioRpcError:
        async with site.serving(ScriptedHub(answer)), site.channel(tls or site.client("one")) as channel:
            return await refusal_of(channel, path=path)

    return asyncio.run(main())
