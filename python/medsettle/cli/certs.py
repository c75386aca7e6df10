"""`medsettle certs`: a private certificate authority for trials and tests."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medsettle.cli.terminal import CommandFailed, console, wrong_input

if TYPE_CHECKING:
    from cryptography import x509

    from medsettle.auth.ca import IssuedCertificate

app = typer.Typer(
    help="Run a private certificate authority for trials and tests. In production use your own authority.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

_Authority = Annotated[
    Path, typer.Argument(metavar="DIR", help="The authority's directory: ca.pem, ca.key, revoked.txt.", file_okay=False)
]
_Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where the files go; the authority's directory if not given.")
]
_Days = Annotated[int, typer.Option(min=1, help="How long the certificate is valid.")]


@app.command()
def init(
    directory: _Authority, name: Annotated[str, typer.Option(help="Name of the authority.")] = "medsettle trial CA"
) -> None:
    """Make a new authority; an existing one is never replaced."""
    from medsettle.auth.ca import CertificateAuthority

    with wrong_input():
        authority = CertificateAuthority.create(directory, name)
    print(f"{authority.certificate_path}: made, valid until {_day(authority.certificate.not_valid_after_utc)}")


@app.command()
def server(
    directory: _Authority,
    host: Annotated[
        list[str] | None, typer.Option(help="Name or address of the hub, once each; loopback is always among them.")
    ] = None,
    out: _Out = None,
    name: Annotated[str, typer.Option(help="Files are NAME.pem and NAME.key.")] = "server",
    days: _Days = 90,
) -> None:
    """Issue a certificate for a hub."""
    from medsettle.auth.ca import CertificateAuthority

    with wrong_input():
        issued = CertificateAuthority.open(directory).issue_server(*host or (), valid_for=timedelta(days=days))
    _write(issued, out or directory, name)


@app.command()
def client(
    directory: _Authority,
    institution: Annotated[str, typer.Option(help="Code of the institution, 12 characters.")],
    role: Annotated[
        list[str],
        typer.Option(help="HOSPITAL, PHARMACY, DESK, ISSUER, OPERATOR, AUDITOR or HUB; once for each role."),
    ],
    out: _Out = None,
    name: Annotated[
        str | None, typer.Option(help="Files are NAME.pem and NAME.key; the institution's code if not given.")
    ] = None,
    days: _Days = 90,
) -> None:
    """Issue a certificate for an institution; it names the institution and the roles in which it may act."""
    from medsettle.auth.actor import Actor
    from medsettle.auth.ca import CertificateAuthority

    with wrong_input():
        actor = Actor(institution, frozenset(role))
        issued = CertificateAuthority.open(directory).issue_client(actor, valid_for=timedelta(days=days))
    _write(issued, out or directory, name or institution)


@app.command()
def revoke(
    directory: _Authority,
    certificate: Annotated[str, typer.Argument(help="A certificate's file, or its serial number in hexadecimal.")],
) -> None:
    """Revoke a certificate for good; a hub that reads the list refuses it from the next call on."""
    from medsettle.auth.ca import CertificateAuthority

    with wrong_input():
        authority = CertificateAuthority.open(directory)
    serial = _serial(certificate)
    authority.revoke(serial)
    print(f"{authority.revoked_path}: serial number {serial:X} added")


@app.command()
def show(
    certificate: Annotated[Path, typer.Argument(metavar="FILE", help="A certificate (PEM).", dir_okay=False)],
) -> None:
    """Show whom a certificate names, how long it is valid, and its serial number."""
    from rich.table import Table

    read = _read(certificate)
    table = Table("", "", show_header=False)
    table.add_row("subject", read.subject.rfc4514_string())
    table.add_row("issuer", read.issuer.rfc4514_string())
    table.add_row("names", "\n".join(_names(read)) or "none")
    table.add_row("valid from", _day(read.not_valid_before_utc))
    ended = " (ended)" if read.not_valid_after_utc <= datetime.now(UTC) else ""
    table.add_row("valid until", _day(read.not_valid_after_utc) + ended)
    table.add_row("serial number", f"{read.serial_number:X}")
    console().print(table)


def _write(issued: "IssuedCertificate", directory: Path, name: str) -> None:
    certificate, key = issued.write(directory, name)
    print(f"{certificate}: serial number {issued.certificate.serial_number:X}, ", end="")
    print(f"valid until {_day(issued.certificate.not_valid_after_utc)}; private key in {key}")


def _serial(certificate: str) -> int:
    path = Path(certificate)
    if path.exists():
        return _read(path).serial_number
    try:
        serial = int(certificate, 16)
    except ValueError:
        raise CommandFailed(f"{certificate} is neither a file nor a hexadecimal serial number") from None
    if serial <= 0:
        raise CommandFailed("a serial number is greater than zero")
    return serial


def _read(path: Path) -> "x509.Certificate":
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise CommandFailed(f"{path} is not a certificate (PEM)") from None


def _names(certificate: "x509.Certificate") -> list[str]:
    from cryptography import x509

    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
