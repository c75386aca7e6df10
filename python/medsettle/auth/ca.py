"""A private certificate authority for trials and tests, behind `medsettle certs`.

Owns a directory with `ca.pem`, `ca.key` and `revoked.txt`, and what a server's and an actor's certificate look like.
Invariant: a client certificate carries exactly one URI, and it names the actor.
Invariant: a private key is created with mode 0600 and never overwritten; no certificate outlives its authority.
Leaves out online revocation: a hub reads `revoked.txt` (revocation.py).
"""

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from medsettle.auth.actor import Actor, actor_from_uri
from medsettle.auth.revocation import append_revoked

AUTHORITY_VALIDITY = timedelta(days=365)
CERTIFICATE_VALIDITY = timedelta(days=90)
LOOPBACK_HOSTS = ("localhost", "127.0.0.1")

_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as unencrypted PKCS#8 PEM."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, directory: Path, name: str) -> tuple[Path, Path]:
        """Write `<name>.pem` and `<name>.key` and return both paths; raises FileExistsError rather than overwrite."""
        directory.mkdir(parents=True, exist_ok=True)
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        _write_new(key, self.key_pem, 0o600)
        _write_new(certificate, self.certificate_pem, 0o644)
        return certificate, key


def actor_of(certificate: Path) -> Actor:
    """Read whom a client certificate (PEM) names; raises ValueError where it names nobody."""
    try:
        read = x509.load_pem_x509_certificate(certificate.read_bytes())
    except ValueError:
        raise ValueError(f"{certificate} holds no certificate (PEM)") from None
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
        return actor_from_uri(uri)
    except (x509.ExtensionNotFound, ValueError):
        raise ValueError(f"{certificate} names no institution; is it a client certificate?") from None


class CertificateAuthority:
    """The authority of one directory: issues certificates for servers and actors, and revokes them.

    All keys are ECDSA P-256. `now` is injected where a certificate's validity begins; it defaults to the clock.
    """

    def __init__(self, directory: Path, own: IssuedCertificate) -> None:
        self._directory = directory
        self._own = own

    @classmethod
    def create(cls, directory: Path, name: str = "medsettle trial CA", *, now: datetime | None = None) -> Self:
        """Make a new authority in `directory`; raises FileExistsError when there is one already."""
        begin = now or datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            _builder(subject, subject, key.public_key(), key.public_key(), begin, begin + AUTHORITY_VALIDITY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        own = IssuedCertificate(certificate, key)
        own.write(directory, "ca")
        _write_new(directory / "revoked.txt", b"", 0o644)
        return cls(directory, own)

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Open the authority that `create` left; raises OSError or ValueError for a missing or malformed file."""
        certificate = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
        key = load_pem_private_key((directory / "ca.key").read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise ValueError(f"{directory / 'ca.key'} is not the key of {directory / 'ca.pem'}")
        return cls(directory, IssuedCertificate(certificate, key))

    @property
    def certificate(self) -> x509.Certificate:
        """The root that servers and clients trust."""
        return self._own.certificate

    @property
    def certificate_path(self) -> Path:
        """Where the root lies as PEM."""
        return self._directory / "ca.pem"

    @property
    def revoked_path(self) -> Path:
        """Where the revoked serial numbers lie."""
        return self._directory / "revoked.txt"

    def issue_server(
        self, *hosts: str, valid_for: timedelta = CERTIFICATE_VALIDITY, now: datetime | None = None
    ) -> IssuedCertificate:
        """Issue a certificate for a server under `hosts` (names or addresses); loopback is always among them."""
        names = [_host_name(host) for host in dict.fromkeys((*hosts, *LOOPBACK_HOSTS))]
        common_name = hosts[0] if hosts else LOOPBACK_HOSTS[0]
        return self._issue(common_name, names, ExtendedKeyUsageOID.SERVER_AUTH, valid_for, now)

    def issue_client(
        self, actor: Actor, *, valid_for: timedelta = CERTIFICATE_VALIDITY, now: datetime | None = None
    ) -> IssuedCertificate:
        """Issue a certificate that names `actor` in its only URI."""
        names = [x509.UniformResourceIdentifier(actor.uri)]
        return self._issue(actor.institution, names, ExtendedKeyUsageOID.CLIENT_AUTH, valid_for, now)

    def revoke(self, serial: int) -> None:
        """Put a certificate's serial number on the list for good."""
        append_revoked(self.revoked_path, serial)

    def _issue(
        self,
        common_name: str,
        names: Iterable[x509.GeneralName],
        usage: x509.ObjectIdentifier,
        valid_for: timedelta,
        now: datetime | None,
    ) -> IssuedCertificate:
        begin = now or datetime.now(UTC)
        end = min(begin + valid_for, self.certificate.not_valid_after_utc)
        if end <= begin:
            raise ValueError(f"the authority's own certificate ended at {end:%Y-%m-%d %H:%M} UTC")
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        certificate = (
            _builder(self.certificate.subject, subject, key.public_key(), self._own.key.public_key(), begin, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._own.key, hashes.SHA256())
        )
        return IssuedCertificate(certificate, key)


def _builder(
    issuer: x509.Name,
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    begin: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    """Begin a certificate with names, validity and key identifiers; it counts a little earlier, for clocks that lag."""
    return (
        x509.CertificateBuilder(issuer, subject, public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin - _CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
