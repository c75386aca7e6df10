"""`medsettle bench`: load a hub and say what it held, with the proof that it was counted right.

Invariant: what cannot be is refused before anything is prepared, an output file that cannot be written included.
Leaves out the load itself: the package bench.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from medsettle.cli.connection import Insecure, TlsCa, TlsCert, TlsKey, tls_files
from medsettle.cli.terminal import CommandFailed, ExitCode, console, stages_progress, wrong_input

if TYPE_CHECKING:
    from medsettle.bench.session import Report

Kind = TypeVar("Kind", bound=Enum)

app = typer.Typer(no_args_is_help=False, rich_markup_mode="markdown")

_LOAD = "The load"
_PLACE = "The hub"
_OUTPUT = "What is written"


_Workload = Annotated[str, typer.Option(metavar="visit|stay|mixed", help="What is asked.", rich_help_panel=_LOAD)]
_Call = Annotated[str, typer.Option(metavar="unary|batch|stream", help="How commands travel.", rich_help_panel=_LOAD)]
_Callers = Annotated[
    int, typer.Option(help="Closed loop: callers, each waiting for its answer.", rich_help_panel=_LOAD)
]
_Rate = Annotated[
    float | None,
    typer.Option(help="Open loop: visits, stays or events per second, whatever the hub does.", rich_help_panel=_LOAD),
]
_Intensity = Annotated[
    int | None,
    typer.Option(metavar="1|10|100", help="Open loop for the mix: so many times the country.", rich_help_panel=_LOAD),
]
_BatchSize = Annotated[int, typer.Option(help="Commands in one message.", rich_help_panel=_LOAD)]
_Count = Annotated[int, typer.Option(help="Visits, stays or events of one run.", rich_help_panel=_LOAD)]
_Duration = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Length of a run, instead of --count.", rich_help_panel=_LOAD)
]
_Warmup = Annotated[int, typer.Option(help="As many before the first run, not measured.", rich_help_panel=_LOAD)]
_Runs = Annotated[int, typer.Option(help="Measured runs; the median is shown.", rich_help_panel=_LOAD)]
_Persons = Annotated[int, typer.Option(help="Persons of the trial town.", rich_help_panel=_LOAD)]
_Seed = Annotated[int, typer.Option(help="The same seed draws the same load.", rich_help_panel=_LOAD)]
_Data = Annotated[
    Path | None,
    typer.Option(help="Data directory to make, for a disk of your choice.", file_okay=False, rich_help_panel=_PLACE),
]
_Trial = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Trial folder to make or to go on with.", file_okay=False, rich_help_panel=_PLACE),
]
_Serve = Annotated[
    bool, typer.Option("--serve", help="Start the hub as a process, over mutual TLS.", rich_help_panel=_PLACE)
]
_Target = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="A hub that runs on a trial folder.", rich_help_panel=_PLACE)
]
_ServerPid = Annotated[
    int | None,
    typer.Option(
        help="Process of the hub at --target on this machine, for its processor time.", rich_help_panel=_PLACE
    ),
]
_JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="All figures.", dir_okay=False, rich_help_panel=_OUTPUT)
]
_HtmlFile = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="A page with pictures.", dir_okay=False, rich_help_panel=_OUTPUT),
]


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    workload: _Workload = "visit",
    call: _Call = "unary",
    callers: _Callers = 32,
    rate: _Rate = None,
    intensity: _Intensity = None,
    batch_size: _BatchSize = 100,
    count: _Count = 5_000,
    duration: _Duration = None,
    warmup: _Warmup = 500,
    runs: _Runs = 3,
    persons: _Persons = 2_000,
    seed: _Seed = 1,
    data: _Data = None,
    trial: _Trial = None,
    serve: _Serve = False,
    target: _Target = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    tls_ca: TlsCa = None,
    insecure: Insecure = False,
    server_pid: _ServerPid = None,
    json_file: _JsonFile = None,
    html_file: _HtmlFile = None,
) -> None:
    """Load a hub with trial persons whose cards have signed beforehand, and say what it held.

    Without options: an embedded hub in a scratch directory, 32 callers, three runs of 5,000 visits. The hub is
    embedded, a process of its own (--serve), or one that runs on a folder of `medsettle bench trial` (--target).

    In the open loop (--rate, --intensity) latencies count from the moment at which a call was meant to be made. At the
    end the generator's books are compared with the hub's journal.

    Exit codes: 0 measured; 1 books and journal disagree, or a run was cut short; 2 could not run.
    """
    if context.invoked_subcommand is not None:
        return
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with needed_packages(), wrong_input():
        import uvloop

        from medsettle.bench import plan as plans
        from medsettle.bench.place import Place
        from medsettle.bench.session import benchmark

        plan = plans.Plan(
            workload=_choice("--workload", workload, plans.Workload),
            call=_choice("--call", call, plans.CallKind),
            callers=callers,
            rate=rate,
            intensity=intensity,
            batch_size=batch_size,
            count=count,
            duration_s=duration,
            warm_up=warmup,
            runs=runs,
            persons=persons,
            seed=seed,
        )
        tls = tls_files(tls_cert, tls_key, tls_ca)
        place = Place(trial, data, serve, target, tls, insecure, server_pid)
        for file in (json_file, html_file):
            if file is not None:
                _must_be_writable(file)
        with stages_progress() as telling:
            report = uvloop.run(benchmark(plan, place, telling))
    _show(report)
    _write(report, json_file, html_file)
    if bad := [*report.problems, *report.incomplete]:
        raise CommandFailed("; ".join(bad), ExitCode.BAD_NEWS)


@app.command("trial")
def make_trial(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="New directory.", file_okay=False)],
) -> None:
    """Make a trial folder: key ring, certificates, settings, and the issuer keys of trial cards; says how to use it."""
    with needed_packages(), wrong_input():
        from medsettle.bench import trial

        scratch = trial.make(directory)
        trial.certificates(scratch, trial.Actors())
    tls = scratch.server_tls
    print(f"{directory}: made. Serve it, and load it from another terminal:\n")
    print(
        f"medsettle serve --data {scratch.data} --config {scratch.config} "
        f"--keys {scratch.key_ring} --kek {scratch.kek} "
        f"--tls-ca {tls.ca} --tls-cert {tls.cert} --tls-key {tls.key} --listen 127.0.0.1:7443"
    )
    print(f"medsettle bench --target 127.0.0.1:7443 --trial {directory}")


@app.command()
def payloads(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="New directory.", file_okay=False)],
    trial: Annotated[Path, typer.Option(metavar="DIR", help="Trial folder to make or to go on with.", file_okay=False)],
    count: Annotated[int, typer.Option(help="Visits, each a request of its own.")] = 10_000,
    batch_size: Annotated[int, typer.Option(help="Visits in the batch.")] = 1_000,
    persons: Annotated[int, typer.Option(help="Persons of the trial town.")] = 2_000,
    target: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="A hub that runs on the folder; else it must not run.")
    ] = None,
    insecure: Insecure = False,
) -> None:
    """Write requests into files, for ghz, h2load and other tools: prepares the persons in the hub of a trial folder.

    visits.json: an array of VisitsSettleRequest; batch.bin: one BatchSubmitRequest; batch.grpc and status.grpc: framed
    as gRPC sends them; medsettle.protoset: the contract. Each request is accepted once, today; then it is replayed.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with needed_packages(), wrong_input():
        import uvloop

        from medsettle.bench import payloads as files
        from medsettle.bench.place import Place
        from medsettle.bench.plan import CallKind, Plan

        plan = Plan(call=CallKind.BATCH, count=count, batch_size=batch_size, persons=persons)
        place = Place(trial=trial, target=target, insecure=insecure)
        with stages_progress() as telling:
            uvloop.run(files.write(directory, place, plan, telling))
    print(f"{directory}: {count:,} visits, and a batch of {batch_size:,}, for the hub of trial folder {trial}")


