"""The actor that a client certificate names: one institution and the roles it may take.

Owns the syntax of the certificate's one URI, `medsettle://<institution code>/<ROLE>,<ROLE>`.
Invariant: an `Actor` that exists is well-formed and has a role.
Leaves out what a role may do: the engine decides that for every command.
"""

import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from cryptography import x509

ROLES = frozenset({"HOSPITAL", "PHARMACY", "DESK", "ISSUER", "OPERATOR", "AUDITOR", "HUB"})

_SCHEME = "medsettle://"
_INSTITUTION = re.compile(r"[A-Z0-9]{12}")


@dataclass(frozen=True, slots=True)
class Actor:
    """An institution in its roles; raises ValueError for a malformed code, no role or an unknown one."""

    institution: str
    roles: frozenset[str]

    def __post_init__(self) -> None:
        if not _INSTITUTION.fullmatch(self.institution):
            raise ValueError(f"an institution code is 12 characters A-Z or 0-9, not {self.institution!r}")
        if not self.roles:
            raise ValueError("an actor needs at least one role")
        if unknown := sorted(self.roles - ROLES):
            raise ValueError(f"unknown role {', '.join(map(repr, unknown))}; roles are {', '.join(sorted(ROLES))}")

    @property
    def uri(self) -> str:
        """The actor as certificates carry it, roles in alphabetical order."""
        return f"{_SCHEME}{self.institution}/{','.join(sorted(self.roles))}"


def actor_from_uri(uri: str) -> Actor:
    """Read the actor from a certificate's URI.

    Strict: no percent encoding, no lower case, no spaces, no role twice, nothing after the roles. Raises ValueError.
    """
    if not uri.startswith(_SCHEME):
        raise ValueError(f"an actor's URI begins with {_SCHEME}, not {uri!r}")
    institution, separator, roles = uri.removeprefix(_SCHEME).partition("/")
    if not separator:
        raise ValueError(f"an actor's URI is {_SCHEME}<institution code>/<ROLE>,<ROLE>, not {uri!r}")
    named = roles.split(",") if roles else []
    if len(set(named)) != len(named):
        raise ValueError(f"a role is named twice in {uri!r}")
    return Actor(institution, frozenset(named))


def actor_of_certificate(path: str | PathLike[str]) -> Actor:
    """Read whom a client certificate (PEM) names; raises OSError, ValueError."""
    certificate = x509.load_pem_x509_certificate(Path(path).read_bytes())
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        raise ValueError(f"{path}: names no institution, so it is no client certificate of a hub") from None
    return actor_from_uri(uri)
