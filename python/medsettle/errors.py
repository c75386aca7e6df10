"""Every exception of the package, and the catalog of refusals read from the contract's descriptors.

Owns what a caller catches: `Rejected` for a refusal, `Unavailable` when the hub could not take the request now,
`NoAnswer` when the outcome is unknown.
Invariant: number, status, retry and advice of a reason come from reason.proto and are repeated nowhere.
Leaves out how a refusal travels: edge.py puts it on the wire, client.py takes it off.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, cast

from medsettle.v1 import options_pb2, reason_pb2, refusal_pb2

Retry = Literal["NEVER", "SAME_REQUEST", "QUOTE_AGAIN"]


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """What the contract says about one reason; `metadata` are the keys that the refusal's detail carries."""

    reason: str
    number: int
    status: str
    retry: Retry
    advice: str
    advice_zh: str
    metadata: tuple[str, ...]


def _read_catalog() -> dict[str, CatalogEntry]:
    catalog = {}
    for value in reason_pb2.Reason.Code.DESCRIPTOR.values:
        if value.number == reason_pb2.Reason.UNSPECIFIED:
            continue
        options = value.GetOptions()
        catalog[value.name] = CatalogEntry(
            reason=value.name,
            number=value.number,
            status=options_pb2.Status.Code.Name(options.Extensions[options_pb2.status]),
            retry=cast(Retry, options_pb2.Retry.Kind.Name(options.Extensions[options_pb2.retry])),
            advice=options.Extensions[options_pb2.advice],
            advice_zh=options.Extensions[options_pb2.advice_zh],
            metadata=tuple(options.Extensions[options_pb2.metadata]),
        )
    return catalog


CATALOG: Mapping[str, CatalogEntry] = MappingProxyType(_read_catalog())
"""Every reason of the contract by its name."""

_NAME_OF_NUMBER = {entry.number: entry.reason for entry in CATALOG.values()}


def catalog_entry(reason: str) -> CatalogEntry:
    """Look a reason up; one of a newer contract is taken for a refusal without advice that is never retried."""
    return CATALOG.get(reason) or CatalogEntry(reason, 0, "UNSPECIFIED", "NEVER", "", "", ())


class MedsettleError(Exception):
    """What every exception of the package derives from."""


class Rejected(MedsettleError):
    """The request was refused, which is a normal outcome: `reason` says why and `advice` what to do.

    `detail` holds the metadata that the catalog declares for the reason.
    """

    def __init__(self, reason: str, detail: Mapping[str, str] | None = None) -> None:
        self.reason = reason
        self.detail: Mapping[str, str] = dict(detail or {})
        super().__init__(reason, self.detail)

    def __str__(self) -> str:
        detail = ", ".join(f"{key}={value}" for key, value in sorted(self.detail.items()))
        return f"{self.reason} ({detail})" if detail else self.reason

    @property
    def entry(self) -> CatalogEntry:
        """All that the contract says about the reason."""
        return catalog_entry(self.reason)

    @property
    def number(self) -> int:
        """The reason's number; 0 for a reason of a newer contract."""
        return self.entry.number

    @property
    def status(self) -> str:
        """The gRPC status that carries the refusal, such as "NOT_FOUND"."""
        return self.entry.status

    @property
    def retry(self) -> Retry:
        """Whether the same request may be sent again, or a new quote is needed first."""
        return self.entry.retry

    @property
    def advice(self) -> str:
        """What the clerk should do, in English."""
        return self.entry.advice

    @property
    def advice_zh(self) -> str:
        """What the clerk should do, in Chinese."""
        return self.entry.advice_zh


class Unavailable(MedsettleError):
    """The hub could not take the request now; send the same request again, with the same request id."""

    reason: ClassVar[str]


class Overloaded(Unavailable):
    """More is queued than the hub will hold."""

    reason = "OVERLOADED"


class Halted(Unavailable):
    """The hub stopped after a failed write; what it acknowledged is safe."""

    reason = "HALTED"


class Recovering(Unavailable):
    """The hub is starting."""

    reason = "RECOVERING"


class NoAnswer(MedsettleError):
    """No answer came from the hub, so the outcome is unknown; `status` is the transport's status.

    Send the same request again, or ask Messages.GetOutcome.
    """

    def __init__(self, status: str, text: str) -> None:
        self.status = status
        super().__init__(status, text)

    def __str__(self) -> str:
        return f"no answer from the hub ({self.args[0]}): {self.args[1]}"


class ServerForgot(MedsettleError):
    """The hub has lost decisions that it had answered: it was put back to an older state, or is another hub.

    `seen` is what it had named and `found` what it names now, each with `sequence` and `chain_hash`. `answer` is the
    answer that brought it to light, None where that was a refusal: a command that it answers was decided all the same.
    """

    def __init__(self, text: str, seen: object = None, found: object = None) -> None:
        self.seen = seen
        self.found = found
        self.answer: object = None
        super().__init__(text)


class BackupUnusable(MedsettleError):
    """A directory holds no backup, or what came cannot go into it; the text says why."""


class ImportStopped(MedsettleError):
    """An import cannot go on now, for a reason that no row can mend; begun again it goes on where it was."""


class CorruptJournal(MedsettleError):
    """The data directory holds something that no crash leaves behind; nothing was changed."""


class DirectoryLocked(MedsettleError):
    """Another hub works on the data directory."""


class KeyRingError(MedsettleError):
    """The key ring cannot be opened, or refuses what was asked."""


class HubUnusable(MedsettleError):
    """The hub object was closed, or came into a child process by fork; the text says which."""


_UNAVAILABLE = {kind.reason: kind for kind in (Overloaded, Halted, Recovering)}


def refusal_error(reason: str, detail: Mapping[str, str]) -> Rejected | Unavailable:
    """Make the exception that a refusal is raised as."""
    if (kind := _UNAVAILABLE.get(reason)) is not None:
        return kind(catalog_entry(reason).advice)
    return Rejected(reason, detail)


def reason_name(number: int) -> str:
    """Name a reason by its number; a number of a newer contract stands for itself."""
    return _NAME_OF_NUMBER.get(number) or f"REASON_{number}"


def decoded_refusal(refusal: bytes) -> Rejected | Unavailable:
    """Make the exception of an encoded `medsettle.v1.Refusal`."""
    message = refusal_pb2.Refusal.FromString(refusal)
    return refusal_error(reason_name(message.reason), message.metadata)
