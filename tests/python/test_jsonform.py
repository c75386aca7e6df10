"""The JSON of packages and cases: what is read, what is refused and where, and that printing loses nothing."""

import json
from pathlib import Path

import pytest
from google.protobuf.message import Message

from medsettle import jsonform
from medsettle.jsonform import MalformedDocument, Problem
from medsettle.v1 import common_pb2, packages_pb2, presentation_pb2

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "benefit_cases.json").read_text(encoding="utf-8"))
NOT_OF_THE_CASE = {"id", "policy", "expected", "note"}
CASES = {case["id"]: {k: v for k, v in case.items() if k not in NOT_OF_THE_CASE} for case in VECTORS["cases"]}


def without_nulls(data: object) -> object:
    if isinstance(data, dict):
        return {name: without_nulls(value) for name, value in data.items() if value is not None}
    return [without_nulls(item) for item in data] if isinstance(data, list) else data


def contains(whole: object, part: object) -> bool:
    """Tell whether every value of `part` stands at the same place in `whole`."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and contains(whole[name], part[name]) for name in part)
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
    return type(whole) is type(part) and whole == part


@pytest.mark.parametrize("name", VECTORS["policies"])
def test_every_policy_of_the_vectors_is_read_and_printed_without_loss(name: str) -> None:
    data = VECTORS["policies"][name]
    policy = jsonform.parse(packages_pb2.BenefitPolicy, data)
    printed = jsonform.to_json(policy)
    assert contains(printed, without_nulls(data))
    assert jsonform.parse(packages_pb2.BenefitPolicy, jsonform.decode(json.dumps(printed))) == policy


@pytest.mark.parametrize("name", CASES)
def test_every_case_of_the_vectors_is_read_and_printed_without_loss(name: str) -> None:
    case = jsonform.parse(packages_pb2.QuoteCase, CASES[name])
    printed = jsonform.to_json(case)
    assert contains(printed, CASES[name])
    assert jsonform.parse(packages_pb2.QuoteCase, jsonform.decode(json.dumps(printed))) == case


def test_null_and_absence_are_the_same_for_a_bound() -> None:
    absent = jsonform.parse(packages_pb2.Band, {"rate_bp": 9000})
    null = jsonform.parse(packages_pb2.Band, {"rate_bp": 9000, "to_fen": None})
    zero = jsonform.parse(packages_pb2.Band, {"rate_bp": 9000, "to_fen": 0})
    assert absent == null
    assert not null.HasField("to_fen")
    assert zero.HasField("to_fen")
    assert jsonform.to_json(null)["to_fen"] is None
    assert jsonform.to_json(zero)["to_fen"] == 0


def test_defaults_are_printed_and_read_again() -> None:
    empty = packages_pb2.BenefitPolicy()
    printed = jsonform.to_json(empty)
    assert printed["region"] == ""
    assert printed["layers"] == []
    assert printed["counter"] == "UNSPECIFIED"
    assert printed["deductible_year_cap_fen"] is None
    assert jsonform.parse(packages_pb2.BenefitPolicy, printed) == empty


def test_accumulators_by_year_have_whole_numbers_as_names() -> None:
    case = jsonform.parse(packages_pb2.QuoteCase, {"accumulators_by_year": {"2025": {"pool_fen": 7}, "2024": {}}})
    assert case.accumulators_by_year[2025].pool_fen == 7
    years = jsonform.to_json(case)["accumulators_by_year"]
    assert isinstance(years, dict)
    assert list(years) == ["2024", "2025"]


def test_bytes_are_base64() -> None:
    split = jsonform.parse(common_pb2.Split, {"policy_hash": "AP8="})
    assert split.policy_hash == b"\x00\xff"
    assert jsonform.to_json(split)["policy_hash"] == "AP8="


@pytest.mark.parametrize(
    ("message_type", "text", "problem"),
    [
        (packages_pb2.Band, "[]", Problem("", "must be an object, not a list")),
        (packages_pb2.Band, '{"rate": 1}', Problem("rate", "is not a field of Band")),
        (packages_pb2.Band, '{"rateBp": 1}', Problem("rateBp", "is not a field of Band")),
        (packages_pb2.Band, '{"rate_bp": 1, "rate_bp": 2}', Problem("rate_bp", "stands more than once")),
        (packages_pb2.Band, '{"rate_bp": null}', Problem("rate_bp", "may not be null; leave it out for the default")),
        (packages_pb2.Band, '{"rate_bp": "9000"}', Problem("rate_bp", "must be a whole number, not a text")),
        (packages_pb2.Band, '{"rate_bp": 90.0}', Problem("rate_bp", "must be a whole number, not the number 90.0")),
        (packages_pb2.Band, '{"rate_bp": true}', Problem("rate_bp", "must be a whole number, not true")),
        (packages_pb2.Band, '{"rate_bp": NaN}', Problem("rate_bp", "must be a whole number, not the number nan")),
        (packages_pb2.Band, '{"rate_bp": -1}', Problem("rate_bp", "must be between 0 and 4294967295")),
        (
            packages_pb2.Band,
            '{"to_fen": 9223372036854775808}',
            Problem("to_fen", "must be between -9223372036854775808 and 9223372036854775807"),
        ),
        (packages_pb2.Band, '{"levels": "THREE"}', Problem("levels", "must be a list, not a text")),
        (
            packages_pb2.Band,
            '{"levels": ["THREE", "FOUR"]}',
            Problem("levels[1]", "must be one of THREE, TWO, ONE, NONE, not 'FOUR'"),
        ),
        (
            packages_pb2.Band,
            '{"levels": [1]}',
            Problem("levels[0]", "must be one of THREE, TWO, ONE, NONE, not the number 1"),
        ),
        (
            packages_pb2.Band,
            '{"levels": [null]}',
            Problem("levels[0]", "must be one of THREE, TWO, ONE, NONE, not null"),
        ),
        (packages_pb2.Band, '{"entitlements": ["\\ud800"]}', Problem("entitlements[0]", "holds half a surrogate pair")),
        (
            packages_pb2.Layer,
            '{"deductible_counts": 1}',
            Problem("deductible_counts", "must be true or false, not the number 1"),
        ),
        (packages_pb2.Layer, '{"bands": [null]}', Problem("bands[0]", "must be an object, not null")),
        (common_pb2.Split, '{"policy_hash": "AP8"}', Problem("policy_hash", "is not base64")),
        (
            packages_pb2.QuoteCase,
            '{"accumulators_by_year": {"02025": {}}}',
            Problem("accumulators_by_year[02025]", "the key must be a whole number"),
        ),
        (
            packages_pb2.QuoteCase,
            '{"accumulators_by_year": {"2025": {"pool_fen": "1"}}}',
            Problem("accumulators_by_year[2025].pool_fen", "must be a whole number, not a text"),
        ),
        (
            presentation_pb2.Presentation,
            '{"voucher_id": 1, "chip": {}}',
            Problem("", "only one of chip, voucher_id may be given"),
        ),
    ],
)
def test_a_fault_is_named_with_its_path(message_type: type[Message], text: str, problem: Problem) -> None:
    assert jsonform.problems(message_type, jsonform.decode(text)) == [problem]


def test_every_fault_of_a_document_is_named_at_once() -> None:
    data = {
        "region": 370100,
        "layers": [{"fund": "POOL", "bands": [{"rate_bp": 8800}, {"rate_pp": 88, "from_fen": "0"}]}],
        "unfiled": "MAYBE",
    }
    with pytest.raises(MalformedDocument) as caught:
        jsonform.parse(packages_pb2.BenefitPolicy, data)
    assert [problem.path for problem in caught.value.problems] == [
        "region",
        "layers[0].bands[1].rate_pp",
        "layers[0].bands[1].from_fen",
        "unfiled",
    ]


@pytest.mark.parametrize("text", ["", "{", '{"a": 1,}', b"\xff", "[" * 200_000])
def test_text_that_is_not_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(MalformedDocument, match="is not JSON"):
        jsonform.decode(text)
