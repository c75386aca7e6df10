"""`medsettle verify`, `inspect` and `explain`: look into a data directory, change nothing."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medsettle.cli.terminal import CommandFailed, ExitCode, console, moment

if TYPE_CHECKING:
    from rich.tree import Tree

    from medsettle.cli.frames import Frame

_Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Data directory; a hub may be using it.")]


def verify(directory: _Directory) -> None:
    """Check every byte of a journal and list all that is wrong; nothing is changed.

    Each finding is one line: FILE at offset N: what is wrong.

    Exit codes: 0 nothing is wrong; 1 damage; 2 could not run.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from medsettle import journal

    bytes_checked = 0
    with Progress(
        "checking",
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console(sys.stderr),
        transient=True,
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task("checking", total=None)

        def show(done_bytes: int, total_bytes: int) -> None:
            nonlocal bytes_checked
            bytes_checked = done_bytes
            progress.update(task, completed=done_bytes, total=total_bytes)

        findings = journal.verify(directory, show)
    for finding in findings:
        print(f"{finding['path']} at offset {finding['offset']}: {finding['problem']}")
    if findings:
        raise CommandFailed(f"{directory}: {len(findings)} finding(s); nothing was changed", ExitCode.BAD_NEWS)
    print(f"{directory}: {bytes_checked:,} bytes checked, nothing is wrong")


def inspect(
    directory: _Directory,
    start: Annotated[int, typer.Option("--from", metavar="N", min=1, help="First frame to show.")] = 1,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="How many frames to show.")] = 100,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per frame and line, with everything.")
    ] = False,
) -> None:
    """Show the frames of a journal with the decisions and facts in them; nothing is changed.

    Names, card numbers and numbers of certificates are masked. The tree shortens long lists, --json does not.

    Exit codes: 0 shown; 1 frames are missing between those that are shown; 2 could not run.
    """
    from medsettle import journal
    from medsettle.cli.frames import frame_from

    frames = [frame_from(entry) for entry in journal.inspect(directory, start, limit)]
    out = console()
    for frame in frames:
        if as_json:
            print(json.dumps(frame.to_json(), ensure_ascii=False))
        else:
            out.print(_tree(frame))
    if not frames:
        print(f"medsettle: {directory} has no frame from number {start} on", file=sys.stderr)
    elif frames[-1].number != start + len(frames) - 1:
        raise CommandFailed(f"frames are missing; all that is wrong: medsettle verify {directory}", ExitCode.BAD_NEWS)
    elif len(frames) == limit and not as_json:
        out.print(f"{limit} frames shown; for more: --from {start + limit}")


def explain(
    directory: _Directory,
    number: Annotated[int, typer.Argument(metavar="ID", min=1, help="Of a settlement or of an unwind.")],
) -> None:
    """Tell who paid what of a settlement and why, or what an unwind took back from a thief; nothing is changed.

    Exit codes: 0 told; 1 damage, or nothing has this number; 2 could not run.
    """
    from medsettle import journal

    lines = journal.explain(directory, number)
    if lines is None:
        raise CommandFailed(f"{directory}: no settlement and no unwind has the number {number}", ExitCode.BAD_NEWS)
    for line in lines:
        print(line)


def _tree(frame: "Frame") -> "Tree":
    from rich.tree import Tree

    from medsettle.cli.frames import grow

    records = f"sequence {frame.first_sequence} to {frame.last_sequence}" if frame.records else "no decision"
    tree = Tree(
        f"frame {frame.number}  epoch {frame.epoch}  {moment(frame.stamp_ms)}  {records}  hash {frame.hash[:16]}"
    )
    for record in frame.records:
        asked = f"{record.institution_code} {record.request_id}".strip()
        branch = tree.add(f"{record.sequence}  {record.operation}  {asked}")
        for name, fact in record.facts:
            grow(branch.add(name), fact)
    return tree
