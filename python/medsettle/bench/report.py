"""A report as text and as JSON: medians over the runs with their spread, and every figure beside its floor.

Invariant: what the text says is in the JSON too, and nothing is rounded there.
Leaves out the HTML page: page.py.
"""

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from medsettle.bench.measure import GOOD, PERCENTILES, Latencies, Run
from medsettle.bench.plan import COUNTRY_PER_SECOND, Plan, Workload
from medsettle.bench.session import Report
from medsettle.bench.work import LOSSES_SHARE, REPEATED_SHARE, STAYS_SHARE, WRONG_SHARE

NOUN = {Workload.VISIT: "visits", Workload.STAY: "stays", Workload.MIXED: "events"}


def described(plan: Plan) -> str:
    """Say in a line what was run."""
    rate = plan.open_rate
    if rate is None:
        how = f"closed loop, {plan.callers} callers"
    else:
        times = "" if plan.intensity is None else f" ({plan.intensity} x the country's {COUNTRY_PER_SECOND})"
        how = f"open loop, {rate:,.0f} {NOUN[plan.workload]}/s{times}"
    size = "" if plan.message_size == 1 else f" of {plan.batch_size:,}"
    length = f"{plan.count:,} {NOUN[plan.workload]}" if plan.duration_s is None else f"{plan.duration_s:g} s"
    return f"{plan.workload}, {plan.call}{size}, {how}, {plan.runs} runs of {length}, {plan.persons:,} persons"


def mix(plan: Plan) -> list[tuple[str, str]]:
    """Give the shares of the mix and where each is from; nothing for other workloads."""
    if plan.workload is not Workload.MIXED:
        return []
    rest = 1 - STAYS_SHARE - LOSSES_SHARE - REPEATED_SHARE - WRONG_SHARE
    return [
        (f"{100 * STAYS_SHARE:.2f} % whole stays", "half a stay across provinces among 240 settlements a second"),
        (f"{100 * LOSSES_SHARE:.2f} % loss reports, each withdrawn", "assumed"),
        (f"{100 * REPEATED_SHARE:.2f} % requests sent again", "assumed"),
        (f"{100 * WRONG_SHARE:.2f} % wrong cryptograms", "assumed"),
        (f"{100 * rest:.2f} % visits, persons drawn by 1/rank", "the rest"),
    ]


def spread(values: Sequence[float], digits: int) -> str:
    """Show the median, and in brackets least and most."""
    middle, least, most = statistics.median(values), min(values), max(values)
    if len(values) == 1:
        return f"{middle:,.{digits}f}"
    return f"{middle:,.{digits}f} ({least:,.{digits}f}-{most:,.{digits}f})"


def rows(report: Report) -> list[tuple[str, str]]:
    """Give the figures by name, as the text and the page show them."""
    runs = report.runs
    named: list[tuple[str, str]] = [("commands answered per second", _over(runs, lambda run: run.calls_per_second, 0))]
    if report.plan.workload is not Workload.VISIT:
        noun = NOUN[report.plan.workload]
        named.append((f"{noun} per second", _over(runs, lambda run: run.tasks_per_second, 0)))
    for percentile in PERCENTILES:
        enough = "" if is_enough(runs, percentile) else "  (too few messages for it)"
        latencies = spread([run.calls.ms(percentile) for run in runs], 2)
        named.append((f"latency p{percentile:g}, ms", latencies + enough))
    named.append(("latency, longest, ms", _over(runs, lambda run: run.calls.most_ms, 2)))
    if report.plan.workload is Workload.STAY:
        named.append(("whole stay p50, ms", _over(runs, lambda run: run.tasks.ms(50), 2)))
        named.append(("whole stay p99, ms", _over(runs, lambda run: run.tasks.ms(99), 2)))
    named += _floor_rows(report)
    server = [us for run in runs if (us := run.server_us()) is not None]
    named.append(("processor time of the hub, us/command", spread(server, 1) if server else "not known (--server-pid)"))
    named.append(("of the generator, us/command", _over(runs, lambda run: run.client_us(), 1)))
    return named