@contextmanager
def needed_packages() -> Iterator[None]:
    """Say what to install where a package of the extra is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "hdrh":
            raise
        raise CommandFailed(
            "latencies are kept by hdrhistogram, which is not installed: pip install 'medsettle[bench]'"
        ) from None


def _choice(option: str, value: str, kinds: type[Kind]) -> Kind:
    try:
        return kinds(value)
    except ValueError:
        known = ", ".join(str(kind) for kind in kinds)
        raise CommandFailed(f"{option} is one of {known}, not {value!r}") from None


def _must_be_writable(file: Path) -> None:
    """Open it, so that nobody learns after an hour that its directory is not there; a new one is removed again."""
    existed = file.exists()
    with file.open("a"):
        pass
    if not existed:
        file.unlink()


def _show(report: "Report") -> None:
    from rich.table import Table

    from medsettle.bench.measure import GOOD
    from medsettle.bench.report import described, mix, outcomes, rows, verdict

    out = console()
    out.print(f"{described(report.plan)}; hub: {report.place}")
    out.print(f"machine: {report.machine}")
    for share, source in mix(report.plan):
        out.print(f"mix: {share} ({source})")
    figures = Table("figure", "median (least-most)")
    for name, value in rows(report):
        figures.add_row(name, value)
    out.print(figures)
    counts = Table("method", "outcome", "commands")
    counts.columns[2].justify = "right"
    for method, outcome, count in outcomes(report):
        counts.add_row(method, outcome, f"{count:,}", style="" if outcome in GOOD else "red")
    out.print(counts)
    out.print(f"counted: {verdict(report)}")
    for remark in report.remarks:
        out.print(f"remark: {remark}")


def _write(report: "Report", json_file: Path | None, html_file: Path | None) -> None:
    if json_file is not None:
        from medsettle.bench.report import to_json

        json_file.write_text(json.dumps(to_json(report), indent=2) + "\n", "utf-8")
        print(f"{json_file}: written", file=sys.stderr)
    if html_file is not None:
        from medsettle.bench.page import page

        html_file.write_text(page(report), "utf-8")
        print(f"{html_file}: written", file=sys.stderr)
