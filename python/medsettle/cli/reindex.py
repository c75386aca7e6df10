"""`medsettle reindex`: make the records index of a data directory again."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from medsettle.cli.terminal import console


def reindex(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Data directory; no hub may be using it.")],
) -> None:
    """Make the records index again from the journal, of which nothing is changed; the old one stays until it is whole.

    A hub does so by itself when it finds an index that does not fit its journal; this does it while nobody waits.

    Exit codes: 0 made; 1 the journal is damaged; 2 could not run, also while a hub is using the directory.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from medsettle import journal

    started = time.monotonic()
    with Progress(
        "indexing",
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console(sys.stderr),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task("indexing", total=None)
        frames, records = journal.reindex(
            data, lambda done_bytes, total_bytes: progress.update(task, completed=done_bytes, total=total_bytes)
        )
    rate = records / max(time.monotonic() - started, 1e-9)
    print(f"{data}: {records:,} decisions of {frames:,} frames indexed, {rate:,.0f} a second")
