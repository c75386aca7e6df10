"""`medsettle import`: files of persons, cards, accounts, accumulators and filings into a hub.

Invariant: a file that is not what was announced is refused before anything is sent.
Leaves out the import itself: the package importing.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medsettle.cli.connection import Insecure, TlsCa, TlsCert, TlsKey, tls_files
from medsettle.cli.keys import KEK_METAVAR, named_kek
from medsettle.cli.terminal import CommandFailed, ExitCode, bytes_progress, console, steps_progress, wrong_input, yuan

if TYPE_CHECKING:
    from medsettle.importing.files import Subject
    from medsettle.importing.session import Job, Totals

_HUB = "The hub"
_ANNOUNCED = "What was announced"
_WRITTEN = "What is written"


class Kind(StrEnum):
    """What a file holds, row by row."""

    PERSONS = "persons"
    CARDS = "cards"
    ACCOUNTS = "accounts"
    ACCUMULATORS = "accumulators"
    FILINGS = "filings"


_File = Annotated[Path | None, typer.Argument(metavar="FILE", help="CSV (UTF-8, with a header) or Parquet.")]
_Columns = Annotated[bool, typer.Option("--columns", help="Show the columns of such a file, and nothing else.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Check the whole file without a hub; nothing is sent.")]
_Data = Annotated[
    Path | None,
    typer.Option(help="Data directory, which no hub may be using.", file_okay=False, rich_help_panel=_HUB),
]
_Institution = Annotated[
    str | None,
    typer.Option(
        metavar="CODE",
        help="Institution that imports, 12 characters; over TLS the certificate names it.",
        rich_help_panel=_HUB,
    ),
]
_Config = Annotated[
    Path | None,
    typer.Option(help="Settings of the hub at --data: a TOML file.", dir_okay=False, rich_help_panel=_HUB),
]
_Keys = Annotated[
    Path | None,
    typer.Option(
        help="Key ring of the hub at --data, by which it tells chips that can be used.",
        dir_okay=False,
        rich_help_panel=_HUB,
    ),
]
_Kek = Annotated[
    str | None, typer.Option(metavar=KEK_METAVAR, help="Key-encryption key of the key ring.", rich_help_panel=_HUB)
]
_To = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="A hub that runs, instead of --data.", rich_help_panel=_HUB)
]
_Rows = Annotated[
    int | None, typer.Option(metavar="N", min=0, help="Rows the file must have.", rich_help_panel=_ANNOUNCED)
]
_Fen = Annotated[
    int | None,
    typer.Option(metavar="N", help="Fen that all its money columns must sum to.", rich_help_panel=_ANNOUNCED),
]
_ControlTotals = Annotated[
    Path | None,
    typer.Option(
        metavar="JSON",
        help='The same from a file: {"rows": N, "total_fen": N}.',
        dir_okay=False,
        rich_help_panel=_ANNOUNCED,
    ),
]
_Rejects = Annotated[
    Path | None,
    typer.Option(
        metavar="CSV",
        help="Rows that were refused, and why. FILE.rejects.csv if unset, FILE.dry-run.csv of a dry run.",
        dir_okay=False,
        rich_help_panel=_WRITTEN,
    ),
]
_Checkpoint = Annotated[
    Path | None,
    typer.Option(
        metavar="JSON",
        help="How far the import is. FILE.checkpoint.json if unset.",
        dir_okay=False,
        rich_help_panel=_WRITTEN,
    ),
]


def import_(
    kind: Annotated[Kind, typer.Argument(help="What the file holds.")],
    file: _File = None,
    columns: _Columns = False,
    dry_run: _DryRun = False,
    data: _Data = None,
    institution: _Institution = None,
    config: _Config = None,
    keys: _Keys = None,
    kek: _Kek = None,
    to: _To = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
    insecure: Insecure = False,
    expect_rows: _Rows = None,
    expect_total_fen: _Fen = None,
    control_totals: _ControlTotals = None,
    rejects: _Rejects = None,
    checkpoint: _Checkpoint = None,
) -> None:
    """Import a file: each row is the ordinary request that a desk would make, asked for once however often it is sent.

    An import that was broken off goes on when the same command is given again. Rows that were refused stand in the
    rejects file; mended there, it can be imported as any file. What is announced (--expect-rows, --expect-total-fen,
    --control-totals) is compared before anything is sent.

    Exit codes: 0 all rows are in the hub; 1 some were rejected, or the file is not what was announced; 2 could not run
    or was broken off.
    """
    from medsettle.importing import session

    if columns:
        _show_columns(kind)
        return
    if file is None:
        raise CommandFailed("give the FILE to import, or --columns")
    job = session.Job(
        kind.value,
        file,
        rejects or file.with_name(file.name + (".dry-run.csv" if dry_run else ".rejects.csv")),
        checkpoint or file.with_name(file.name + ".checkpoint.json"),
    )
    if len({path.resolve() for path in (job.file, job.rejects, job.checkpoint)}) < 3:
        raise CommandFailed("the file, its rejects and its checkpoint must be three files")
    with wrong_input():
        announced = _announced(expect_rows, expect_total_fen, control_totals)
        if dry_run:
            _tell_check(job, _checked(job, job.rejects), announced)
            return
        where = _Where(data, institution, config, keys, kek, to, tls_cert, tls_key, tls_ca, insecure)
        if announced:
            _compare(job, _checked(job, None), announced)
        totals, took_s = _imported(job, where)
    _tell(job, totals, took_s)


def _show_columns(kind: Kind) -> None:
    from rich.table import Table

    from medsettle.importing import session

    table = Table("column", "", "what stands in it", title=f"medsettle import {kind}")
    for column in session.columns(kind):
        needed = "required" if column.required else "optional"
        times = f", also {column.name}_2 to _{column.times}" if column.times > 1 else ""
        table.add_row(column.name, needed, f"{column.about}{times}{'; counts in the totals' if column.money else ''}")
    console(sys.stdout).print(table)


class _Where:
    """The hub and the caller, as the options name them."""

    def __init__(
        self,
        data: Path | None,
        institution: str | None,
        config: Path | None,
        keys: Path | None,
        kek: str | None,
        to: str | None,
        cert: Path | None,
        key: Path | None,
        ca: Path | None,
        insecure: bool,
    ) -> None:
        from medsettle.auth.actor import Actor
        from medsettle.auth.ca import actor_of
        from medsettle.importing.ways import ROLES

        if (data is None) == (to is None):
            raise CommandFailed("give --data, a directory that no hub is using, or --to, a hub that runs")
        self.data, self.to = data, to
        self.tls = tls_files(cert, key, ca)
        if data is not None:
            if self.tls is not None or insecure:
                raise CommandFailed("TLS files and --insecure are for a hub that runs: give them with --to")
            if kek is not None and keys is None:
                raise CommandFailed("--kek without --keys: there is no key ring to open")
        elif config is not None or keys is not None or kek is not None:
            raise CommandFailed("--config, --keys and --kek are the running hub's own: leave them out")
        elif insecure == (self.tls is not None):
            raise CommandFailed("give --tls-cert, --tls-key and --tls-ca, or --insecure for a hub without TLS")
        self.config, self.keys = config, keys
        self.kek = None if keys is None else named_kek(kek)
        if self.tls is not None:
            self.actor = actor_of(Path(self.tls.cert))
            if institution not in (None, self.actor.institution):
                raise CommandFailed(f"{self.tls.cert} names {self.actor.institution}, not {institution}")
        elif institution is None:
            raise CommandFailed("give --institution, the code under which the hub keeps the requests")
        else:
            self.actor = Actor(institution, ROLES)


def _imported(job: "Job", where: _Where) -> "tuple[Totals, float]":
    from medsettle.importing import session

    with bytes_progress("reading") as show:
        of = session.subject(job, where.actor.institution, show)
    started = time.monotonic()
    try:
        with steps_progress("importing") as show:
            return asyncio.run(_run(job, of, where, show)), time.monotonic() - started
    except session.AlreadyImported as already:
        print(f"{job.file}: by {job.checkpoint} every row was sent before; nothing was sent now. The totals of then:")
        return already.totals, 0.0
    except KeyboardInterrupt:
        raise CommandFailed("broken off; the same command goes on where it was") from None


async def _run(job: "Job", of: "Subject", where: _Where, show: Callable[[int, int], None]) -> "Totals":
    from medsettle.config import EngineSettings
    from medsettle.hub import AsyncHub
    from medsettle.importing import session, ways

    if where.to is not None:
        actor = None if where.tls is not None else where.actor
        async with ways.OverStream(where.to, tls=where.tls, actor=actor) as stream:
            return await session.run(job, of, stream, show)
    assert where.data is not None
    if not where.data.is_dir():
        raise CommandFailed(f"{where.data}: is no data directory; `medsettle serve` makes one")
    settings = None if where.config is None else EngineSettings.load(where.config)
    async with await AsyncHub.open(where.data, keys=where.keys, kek=where.kek, settings=settings) as hub:
        return await session.run(job, of, ways.Embedded(hub, where.actor.institution), show)


def _announced(rows: int | None, fen: int | None, control_totals: Path | None) -> dict[str, int]:
    """Gather what the file must be: `rows`, `total_fen`; raises ValueError."""
    options = {"rows": rows, "total_fen": fen}
    announced = {name: value for name, value in options.items() if value is not None}
    if control_totals is None:
        return announced
    try:
        told: dict[str, int] = json.loads(control_totals.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{control_totals}: is no JSON") from None
    whole = isinstance(told, dict) and all(type(value) is int for value in told.values())
    if not whole or not told or told.keys() - options.keys():
        raise ValueError(f'{control_totals}: must be {{"rows": N, "total_fen": N}} or one of the two')
    if both := sorted(announced.keys() & told.keys()):
        raise ValueError(f"{', '.join(both)}: is announced by an option and by {control_totals}")
    return announced | told


def _checked(job: "Job", rejects: Path | None) -> "Totals":
    from medsettle.importing import session

    with steps_progress("checking") as show:
        return session.check(job.kind, job.file, rejects, show)


def _compare(job: "Job", totals: "Totals", announced: dict[str, int]) -> None:
    if wrong := _not_announced(totals, announced):
        raise CommandFailed(f"{job.file}: {wrong}; nothing was sent", ExitCode.BAD_NEWS)


def _not_announced(totals: "Totals", announced: dict[str, int]) -> str:
    found = {"rows": totals.all.rows, "total_fen": totals.all.fen}
    wrong = [
        f"{name} is {found[name]:,} and {value:,} was announced"
        for name, value in announced.items()
        if found[name] != value
    ]
    return "; ".join(wrong)


def _tell_check(job: "Job", totals: "Totals", announced: dict[str, int]) -> None:
    print(f"{job.file}: {totals.all.rows:,} rows, {yuan(totals.all.fen)} yuan ({totals.all.fen} fen)")
    print(f"  well formed {totals.imported.rows:,} rows, {totals.imported.fen} fen")
    print(f"  rejected    {totals.rejected.rows:,} rows, {totals.rejected.fen} fen")
    print("nothing was sent; what depends on the hub (who is enrolled, which regions there are) was not looked at")
    wrong = [_not_announced(totals, announced), _of_rejects(job, totals)]
    if any(wrong):
        raise CommandFailed(f"{job.file}: {'; '.join(filter(None, wrong))}", ExitCode.BAD_NEWS)


def _tell(job: "Job", totals: "Totals", took_s: float) -> None:
    per_s = f", {totals.all.rows / took_s:,.0f} rows a second" if took_s else ""
    print(f"{job.file}: {totals.all.rows:,} rows, {yuan(totals.all.fen)} yuan ({totals.all.fen} fen){per_s}")
    print(f"  imported      {totals.imported.rows:,} rows, {totals.imported.fen} fen")
    print(f"  already there {totals.already.rows:,} rows, {totals.already.fen} fen")
    print(f"  rejected      {totals.rejected.rows:,} rows, {totals.rejected.fen} fen")
    if wrong := _of_rejects(job, totals):
        raise CommandFailed(wrong, ExitCode.BAD_NEWS)


def _of_rejects(job: "Job", totals: "Totals") -> str:
    if not totals.rejected.rows:
        return ""
    return (
        f"{totals.rejected.rows:,} rejected: {job.rejects} says why. Once its rows are mended, or the hub has what "
        "they need, import that file"
    )
