"""The tables as Parquet files: their columns, and writing them in row groups.

Owns names and types of columns: amounts are whole fen in 64 bits, times are milliseconds in UTC, days are dates.
Invariant: memory holds one row group of each table, however long the journal is.
Invariant: `tmp -> sync -> rename`; a directory holds all tables of one run, or none of them under its name.
Invariant: one export at a time writes to a directory; it holds a lock on it.
Leaves out which facts become which rows: rows.py.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
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
        """Begin the files; raises OSError: where one of them is there, too, and while another export writes there."""
        if directory.is_symlink() and not directory.exists():
            raise FileNotFoundError(2, f"is a link to {os.readlink(directory)}, which is not there", str(directory))
        if directory.exists() and not directory.is_dir():
            raise NotADirectoryError(20, "is no directory", str(directory))
        self._made = not directory.exists()
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._taken = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self._tables: dict[str, _Writing] = {}
        try:
            self._begin()
        except BaseException:
            self.discard()
            raise

    def _begin(self) -> None:
        try:
            fcntl.flock(self._taken, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FileExistsError(17, "another export is writing there", str(self._directory)) from None
        for name in TABLES:
            # Whatever has the name, also a link that leads nowhere.
            if os.path.lexists(path := self._directory / f"{name}.parquet"):
                raise FileExistsError(17, "is there already; an export never replaces another", str(path))
        for name, table in TABLES.items():
            temporary = self._directory / f"{name}.parquet.tmp"
            # Of an export that was killed; nobody else writes there.
            temporary.unlink(missing_ok=True)
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
        os.fsync(self._taken)
        os.close(self._taken)
        return {name: writing.rows for name, writing in self._tables.items()}

    def discard(self) -> None:
        """Remove what was written; there is no half export."""
        for writing in self._tables.values():
            # On a full disk closing fails as well; the file goes all the same.
            with suppress(OSError, pa.ArrowException):
                writing.writer.close()
            writing.temporary.unlink(missing_ok=True)
        os.close(self._taken)
        if self._made:
            with suppress(OSError):
                self._directory.rmdir()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
