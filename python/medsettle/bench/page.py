"""A report as one HTML file that needs nothing else: no script, no font, no network; it prints and it has a dark side.

Owns the two pictures: latency by percentile, and throughput over time.
Leaves out the figures themselves: report.py.
"""

import math
from collections.abc import Sequence
from html import escape

from medsettle.bench.measure import GOOD, SLICE_NS, Run
from medsettle.bench.plan import Workload
from medsettle.bench.report import NOUN, described, is_enough, mix, outcomes, rows, spread, verdict
from medsettle.bench.session import Report

WIDTH, HEIGHT = 860, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 16, 44
_TICKS = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
_MOST_BARS = 120

_STYLE = """
:root { --ink: #1c2430; --soft: #66707f; --line: #e3e7ec; --ground: #f5f7f9; --card: #fff; --bad: #b3261e;
  --good: #1b7a4b; --s0: #0b6e8f; --s1: #c2571a; --s2: #6a4fb3; --s3: #2f855a; --s4: #b0346b; --floor: #98a1ad; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #98a3b3; --line: #2c3542; --ground: #12171e;
  --card: #1a212b; --bad: #ff8a80; --good: #6fd6a2; --s0: #4fb8da; --s1: #f0975a; --s2: #a994ea; --s3: #74c99b;
  --s4: #ea7fae; --floor: #6d7785; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", sans-serif; }
main { max-width: 940px; margin: 0 auto; padding: 36px 20px 60px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; letter-spacing: -.01em; }
h2 { font-size: 17px; margin: 0 0 2px; }
p { margin: 0; }
.soft { color: var(--soft); font-size: 13.5px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 20px 22px;
  margin-top: 18px; break-inside: avoid; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 20px; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px; }
.tile b { display: block; font-size: 25px; font-weight: 650; letter-spacing: -.02em;
  font-variant-numeric: tabular-nums; }
.verdict { border-left: 5px solid var(--good); }
.verdict.bad { border-left-color: var(--bad); }
.plain { border-left-color: var(--floor); }
table { border-collapse: collapse; width: 100%; margin-top: 10px; font-variant-numeric: tabular-nums; font-size: 14px; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 13px; }
td, th { padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td { border-bottom: 0; }
td.n, th.n { text-align: right; padding-right: 0; }
tr.bad td { color: var(--bad); }
.scroll { overflow-x: auto; }
svg { display: block; width: 100%; height: auto; margin-top: 10px; }
svg text { fill: var(--soft); font-size: 12px; }
svg .grid { stroke: var(--line); }
svg .axis { stroke: var(--soft); }
svg polyline { fill: none; stroke-width: 2; stroke-linejoin: round; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 8px; font-size: 13px; color: var(--soft); }
.legend i { display: inline-block; width: 18px; height: 3px; border-radius: 2px; margin-right: 7px;
  vertical-align: middle; }
@media print { body { background: #fff; } section, .tile { border-color: #ccc; } }
"""


def page(report: Report) -> str:
    """Write the whole page."""
    runs, plan = report.runs, report.plan
    noun = "commands" if plan.workload is Workload.VISIT else NOUN[plan.workload]
    rates = [run.calls_per_second if plan.workload is Workload.VISIT else run.tasks_per_second for run in runs]
    tiles = [(f"{noun} per second", rates, 0)]
    for at in (50.0, 99.0, 99.9, 99.99):
        few = "" if is_enough(runs, at) else " (too few)"
        tiles.append((f"p{at:g}, ms{few}", [run.calls.ms(at) for run in runs], 2))
    title = f"medsettle bench: {plan.workload}, {plan.call}"
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>",
            f"<h1>{escape(title)}</h1>",
            f'<p class="soft">{escape(described(plan))}</p>',
            f'<p class="soft">{report.begun:%Y-%m-%d %H:%M} UTC &middot; medsettle {escape(report.version)} &middot; '
            f"hub: {escape(report.place)}</p>",
            f'<div class="tiles">{"".join(_tile(*tile) for tile in tiles)}</div>',
            _warnings(report),
            _verdict(report),
            _section("Latency by percentile", _latency_note(report), latency_picture(runs)),
            _section("Throughput over time", "Commands answered per second, refusals included.", time_picture(runs)),
            _section("Figures", "Median of the runs; least and most in brackets.", _figures(report)),
            _section("What became of the commands", "Measured runs, without the warm-up.", _outcomes(report)),
            _section("How it was run", "", _parameters(report)),
            "</main></body></html>\n",
        )
    )


