"""The three files that a side of TLS needs, read and checked, so that a wrong one is named before anybody connects.

Leaves out whether the other side accepts them.
"""

from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key


def read(ca: str | PathLike[str], cert: str | PathLike[str], key: str | PathLike[str]) -> tuple[bytes, bytes, bytes]:
    """Give authority, certificate and key as they stand in their files; raises OSError, ValueError for what is none."""
    authority, chain, private = (Path(path).read_bytes() for path in (ca, cert, key))
    _certificates(ca, authority)
    own = _certificates(cert, chain)[0]
    try:
        public_key = load_pem_private_key(private, password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError(f"{fspath(key)} holds no private key (PEM) that can be read without a password") from None
    if public_key != own.public_key():
        raise ValueError(f"{fspath(key)} is not the key of {fspath(cert)}")
    return authority, chain, private


def _certificates(path: str | PathLike[str], content: bytes) -> Sequence[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise ValueError(f"{fspath(path)} holds no certificate (PEM)") from None
