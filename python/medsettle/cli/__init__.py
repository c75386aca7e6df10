"""The command `medsettle`: one module per group of commands.

Invariant: a command that fails says why in one line on stderr and in its exit code, never in a stack trace.
Invariant: what a command works with is imported when it runs, so that help and completion are quick.
Leaves out the work itself: every command is a thin layer over a public module of the package.
"""

import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from medsettle.cli import (
    as_of,
    backup,
    bench,
    certs,
    demo,
    export,
    importing,
    journal,
    keys,
    operations,
    policy,
    reindex,
    serve,
    status,
)
from medsettle.cli.terminal import CommandFailed, ExitCode

app = typer.Typer(
    name="medsettle",
    help="Settle medical insurance across regions: run a hub, look into its journal, care for keys and packages.",
    epilog="Exit codes: 0 all is well; 1 the answer is bad news (damage, problems in a file, a refusal, a hub that "
    "does not serve); 2 the command could not run; 3 the hub halted.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from medsettle.hub import VERSION

        print(f"medsettle {VERSION}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("status")(status.status)
app.command("snapshot")(operations.snapshot)
app.command("digest")(operations.digest)
app.command("trial-balance")(operations.trial_balance)
app.command("confirm-clock")(operations.confirm_clock)
app.command("verify")(journal.verify)
app.command("inspect")(journal.inspect)
app.command("explain")(journal.explain)
app.command("reindex")(reindex.reindex)
app.command("as-of")(as_of.as_of)
app.command("export")(export.export)
app.command("import")(importing.import_)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.add_typer(bench.app, name="bench")
app.add_typer(keys.app, name="keys")
app.add_typer(certs.app, name="certs")
app.add_typer(policy.app, name="policy")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, by default that of the process, and exit with the command's code."""
    try:
        app(arguments, prog_name="medsettle")
    except CommandFailed as failure:
        _fail(str(failure), failure.code)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error), ExitCode.COULD_NOT_RUN)
    except Exception as error:
        _fail_by_package(error)
    sys.exit(0)


def _fail_by_package(error: Exception) -> NoReturn:
    from medsettle.errors import CorruptJournal, Halted, MedsettleError, Rejected, ServerForgot

    match error:
        case Rejected():
            _fail(f"refused: {error}. {error.advice}".rstrip(), ExitCode.BAD_NEWS)
        case CorruptJournal() | ServerForgot():
            _fail(str(error), ExitCode.BAD_NEWS)
        case Halted():
            _fail(f"the hub halted. {error}", ExitCode.HALTED)
        case MedsettleError():
            _fail(str(error), ExitCode.COULD_NOT_RUN)
        case _:
            raise error


def _fail(text: str, code: ExitCode) -> NoReturn:
    print(f"medsettle: {text}", file=sys.stderr)
    sys.exit(code)
