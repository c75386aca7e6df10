"""The tables as Parquet files: their columns, and writing them in row groups.

Owns names and types of columns: amounts are whole fen in 64 bits, times are milliseconds in UTC, days are dates.
Invariant: memory holds one row group of each table, however long the journal is.
Invariant: `tmp -> sync -> rename`; a directory holds all tables of one run, or none of them under its name.
Leaves out which facts become which rows: rows.py.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from medsettle.export import rows
from medsettle.export.rows import Decided, Row

ROWS_OF_GROUP = 50_000
"""Rows that are written together: some megabytes in memory, and enough that columns compress well."""

_STAMP = pa.timestamp("ms", tz="UTC")
_TEXTS = pa.list_(pa.string())
_KEY = [("sequence", pa.int64()), ("stamp", _STAMP)]


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema([*_KEY, *columns])


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns and the rows that a record gives to it."""

    schema: pa.Schema
    rows: Callable[[Decided], Iterator[Row]]


TABLES: Mapping[str, Table] = {
    "records": Table(
        _schema(
            ("frame_number", pa.int64()),
            ("operation", pa.int32()),
            ("method", pa.string()),
            ("institution_code", pa.string()),
            ("request_id", pa.string()),
            ("request_digest", pa.string()),
            ("created", _STAMP),
            ("operator", pa.string()),
            ("roles", _TEXTS),
            ("forwarded_by", pa.string()),
            ("refused", pa.bool_()),
            ("facts", _TEXTS),
        ),
        rows.records,
    ),
    "settlements": Table(
        _schema(
            ("kind", pa.string()),
            ("settlement_id", pa.int64()),
            ("cancellation_id", pa.int64()),
            ("stay_id", pa.int64()),
            ("person_id", pa.int64()),
            ("institution_code", pa.string()),
            ("visit_kind", pa.string()),
            ("insured_region", pa.string()),
            ("care_region", pa.string()),
            ("insurance_type", pa.string()),
            ("category", pa.string()),
            ("filing_kind", pa.string()),
            ("scope", pa.string()),
            ("level", pa.string()),
            ("admission_date", pa.date32()),
            ("discharge_date", pa.date32()),
            ("terminal_id", pa.string()),
            *((name, pa.int64()) for name in rows.SPLIT_FIELDS),
            ("fund_delta_fen", pa.int64()),
            ("catalogue_hash", pa.string()),
            ("policy_hashes", _TEXTS),
        ),
        rows.settlements,
    ),
    "ledger_legs": Table(
        _schema(
            ("fact", pa.string()),
            ("account", pa.string()),
            ("region", pa.string()),
            ("fund", pa.string()),
            ("insurance_type", pa.string()),
            ("institution_code", pa.string()),
            ("amount_fen", pa.int64()),
        ),
        rows.ledger_legs,
    ),
    "card_events": Table(
        _schema(
            ("event", pa.string()),
            ("card_id", pa.int64()),
            ("person_id", pa.int64()),
            ("institution_code", pa.string()),
            ("zone", pa.string()),
            ("zones", _TEXTS),
            ("loss", pa.string()),
            ("cause", pa.string()),
            ("channel", pa.string()),
            ("region", pa.string()),
            ("generation", pa.string()),
            ("predecessor_card_id", pa.int64()),
            ("cancelled_card_id", pa.int64()),
            ("verified_by", pa.string()),
            ("count", pa.int64()),
            ("atc", pa.int64()),
        ),
        rows.card_events,
    ),
    "account_movements": Table(
        _schema(
            ("event", pa.string()),
            ("account", pa.string()),
            ("person_id", pa.int64()),
            ("card_id", pa.int64()),
            ("settlement_id", pa.int64()),
            ("institution_code", pa.string()),
            ("amount_fen", pa.int64()),
            ("reference", pa.string()),
        ),
        rows.account_movements,
    ),
}
"""Every table by its name."""


@dataclass(slots=True)
class _Writing:
    """One table that is being written."""

    table: Table
    temporary: Path
    writer: pq.ParquetWriter
    waiting: list[Row] = field(default_factory=list)
    rows: int = 0

    def add(self, decided: Decided) -> list[Row]:
        added = list(self.table.rows(decided))
        self.waiting.extend(added)
        if len(self.waiting) >= ROWS_OF_GROUP:
            self.flush()
        return added

    def flush(self) -> None:
        if self.waiting:
            self.writer.write_table(pa.Table.from_pylist(self.waiting, schema=self.table.schema))
            self.rows += len(self.waiting)
            self.waiting = []


class ParquetFiles:
    """All tables as files `NAME.parquet` of a directory that holds none of them yet."""

    def __init__(self, directory: Path) -> None:
        """Begin the files; raises FileExistsError when one of them is there."""
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        for name in TABLES:
            if (path := directory / f"{name}.parquet").exists():
                raise FileExistsError(17, "is there already; an export never replaces another", str(path))
        self._tables: dict[str, _Writing] = {}
        for name, table in TABLES.items():
            temporary = directory / f"{name}.parquet.tmp"
            writer = pq.ParquetWriter(temporary, table.schema, compression="zstd")
            self._tables[name] = _Writing(table, temporary, writer)

    def add(self, decided: Decided) -> dict[str, list[Row]]:
        """Add what a record gives to each table; gives those rows."""
        return {name: writing.add(decided) for name, writing in self._tables.items()}

    def finish(self) -> dict[str, int]:
        """Make all files whole and give them their names; gives the rows of each table."""
        for writing in self._tables.values():
            writing.flush()
            writing.writer.close()
            _sync(writing.temporary)
        for name, writing in self._tables.items():
            writing.temporary.rename(self._directory / f"{name}.parquet")
        _sync(self._directory)
        return {name: writing.rows for name, writing in self._tables.items()}

    def discard(self) -> None:
        """Remove what was written; there is no half export."""
        for writing in self._tables.values():
            writing.writer.close()
            writing.temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