def _tile(name: str, values: Sequence[float], digits: int) -> str:
    middle, _, between = spread(values, digits).partition(" ")
    between = f'<span class="soft">{between}</span>'
    return f'<div class="tile"><span class="soft">{escape(name)}</span><b>{middle}</b>{between}</div>'


def _section(title: str, note: str, body: str) -> str:
    return f'<section><h2>{escape(title)}</h2><p class="soft">{escape(note)}</p>{body}</section>'


def _warnings(report: Report) -> str:
    listed = "".join(f"<li>{escape(text)}</li>" for text in (*report.incomplete, *report.remarks))
    return f'<section class="verdict bad"><h2>Before you read it</h2><ul>{listed}</ul></section>' if listed else ""


def _verdict(report: Report) -> str:
    kind = "bad" if report.problems else "plain" if report.journal_records is None else "good"
    listed = "".join(f"<li>{escape(problem)}</li>" for problem in report.problems)
    more = f"<ul>{listed}</ul>" if listed else ""
    return f'<section class="verdict {kind}"><h2>Counted right?</h2><p>{escape(verdict(report))}.</p>{more}</section>'


def _latency_note(report: Report) -> str:
    if report.plan.open_rate is None:
        return "Closed loop: a caller sends only after its answer came, so a slow hub is asked less often."
    return "Open loop: from the moment at which a call was meant to be made, so waiting in the generator counts."


def latency_picture(runs: Sequence[Run]) -> str:
    """Draw latency over percentile; each step to the right is ten times closer to 100 %, and both scales say so."""
    lines = [(f"run {number}", f"var(--s{(number - 1) % 5})", run.calls.curve()) for number, run in enumerate(runs, 1)]
    floors = [run.floor for run in runs if run.floor is not None]
    if floors:
        lines.append((f"floor: {floors[-1].name}", "var(--floor)", floors[-1].latencies.curve()))
    values = [ms for *_, curve in lines for _, ms in curve if ms > 0]
    if not values:
        return "<p>Nothing was measured.</p>"
    most_calls = max(run.calls.count for run in runs)
    right = max(1.0, math.log10(most_calls)) if most_calls else 1.0
    low, high = math.floor(math.log10(min(values))), max(math.ceil(math.log10(max(values))), 1 - 3)
    high = max(high, low + 1)

    def x(percentile: float) -> float:
        away = min(-math.log10(max(1 - percentile / 100, 1e-12)), right)
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * away / right

    def y(ms: float) -> float:
        part = (math.log10(max(ms, 10.0**low)) - low) / (high - low)
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * part

    parts = [_svg_open("Latency by percentile")]
    for exponent in range(low, high + 1):
        at = y(10.0**exponent)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{10.0**exponent:g} ms</text>')
    for tick in _TICKS:
        if -math.log10(1 - tick / 100) <= right:
            at = x(tick)
            parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
            parts.append(f'<text x="{at:.1f}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="middle">{tick:g} %</text>')
    parts.append(_axes())
    parts += [
        f'<polyline stroke="{colour}" points="{" ".join(f"{x(p):.1f},{y(ms):.1f}" for p, ms in curve)}"/>'
        for _, colour, curve in lines
    ]
    return f"{''.join(parts)}</svg>{_legend([(name, colour) for name, colour, _ in lines])}"


