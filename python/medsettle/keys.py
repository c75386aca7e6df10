"""The key ring file: issuer master keys, each wrapped under a key-encryption key, and issuers' public keys for tokens.

Every function names the key-encryption key by a specification: "file:PATH", "env:NAME" or "passphrase:TEXT".
Invariant: no function returns a key; people compare check values.
Every function raises KeyRingError with a text that names the file and what is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath

from medsettle import _core


@dataclass(frozen=True, slots=True)
class KeyAttributes:
    """What a key is for: cards with PANs from `pan_from` to `pan_to` (their first digits) that name `key_index`.

    `scheme` is a name of `Chip.Scheme`; `derivation` is for EMV_CSK_TDES alone.
    """

    issuer: str
    scheme: str
    key_index: int
    pan_from: str
    pan_to: str
    derivation: str | None = None


@dataclass(frozen=True, slots=True)
class RingEntry:
    """A key of the ring by its attributes and its check value in hexadecimal."""

    attributes: KeyAttributes
    check_value: str


def create(path: str | PathLike[str], kek: str) -> None:
    """Write a key ring with nothing but a key for PINs; an existing file is never replaced."""
    _core.keyring_create(fspath(path), kek)


def generate(path: str | PathLike[str], kek: str, attributes: KeyAttributes) -> str:
    """Add a random key and return its check value."""
    a = attributes
    return _core.keyring_generate(
        fspath(path), kek, a.issuer, a.scheme, a.key_index, a.pan_from, a.pan_to, a.derivation
    )


def import_components(
    path: str | PathLike[str], kek: str, attributes: KeyAttributes, components: Sequence[bytes]
) -> str:
    """Add the key that two or three custodians' components make together, and return its check value."""
    a = attributes
    return _core.keyring_import_components(
        fspath(path), kek, a.issuer, a.scheme, a.key_index, a.pan_from, a.pan_to, a.derivation, components
    )


def entries(path: str | PathLike[str], kek: str) -> list[RingEntry]:
    """List the keys by key index and PAN range."""
    return [
        RingEntry(KeyAttributes(issuer, scheme, key_index, pan_from, pan_to, derivation), check_value)
        for issuer, scheme, key_index, pan_from, pan_to, derivation, check_value in _core.keyring_list(
            fspath(path), kek
        )
    ]


def generate_pin_key(path: str | PathLike[str], kek: str) -> str:
    """Add a random key for PINs to a ring that has none, and return its check value.

    A PIN can be compared only under the key with which it was set.
    """
    return _core.keyring_generate_pin_key(fspath(path), kek)


def pin_key(path: str | PathLike[str], kek: str) -> str | None:
    """Return the check value of the key for PINs, if the ring has one."""
    return _core.keyring_pin_key(fspath(path), kek)


def import_token_key(path: str | PathLike[str], kek: str, name: str, public_key: bytes) -> None:
    """Add an issuer's public key, 32 bytes of Ed25519, for tokens of electronic credentials that name it as `kid`."""
    _core.keyring_import_token_key(fspath(path), kek, name, public_key)


def token_keys(path: str | PathLike[str], kek: str) -> dict[str, str]:
    """List the public keys for tokens: name to key in hexadecimal."""
    return dict(_core.keyring_token_keys(fspath(path), kek))


def rotate(path: str | PathLike[str], kek: str, new_kek: str) -> None:
    """Wrap every key anew, from now on under `new_kek`."""
    _core.keyring_rotate(fspath(path), kek, new_kek)


def forbid_core_dumps() -> None:
    """Keep this process with its keys out of core dumps; for a program that is a hub. Raises OSError."""
    _core.forbid_core_dumps()
