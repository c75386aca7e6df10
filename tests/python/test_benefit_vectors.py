"""Bills computed by another program, one of them recorded in a hospital, through the public function to the fen."""

import json
from pathlib import Path
from typing import Any

import pytest

from medsettle import Rejected, benefit, jsonform
from medsettle.v1 import packages_pb2

Json = dict[str, Any]

VECTORS: Json = json.loads((Path(__file__).parents[1] / "vectors" / "benefit_cases.json").read_text())
BESIDE_THE_CASE = ("id", "policy", "expected", "note")


def policy(name: str) -> packages_pb2.BenefitPolicy:
    return jsonform.parse(packages_pb2.BenefitPolicy, VECTORS["policies"][name])


def case(recorded: Json) -> packages_pb2.QuoteCase:
    fields = {name: value for name, value in recorded.items() if name not in BESIDE_THE_CASE}
    return jsonform.parse(packages_pb2.QuoteCase, fields)


@pytest.mark.parametrize("name", VECTORS["policies"])
def test_a_recorded_policy_has_no_problem(name: str) -> None:
    assert benefit.policy_problems(VECTORS["policies"][name]) == []


@pytest.mark.parametrize("recorded", VECTORS["cases"], ids=lambda recorded: recorded["id"])
def test_a_recorded_case_comes_out_to_the_fen(recorded: Json) -> None:
    result = benefit.quote_result(policy(recorded["policy"]), case(recorded))
    computed = jsonform.to_json(result.split) | {"balance_after_fen": result.balance_after_fen}
    assert {field: computed[field] for field in recorded["expected"]} == recorded["expected"]


def test_a_policy_with_problems_is_refused_and_each_is_named_by_its_path() -> None:
    faulty = json.loads(json.dumps(VECTORS["policies"]["jinan"]))
    faulty["layers"][0]["bands"][0]["rate_bp"] = 10_001
    problems = benefit.policy_problems(faulty)
    assert [problem.path for problem in problems] == ["layers[0].bands[0].rate_bp"]

    recorded = next(recorded for recorded in VECTORS["cases"] if recorded["policy"] == "jinan")
    with pytest.raises(Rejected) as refusal:
        benefit.quote(jsonform.parse(packages_pb2.BenefitPolicy, faulty), case(recorded))
    assert refusal.value.reason == "PACKAGE_INVALID"


def test_a_policy_that_does_not_have_the_form_is_told_before_its_rules() -> None:
    faulty = {**VECTORS["policies"]["jinan"], "deductable_year_cap_fen": 1}
    assert [problem.path for problem in benefit.policy_problems(faulty)] == ["deductable_year_cap_fen"]


def test_bytes_that_are_no_message_are_refused_as_malformed() -> None:
    from medsettle import _core
    from medsettle.errors import decoded_refusal

    ok, refusal = _core.benefit_quote(b"\xff", b"")
    assert not ok
    error = decoded_refusal(refusal)
    assert isinstance(error, Rejected)
    assert error.reason == "REQUEST_MALFORMED"
