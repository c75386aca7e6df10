"""`medsettle policy`: check packages, and try out what a policy pays, without a hub."""

import json
from collections.abc import Callable
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medsettle.cli.terminal import CommandFailed, ExitCode, console, yuan

if TYPE_CHECKING:
    from rich.table import Table

    from medsettle.jsonform import Problem
    from medsettle.v1.common_pb2 import Split, TraceStep
    from medsettle.v1.packages_pb2 import QuoteResult

app = typer.Typer(
    help="Check packages and try out what a policy pays.", no_args_is_help=True, rich_markup_mode="markdown"
)


class PackageKind(StrEnum):
    """What a package file holds."""

    POLICY = "policy"
    CATALOGUE = "catalogue"
    REGIONS = "regions"
    ALERT_RULES = "alert-rules"


_TELLING_FIELD = {
    "layers": PackageKind.POLICY,
    "items": PackageKind.CATALOGUE,
    "regions": PackageKind.REGIONS,
    "rules": PackageKind.ALERT_RULES,
}
"""The field by which a file without --kind is recognised."""

_STEP_NAMES = {
    "101": "own pay",
    "102": "first pay",
    "103": "over the ceiling",
    "S": "deductible",
    "C": "pool",
    "EC": "beyond a yearly cap",
    "L": "large sum",
    "PL": "catastrophic",
    "GB": "civil servant",
    "PS": "supplement",
    "MA": "medical aid",
    "OT": "other fund",
}
"""What a step of the trace is, by its code or by the letters before the number of a band."""

_FUNDS = {
    "pool_fen": "pool",
    "large_sum_fen": "large sum",
    "catastrophic_fen": "catastrophic",
    "civil_servant_fen": "civil servant",
    "supplement_fen": "supplement",
    "medical_aid_fen": "medical aid",
    "other_fund_fen": "other fund",
}


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Packages (JSON).", dir_okay=False)],
    kind: Annotated[
        PackageKind | None, typer.Option(help="What the files are; told by their fields if not given.")
    ] = None,
) -> None:
    """Check policies, catalogues, alert rules and region trees; every problem is one line: FILE: path: what is wrong.

    Of regions, a list or an object with the field regions, the form is checked here; that they are a tree, the hub
    checks when they are installed.

    Exit codes: 0 no problem; 1 problems; 2 could not run.
    """
    count = 0
    for file in files:
        problems = _problems(file, kind)
        for problem in problems:
            print(f"{file}: {problem}")
        if not problems:
            print(f"{file}: no problem")
        count += len(problems)
    if count:
        raise CommandFailed(f"{count} problem(s)", ExitCode.BAD_NEWS)


def _problems(file: Path, kind: PackageKind | None) -> "list[Problem]":
    from medsettle import benefit, jsonform
    from medsettle.v1 import packages_pb2

    def regions_problems(data: object) -> "list[Problem]":
        document = {"regions": data} if isinstance(data, list) else data
        return jsonform.problems(packages_pb2.PackagesInstallRegionsRequest, document)

    try:
        data = jsonform.decode(file.read_bytes())
    except jsonform.MalformedDocument as malformed:
        return malformed.problems
    checks: dict[PackageKind, Callable[[object], list[Problem]]] = {
        PackageKind.POLICY: benefit.policy_problems,
        PackageKind.CATALOGUE: benefit.catalogue_problems,
        PackageKind.REGIONS: regions_problems,
        PackageKind.ALERT_RULES: benefit.alert_rules_problems,
    }
    return checks[kind or _told_by_fields(file, data)](data)


def _told_by_fields(file: Path, data: object) -> PackageKind:
    if isinstance(data, list):
        return PackageKind.REGIONS
    names = data.keys() if isinstance(data, dict) else ()
    kinds = {kind for field, kind in _TELLING_FIELD.items() if field in names}
    if len(kinds) != 1:
        fields = ", ".join(f"{field} ({kind})" for field, kind in _TELLING_FIELD.items())
        raise CommandFailed(f"{file}: cannot tell what it is; give --kind, or one of the fields {fields}")
    return kinds.pop()


