"""What commands that ask a running hub share: where it is and who asks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from medsettle.cli.terminal import CommandFailed

if TYPE_CHECKING:
    from medsettle.client import Client, Retries
    from medsettle.config import TlsFiles

# A hub without TLS is told who asks.
_PLAINTEXT_CODE = "MEDSETTLECLI"

TlsCert: TypeAlias = Annotated[Path | None, typer.Option(help="Own certificate (PEM).", dir_okay=False)]
TlsKey: TypeAlias = Annotated[Path | None, typer.Option(help="Private key of the certificate (PEM).", dir_okay=False)]
TlsCa: TypeAlias = Annotated[
    Path | None, typer.Option(help="Authority of the hub's certificate (PEM).", dir_okay=False)
]
Insecure: TypeAlias = Annotated[
    bool, typer.Option("--insecure", help="For a hub that serves plaintext on this machine.")
]


def connected(
    target: str, cert: Path | None, key: Path | None, ca: Path | None, insecure: bool, retries: "Retries | None" = None
) -> "Client":
    """Make a client of the hub; without `retries` it asks once."""
    from medsettle.auth.actor import Actor
    from medsettle.client import Retries, connect

    retries = retries or Retries(attempts=1)
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
