"""`medsettle snapshot`, `digest`, `trial-balance` and `confirm-clock`: what a running hub is asked for, or told.

Leaves out how it is: status.py.
"""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from medsettle.cli.connection import (
    Insecure,
    Target,
    Timeout,
    TlsCa,
    TlsCert,
    TlsKey,
    connected,
    header_of,
    once,
)
from medsettle.cli.terminal import CommandFailed, ExitCode, console, moment, wrong_input, yuan

if TYPE_CHECKING:
    from medsettle.v1.operations_pb2 import LedgerBalance, OperationsTrialBalanceResponse

_LONG_S = 3_600.0
"""A snapshot of a province waits for the index and for its disk; a digest walks the whole state."""

_AsJson = Annotated[bool, typer.Option("--json", help="The answer as JSON.")]


def snapshot(
    target: Target,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
    insecure: Insecure = False,
    timeout: Timeout = _LONG_S,
    as_json: _AsJson = False,
) -> None:
    """Let a running hub write its state down now, so that its next start reads less; callers go on settling meanwhile.

    The hub does so by itself as its journal grows; before it is stopped for long, or for a backup, it may be asked. The
    answer comes when the snapshot was read back from the disk. It needs a certificate with the role OPERATOR.

    Exit codes: 0 it is cut; 1 the hub refuses (no room, or the role is missing); 2 no answer; 3 the hub halted.
    """
    from medsettle.v1 import operations_pb2

    with wrong_input():
        header = header_of(tls_cert)
        client = connected(target, tls_cert, tls_key, tls_ca, insecure, once(timeout))
    with client:
        request = operations_pb2.OperationsSnapshotRequest(header=header)
        answer = client.operations.snapshot(request, timeout=timeout)
    if as_json:
        print(json.dumps({"snapshot_sequence": answer.snapshot_sequence}))
    else:
        print(f"{target}: the snapshot behind sequence {answer.snapshot_sequence:,} is cut and was read back")


def digest(
    target: Target,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
    insecure: Insecure = False,
    timeout: Timeout = _LONG_S,
    as_json: _AsJson = False,
) -> None:
    """Show the digest of a running hub's whole state: what any replay of its journal up to that decision must give.

    `medsettle verify` shows the digests of snapshots, and with --replay holds them against the journal. It needs a
    certificate with the role OPERATOR or AUDITOR.

    Exit codes: 0 shown; 1 the hub refuses; 2 no answer; 3 the hub halted.
    """
    from medsettle.v1 import operations_pb2

    with wrong_input():
        client = connected(target, tls_cert, tls_key, tls_ca, insecure, once(timeout))
    with client:
        answer = client.operations.digest(operations_pb2.OperationsDigestRequest(), timeout=timeout)
    shown = {"sequence": answer.header.sequence, "digest": answer.digest.hex()}
    if as_json:
        print(json.dumps(shown))
    else:
        print(f"{target}: the state behind sequence {answer.header.sequence:,} has the digest {answer.digest.hex()}")


def trial_balance(
    target: Target,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
    insecure: Insecure = False,
    timeout: Timeout = _LONG_S,
    as_json: Annotated[bool, typer.Option("--json", help="The answer as JSON, amounts in fen.")] = False,
) -> None:
    """Show the balances of all ledger accounts of a running hub; they sum to zero, always.

    The personal accounts, online accounts and purses together are what its persons hold. It needs a certificate with
    the role OPERATOR or AUDITOR.

    Exit codes: 0 the books are balanced; 1 they are not, or the hub refuses; 2 no answer; 3 the hub halted.
    """
    from medsettle import jsonform
    from medsettle.v1 import operations_pb2

    with wrong_input():
        client = connected(target, tls_cert, tls_key, tls_ca, insecure, once(timeout))
    with client:
        answer = client.operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest(), timeout=timeout)
    if as_json:
        header = jsonform.to_json(answer.header) | {"chain_hash": answer.header.chain_hash.hex()}
        print(json.dumps(jsonform.to_json(answer) | {"header": header}, ensure_ascii=False))
    else:
        _show_books(answer)
    if answer.sum_fen:
        raise CommandFailed(f"{target}: the books sum to {yuan(answer.sum_fen)} yuan, not to zero", ExitCode.BAD_NEWS)


def _show_books(books: "OperationsTrialBalanceResponse") -> None:
    from rich.table import Table

    from medsettle.v1 import operations_pb2

    table = Table(title=f"Books behind sequence {books.header.sequence:,} (yuan)", title_justify="left")
    for heading in ("account", "of", "fund", "insurance"):
        table.add_column(heading)
    table.add_column("balance", justify="right")
    for row in books.balances:
        account = operations_pb2.LedgerBalance.Account.Name(row.account)
        table.add_row(account, row.region or row.institution_code, *_fund_of(row), yuan(row.balance_fen))
    table.add_section()
    table.add_row("sum", "", "", "", yuan(books.sum_fen))
    out = console()
    out.print(table)
    out.print(f"persons and their cards hold {yuan(books.personal_balances_fen)} yuan")


def _fund_of(row: "LedgerBalance") -> tuple[str, str]:
    from medsettle.v1 import common_pb2

    fund = common_pb2.Fund.Kind.Name(row.fund) if row.fund else ""
    return fund, common_pb2.InsuranceType.Kind.Name(row.insurance_type) if row.insurance_type else ""


def confirm_clock(
    target: Target,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
    insecure: Insecure = False,
    timeout: Timeout = 10.0,
) -> None:
    """Tell a running hub that the clock of its machine, which it suspects, is right, so that it takes new work again.

    A hub suspects its clock when that jumps by more than 5 seconds, or when it starts before the newest decision was
    made. Look at the clock first (on the hub's machine: date -u), and set it where it is wrong: what is decided by a
    wrong clock stays on record with its time. It needs a certificate with the role OPERATOR.

    Exit codes: 0 it does not suspect its clock any more, or never did; 1 the hub refuses; 2 no answer; 3 the hub
    halted.
    """
    from medsettle.v1 import operations_pb2

    with wrong_input():
        header = header_of(tls_cert)
        client = connected(target, tls_cert, tls_key, tls_ca, insecure, once(timeout))
    asked = operations_pb2.OperationsStatusRequest()
    states = operations_pb2.OperationsStatusResponse.State
    with client:
        before = client.operations.status(asked, timeout=timeout)
        if before.state != states.CLOCK_SUSPECT:
            print(f"{target}: the hub does not suspect its clock; it is {states.Name(before.state)}")
            return
        client.operations.confirm_clock(operations_pb2.OperationsConfirmClockRequest(header=header), timeout=timeout)
        after = client.operations.status(asked, timeout=timeout)
    print(
        f"{target}: the hub takes its clock for right and is {states.Name(after.state)}; its newest decision is of "
        f"{moment(before.header.stamp_ms)}"
    )
