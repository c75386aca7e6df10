"""The engine's benefit rules beside the oracle's, on random packages, bills and histories."""

from dataclasses import replace
from typing import Any

from google.protobuf.message import Message
from hypothesis import HealthCheck, event, given, settings

import strategies
from benefit_oracle import ACCUMULATOR_FIELDS, FUND_FIELDS, Amounts, Outcome, Refused
from benefit_oracle import quote as quote_of_oracle
from medsettle import Rejected, benefit, jsonform
from medsettle.v1 import packages_pb2

Json = dict[str, Any]


def outcome_of_engine(policy: Json, case: Json) -> Outcome | str:
    """Quote through the extension; the name of the reason where it refuses."""
    try:
        result = benefit.quote_result(
            jsonform.parse(packages_pb2.BenefitPolicy, policy), jsonform.parse(packages_pb2.QuoteCase, case)
        )
    except Rejected as refusal:
        return refusal.reason
    return Outcome(
        split=amounts(result.split),
        accumulators_after=amounts(result.accumulators_after),
        accumulators_by_year={year: amounts(after) for year, after in result.accumulators_by_year.items()},
        balance_after_fen=result.balance_after_fen,
    )


def amounts(message: Message) -> Amounts:
    """Give the amounts of a message, and the count of admissions."""
    names = (field.name for field in message.DESCRIPTOR.fields)
    return {name: getattr(message, name) for name in names if name.endswith("_fen") or name == "admissions"}


def outcome_of_oracle(policy: Json, case: Json) -> Outcome | str:
    try:
        outcome = quote_of_oracle(policy, case)
    except Refused as refusal:
        return refusal.reason
    # A quote repeats the years that it was told of and leaves alone.
    told = {
        int(year): {**dict.fromkeys(ACCUMULATOR_FIELDS, 0), **before}
        for year, before in case.get("accumulators_by_year", {}).items()
    }
    return replace(outcome, accumulators_by_year=told | outcome.accumulators_by_year)


@settings(max_examples=1_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(strategies.policies_with_cases())
def test_engine_and_oracle_agree_to_the_fen_and_on_every_refusal(drawn: tuple[Json, Json]) -> None:
    policy, case = drawn
    assert benefit.policy_problems(policy) == []
    expected = outcome_of_oracle(policy, case)
    if isinstance(expected, str):
        event(expected)
    else:
        event(f"funds paying: {sum(expected.split[field] > 0 for field in FUND_FIELDS.values())}")
    assert outcome_of_engine(policy, case) == expected
