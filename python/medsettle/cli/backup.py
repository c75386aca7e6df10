"""`medsettle backup` and `restore`: frames and a snapshot out of a running hub, and a data directory out of them."""

import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medsettle.cli.connection import Insecure, TlsCa, TlsCert, TlsKey, connected
from medsettle.cli.terminal import CommandFailed, ExitCode, bytes_progress, steps_progress, wrong_input

if TYPE_CHECKING:
    from medsettle.client import Client
    from medsettle.journal import Backup
    from medsettle.v1 import operations_pb2

_TIMEOUT_S = 7 * 24 * 3_600.0
"""A first backup of a decade of a province takes as long as it takes."""

_ATTEMPT_TIMEOUT_S = 3_600.0
"""One stream; a longer one goes on where it was cut off."""


def backup(
    source: Annotated[str, typer.Option("--from", metavar="HOST:PORT", help="Address of the hub.")],
    directory: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="Backup to go on with, or a new directory.", file_okay=False)
    ],
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
    insecure: Insecure = False,
) -> None:
    """Take the journal of a running hub into a backup; callers go on settling meanwhile.

    The first time everything is taken, later only what is new. Every frame is checked as it comes: its hash, and that
    it follows the one before. What was taken before an interruption stays. The hub's newest snapshot is taken too, so
    that the restored hub starts with it; a backup without one is whole all the same. It needs a certificate with the
    role OPERATOR.

    Of what the backup holds already, the newest frames and the snapshot are read again, and a snapshot that rotted is
    taken anew. To check all of it: medsettle verify DIR. To use it: medsettle restore --backup DIR --to DATA.

    Exit codes: 0 all that was durable is in the backup; 1 the hub has forgotten what the backup holds, refuses, or the
    backup is damaged; 2 could not run.
    """
    from medsettle.client import Retries
    from medsettle.errors import ServerForgot
    from medsettle.journal import Backup
    from medsettle.v1 import operations_pb2

    started_s = time.monotonic()
    retries = Retries(attempt_timeout_s=_ATTEMPT_TIMEOUT_S)
    with wrong_input():
        client = connected(source, tls_cert, tls_key, tls_ca, insecure, retries)
    taken = taken_bytes = 0
    with client:
        with wrong_input():
            opened = Backup(directory)
        with opened as kept:
            before = kept.last_frame
            # The last frame again: that it is the same shows that the hub is still the one that was backed up.
            request = operations_pb2.OperationsTakeJournalRequest(from_frame_number=before)
            with steps_progress("taking frames") as show:
                for page in _frames_of(client, request, source):
                    if page.durable_frame_number < before:
                        raise ServerForgot(
                            f"the hub has forgotten: its newest frame is {page.durable_frame_number}, the backup in "
                            f"{directory} holds frame {before} with the hash {kept.last_hash.hex()}"
                        )
                    kept.take(page.frames)
                    taken_bytes += sum(len(frame.content) for frame in page.frames)
                    show(kept.last_frame, page.durable_frame_number)
            kept.keep()
            _take_snapshot(client, kept, directory)
    taken = kept.last_frame - before
    took_s = max(time.monotonic() - started_s, 1e-9)
    rate = f"{taken_bytes / 1e6:,.1f} MB in {took_s:.1f} s" if taken else "nothing new"
    print(
        f"{directory}: {taken:,} frame(s) taken, {rate}; it ends with frame {kept.last_frame:,}, sequence "
        f"{kept.last_sequence:,}, hash {kept.last_hash.hex()}"
    )


def _frames_of(
    client: "Client", request: "operations_pb2.OperationsTakeJournalRequest", source: str
) -> "Iterator[operations_pb2.OperationsTakeJournalResponse]":
    from medsettle.errors import Rejected

    try:
        yield from client.operations.take_journal(request, timeout=_TIMEOUT_S)
    except Rejected as refused:
        if refused.reason != "INTERNAL":
            raise
        # The file and the offset are for whoever may read the hub's log, not for every caller.
        raise CommandFailed(
            f"{source}: the hub cannot read its journal any further; its log says where. What was taken so far is kept."
            " On its machine: medsettle verify DATA",
            ExitCode.BAD_NEWS,
        ) from None


def _take_snapshot(client: "Client", kept: "Backup", directory: Path) -> None:
    from medsettle.errors import NoAnswer, Rejected, Unavailable
    from medsettle.v1 import operations_pb2

    def ask(last_frame: int) -> Iterable[operations_pb2.OperationsTakeSnapshotResponse]:
        request = operations_pb2.OperationsTakeSnapshotRequest(last_frame_number=last_frame)
        return client.operations.take_snapshot(request, timeout=_TIMEOUT_S)

    try:
        with bytes_progress("taking the snapshot") as show:
            passed = kept.take_snapshot(ask, show)
    except (Rejected, NoAnswer, Unavailable) as error:
        # All frames are there: the backup is whole.
        passed = [f"no snapshot was taken: {error}"]
    for reason in passed:
        print(f"medsettle: {reason}", file=sys.stderr)
    if kept.snapshot_frame:
        print(f"{directory}: it holds the snapshot behind frame {kept.snapshot_frame:,}")


def restore(
    source: Annotated[
        Path, typer.Option("--backup", metavar="DIR", help="Made by `medsettle backup`.", file_okay=False, exists=True)
    ],
    data: Annotated[
        Path, typer.Option("--to", metavar="DATA", help="Data directory to make; not there, or empty.", file_okay=False)
    ],
    config: Annotated[
        Path | None,
        typer.Option(help="Settings of the hub: a TOML file with a table [engine].", dir_okay=False),
    ] = None,
) -> None:
    """Make a data directory of a backup, every frame checked, ready for `medsettle serve`.

    A snapshot in the backup is put in place when the frames, folded anew, give its digest: the hub then starts with it.

    The hub keeps its number and every answer that it gave up to the last frame of the backup; a new epoch begins behind
    it. Until all is done the directory does not open; after an interruption, run the same command again. What the hub
    answered after that frame is lost: clients that remember it say so (ServerForgot).

    Exit codes: 0 restored; 1 the backup is damaged, and nothing that opens was made; 2 could not run.
    """
    from medsettle import journal
    from medsettle.config import EngineSettings

    started_s = time.monotonic()
    with wrong_input():
        settings = None if config is None else EngineSettings.load(config)
        if not any(source.iterdir()):
            raise CommandFailed(f"{source} holds no backup; medsettle backup makes one", ExitCode.COULD_NOT_RUN)
        with bytes_progress("restoring") as show:
            restored = journal.restore(source, data, settings, show)
    for reason in restored.passed:
        print(f"medsettle: {reason}", file=sys.stderr)
    begins = (
        f"with the snapshot behind frame {restored.snapshot_frame:,}"
        if restored.snapshot_frame
        else "without a snapshot, with the first frame"
    )
    print(f"{data}: the first start begins {begins}")
    print(
        f"{data}: hub {restored.hub} restored with {restored.frames:,} frames up to sequence "
        f"{restored.last_sequence:,}, hash {restored.last_hash.hex()}, every one read back and checked, in "
        f"{time.monotonic() - started_s:.1f} s; epoch {restored.epoch} begins. Next: medsettle serve --data {data} ..."
    )
