"""`medsettle export`: the facts of a journal as tables for analysts."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, cast

import typer

from medsettle.cli.terminal import MAX_NUMBER, CommandFailed, ExitCode, steps_progress, yuan


class Format(StrEnum):
    """How tables are written."""

    PARQUET = "parquet"


def export(
    data: Annotated[Path, typer.Option(help="Data directory; a hub may be using it.", file_okay=False)],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Directory for the tables; made when it is not there.")],
    format: Annotated[Format, typer.Option(help="How the tables are written.")] = Format.PARQUET,
    to_sequence: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=MAX_NUMBER,
            help="Last decision to export, which must be there; all that are durable if unset.",
        ),
    ] = None,
) -> None:
    """Write the facts of a journal as Parquet tables; nothing is changed.

    records (every decision), settlements (who pays what, to the fen; negations and recomputations as rows of their
    own), ledger_legs (the double-entry books), card_events, account_movements. Amounts are whole fen, times are in UTC.
    No name, no number of a certificate and no card number is exported; persons and cards have their ids.

    To check: the legs sum to zero, and by account to the hub's trial balance behind the sequence that is printed; the
    movements of all accounts but BANK sum to what its persons hold then.

    Exit codes: 0 exported; 1 the journal is damaged, and nothing was exported; 2 could not run.
    """
    from medsettle import journal
    from medsettle.v1 import journal_pb2

    try:
        from medsettle.export import rows, tables
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "pyarrow":
            raise
        raise CommandFailed(
            "the tables are written by pyarrow, which is not installed: pip install 'medsettle[export]'"
        ) from None

    if to_sequence is not None:
        _check_reached(data, to_sequence)
    files = tables.ParquetFiles(out)
    last = legs_fen = held_fen = 0
    try:
        with steps_progress("exporting decisions") as show:
            for frame in journal.inspect(data, to_sequence=to_sequence):
                number, stamp_ms = cast(int, frame["number"]), cast(int, frame["stamp_ms"])
                for encoded in cast(list[bytes], frame["records"]):
                    record = journal_pb2.Record.FromString(encoded)
                    if to_sequence is not None and record.sequence > to_sequence:
                        break
                    added = files.add(rows.Decided(record, number, stamp_ms))
                    legs_fen += sum(leg["amount_fen"] for leg in added["ledger_legs"])
                    held_fen += sum(
                        row["amount_fen"] for row in added["account_movements"] if row["account"] != rows.OF_THE_BANK
                    )
                    last = record.sequence
                show(last, to_sequence or 0)
    except BaseException:
        files.discard()
        raise
    written = files.finish()
    for name, count in written.items():
        print(f"{out / name}.parquet: {count:,} rows")
    print(
        f"{data}: exported up to sequence {last:,}; the ledger's legs sum to {yuan(legs_fen)} yuan, the accounts and "
        f"purses hold {yuan(held_fen)} yuan"
    )
    if legs_fen:
        raise CommandFailed(f"{data}: the ledger's legs sum to {yuan(legs_fen)} yuan, not to zero", ExitCode.BAD_NEWS)


def _check_reached(data: Path, sequence: int) -> None:
    """Refuse an end that the journal has not come to, before anything is written."""
    from medsettle import journal

    if not list(journal.inspect(data, from_sequence=sequence, limit=1)):
        last = max((cast(int, frame["last_sequence"]) for frame in journal.inspect(data)), default=0)
        raise CommandFailed(f"{data}: the journal ends with sequence {last:,}; there is no sequence {sequence:,} yet")
