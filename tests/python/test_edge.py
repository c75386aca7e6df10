"""The edge over real sockets and real TLS: who is let in, what the engine is handed, how a refusal goes out."""

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from google.rpc import error_details_pb2

from medsettle.auth.actor import Actor
from medsettle.errors import CATALOG, Overloaded, Rejected
from medsettle.hub import LoopPort, role_bits
from medsettle.rpc import edge, limits
from medsettle.rpc.refusal import wire_refusal
from medsettle.v1 import options_pb2, reason_pb2
from scripted_hub import (
    HOSPITAL,
    ScriptedHub,
    ScriptedPort,
    Site,
    call,
    echo,
    info_of,
    one_call,
    refusal_of,
    refusing,
    status_of,
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_engine_gets_the_bytes_with_the_institution_and_roles_of_the_certificate(site: Site) -> None:
    async def main() -> None:
        hub = ScriptedHub(echo)
        actor = Actor("H31010000007", frozenset({"HOSPITAL", "DESK"}))
        async with site.serving(hub), site.channel(site.client("both", actor)) as channel:
            assert await call(channel, b"\xff not protobuf") == b"answer to \xff not protobuf"
            assert await call(channel, b"many", "/medsettle.v1.Batch/Submit") == b"answer to many"
        roles = 1 << options_pb2.Role.HOSPITAL | 1 << options_pb2.Role.DESK
        assert hub.native.sent == [
            (709, roles, "H31010000007", b"\xff not protobuf"),
            (-1, roles, "H31010000007", b"many"),
        ]

    asyncio.run(main())


class UnknownRole(Actor):
    """An actor as an authority with other roles than ours would name it."""

    @property
    def uri(self) -> str:
        return f"medsettle://{self.institution}/NURSE"


def test_a_certificate_without_an_actor_is_refused_with_the_reason(site: Site) -> None:
    error = one_call(site, echo, tls=site.client("nurse", UnknownRole(HOSPITAL.institution, HOSPITAL.roles)))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    reason, detail = info_of(error)
    assert reason == "CERTIFICATE_NOT_ACCEPTED"
    assert detail["problem"].startswith("unknown role 'NURSE'")


@pytest.mark.parametrize("uris", [[], ["medsettle://H11010500001/HOSPITAL", "medsettle://H31010000007/HOSPITAL"]])
def test_only_exactly_one_uri_names_the_caller(site: Site, uris: list[str]) -> None:
    class Connection:
        """What gRPC tells of a connection; a DNS name that reads like an actor stands among the alternative names."""

        def auth_context(self) -> dict[str, list[bytes]]:
            pem = site.authority.issue_client(HOSPITAL).certificate_pem
            return {
                "x509_pem_cert": [pem],
                "x509_subject_alternative_name": [HOSPITAL.uri.encode()],
                "peer_dns": [HOSPITAL.uri.encode()],
                "peer_uri": [uri.encode() for uri in uris],
            }

    with pytest.raises(Rejected) as caught:
        edge.by_certificate(None)(cast(edge.Context, Connection()))
    problem = f"the certificate must carry exactly one URI, not {len(uris)}"
    assert (caught.value.reason, caught.value.detail) == ("CERTIFICATE_NOT_ACCEPTED", {"problem": problem})


def test_a_server_s_certificate_lets_nobody_in(site: Site) -> None:
    assert one_call(site, echo, tls=site.server).code() is grpc.StatusCode.UNAVAILABLE


def test_a_revoked_certificate_is_refused_from_the_next_call_on_the_same_connection(site: Site) -> None:
    async def main() -> None:
        issued = site.authority.issue_client(HOSPITAL)
        hub = ScriptedHub(echo)
        async with site.serving(hub), site.channel(site.files("revoked", issued)) as channel:
            await call(channel)
            site.authority.revoke(issued.certificate.serial_number)
            error = await refusal_of(channel)
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert info_of(error)[1] == {"problem": "the certificate is revoked"}
        assert len(hub.native.sent) == 1

    asyncio.run(main())


def test_a_certificate_that_ended_is_refused_though_its_connection_stands(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = datetime.now(UTC) + timedelta(days=91)
    by_certificate = edge.by_certificate
    monkeypatch.setattr(
        "medsettle.rpc.server.by_certificate", lambda revoked: by_certificate(revoked, now_s=later.timestamp)
    )
    assert info_of(one_call(site, echo))[1] == {"problem": "the certificate has ended"}


def test_a_revocation_list_that_cannot_be_read_lets_nobody_in_and_says_nothing(site: Site) -> None:
    async def main() -> None:
        hub = ScriptedHub(echo)
        async with site.serving(hub), site.channel(site.client("one")) as channel:
            site.authority.revoked_path.write_text("no number\n")
            error = await refusal_of(channel)
        assert error.code() is grpc.StatusCode.INTERNAL
        assert info_of(error) == ("INTERNAL", {})
        assert "number" not in str(error.trailing_metadata())
        assert hub.native.sent == []

    asyncio.run(main())


def test_a_caller_without_a_certificate_is_not_let_in(site: Site) -> None:
    async def main() -> None:
        hub = ScriptedHub(echo)
        async with site.serving(hub):
            credentials = grpc.ssl_channel_credentials(site.authority.certificate_path.read_bytes())
            async with grpc.aio.secure_channel(f"127.0.0.1:{site.port}", credentials) as channel:
                assert (await refusal_of(channel)).code() is grpc.StatusCode.UNAVAILABLE
        assert hub.native.sent == []

    asyncio.run(main())


def test_a_refusal_goes_out_with_reason_details_and_advice_in_both_languages(site: Site) -> None:
    answer = refusing(reason_pb2.Reason.TOTAL_MISMATCH, institution_total_fen="100", hub_total_fen="99")
    error = one_call(site, answer)
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert error.details() == f"TOTAL_MISMATCH: {CATALOG['TOTAL_MISMATCH'].advice}"
    assert info_of(error) == ("TOTAL_MISMATCH", {"institution_total_fen": "100", "hub_total_fen": "99"})
    texts = {}
    for detail in status_of(dict(error.trailing_metadata())["grpc-status-details-bin"]).details:
        localized = error_details_pb2.LocalizedMessage()
        if detail.Unpack(localized):
            texts[localized.locale] = localized.message
    assert texts == {"en": CATALOG["TOTAL_MISMATCH"].advice, "zh-CN": CATALOG["TOTAL_MISMATCH"].advice_zh}


def test_a_malformed_request_names_its_field_as_google_does(site: Site) -> None:
    answer = refusing(reason_pb2.Reason.REQUEST_MALFORMED, field="lines[2].quantity", problem="is not a number")
    error = one_call(site, answer)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    bad = error_details_pb2.BadRequest()
    status = status_of(dict(error.trailing_metadata())["grpc-status-details-bin"])
    assert status.details[-1].Unpack(bad)
    violation = bad.field_violations[0]
    assert (violation.field, violation.description) == ("lines[2].quantity", "is not a number")


def test_what_the_catalog_does_not_declare_does_not_go_out(site: Site) -> None:
    answer = refusing(reason_pb2.Reason.CARD_LOCKED, identity_number="11010519491231002X")
    assert info_of(one_call(site, answer)) == ("CARD_LOCKED", {})


def test_a_long_list_of_bad_lines_still_arrives_shortened(site: Site) -> None:
    lines = ",".join(f"床位费{number}" for number in range(2_000))
    reason, detail = info_of(one_call(site, refusing(reason_pb2.Reason.ITEM_UNKNOWN, lines=lines)))
    assert reason == "ITEM_UNKNOWN"
    assert detail["lines"].endswith("…")
    assert lines.startswith(detail["lines"].removesuffix("…"))
    assert len(detail["lines"]) > 500


def test_shortening_leaves_short_values_whole() -> None:
    refusal = wire_refusal("STAY_OVERLAPS", {"other_stay_id": "9" * 5_000, "other_institution_code": "H1"})
    info = error_details_pb2.ErrorInfo()
    assert status_of(refusal.details).details[0].Unpack(info)
    assert info.metadata["other_institution_code"] == "H1"
    assert len(info.metadata["other_stay_id"]) == limits.REFUSAL_DETAIL_BYTES - 2 + 1


def test_an_engine_that_takes_no_more_is_resource_exhausted(site: Site) -> None:
    def full(_request: bytes) -> None:
        raise Overloaded("the queue is full")

    error = one_call(site, full)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert info_of(error) == ("OVERLOADED", {})


def test_a_fault_of_ours_goes_out_without_its_text(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    def fault(_request: bytes) -> None:
        raise ZeroDivisionError("secret of the house")

    error = one_call(site, fault)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert info_of(error) == ("INTERNAL", {})
    assert "secret" not in str(error)
    assert "secret of the house" in caplog.text


def test_an_answer_that_nobody_can_be_given_ends_its_call_and_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(asyncio.CancelledError):
        edge.refusal_of(grpc.aio.InternalError("execute_batch"), "Operations.TakeJournal")
    assert not caplog.records


def test_a_request_over_the_limit_gets_a_reason_and_one_over_twice_the_limit_a_bare_status(site: Site) -> None:
    async def main() -> None:
        hub = ScriptedHub(echo)
        async with site.serving(hub), site.channel(site.client("one")) as channel:
            error = await refusal_of(channel, bytes(limits.MESSAGE_BYTES + 1))
            bare = await refusal_of(channel, bytes(2 * limits.MESSAGE_BYTES + 1))
        sizes = {"limit": str(limits.MESSAGE_BYTES), "size": str(limits.MESSAGE_BYTES + 1)}
        assert info_of(error) == ("REQUEST_TOO_LARGE", sizes)
        assert bare.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "grpc-status-details-bin" not in dict(bare.trailing_metadata())
        assert hub.native.sent == []

    asyncio.run(main())


def test_a_call_without_a_deadline_gets_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "DEADLINE_S", 0.05)

    async def main() -> None:
        async with site.serving(ScriptedHub(lambda _request: None)), site.channel(site.client("one")) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(channel, timeout=None)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert caught.value.details() == "The outcome is unknown; send the same request again."

    asyncio.run(main())


def test_an_answer_that_nobody_waits_for_any_more_disturbs_nobody(site: Site) -> None:
    async def main() -> None:
        hub = ScriptedHub(lambda request: None if request == b"slow" else echo(request))
        async with site.serving(hub), site.channel(site.client("one")) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(channel, b"slow", timeout=0.2)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert site.service is not None
            counters = site.service.counters
            async with asyncio.timeout(10):
                while counters.in_flight:
                    await asyncio.sleep(0.01)
            hub.native.finish(hub.native.last_ticket, True, b"too late")
            assert await call(channel, b"next") == b"answer to next"
        assert counters.snapshot() == {("Inpatient.Settle", "CANCELLED"): 1, ("Inpatient.Settle", "OK"): 1}

    asyncio.run(main())


def test_one_wake_up_resolves_every_answer_that_waits() -> None:
    async def main() -> None:
        native = ScriptedPort(lambda _request: None)
        port = LoopPort(cast(Any, native), asyncio.get_running_loop())
        futures = [port.send(709, 2, "H11010500001", bytes([number])) for number in range(3)]
        futures[1].cancel()
        for ticket in (3, 2, 1):
            native.ready.append((ticket, True, b"%d" % ticket))
        os.eventfd_write(native.fileno(), 1)
        async with asyncio.timeout(10):
            assert await futures[0] == (True, b"1")
            assert await futures[2] == (True, b"3")
        port.close()

    asyncio.run(main())


def test_roles_are_the_bits_of_their_numbers() -> None:
    assert role_bits(["HOSPITAL"]) == 2
    assert role_bits(["HOSPITAL", "HUB"]) == 0b1000_0010
    with pytest.raises(ValueError, match="NURSE"):
        role_bits(["NURSE"])
