"""What stands between a call and the engine: who calls, until when, and how a refusal goes out.

Owns identity, revocation, deadlines, the mapping of errors and the counts.
Invariant: the caller is who its certificate's one URI says, and the certificate is looked up for every call.
Invariant: request and response pass as bytes; nothing of a request and no internal text reaches a caller or a log.
Leaves out what a caller may do: the engine checks that for every command.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import grpc
from cryptography import x509

from medsettle.auth.actor import actor_from_uri
from medsettle.auth.revocation import RevocationList
from medsettle.config import ACTOR_METADATA_KEY
from medsettle.errors import HubUnusable, Rejected, Unavailable, decoded_refusal
from medsettle.hub import role_bits
from medsettle.ops.counters import Counters
from medsettle.rpc.limits import DEADLINE_S, KNOWN_CERTIFICATES, MESSAGE_BYTES
from medsettle.rpc.refusal import DETAILS_KEY, WireRefusal, wire_refusal

Context: TypeAlias = grpc.aio.ServicerContext[bytes, bytes]

_log = logging.getLogger("medsettle.rpc")


@dataclass(frozen=True, slots=True)
class Caller:
    """An institution in its roles, as the engine takes them."""

    institution: str
    roles: int


_SIGNATURE_END = 90
"""Characters at the end of a PEM certificate that hold the last 48 bytes of its signature, which hardly two share."""

Identify = Callable[[Context], Caller]
"""Tells who calls; raises Rejected(CERTIFICATE_NOT_ACCEPTED)."""


@dataclass(frozen=True, slots=True)
class _Certificate:
    caller: Caller
    serial: int
    ends_s: float


def by_certificate(revoked: RevocationList | None, now_s: Callable[[], float] = time.time) -> Identify:
    """Identify callers by their client certificates, which TLS has verified up to the authority.

    A certificate that ends or is revoked while its connection stands is refused from its next call on.
    """
    # By the end of their signatures: hashing the whole of a certificate for every call costs more than comparing it.
    known: dict[bytes, tuple[bytes, bytes, _Certificate]] = {}

    def certificate_of(context: Context) -> _Certificate:
        properties = context.auth_context()
        uris, pems = tuple(properties.get("peer_uri", ())), tuple(properties.get("x509_pem_cert", ()))
        if len(uris) != 1 or len(pems) != 1:
            raise _not_accepted(f"the certificate must carry exactly one URI, not {len(uris)}")
        (uri,), (pem,) = uris, pems
        key = pem[-_SIGNATURE_END:]
        found = known.get(key)
        if found is not None and found[0] == uri and found[1] == pem:
            return found[2]
        certificate = _certificate(uri, pem)
        if len(known) >= KNOWN_CERTIFICATES:
            known.clear()
        known[key] = uri, pem, certificate
        return certificate

    def identify(context: Context) -> Caller:
        certificate = certificate_of(context)
        if now_s() >= certificate.ends_s:
            raise _not_accepted("the certificate has ended", certificate)
        if revoked is not None and certificate.serial in revoked:
            raise _not_accepted("the certificate is revoked", certificate)
        return certificate.caller

    return identify


def by_metadata(context: Context) -> Caller:
    """Identify callers by what they say in their metadata: for plaintext on loopback, where nothing proves anything."""
    said = [value for key, value in context.invocation_metadata() or () if key == ACTOR_METADATA_KEY]
    if len(said) != 1 or not isinstance(said[0], str):
        raise _not_accepted(f"without TLS the metadata {ACTOR_METADATA_KEY} must name one actor")
    return _caller(said[0])


def _certificate(uri: bytes, pem: bytes) -> _Certificate:
    """Read a certificate. Names of other kinds never count: a DNS name may be written like a URI.

    The transport's own reading of the URI ends at a NUL; the certificate's must be the same, whole.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    said = uri.decode(errors="replace")
    if names.get_values_for_type(x509.UniformResourceIdentifier) != [said]:
        raise _not_accepted("the URI of the certificate is not read alike by all")
    caller = _caller(said)
    return _Certificate(caller, certificate.serial_number, certificate.not_valid_after_utc.timestamp())


def _caller(uri: str) -> Caller:
    try:
        actor = actor_from_uri(uri)
    except ValueError as error:
        raise _not_accepted(str(error)) from None
    return Caller(actor.institution, role_bits(actor.roles))


def _not_accepted(problem: str, certificate: _Certificate | None = None) -> Rejected:
    if certificate is None:
        _log.warning("a caller was refused: %s", problem)
    else:
        _log.warning(
            "%s was refused: %s, serial number %X", certificate.caller.institution, problem, certificate.serial
        )
    return Rejected("CERTIFICATE_NOT_ACCEPTED", {"problem": problem})


Send = Callable[[int, str, bytes], asyncio.Future[tuple[bool, bytes]]]
"""Hands the request of an institution in its roles to the engine; raises Rejected or Unavailable instead."""


