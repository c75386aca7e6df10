"""The way of a call through the binding of an embedded hub and back, beside bare `fdatasync` in the same directory.

A round is the same number of calls for every row, shared by the threads, so rows of one group compare directly.
"""

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import pytest
import ward
from machine import FLOOR, Floor
from pytest_benchmark.fixture import BenchmarkFixture
from ward import AGENCY, HOSPITAL, Ward

from medsettle.hub import Hub, role_bits
from medsettle.v1.accounts_pb2 import AccountsCreditRequest as Credit
from medsettle.v1.inpatient_pb2 import InpatientSettleRequest as Settlement
from medsettle.v1.operations_pb2 import OperationsStatusRequest as Status

EMPTY_COMMIT = 0
"""The engine's number for an empty frame; no method of the contract has it."""

THREADS = (1, 8)
CALLS = 240
"""Calls of one round over all threads."""
ROUNDS = 20
WARM_UP_ROUNDS = 2
PATIENTS = len(THREADS) * CALLS * (ROUNDS + WARM_UP_ROUNDS)

R = TypeVar("R")
Measure = Callable[[str, Callable[[R], object], Iterator[R]], None]


@pytest.fixture(scope="session")
def furnished(scratch_root: Path) -> Iterator[tuple[Hub, Ward]]:
    scratch, patients = ward.furnish(scratch_root, PATIENTS)
    with Hub.open(scratch.data, keys=scratch.key_ring, kek=scratch.kek) as hub:
        yield hub, patients


@pytest.fixture(scope="session")
def hub(furnished: tuple[Hub, Ward]) -> Hub:
    return furnished[0]


@pytest.fixture(scope="session")
def credits(furnished: tuple[Hub, Ward]) -> Iterator[Credit]:
    """Contributions to one account after the other, each of another period."""
    return (
        Credit(header=ward.header(AGENCY, f"credit-{n}"), person_id=person, amount_fen=100, period_key=str(n))
        for n, person in enumerate(itertools.cycle(furnished[1].persons))
    )


@pytest.fixture(scope="session")
def settlements(furnished: tuple[Hub, Ward]) -> Iterator[Settlement]:
    return iter(furnished[1].settlements)


@pytest.fixture(params=THREADS, ids=lambda threads: f"threads={threads}")
def measure(
    request: pytest.FixtureRequest, benchmark: BenchmarkFixture, figures: dict[str, dict[str, list[float]]]
) -> Iterator[Measure[R]]:
    threads: int = request.param
    benchmark.group = f"{threads} thread{'s' * (threads > 1)}"

    def measured(name: str, call: Callable[[R], object], requests: Iterator[R]) -> None:
        def shares() -> tuple[tuple[list[list[R]]], dict[str, object]]:
            return ([list(itertools.islice(requests, CALLS // threads)) for _ in range(threads)],), {}

        def carry_out(share: list[R]) -> None:
            for one in share:
                call(one)

        def one_round(shares: list[list[R]]) -> None:
            list(pool.map(carry_out, shares))

        benchmark.pedantic(one_round, setup=shares, rounds=ROUNDS, warmup_rounds=WARM_UP_ROUNDS)
        # With --benchmark-disable nothing is measured.
        if benchmark.stats is not None:
            rates = [CALLS / seconds for seconds in benchmark.stats.stats.data]
            figures.setdefault(benchmark.group, {})[name] = rates

    with ThreadPoolExecutor(threads) as pool:
        yield measured


def test_floor(measure: Measure[None], scratch_root: Path) -> None:
    with Floor(scratch_root) as floor:
        measure(FLOOR, lambda _: floor.commit(), itertools.repeat(None))


def test_read(measure: Measure[Status], hub: Hub) -> None:
    measure("read", hub.acting(("OPERATOR",), AGENCY).operations.status, itertools.repeat(Status()))


def test_empty_commit(measure: Measure[bytes], hub: Hub) -> None:
    # No public call commits nothing, so this one goes to the extension itself.
    native, roles = hub._engine.native, role_bits(("HOSPITAL",))
    measure("empty commit", lambda body: native.call(EMPTY_COMMIT, roles, HOSPITAL.code, body), itertools.repeat(b""))


def test_credit(measure: Measure[Credit], hub: Hub, credits: Iterator[Credit]) -> None:
    measure("credit", hub.acting(("OPERATOR",), AGENCY).accounts.credit, credits)


def test_settlement(measure: Measure[Settlement], hub: Hub, settlements: Iterator[Settlement]) -> None:
    measure("settlement", hub.acting(("HOSPITAL",), HOSPITAL.code).inpatient.settle, settlements)
