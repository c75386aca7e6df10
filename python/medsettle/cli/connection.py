"""What commands that ask a running hub share: where it is and who asks."""

import getpass
import os
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from medsettle.cli.terminal import CommandFailed

if TYPE_CHECKING:
    from medsettle.client import Client, Retries
    from medsettle.config import TlsFiles
    from medsettle.v1 import common_pb2

# A hub without TLS is told who asks.
_PLAINTEXT_CODE = "MEDSETTLECLI"

Target: TypeAlias = Annotated[str, typer.Option("--target", "--from", metavar="HOST:PORT", help="Address of the hub.")]
Timeout: TypeAlias = Annotated[float, typer.Option(metavar="SECONDS", min=0.1, help="How long to wait for the answer.")]
TlsCert: TypeAlias = Annotated[Path | None, typer.Option(help="Own certificate (PEM).", dir_okay=False)]
TlsKey: TypeAlias = Annotated[Path | None, typer.Option(help="Private key of the certificate (PEM).", dir_okay=False)]
TlsCa: TypeAlias = Annotated[
    Path | None, typer.Option(help="Authority of the hub's certificate (PEM).", dir_okay=False)
]
Insecure: TypeAlias = Annotated[
    bool, typer.Option("--insecure", help="For a hub that serves plaintext on this machine.")
]


def once(timeout_s: float) -> "Retries":
    """Ask once, and wait so long for the answer."""
    from medsettle.client import Retries

    return Retries(attempts=1, attempt_timeout_s=timeout_s)


def header_of(cert: Path | None) -> "common_pb2.RequestHeader":
    """Begin a command of the institution that the certificate names, or that a hub without TLS is told.

    Raises ValueError for a certificate that names none.
    """
    from medsettle.auth.ca import actor_of
    from medsettle.v1 import common_pb2

    return common_pb2.RequestHeader(
        request_id=f"cli-{uuid.uuid4().hex}",
        created_ms=time.time_ns() // 1_000_000,
        institution_code=_PLAINTEXT_CODE if cert is None else actor_of(cert).institution,
        operator=getpass.getuser(),
    )


def connected(
    target: str, cert: Path | None, key: Path | None, ca: Path | None, insecure: bool, retries: "Retries"
) -> "Client":
    """Make a client of the hub."""
    # What goes wrong is said by the command; the library is told so before it is loaded.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from medsettle.auth.actor import Actor
    from medsettle.client import connect

    if insecure:
        if cert or key or ca:
            raise CommandFailed("--insecure uses no certificates: leave the TLS files out")
        return connect(target, actor=Actor(_PLAINTEXT_CODE, frozenset({"OPERATOR"})), retries=retries)
    tls = tls_files(cert, key, ca)
    if tls is None:
        raise CommandFailed("give --tls-cert, --tls-key and --tls-ca, or --insecure for a hub without TLS")
    return connect(target, tls=tls, retries=retries)


def tls_files(cert: Path | None, key: Path | None, ca: Path | None) -> "TlsFiles | None":
    """Take the three files together; None where none is given."""
    from medsettle.config import TlsFiles

    if cert is not None and key is not None and ca is not None:
        return TlsFiles(ca=ca, cert=cert, key=key)
    if cert or key or ca:
        raise CommandFailed("TLS needs all of --tls-cert, --tls-key and --tls-ca")
    return None
