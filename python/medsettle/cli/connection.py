"""What commands that ask a running hub share: where it is and who asks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from medsettle.cli.terminal import CommandFailed

if TYPE_CHECKING:
    from medsettle.client import Client, Retries

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
    from medsettle.config import TlsFiles

    retries = retries or Retries(attempts=1)
    if insecure:
        if cert or key or ca:
            raise CommandFailed("--insecure uses no certificates: leave the TLS files out")
        return connect(target, actor=Actor(_PLAINTEXT_CODE, frozenset({"OPERATOR"})), retries=retries)
    if cert is None or key is None or ca is None:
        raise CommandFailed("give --tls-cert, --tls-key and --tls-ca, or --insecure for a hub without TLS")
    return connect(target, tls=TlsFiles(ca=ca, cert=cert, key=key), retries=retries)
