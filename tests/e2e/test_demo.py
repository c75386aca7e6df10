"""The demo as a user runs it, and the check behind its numbers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from medsettle import benefit, jsonform
from medsettle.demo import world
from medsettle.demo.tell import faults
from medsettle.v1 import common_pb2, filings_pb2, packages_pb2

DEMO_TIMEOUT_S = 240

OVER_THE_POOL_LIMIT = packages_pb2.QuoteCase(
    institution_level=common_pb2.Level.THREE,
    person_category=common_pb2.Category.RETIRED,
    filing=filings_pb2.Filing.LOCAL,
    accumulators_before=common_pb2.Accumulators(admissions=1, deductible_fen=130_000, pool_fen=824_049),
    account=packages_pb2.QuoteAccount(own_balance_fen=90_000, account_request_fen=50_000),
    bill=common_pb2.LineSplit(
        total_fen=18_908_585,
        own_pay_fen=2_300_000,
        over_ceiling_fen=100_000,
        first_pay_fen=67_404,
        in_scope_fen=16_441_181,
    ),
)


@pytest.mark.timeout(DEMO_TIMEOUT_S + 30)
def test_the_demo_needs_nothing_holds_every_check_and_leaves_nothing_behind(tmp_path: Path) -> None:
    played = subprocess.run(
        [sys.executable, "-m", "medsettle", "demo"],
        capture_output=True,
        text=True,
        timeout=DEMO_TIMEOUT_S,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert played.returncode == 0, played.stdout + played.stderr
    assert "Every check held." in played.stdout
    assert "FAILED" not in played.stdout
    assert len(re.findall(r"^ +checked  ", played.stdout, re.MULTILINE)) >= 100
    assert list(tmp_path.iterdir()) == []


def quoted() -> common_pb2.Split:
    policy = jsonform.parse(packages_pb2.BenefitPolicy, world.package("policy_beijing"))
    split, _ = benefit.quote(policy, OVER_THE_POOL_LIMIT)
    return split


def test_every_amount_of_a_split_follows_from_its_trace() -> None:
    assert faults(quoted()) == []


@pytest.mark.parametrize(
    "name",
    [
        field.name
        for field in common_pb2.Split.DESCRIPTOR.fields
        # What was drawn is the patient's wish and stands in no trace; the cash that is left shows a change of it.
        if field.name.endswith("_fen") and field.name != "family_fen"
    ],
)
def test_a_fen_too_much_in_any_amount_is_found(name: str) -> None:
    split = quoted()
    setattr(split, name, getattr(split, name) + 1)
    assert faults(split)


@pytest.mark.parametrize("name", ["base_numerator", "base_fen", "rate_numerator", "amount_fen"])
def test_a_change_in_any_step_of_a_trace_is_found(name: str) -> None:
    steps = len(quoted().trace)
    assert steps > 6
    for step in range(steps):
        split = quoted()
        changed = split.trace[step]
        setattr(changed, name, getattr(changed, name) + changed.base_denominator)
        assert faults(split), changed
