"""`medsettle status`: ask a running hub how it is."""

import json
from typing import Annotated

import typer

from medsettle.cli.connection import Insecure, Target, Timeout, TlsCa, TlsCert, TlsKey, connected, once
from medsettle.cli.terminal import CommandFailed, ExitCode, console, moment, wrong_input


def status(
    target: Target,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
    insecure: Insecure = False,
    timeout: Timeout = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="The hub's answer as JSON.")] = False,
) -> None:
    """Show a hub's state, its newest frame, how many persons and open stays it holds, and its version.

    The hash is that of the frame with the newest decision; a seal, which decides nothing, may be the newest frame, and
    its hash is the one that `medsettle verify` ends with.

    Exit codes: 0 it serves; 1 it answers but does not serve fully; 2 no answer; 3 it halted.
    """
    from rich.table import Table

    from medsettle import jsonform
    from medsettle.errors import Halted
    from medsettle.v1 import operations_pb2

    with wrong_input():
        client = connected(target, tls_cert, tls_key, tls_ca, insecure, once(timeout))
    try:
        with client:
            answer = client.operations.status(operations_pb2.OperationsStatusRequest(), timeout=timeout)
    except Halted as halted:
        raise CommandFailed(f"{target}: the hub halted. {halted}", ExitCode.HALTED) from None
    state = operations_pb2.OperationsStatusResponse.State.Name(answer.state)
    if as_json:
        # Hashes as every other command writes them, so that they can be compared with verify's.
        header = jsonform.to_json(answer.header) | {"chain_hash": answer.header.chain_hash.hex()}
        shown = jsonform.to_json(answer) | {"header": header, "seen_chain_hash": answer.seen_chain_hash.hex()}
        print(json.dumps(shown, ensure_ascii=False))
    else:
        decided = answer.header.sequence > 0
        table = Table("", "", show_header=False)
        table.add_row("state", f"{state} {answer.halt_reason}".strip())
        table.add_row("hub", str(answer.hub_number))
        table.add_row("home regions", ", ".join(answer.home_regions) or "none yet")
        table.add_row("persons", f"{answer.persons:,}")
        table.add_row("open stays", f"{answer.open_stays:,}")
        table.add_row("newest frame", f"{answer.frame_number:,}")
        table.add_row("newest decision", f"{answer.header.sequence:,}" if decided else "none yet")
        table.add_row("hash of its frame", answer.header.chain_hash.hex() if decided else "none yet")
        table.add_row("decided", moment(answer.header.stamp_ms) if decided else "none yet")
        table.add_row("version", answer.version)
        console().print(table)
    if state == "HALTED":
        raise CommandFailed(f"{target}: the hub halted: {answer.halt_reason}", ExitCode.HALTED)
    if state != "SERVING":
        raise CommandFailed(f"{target}: the hub is {state}", ExitCode.BAD_NEWS)
