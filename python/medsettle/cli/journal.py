"""`medsettle verify`, `inspect` and `explain`: look into a data directory, change nothing."""

import dataclasses
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from medsettle.cli.terminal import MAX_NUMBER, CommandFailed, ExitCode, byte_rate, bytes_progress, console, moment

if TYPE_CHECKING:
    from rich.tree import Tree

    from medsettle.cli.frames import Frame
    from medsettle.journal import Verified, VerifiedBackup

_FRAMES_SHOWN = 100
"""Of a tree without an end: what a terminal scrolls back to."""

_Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Data directory; a hub may be using it.")]


def verify(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Data directory, which a hub may be using; or a backup.")
    ],
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Fold the journal too: each snapshot must have the digest that it gives."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with everything.")] = False,
) -> None:
    """Check every byte of a journal and of its snapshots, and list all that is wrong; nothing is changed.

    Each finding is one line: FILE at offset N: what is wrong; what to do about it. A snapshot that cannot be used costs
    the next start time, and nothing else: it begins with an older one, or with the journal.

    Of a backup, made by `medsettle backup`, every frame and the snapshot are checked likewise.

    Exit codes: 0 nothing is wrong; 1 damage; 2 could not run.
    """
    from medsettle import journal

    is_backup = journal.is_backup(directory)
    if is_backup and replay:
        raise CommandFailed(f"{directory} is a backup; medsettle restore folds its frames into a data directory")
    started_s, bytes_checked = time.monotonic(), 0
    with bytes_progress("checking") as show:

        def progress(done_bytes: int, total_bytes: int) -> None:
            nonlocal bytes_checked
            bytes_checked = done_bytes
            show(done_bytes, total_bytes)

        verified: Verified | VerifiedBackup
        if is_backup:
            verified = journal.verify_backup(directory, progress)
        else:
            verified = journal.verify(directory, progress, replay=replay)
    took_s = max(time.monotonic() - started_s, 1e-9)
    if as_json:
        _print_json(directory, verified, replay, bytes_checked, took_s)
    else:
        _print_text(directory, verified, replay, bytes_checked, took_s)
    if verified.findings:
        saved = _saved(verified)
        raise CommandFailed(
            f"{directory}: {len(verified.findings)} finding(s); {saved}nothing was changed", ExitCode.BAD_NEWS
        )


def _saved(verified: "Verified | VerifiedBackup") -> str:
    from medsettle.journal import Verified

    if isinstance(verified, Verified):
        return "the journal is whole; " * verified.journal_is_whole
    return "the frames are whole; " * verified.frames_are_whole


def _print_json(
    directory: Path, verified: "Verified | VerifiedBackup", replayed: bool, bytes_checked: int, took_s: float
) -> None:
    shown = dataclasses.asdict(verified) | {
        "directory": str(directory),
        "replayed": replayed,
        "bytes": bytes_checked,
        "seconds": round(took_s, 3),
    }
    print(json.dumps(shown, ensure_ascii=False, default=bytes.hex))


def _print_text(
    directory: Path, verified: "Verified | VerifiedBackup", replayed: bool, bytes_checked: int, took_s: float
) -> None:
    from medsettle.journal import Verified

    for finding in verified.findings:
        print(f"{finding['path']} at {finding['place']}: {finding['problem']}; {finding['advice']}")
    if isinstance(verified, Verified):
        files = f"{verified.segments:,} segment(s)"
        if verified.torn is not None:
            print(f"{verified.torn.partition(';')[0]}; opening the directory cuts it, and it is no damage")
        if verified.unfinished_snapshot is not None:
            print(f"{verified.unfinished_snapshot}: a snapshot that was not finished; the next replaces it, no damage")
    else:
        files = f"{verified.pieces:,} piece(s) of a backup"
        for left in verified.unfinished:
            print(f"{left}: left by a backup that was interrupted, or is running; the next removes it, no damage")
    for snapshot in verified.snapshots:
        print(
            f"{snapshot['path']}: the state behind frame {snapshot['frame']:,}, sequence {snapshot['sequence']:,}, "
            f"digest {cast(bytes, snapshot['digest']).hex()}"
        )
    print(
        f"{directory}: {bytes_checked:,} bytes in {files}, {verified.frames:,} frames and "
        f"{verified.records:,} decisions checked in {took_s:.1f} s: {byte_rate(bytes_checked, took_s)}, "
        f"{verified.records / took_s:,.0f} decisions/s"
    )
    if replayed:
        print(f"{directory}: replayed: {len(verified.snapshots):,} snapshot(s) have the digest that the journal gives")
    if not verified.findings:
        print(
            f"{directory}: nothing is wrong; it ends with frame {verified.last_frame:,}, sequence "
            f"{verified.last_sequence:,}, hash {verified.last_hash.hex()}"
        )