def _floor_rows(report: Report) -> list[tuple[str, str]]:
    floors = [(run, run.floor) for run in report.runs if run.floor is not None]
    if not floors:
        return []
    named = [(f"floor: {floors[0][1].name}, per second", spread([floor.per_second for _, floor in floors], 0))]
    if report.plan.open_rate is None:
        ratios = [run.calls_per_second / max(floor.per_second, 1e-9) for run, floor in floors]
        named.append(("commands per second / floor", spread(ratios, 2)))
    for percentile in (50, 99):
        named.append((f"floor: p{percentile}, ms", spread([floor.latencies.ms(percentile) for _, floor in floors], 3)))
        ratios = [run.calls.ms(percentile) / max(floor.latencies.ms(percentile), 1e-3) for run, floor in floors]
        named.append((f"p{percentile} / floor's p{percentile}", spread(ratios, 2)))
    return named


def outcomes(report: Report) -> list[tuple[str, str, int]]:
    """Give method, outcome and count over the measured runs, what was accepted first."""
    total: Counter[tuple[str, str]] = sum((run.outcomes for run in report.runs), Counter())
    return sorted(
        ((method, outcome, count) for (method, outcome), count in total.items()),
        key=lambda row: (row[1] not in GOOD, row[0], row[1]),
    )


def verdict(report: Report) -> str:
    """Say whether the generator's books and the hub's journal agree."""
    if report.journal_records is None:
        return "the hub's journal is not on this machine: the books were not compared with it"
    if report.problems:
        return "the generator's books and the hub's journal disagree"
    return (
        f"{report.books.sent:,} commands sent, warm-up included; the hub's journal holds the "
        f"{report.journal_records:,} decisions that the generator's books say, and no other"
    )


def to_json(report: Report) -> dict[str, Any]:
    """Give everything as JSON data."""
    return {
        "medsettle": report.version,
        "begun": report.begun.isoformat(timespec="seconds"),
        "machine": report.machine,
        "place": report.place,
        "plan": {**asdict(report.plan), "open_rate": report.plan.open_rate},
        "mix": [{"share": share, "from": source} for share, source in mix(report.plan)],
        "runs": [_run_json(run) for run in report.runs],
        "books": {
            "sent": report.books.sent,
            "outcomes": _outcomes_json(report.books.outcomes),
            "journal_records": report.journal_records,
            "problems": list(report.problems),
        },
        "incomplete": list(report.incomplete),
        "remarks": list(report.remarks),
    }


def _run_json(run: Run) -> dict[str, Any]:
    return {
        "seconds": run.seconds,
        "calls_per_second": run.calls_per_second,
        "tasks_per_second": run.tasks_per_second,
        "messages": run.messages,
        "unanswered": run.unanswered,
        "calls": _latencies_json(run.calls),
        "tasks": _latencies_json(run.tasks),
        "by_method": {method: _latencies_json(latencies) for method, latencies in run.by_method.items()},
        "outcomes": _outcomes_json(run.outcomes),
        "answers_per_tenth_of_a_second": list(run.slices),
        "cpu_ns": {"generator": run.cpu.client_ns, "hub": run.cpu.server_ns},
        "floor": None
        if run.floor is None
        else {
            "name": run.floor.name,
            "per_second": run.floor.per_second,
            "latencies": _latencies_json(run.floor.latencies),
        },
    }


def _latencies_json(latencies: Latencies) -> dict[str, Any]:
    return {
        "count": latencies.count,
        "mean_ms": latencies.mean_ms,
        "longest_ms": latencies.most_ms,
        "percentiles_ms": {f"{percentile:g}": latencies.ms(percentile) for percentile in PERCENTILES},
    }


def _outcomes_json(counted: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    by_method: dict[str, dict[str, int]] = {}
    for (method, outcome), count in sorted(counted.items()):
        by_method.setdefault(method, {})[outcome] = count
    return by_method


def _over(runs: Sequence[Run], figure: Callable[[Run], float], digits: int) -> str:
    return spread([figure(run) for run in runs], digits)


def is_enough(runs: Sequence[Run], percentile: float) -> bool:
    """Tell whether every run has a message beyond the percentile; the commands of one have one latency."""
    return all(run.messages * (100 - percentile) >= 99.99 for run in runs)
