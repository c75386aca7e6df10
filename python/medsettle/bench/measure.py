"""What one run measured: latencies in a histogram, outcomes, throughput over time, and the processor time it took.

Owns the library behind the histograms (HdrHistogram), and from it every percentile that is shown.
Invariant: while a run goes on a latency is only noted; it is counted into the histogram afterwards.
Invariant: what was not answered is in no rate and no latency.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from hdrh.histogram import HdrHistogram

PERCENTILES = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)
LONGEST_US, DIGITS = 600_000_000, 3
SLICE_NS = 100_000_000
"""Throughput over time is counted in tenths of a second."""

ACCEPTED, REPLAYED = "ACCEPTED", "REPLAYED"
GOOD = frozenset({ACCEPTED, REPLAYED})
NO_ANSWER = "NO_ANSWER"
"""How the outcome begins of a command that the hub did not answer; what the transport said follows."""

_PER_HALVING = 8
"""Points of the percentile curve for each halving of the distance to 100 %."""


class Latencies:
    """A distribution of latencies, in microseconds."""

    def __init__(self, values_us: Iterable[int]) -> None:
        self._histogram = HdrHistogram(1, LONGEST_US, DIGITS)
        for value, count in sorted(Counter(values_us).items()):
            self._histogram.record_value(min(max(value, 1), LONGEST_US), count)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self._histogram.get_total_count())

    @property
    def mean_ms(self) -> float:
        """Their mean; 0 when there are none."""
        return float(self._histogram.get_mean_value()) / 1e3 if self.count else 0.0

    @property
    def least_ms(self) -> float:
        """The shortest; 0 when there are none."""
        return float(self._histogram.get_min_value()) / 1e3 if self.count else 0.0

    @property
    def most_ms(self) -> float:
        """The longest; 0 when there are none."""
        return float(self._histogram.get_max_value()) / 1e3 if self.count else 0.0

    def ms(self, percentile: float) -> float:
        """Give the latency that this share, in percent, did not exceed; 0 when there are none."""
        return float(self._histogram.get_value_at_percentile(percentile)) / 1e3 if self.count else 0.0

    def curve(self) -> list[tuple[float, float]]:
        """Give points (percentile, ms) as they are drawn: ever closer to 100 %, up to the last one in a count."""
        if not self.count:
            return []
        points: dict[float, float] = {}
        for item in self._histogram.get_percentile_iterator(_PER_HALVING):
            percentile = item.percentile_level_iterated_to
            points[percentile] = max(float(item.value_iterated_to), float(self._histogram.get_min_value())) / 1e3
        return sorted(points.items())


@dataclass(frozen=True, slots=True)
class Cpu:
    """Processor time of a run: of the generator, and of the hub where it is known."""

    client_ns: int
    server_ns: int | None

    def since(self, before: "Cpu") -> "Cpu":
        """Give what was taken since an earlier reading."""
        server_ns = None if self.server_ns is None or before.server_ns is None else self.server_ns - before.server_ns
        return Cpu(self.client_ns - before.client_ns, server_ns)


class Recorder:
    """Notes what happens in one run."""

    def __init__(self) -> None:
        self._latencies_us: dict[str, array[int]] = {}
        self._tasks_us: array[int] = array("q")
        self._slices: Counter[int] = Counter()
        self._messages = 0
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self._begin_ns = self._end_ns = 0

    @property
    def calls_done(self) -> int:
        """Commands that were answered, or whose answer did not come, so far."""
        return self.outcomes.total()

    @property
    def tasks_done(self) -> int:
        """Tasks of which every answer came, so far."""
        return len(self._tasks_us)

    @property
    def refused_done(self) -> int:
        """Commands that were neither accepted nor replayed so far."""
        return sum(count for (_, outcome), count in self.outcomes.items() if outcome not in GOOD)

    def begin(self, now_ns: int) -> None:
        """Start the run's time."""
        self._begin_ns = now_ns

    def end(self, now_ns: int) -> None:
        """Stop it."""
        self._end_ns = now_ns

    def call(self, method: str, outcome: str, since_ns: int, now_ns: int) -> None:
        """Note the answer to one command, or that none came."""
        self.outcomes[method, outcome] += 1
        if outcome.startswith(NO_ANSWER):
            return
        values = self._latencies_us.get(method)
        if values is None:
            values = self._latencies_us[method] = array("q")
        values.append((now_ns - since_ns) // 1_000)
        self._slices[(now_ns - self._begin_ns) // SLICE_NS] += 1

    def message(self) -> None:
        """Note that a message was answered, whose commands all have the same latency."""
        self._messages += 1

    def task(self, since_ns: int, now_ns: int, count: int) -> None:
        """Note that tasks of one message were done."""
        self._tasks_us.extend([(now_ns - since_ns) // 1_000] * count)

    def finished(self, cpu: Cpu) -> "Run":
        """Count everything into histograms."""
        slices = [self._slices[number] for number in range(max(self._slices, default=-1) + 1)]
        return Run(
            seconds=max(self._end_ns - self._begin_ns, 1) / 1e9,
            calls=Latencies(value for values in self._latencies_us.values() for value in values),
            by_method={method: Latencies(values) for method, values in sorted(self._latencies_us.items())},
            tasks=Latencies(self._tasks_us),
            outcomes=self.outcomes,
            slices=slices,
            messages=self._messages,
            cpu=cpu,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run. `slices` are answers in each tenth of a second."""

    seconds: float
    calls: Latencies
    by_method: Mapping[str, Latencies]
    tasks: Latencies
    outcomes: Counter[tuple[str, str]]
    slices: Sequence[int]
    messages: int
    cpu: Cpu
    floor: "FloorRun | None" = field(default=None)

    @property
    def calls_per_second(self) -> float:
        """Commands answered, refusals too."""
        return self.calls.count / self.seconds

    @property
    def tasks_per_second(self) -> float:
        """Visits, stays or events done."""
        return self.tasks.count / self.seconds

    @property
    def unanswered(self) -> int:
        """Commands whose answer did not come."""
        return sum(count for (_, outcome), count in self.outcomes.items() if outcome.startswith(NO_ANSWER))

    def server_us(self) -> float | None:
        """Processor time of the hub for one command."""
        return (
            None if self.cpu.server_ns is None or not self.calls.count else self.cpu.server_ns / 1e3 / self.calls.count
        )

    def client_us(self) -> float:
        """Processor time of the generator for one command."""
        return self.cpu.client_ns / 1e3 / max(self.calls.count, 1)


@dataclass(frozen=True, slots=True)
class FloorRun:
    """What nothing can be faster than, measured beside a run."""

    name: str
    per_second: float
    latencies: Latencies