def inspect(
    directory: _Directory,
    from_frame: Annotated[
        int | None,
        typer.Option("--from", "--from-frame", metavar="N", min=1, max=MAX_NUMBER, help="First frame to show."),
    ] = None,
    to_frame: Annotated[
        int | None, typer.Option("--to", "--to-frame", metavar="N", min=1, max=MAX_NUMBER, help="Last frame to show.")
    ] = None,
    from_sequence: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=MAX_NUMBER, help="Begin with the frame that holds this decision."),
    ] = None,
    to_sequence: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=MAX_NUMBER, help="End with the frame that holds this decision."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=MAX_NUMBER, help="How many frames to show; 100 unless an end is given, or --json."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per frame and line, with everything.")
    ] = False,
) -> None:
    """Show the frames of a journal with the decisions and facts in them; nothing is changed.

    Names, card numbers and numbers of certificates are masked. The tree shortens long lists, --json does not. Frames
    are shown as they are read, so a journal of any length can be piped on: medsettle inspect DIR --json.

    Exit codes: 0 shown; 1 the journal is damaged where it was read, and what could be read is shown; 2 could not run.
    """
    from medsettle import journal
    from medsettle.cli.frames import frame_from

    if from_frame and from_sequence:
        raise CommandFailed("give --from or --from-sequence: both say where to begin")
    _check_order("--from", from_frame, "--to", to_frame)
    _check_order("--from-sequence", from_sequence, "--to-sequence", to_sequence)
    if limit is None and to_frame is None and to_sequence is None and not as_json:
        limit = _FRAMES_SHOWN
    damage: list[Mapping[str, object]] = []
    out, shown, last = console(), 0, 0
    for entry in journal.inspect(
        directory,
        from_frame=from_frame,
        to_frame=to_frame,
        from_sequence=from_sequence,
        to_sequence=to_sequence,
        limit=limit,
        on_damage=damage.append,
    ):
        frame = frame_from(entry)
        shown, last = shown + 1, frame.number
        if as_json:
            print(json.dumps(frame.to_json(), ensure_ascii=False))
        else:
            out.print(_tree(frame))
    if damage:
        first = damage[0]
        raise CommandFailed(
            f"{first['path']} at {first['place']}: {first['problem']}; frames may be missing from what is "
            f"shown. All that is wrong: medsettle verify {directory}",
            ExitCode.BAD_NEWS,
        )
    if not shown:
        where = (
            f" from number {from_frame} on"
            if from_frame
            else f" from sequence {from_sequence} on" * bool(from_sequence)
        )
        print(f"medsettle: {directory} has no frame{where}", file=sys.stderr)
    elif shown == limit:
        # What --json prints is all there is on stdout.
        more = f"{shown} frame{'s' * (shown != 1)} shown; for more: --from {last + 1}"
        print(more, file=sys.stderr if as_json else sys.stdout)


def _check_order(first_name: str, first: int | None, last_name: str, last: int | None) -> None:
    if first and last and first > last:
        raise CommandFailed(f"{first_name} {first} lies behind {last_name} {last}")


def explain(
    directory: _Directory,
    number: Annotated[
        int, typer.Argument(metavar="ID", min=1, max=MAX_NUMBER, help="Of a settlement or of an unwind.")
    ],
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

    to_last = f" to {frame.last_sequence}" * (frame.first_sequence != frame.last_sequence)
    records = f"sequence {frame.first_sequence}{to_last}" if frame.records else "no decision"
    kind = "" if frame.kind == "business" else f"{frame.kind}  "
    tree = Tree(
        f"frame {frame.number}  {kind}epoch {frame.epoch}  {moment(frame.stamp_ms)}  {records}  hash {frame.hash[:16]}"
    )
    for record in frame.records:
        asked = f"{record.institution_code} {record.request_id}".strip()
        refused = "  refused" if record.refused else ""
        branch = tree.add(f"{record.sequence}  {record.operation}  {asked}{refused}")
        for name, fact in record.facts:
            grow(branch.add(name), fact)
    return tree
