"""What a run shall be: the options as one value that has been checked.

Invariant: a `Plan` that exists can be run; what cannot is refused here, before anything is prepared.
"""

from dataclasses import dataclass
from enum import StrEnum

COUNTRY_PER_SECOND = 240
"""Settlements per second of all basic medical insurance of the country, on average: mission.md, "Proportion"."""

INTENSITIES = (1, 10, 100)
"""Multiples of the country; ten is about its peak."""

COMMANDS_OF_A_MESSAGE = 10_000
"""What a hub takes in one `Batch.Submit`."""

MOST_CALLERS = 4_096
"""Callers are coroutines on one event loop: with more of them the generator would measure itself."""

MOST_PER_SECOND = 1_000_000
"""No generator in Python comes near it; a larger number is a typing error."""

MOST_TASKS = 5_000_000
"""Prepared requests are held in memory, about one kilobyte each."""

MOST_PERSONS = 1_000_000
"""The trial town is prepared over the ordinary calls, about ten thousand persons in a few seconds."""

MOST_RUNS = 1_000

STAYS_OF_A_PERSON = 50
"""One behind the other, six days each, they reach back less than a year, and so do the demo's packages."""


class Workload(StrEnum):
    """What is asked of the hub."""

    VISIT = "visit"
    STAY = "stay"
    MIXED = "mixed"


class CallKind(StrEnum):
    """How commands travel."""

    UNARY = "unary"
    BATCH = "batch"
    STREAM = "stream"


class WrongPlan(ValueError):
    """The options contradict each other or ask for what cannot be; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One benchmark. `rate` (tasks per second) makes it an open loop, its absence a closed one of so many `callers`.

    A task is a visit, a whole stay, or one event of the mix. `count` tasks are one run, unless `duration_s` says how
    long it lasts. `warm_up` tasks are made before the first run and not measured. With `intensity` the rate is that of
    the country, so many times.
    """

    workload: Workload = Workload.VISIT
    call: CallKind = CallKind.UNARY
    callers: int = 32
    rate: float | None = None
    intensity: int | None = None
    batch_size: int = 100
    count: int = 5_000
    duration_s: float | None = None
    warm_up: int = 500
    runs: int = 3
    persons: int = 2_000
    seed: int = 1

    def __post_init__(self) -> None:
        _whole("--callers", self.callers, 1, MOST_CALLERS)
        _whole("--batch-size", self.batch_size, 1, COMMANDS_OF_A_MESSAGE)
        _whole("--count", self.count, 1, MOST_TASKS)
        _whole("--warmup", self.warm_up, 0, MOST_TASKS)
        _whole("--runs", self.runs, 1, MOST_RUNS)
        _whole("--persons", self.persons, 10, MOST_PERSONS)
        if self.rate is not None and not 0 < self.rate <= MOST_PER_SECOND:
            raise WrongPlan(
                f"--rate is calls per second, more than 0 and at most {MOST_PER_SECOND:,}, not {self.rate:g}"
            )
        if self.duration_s is not None and not 0 < self.duration_s <= 86_400:
            raise WrongPlan(f"--duration is seconds, more than 0 and at most a day, not {self.duration_s:g}")
        if self.intensity is not None:
            self._check_intensity()
        if self.duration_s is not None and self.open_rate is not None:
            tasks = self.duration_s * self.open_rate
            if tasks > MOST_TASKS:
                raise WrongPlan(
                    f"{self.open_rate:g} a second for {self.duration_s:g} s are {tasks:,.0f} requests; at most "
                    f"{MOST_TASKS:,} are prepared for one run"
                )
        if self.workload is Workload.STAY and self.persons < 2 * self.in_flight:
            raise WrongPlan(
                f"--persons {self.persons} are too few: with {self.in_flight} stays at once nobody may be in two of "
                f"them; take at least {2 * self.in_flight}"
            )

        if self.workload is Workload.STAY and self.tasks is not None:
            stays = self.warm_up + self.runs * self.tasks
            if stays > self.most_tasks:
                raise WrongPlan(
                    f"--persons {self.persons:,} are too few for {stays:,} stays: a person has at most "
                    f"{STAYS_OF_A_PERSON}, one after the other"
                )

    def _check_intensity(self) -> None:
        if self.intensity not in INTENSITIES:
            known = ", ".join(map(str, INTENSITIES))
            raise WrongPlan(f"--intensity is {known} times the country, not {self.intensity}")
        if self.workload is not Workload.MIXED:
            raise WrongPlan(f"--intensity goes with --workload mixed, not with {self.workload}")
        if self.rate is not None:
            raise WrongPlan("--intensity gives the rate: leave --rate out")

    @property
    def open_rate(self) -> float | None:
        """Tasks per second of the open loop; None for a closed one."""
        return self.rate if self.intensity is None else float(COUNTRY_PER_SECOND * self.intensity)

    @property
    def most_tasks(self) -> int:
        """Tasks that the town can take in all."""
        return MOST_TASKS if self.workload is not Workload.STAY else self.persons * STAYS_OF_A_PERSON

    @property
    def message_size(self) -> int:
        """Tasks that go together."""
        return 1 if self.call is CallKind.UNARY else self.batch_size

    @property
    def in_flight(self) -> int:
        """Tasks at once of the closed loop; of the open one as many as are let begin before answers must come."""
        return (MOST_OPEN if self.open_rate is not None else self.callers) * self.message_size

    @property
    def tasks(self) -> int | None:
        """Tasks of one run; None where a closed loop of some duration decides it."""
        if self.duration_s is None:
            return self.count
        return None if self.open_rate is None else max(1, round(self.open_rate * self.duration_s))


MOST_OPEN = 256
"""Messages in flight of an open loop. What is due beyond them waits, and its waiting counts."""


def _whole(option: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise WrongPlan(f"{option} is a whole number from {least:,} to {most:,}, not {value:,}")
