"""Certificates of the private authority: what they prove, whom they name and how they stop counting."""

import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from medsettle.auth.actor import Actor, actor_from_uri
from medsettle.auth.ca import CertificateAuthority, IssuedCertificate
from medsettle.auth.revocation import RevocationList

HOSPITAL = Actor("H11010500001", frozenset({"HOSPITAL"}))
BEGIN = datetime(2025, 3, 1, 8, 0, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority.create(tmp_path / "ca", now=BEGIN)


def policy(authority: CertificateAuthority, at: datetime) -> PolicyBuilder:
    return PolicyBuilder().store(Store([authority.certificate])).time(at)


def verify_client(authority: CertificateAuthority, issued: IssuedCertificate, at: datetime) -> None:
    policy(authority, at).build_client_verifier().verify(issued.certificate, [])


def uris(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)


@pytest.mark.parametrize("host", ["localhost", "hub.example", "127.0.0.1", "10.0.0.7"])
def test_a_server_is_trusted_under_each_of_its_names(authority: CertificateAuthority, host: str) -> None:
    issued = authority.issue_server("hub.example", "10.0.0.7", now=BEGIN)
    subject = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
    verifier = policy(authority, BEGIN).build_server_verifier(subject)
    assert verifier.verify(issued.certificate, [])[-1] == authority.certificate


def test_a_server_is_not_trusted_under_another_name(authority: CertificateAuthority) -> None:
    verifier = policy(authority, BEGIN).build_server_verifier(x509.DNSName("other.example"))
    with pytest.raises(VerificationError):
        verifier.verify(authority.issue_server("hub.example", now=BEGIN).certificate, [])


def test_a_client_is_trusted_and_names_its_actor_in_its_only_uri(authority: CertificateAuthority) -> None:
    actor = Actor("H11010500001", frozenset({"PHARMACY", "HOSPITAL"}))
    issued = authority.issue_client(actor, now=BEGIN)
    verify_client(authority, issued, BEGIN)
    assert [actor_from_uri(uri) for uri in uris(issued.certificate)] == [actor]


def test_a_client_of_another_authority_is_not_trusted(authority: CertificateAuthority, tmp_path: Path) -> None:
    other = CertificateAuthority.create(tmp_path / "other", now=BEGIN)
    with pytest.raises(VerificationError):
        verify_client(authority, other.issue_client(HOSPITAL, now=BEGIN), BEGIN)


def test_a_client_certificate_proves_no_server_and_the_reverse(authority: CertificateAuthority) -> None:
    with pytest.raises(VerificationError):
        verify_client(authority, authority.issue_server(now=BEGIN), BEGIN)
    verifier = policy(authority, BEGIN).build_server_verifier(x509.DNSName("localhost"))
    with pytest.raises(VerificationError):
        verifier.verify(authority.issue_client(HOSPITAL, now=BEGIN).certificate, [])


def test_a_certificate_counts_for_its_validity_and_for_clocks_that_lag(authority: CertificateAuthority) -> None:
    issued = authority.issue_client(HOSPITAL, valid_for=timedelta(days=30), now=BEGIN)
    verify_client(authority, issued, BEGIN - timedelta(minutes=4))
    verify_client(authority, issued, BEGIN + timedelta(days=29))
    for outside in (BEGIN - timedelta(minutes=6), BEGIN + timedelta(days=31)):
        with pytest.raises(VerificationError):
            verify_client(authority, issued, outside)


def test_no_certificate_outlives_its_authority(authority: CertificateAuthority) -> None:
    issued = authority.issue_client(HOSPITAL, valid_for=timedelta(days=9999), now=BEGIN)
    assert issued.certificate.not_valid_after_utc == authority.certificate.not_valid_after_utc
    with pytest.raises(ValueError, match="authority's own certificate ended"):
        authority.issue_client(HOSPITAL, now=BEGIN + timedelta(days=9999))


def test_an_authority_opened_again_issues_certificates_of_the_same_root(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    issued = CertificateAuthority.open(tmp_path / "ca").issue_client(HOSPITAL, now=BEGIN)
    verify_client(authority, issued, BEGIN)


def test_an_authority_with_the_key_of_another_does_not_open(authority: CertificateAuthority, tmp_path: Path) -> None:
    CertificateAuthority.create(tmp_path / "other", now=BEGIN)
    (tmp_path / "ca" / "ca.key").write_bytes((tmp_path / "other" / "ca.key").read_bytes())
    with pytest.raises(ValueError, match="is not the key of"):
        CertificateAuthority.open(tmp_path / "ca")


def test_an_authority_is_never_overwritten(authority: CertificateAuthority, tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        CertificateAuthority.create(tmp_path / "ca", now=BEGIN)
    assert CertificateAuthority.open(tmp_path / "ca").certificate == authority.certificate


def test_private_keys_are_for_their_owner_only(authority: CertificateAuthority, tmp_path: Path) -> None:
    certificate_path, key_path = authority.issue_client(HOSPITAL, now=BEGIN).write(tmp_path / "out", "ward")
    for path in (key_path, tmp_path / "ca" / "ca.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    key = load_pem_private_key(key_path.read_bytes(), password=None)
    assert key.public_key() == certificate.public_key()


def test_a_revoked_certificate_is_found_by_a_list_that_is_already_open(authority: CertificateAuthority) -> None:
    revoked = RevocationList.load(authority.revoked_path)
    first, second = (authority.issue_client(HOSPITAL, now=BEGIN).certificate.serial_number for _ in range(2))
    assert first not in revoked
    authority.revoke(first)
    assert first in revoked
    assert second not in revoked
    authority.revoke(second)
    assert first in revoked
    assert second in revoked


def test_a_revocation_list_that_cannot_be_read_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "revoked.txt"
    with pytest.raises(FileNotFoundError):
        RevocationList.load(path)
    path.write_text("1F\n")
    revoked = RevocationList.load(path)
    assert 0x1F in revoked
    path.write_text("1F\nnot a serial\n")
    for _ in range(2):
        with pytest.raises(ValueError, match="line 2 is not a hexadecimal serial number"):
            _ = 7 in revoked
    path.unlink()
    with pytest.raises(FileNotFoundError):
        _ = 7 in revoked


@pytest.mark.parametrize("roles", [{"HOSPITAL"}, {"DESK", "ISSUER"}, {"OPERATOR", "AUDITOR", "HUB", "PHARMACY"}])
def test_an_actor_survives_the_way_through_its_uri(roles: set[str]) -> None:
    actor = Actor("P37010200042", frozenset(roles))
    assert actor_from_uri(actor.uri) == actor


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "begins with"),
        ("https://H11010500001/HOSPITAL", "begins with"),
        ("MEDSETTLE://H11010500001/HOSPITAL", "begins with"),
        ("medsettle://H11010500001", "is medsettle://"),
        ("medsettle://H11010500001/", "at least one role"),
        ("medsettle://H1101050000/HOSPITAL", "12 characters"),
        ("medsettle://H110105000011/HOSPITAL", "12 characters"),
        ("medsettle://h11010500001/HOSPITAL", "12 characters"),
        ("medsettle://H1101050000\uff11/HOSPITAL", "12 characters"),
        ("medsettle:///HOSPITAL", "12 characters"),
        ("medsettle://H11010500001/ROOT", "unknown role 'ROOT'"),
        ("medsettle://H11010500001/hospital", "unknown role"),
        ("medsettle://H11010500001/HOSPITAL,", "unknown role ''"),
        ("medsettle://H11010500001/HOSPITAL, DESK", "unknown role ' DESK'"),
        ("medsettle://H11010500001/HOSPITAL,HOSPITAL", "twice"),
        ("medsettle://H11010500001/HOSPITAL/", "unknown role 'HOSPITAL/'"),
        ("medsettle://H11010500001/HOSPITAL?x", "unknown role"),
        ("medsettle://H11010500001/HOSPITAL\n", "unknown role"),
    ],
)
def test_a_malformed_uri_names_nobody(uri: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        actor_from_uri(uri)