def accepted(send: Send, caller: Caller, request: bytes) -> asyncio.Future[tuple[bool, bytes]]:
    """Hand a request to the engine if it is short enough; raises Rejected or Unavailable."""
    if len(request) > MESSAGE_BYTES:
        raise Rejected("REQUEST_TOO_LARGE", {"limit": str(MESSAGE_BYTES), "size": str(len(request))})
    return send(caller.roles, caller.institution, request)


Handler = Callable[[bytes, Context], Awaitable[bytes]]
"""Answers one call with a response, or ends it with a refusal."""


Start = tuple[tuple[str, str], ...]
"""The metadata that names this start of the hub in every answer: after another start a client asks for proof."""


def handler(method: str, send: Send, identify: Identify, counters: Counters, start: Start) -> Handler:
    """Make the handler of a method.

    One plain coroutine function and no detour: every call passes here on the one event loop that all calls share.
    """

    async def answer(request: bytes, context: Context) -> bytes:
        counters.in_flight += 1
        # What a caller that went away leaves standing; its request is carried out all the same.
        outcome = "CANCELLED"
        try:
            try:
                caller = identify(context)
                sent = accepted(send, caller, request)
                # A caller's own deadline cancels this coroutine; only where there is none do we set one.
                if context.time_remaining() is None:
                    async with asyncio.timeout(DEADLINE_S):
                        ok, response = await sent
                else:
                    ok, response = await sent
                if not ok:
                    raise decoded_refusal(response)
            except Exception as error:
                outcome, refusal = refusal_of(error, method)
            else:
                outcome = "OK"
                context.set_trailing_metadata(start)
                return response
        finally:
            counters.in_flight -= 1
            counters.answered(method, outcome)
        details = ((DETAILS_KEY, refusal.details),) if refusal.details else ()
        await context.abort(refusal.code, refusal.text, (*start, *details))

    return answer


StreamHandler = Callable[[bytes, Context], Awaitable[None]]
"""Answers one call with as many responses as it takes, or ends it with a refusal."""

Next = Callable[[bytes, bytes], bytes]
"""Gives the request for the page behind a request's response; empty after the last."""


def stream_handler(
    method: str, send: Send, following: Next, identify: Identify, counters: Counters, start: Start
) -> StreamHandler:
    """Make the handler of a method that answers with a stream, page by page.

    Of a stream one page is in memory, and the next is asked for when the caller has taken it; so a slow caller holds up
    nobody. Who calls is looked at for every page: a certificate may end or be revoked while its stream goes on.
    """

    async def answer(request: bytes, context: Context) -> None:
        counters.in_flight += 1
        outcome, more = "CANCELLED", True
        try:
            try:
                await context.send_initial_metadata(start)
                while more:
                    caller = identify(context)
                    # A caller's own deadline cancels this coroutine; ours ends a stream that nobody reads any more.
                    async with asyncio.timeout(DEADLINE_S):
                        ok, response = await accepted(send, caller, request)
                        if not ok:
                            raise decoded_refusal(response)
                        await context.write(response)
                    request = following(request, response)
                    more = bool(request)
            except Exception as error:
                outcome, refusal = refusal_of(error, method)
            else:
                outcome = "OK"
                return
        finally:
            counters.in_flight -= 1
            counters.answered(method, outcome)
        details = ((DETAILS_KEY, refusal.details),) if refusal.details else ()
        await context.abort(refusal.code, refusal.text, (*start, *details))

    return answer


def refusal_of(error: Exception, method: str) -> tuple[str, WireRefusal]:
    """Map an error to the outcome that is counted and what goes out; of a caller that is gone, end its call.

    | error | out |
    | --- | --- |
    | grpc.aio.InternalError | nothing: the transport's word for an answer that nobody can be given any more |
    | Rejected | by the catalog |
    | Unavailable | by the catalog |
    | TimeoutError | DEADLINE_EXCEEDED, no reason: the outcome is unknown unless its text says otherwise |
    | HubUnusable | UNAVAILABLE, no reason: the hub is stopping |
    | anything else | INTERNAL; what it was stands in the log only |
    """
    match error:
        case grpc.aio.InternalError():
            raise asyncio.CancelledError from None
        case Rejected():
            return error.reason, wire_refusal(error.reason, error.detail)
        case Unavailable():
            return error.reason, wire_refusal(error.reason, {})
        case TimeoutError():
            text = str(error) or "The outcome is unknown; send the same request again."
            return "DEADLINE_EXCEEDED", WireRefusal(grpc.StatusCode.DEADLINE_EXCEEDED, text, b"")
        case HubUnusable():
            text = "The hub is stopping; send the same request again."
            return "UNAVAILABLE", WireRefusal(grpc.StatusCode.UNAVAILABLE, text, b"")
        case _:
            _log.error("%s failed", method, exc_info=error)
            return "INTERNAL", wire_refusal("INTERNAL", {})
