"""The scratch directory: a private authority, certificates, and a key ring whose keys the soft cards share.

Invariant: nothing outside the directory is written, and it goes when the demo ends unless it is kept.
"""

import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from medsettle import keys
from medsettle.auth.actor import Actor
from medsettle.auth.ca import CertificateAuthority
from medsettle.config import TlsFiles
from medsettle.softcard import Scheme, SoftCard

SEGMENT_BYTES = 16 << 20
"""Length of a journal segment: the demo's whole history fits into one, and making it takes no time."""


@dataclass(frozen=True, slots=True)
class CardProduct:
    """A generation of cards and its place in the key ring; PANs begin with 9156, which no bank uses."""

    scheme: Scheme
    generation: str
    key_index: int
    pan_prefix: str


PRODUCTS = {
    product.scheme: product
    for product in (
        CardProduct(Scheme.PBOC_SM4, "3", 1, "91563"),
        CardProduct(Scheme.PBOC_TDES, "2", 2, "91562"),
    )
}


class Scratch:
    """The files of one run."""

    def __init__(self, root: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Make them all."""
        self._name_files(root)
        self._authority = CertificateAuthority.create(root / "ca")
        self._issuer_keys: dict[Scheme, bytes] = {}
        self.config.write_text(f"[engine]\nsegment_bytes = {segment_bytes}\n")
        self._make_key_ring()
        self._authority.issue_server().write(root / "certs", "hub")

    @classmethod
    def reopened(cls, root: Path, issuer_keys: Mapping[str, bytes]) -> Self:
        """Take the files that were made before; of the issuer's keys the ring gives none back."""
        again = cls.__new__(cls)
        again._name_files(root)
        again._authority = CertificateAuthority.open(root / "ca")
        again._issuer_keys = {Scheme(name): key for name, key in issuer_keys.items()}
        return again

    def _name_files(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.key_ring = root / "keys.json"
        self.config = root / "hub.toml"
        self.hub_log = root / "hub.log"
        self._kek = root / "kek.hex"

    @property
    def server_tls(self) -> TlsFiles:
        """The hub's certificate."""
        return self._tls("hub")

    @property
    def issuer_keys(self) -> Mapping[Scheme, bytes]:
        """The keys of which the cards are made."""
        return self._issuer_keys

    @property
    def kek(self) -> str:
        """The key-encryption key as the key ring and `medsettle serve` take it."""
        return f"file:{self._kek}"

    def client_tls(self, institution: str, *roles: str) -> TlsFiles:
        """Issue a certificate that names an institution in its roles, unless it has one."""
        tls = self._tls(institution)
        if not Path(tls.cert).exists():
            self._authority.issue_client(Actor(institution, frozenset(roles))).write(self.root / "certs", institution)
        return tls

    def _tls(self, name: str) -> TlsFiles:
        directory = self.root / "certs"
        return TlsFiles(
            ca=self._authority.certificate_path, cert=directory / f"{name}.pem", key=directory / f"{name}.key"
        )

    def make_card(self, scheme: Scheme, serial: int) -> SoftCard:
        """Personalise a chip with the issuer's key of its generation."""
        product = PRODUCTS[scheme]
        return SoftCard(
            scheme,
            self._issuer_keys[scheme],
            pan=f"{product.pan_prefix}{serial:011d}",
            sequence_number=1,
            card_sn=f"{serial:032X}",
            key_index=product.key_index,
        )

    def _make_key_ring(self) -> None:
        self._kek.touch(mode=0o600)
        self._kek.write_text(secrets.token_hex(32))
        keys.create(self.key_ring, self.kek)
        for product in PRODUCTS.values():
            # Two custodians each bring a component; the key is both together, and the cards are made with it.
            components = secrets.token_bytes(16), secrets.token_bytes(16)
            attributes = keys.KeyAttributes(
                "demo", product.scheme, product.key_index, product.pan_prefix, product.pan_prefix
            )
            keys.import_components(self.key_ring, self.kek, attributes, components)
            self._issuer_keys[product.scheme] = bytes(a ^ b for a, b in zip(*components, strict=True))


@contextmanager
def scratch(*, keep: bool) -> Iterator[Scratch]:
    """Make the directory, and remove it at the end unless it shall be kept."""
    root = Path(tempfile.mkdtemp(prefix="medsettle-demo-"))
    try:
        yield Scratch(root)
    finally:
        if not keep:
            shutil.rmtree(root)
