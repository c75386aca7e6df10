"""`medsettle serve`: the options of a hub as a service, and how it ends.

Leaves out its running: running.py.
"""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medsettle.cli.keys import KEK_METAVAR, named_kek
from medsettle.cli.terminal import CommandFailed, ExitCode, wrong_input

if TYPE_CHECKING:
    from medsettle.config import EngineSettings, TlsFiles
    from medsettle.rpc.server import Listening


def serve(
    data: Annotated[Path, typer.Option(help="Data directory; made when it is not there.", file_okay=False)],
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Address to listen on; port 0 takes a free one.")
    ] = "127.0.0.1:7443",
    tls_cert: Annotated[Path | None, typer.Option(help="The hub's certificate (PEM).", dir_okay=False)] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Private key of the certificate (PEM).", dir_okay=False)] = None,
    tls_ca: Annotated[
        Path | None, typer.Option(help="Authority whose client certificates are accepted (PEM).", dir_okay=False)
    ] = None,
    revoked: Annotated[
        Path | None,
        typer.Option(help="Serial numbers of revoked client certificates, read again on change.", dir_okay=False),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Key ring; without one every chip card is refused.", dir_okay=False)
    ] = None,
    kek: Annotated[
        str | None,
        typer.Option(
            metavar=KEK_METAVAR, help="Key-encryption key of the key ring; without it a passphrase is asked for."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings: a TOML file with a table [engine].", dir_okay=False)
    ] = None,
    hub_number: Annotated[
        int | None,
        typer.Option(
            help="Number of this hub, part of every id it gives; fixed when the directory is made. 1 if unset."
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Plaintext without certificates, on loopback only; for trials.")
    ] = False,
) -> None:
    """Run a hub until SIGTERM or Ctrl-C, then answer what is under way and stop.

    Once it listens, one line goes to stdout: medsettle ready on HOST:PORT hub=NUMBER frame=NUMBER. Everything else goes
    to stderr. One hub per data directory and per port; a second one is refused.

    Exit codes: 0 stopped as asked; 1 the journal is damaged, nothing was changed; 2 could not start (a file, the
    address, or a directory that another hub uses); 3 the hub halted after a failed write or sync. What it acknowledged
    is safe, and starting it again recovers it.
    """
    # Recovery and TLS say themselves what went wrong; gRPC's own log would say it again, in its own words.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from medsettle.cli.running import run_hub

    with wrong_input():
        settings = _settings(config, hub_number)
        listening = _listening(listen, _tls(tls_cert, tls_key, tls_ca), revoked, insecure)
        if kek is not None and keys is None:
            raise CommandFailed("--kek without --keys: there is no key ring to open")
        halt_reason = run_hub(data, keys, named_kek(kek) if keys else None, settings, listening)
    if halt_reason:
        raise CommandFailed(f"the hub halted: {halt_reason}", ExitCode.HALTED)


def _settings(config: Path | None, hub_number: int | None) -> "EngineSettings":
    from medsettle.config import EngineSettings

    settings = EngineSettings() if config is None else EngineSettings.load(config)
    return settings if hub_number is None else dataclasses.replace(settings, hub_number=hub_number)


def _tls(cert: Path | None, key: Path | None, ca: Path | None) -> "TlsFiles | None":
    from medsettle.config import TlsFiles

    if cert is not None and key is not None and ca is not None:
        return TlsFiles(ca=ca, cert=cert, key=key)
    files = {"--tls-cert": cert, "--tls-key": key, "--tls-ca": ca}
    missing = [option for option, path in files.items() if path is None]
    if len(missing) < len(files):
        raise CommandFailed(f"TLS needs all of its files; missing: {', '.join(missing)}")
    return None


def _listening(address: str, tls: "TlsFiles | None", revoked: Path | None, insecure: bool) -> "Listening":
    from medsettle.rpc.server import Listening

    if tls is None and not insecure:
        raise CommandFailed(
            "give --tls-cert, --tls-key and --tls-ca (`medsettle certs` makes some for trials), "
            "or --insecure for plaintext on loopback"
        )
    if insecure and (tls is not None or revoked is not None):
        raise CommandFailed("--insecure uses no certificates: leave the TLS files and --revoked out")
    return Listening(address, tls=tls, revoked=revoked, insecure=insecure)