@app.command()
def quote(
    policy: Annotated[Path, typer.Argument(metavar="POLICY", help="A policy (JSON).", dir_okay=False)],
    case: Annotated[
        Path, typer.Argument(metavar="CASE", help="A case: bill, person, year so far (JSON).", dir_okay=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON, amounts in fen.")] = False,
) -> None:
    """Show what a policy pays of a bill and how it comes to that; the same calculation as the hub's.

    Exit codes: 0 quoted; 1 problems in a file, or refused; 2 could not run.
    """
    from medsettle import benefit, jsonform
    from medsettle.v1 import packages_pb2

    if problems := _problems(policy, PackageKind.POLICY):
        raise _malformed(policy, problems)
    rules = jsonform.parse(packages_pb2.BenefitPolicy, jsonform.decode(policy.read_bytes()))
    try:
        question = jsonform.parse(packages_pb2.QuoteCase, jsonform.decode(case.read_bytes()))
    except jsonform.MalformedDocument as malformed:
        raise _malformed(case, malformed.problems) from None
    result = benefit.quote_result(rules, question)
    if as_json:
        print(json.dumps(jsonform.to_json(result), indent=1, ensure_ascii=False))
    else:
        _show(result)


def _malformed(file: Path, problems: "list[Problem]") -> CommandFailed:
    for problem in problems:
        print(f"{file}: {problem}")
    return CommandFailed(f"{file}: {len(problems)} problem(s)", ExitCode.BAD_NEWS)


def _show(result: "QuoteResult") -> None:
    out = console()
    out.print(_bill(result.split), _steps(result.split), _payers(result), sep="\n")


def _amounts(title: str) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False, min_width=44)
    table.add_column()
    table.add_column(justify="right")
    return table


def _bill(split: "Split") -> "Table":
    table = _amounts("Bill (yuan)")
    table.add_row("own pay", yuan(split.own_pay_fen))
    table.add_row("over the ceiling", yuan(split.over_ceiling_fen))
    table.add_row("first pay", yuan(split.first_pay_fen))
    table.add_row("in scope", yuan(split.in_scope_fen), end_section=True)
    table.add_row("total", yuan(split.total_fen))
    return table


def _steps(split: "Split") -> "Table":
    from rich.table import Table

    table = Table(title="How it comes to that (yuan)", title_justify="left")
    for heading in ("code", "step", "year"):
        table.add_column(heading)
    for heading in ("base", "rate", "amount"):
        table.add_column(heading, justify="right")
    for step in split.trace:
        year = str(step.benefit_year) if step.benefit_year else ""
        name = _STEP_NAMES[step.code if step.code in _STEP_NAMES else step.code.rstrip("0123456789")]
        table.add_row(step.code, name, year, yuan(step.base_fen), _percent(step), yuan(step.amount_fen))
    return table


def _percent(step: "TraceStep") -> str:
    """Show a rate exactly, as a percentage where that is finite."""
    percent = Fraction(100 * step.rate_numerator, step.rate_denominator)
    in_millionths = percent * 1_000_000
    if in_millionths.denominator != 1:
        return f"{step.rate_numerator}/{step.rate_denominator}"
    whole, rest = divmod(in_millionths.numerator, 1_000_000)
    return f"{whole}.{rest:06}".rstrip("0").rstrip(".") + " %"


def _payers(result: "QuoteResult") -> "Table":
    split = result.split
    table = _amounts("Who pays (yuan)")
    for field, name in _FUNDS.items():
        if amount_fen := getattr(split, field):
            table.add_row(f"fund: {name}", yuan(amount_fen))
    table.add_row("funds together", yuan(split.fund_total_fen), end_section=True)
    table.add_row("hospital", yuan(split.hospital_part_fen), end_section=True)
    table.add_row("person: own account", yuan(split.account_fen - split.family_fen))
    table.add_row("person: family account", yuan(split.family_fen))
    table.add_row("person: cash", yuan(split.cash_fen))
    table.add_row("person together", yuan(split.person_part_fen), end_section=True)
    table.add_row("total", yuan(split.fund_total_fen + split.hospital_part_fen + split.person_part_fen))
    table.add_row("own account afterwards", yuan(result.balance_after_fen))
    return table