def time_picture(runs: Sequence[Run]) -> str:
    """Draw answers per second over the time of each run."""
    lines = [(f"run {number}", f"var(--s{(number - 1) % 5})", *_per_second(run)) for number, run in enumerate(runs, 1)]
    longest = max((width * len(rates) for *_, width, rates in lines), default=0)
    top = _rounded_up(max((rate for *_, rates in lines for rate in rates), default=0))
    if not longest or not top:
        return "<p>Nothing was measured.</p>"

    def point(seconds: float, rate: float) -> str:
        across = _LEFT + (WIDTH - _LEFT - _RIGHT) * seconds / longest
        return f"{across:.1f},{HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * rate / top:.1f}"

    parts = [_svg_open("Throughput over time")]
    for step in range(5):
        rate = top * step / 4
        at = HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * step / 4
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{rate:,.0f}</text>')
    step_s = _round_step(longest / 8)
    for step in range(math.floor(longest / step_s) + 1):
        at = _LEFT + (WIDTH - _LEFT - _RIGHT) * step * step_s / longest
        label = f"{step * step_s:.3g} s"
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - _BOTTOM + 18}" text-anchor="middle">{label}</text>')
    parts.append(_axes())
    for _, colour, width, rates in lines:
        # A step for every slice: within it nothing is known.
        corners = [point(width * (number + side), rate) for number, rate in enumerate(rates) for side in (0, 1)]
        parts.append(f'<polyline stroke="{colour}" points="{" ".join(corners)}"/>')
    return f"{''.join(parts)}</svg>{_legend([(name, colour) for name, colour, *_ in lines])}"


def _per_second(run: Run) -> tuple[float, list[float]]:
    """Give the width of a slice in seconds and the rate in each; neighbours are put together where there are many.

    The last slice counts for as much of it as was left of the run.
    """
    width = SLICE_NS / 1e9
    together = math.ceil(len(run.slices) / _MOST_BARS) or 1
    rates = []
    for begin in range(0, len(run.slices), together):
        answers = sum(run.slices[begin : begin + together])
        seconds = min(width * together, max(run.seconds - begin * width, width / 10))
        rates.append(answers / seconds)
    return width * together, rates


def _rounded_up(value: float) -> float:
    """Give the next end of a scale whose quarters are round."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(factor * unit for factor in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if factor * unit >= value)


def _round_step(value: float) -> float:
    """Give the next of 1, 2, 5 times a power of ten."""
    unit = 10.0 ** math.floor(math.log10(value))
    return next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= value)


def _svg_open(title: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
        'xmlns="http://www.w3.org/2000/svg">'
    )


def _axes() -> str:
    bottom, right = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    return (
        f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
        f'<line class="axis" x1="{_LEFT}" x2="{_LEFT}" y1="{_TOP}" y2="{bottom}"/>'
    )


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    shown = "".join(f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in entries)
    return f'<div class="legend">{shown}</div>'


def _figures(report: Report) -> str:
    body = "".join(
        f'<tr><td>{escape(name)}</td><td class="n">{escape(value)}</td></tr>' for name, value in rows(report)
    )
    return f'<div class="scroll"><table>{body}</table></div>'


def _outcomes(report: Report) -> str:
    body = "".join(
        f"<tr{'' if outcome in GOOD else ' class=bad'}><td>{escape(method)}</td><td>{escape(outcome)}</td>"
        f'<td class="n">{count:,}</td></tr>'
        for method, outcome, count in outcomes(report)
    )
    head = '<tr><th>method</th><th>outcome</th><th class="n">commands</th></tr>'
    return f'<div class="scroll"><table>{head}{body}</table></div>'


def _parameters(report: Report) -> str:
    plan = report.plan
    named = [
        ("machine", report.machine),
        ("hub", report.place),
        ("workload", str(plan.workload)),
        ("call", f"{plan.call}" + ("" if plan.message_size == 1 else f", {plan.batch_size:,} commands a message")),
        ("loop", "closed" if plan.open_rate is None else f"open, {plan.open_rate:,.6g} a second"),
        ("callers", f"{plan.callers:,}" if plan.open_rate is None else "as many as the rate takes"),
        ("warm-up", f"{plan.warm_up:,} {NOUN[plan.workload]}"),
        ("runs", f"{plan.runs} of " + (f"{plan.count:,}" if plan.duration_s is None else f"{plan.duration_s:g} s")),
        ("persons", f"{plan.persons:,}"),
        ("seed", f"{plan.seed}"),
    ]
    named += [(share, f"of the mix: {source}") for share, source in mix(plan)]
    body = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in named)
    return f'<div class="scroll"><table>{body}</table></div>'
