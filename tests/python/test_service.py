"""The service put together: where it listens, with which certificate, and how it stops."""

import asyncio
import os
from pathlib import Path
from typing import cast

import grpc
import pytest

from medsettle.auth.ca import CertificateAuthority
from medsettle.config import ACTOR_METADATA_KEY, TlsFiles
from medsettle.hub import AsyncHub, role_bits
from medsettle.rpc.server import CannotListen, Listening, Service
from scripted_hub import HOSPITAL, SETTLE, ScriptedHub, Site, call, echo, info_of, refusal_of


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_replaced_server_certificate_serves_the_next_connection(site: Site) -> None:
    async def main() -> None:
        async with site.serving(ScriptedHub(echo)):
            tls = site.client("one")
            async with site.channel(tls) as channel:
                await call(channel)
            other = CertificateAuthority.create(site.directory / "other")
            issued = other.issue_server()
            (site.directory / "new").mkdir()
            issued.write(site.directory / "new", "server")
            for suffix in ("key", "pem"):
                os.replace(site.directory / "new" / f"server.{suffix}", site.directory / f"server.{suffix}")
            async with site.channel(tls) as channel:
                assert (await refusal_of(channel)).code() is grpc.StatusCode.UNAVAILABLE
            trusting_other = TlsFiles(ca=other.certificate_path, cert=tls.cert, key=tls.key)
            async with site.channel(trusting_other) as channel:
                await call(channel)

    asyncio.run(main())


def test_a_second_service_on_the_port_is_refused(site: Site) -> None:
    async def main() -> None:
        async with site.serving(ScriptedHub(echo)):
            second = Service(cast(AsyncHub, ScriptedHub(echo)), Listening(f"127.0.0.1:{site.port}", tls=site.server))
            with pytest.raises(CannotListen, match="it is in use"):
                await second.start()

    asyncio.run(main())


def test_without_tls_the_caller_says_who_it_is_and_must_say_it() -> None:
    async def main() -> None:
        hub = ScriptedHub(echo)
        service = Service(cast(AsyncHub, hub), Listening("127.0.0.1:0", insecure=True))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{await service.start()}") as channel:
            method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(SETTLE)
            assert await method(b"x", metadata=((ACTOR_METADATA_KEY, HOSPITAL.uri),), timeout=10) == b"answer to x"
            error = await refusal_of(channel)
        await service.stop(0)
        assert (error.code(), info_of(error)[0]) == (grpc.StatusCode.UNAUTHENTICATED, "CERTIFICATE_NOT_ACCEPTED")
        assert hub.native.sent == [(709, role_bits(HOSPITAL.roles), HOSPITAL.institution, b"x")]

    asyncio.run(main())


def test_a_call_in_flight_ends_before_the_service_stops(site: Site) -> None:
    async def main() -> None:
        hub = ScriptedHub(lambda _request: None)
        async with site.serving(hub), site.channel(site.client("one")) as channel:
            waiting = asyncio.create_task(call(channel))
            async with asyncio.timeout(10):
                while not hub.native.sent:
                    await asyncio.sleep(0.01)
            assert site.service is not None
            stopping = asyncio.create_task(site.service.stop(10))
            await asyncio.sleep(0)
            hub.native.finish(hub.native.last_ticket, True, b"in time")
            assert await waiting == b"in time"
            await stopping

    asyncio.run(main())


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", ":0", "hub.example:7400", "192.0.2.1:7400"])
def test_plaintext_on_a_public_address_is_refused(address: str) -> None:
    with pytest.raises(CannotListen, match="without TLS a hub listens on loopback only"):
        Listening(address, insecure=True).check()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:7400", "localhost:7400"])
def test_plaintext_on_loopback_is_possible_when_asked_for(address: str) -> None:
    Listening(address, insecure=True).check()
    with pytest.raises(CannotListen, match="give TLS files"):
        Listening(address).check()


@pytest.mark.parametrize("address", ["", "7400", "localhost", "localhost:", "localhost:x", "localhost:65536"])
def test_a_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(CannotListen, match="an address is host:port"):
        Listening(address, insecure=True).check()
