"""A hundred cryptograms computed by other programs, through the public function."""

import json
from pathlib import Path
from typing import Any

import pytest

from medsettle import Rejected, cryptogram

Json = dict[str, Any]

VECTORS: list[Json] = json.loads((Path(__file__).parents[1] / "vectors" / "arqc.json").read_text())["vectors"]
SCHEMES = {"EMV_CSK_AES": "EMV_AES"}
ACCEPTED = next(vector for vector in VECTORS if vector["expected"] == "accept" and vector["arpc_method"] == 1)


def answer(vector: Json, **changed: Any) -> bytes:
    scheme = SCHEMES.get(vector["sk_derivation"], vector["sk_derivation"])
    option_a = scheme == "EMV_CSK_TDES" and vector["mk_derivation"] == "EMV_A"
    arguments = {
        "scheme": scheme,
        "issuer_key": bytes.fromhex(vector["issuer_master_key"]),
        "pan": vector["pan"],
        "sequence_number": int(vector["psn"] or "00"),
        "atc": int(vector["atc"], 16),
        "data": bytes.fromhex(vector["transaction_data"]),
        "cryptogram": bytes.fromhex(vector["arqc"]),
        "derivation": "OPTION_A" if option_a else None,
        **reply(vector),
        **changed,
    }
    return cryptogram.answer(**arguments)


def reply(vector: Json) -> Json:
    """Give what the issuer answers with; a tampered vector, which has no answer, is asked for one all the same."""
    if vector["arpc_method"] == 2:
        return {
            "csu": bytes.fromhex(vector["csu"]),
            "auth_data": bytes.fromhex(vector.get("proprietary_auth_data") or ""),
        }
    return {"arc": bytes.fromhex(vector.get("arc") or "3030")}


def test_there_are_a_hundred_vectors_of_both_outcomes() -> None:
    assert len(VECTORS) == 100
    assert {vector["expected"] for vector in VECTORS} == {"accept", "reject"}


def test_who_does_not_know_the_derivation_may_leave_it_out() -> None:
    for vector in VECTORS:
        if vector["expected"] == "accept":
            assert answer(vector, derivation=None).hex().upper() == vector["arpc"]


def test_a_named_derivation_excludes_the_other() -> None:
    long_option_a = next(
        vector
        for vector in VECTORS
        if (vector["mk_derivation"], vector["sk_derivation"]) == ("EMV_A", "EMV_CSK_TDES") and len(vector["pan"]) > 16
    )
    with pytest.raises(Rejected):
        answer(long_option_a, derivation="BY_PAN_LENGTH")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['id']}-{vector['expected']}")
def test_a_vector_is_answered_or_refused_as_recorded(vector: Json) -> None:
    if vector["expected"] == "accept":
        assert answer(vector).hex().upper() == vector["arpc"]
    else:
        with pytest.raises(Rejected) as refusal:
            answer(vector)
        assert refusal.value.reason == "CRYPTOGRAM_INVALID"


def test_another_counter_makes_a_right_cryptogram_wrong() -> None:
    with pytest.raises(Rejected, match="CRYPTOGRAM_INVALID"):
        answer(ACCEPTED, atc=int(ACCEPTED["atc"], 16) ^ 1)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"scheme": "EMV_DES"}, "unknown scheme"),
        ({"derivation": "OPTION_C"}, "derivation"),
        ({"issuer_key": bytes(15)}, "issuer_key has 16 bytes, this has 15"),
        ({"pan": "91561234"}, "12 to 19 digits"),
        ({"pan": "9156x23456789012"}, "decimal digits"),
        ({"sequence_number": 100}, "0 to 99"),
        ({"sequence_number": -1}, "0 to 99"),
        ({"atc": 65_536}, "0 to 65535"),
        ({"cryptogram": bytes(9)}, "cryptogram has 8 bytes"),
        ({"arc": b"0"}, "arc has 2 bytes"),
        ({"arc": None}, "give arc"),
        ({"csu": bytes(4)}, "give arc"),
        ({"arc": None, "csu": bytes(3)}, "csu has 4 bytes"),
        ({"arc": None, "csu": bytes(4), "auth_data": bytes(9)}, "at most 8 bytes"),
    ],
)
def test_a_malformed_argument_is_named(changed: Json, problem: str) -> None:
    assert ACCEPTED["sk_derivation"] == "EMV_CSK_TDES"
    with pytest.raises(ValueError, match=problem):
        answer(ACCEPTED, **changed)


def test_a_social_security_card_has_no_method_2() -> None:
    of_pboc = next(v for v in VECTORS if v["expected"] == "accept" and v["sk_derivation"] == "PBOC_SM4")
    with pytest.raises(ValueError, match="PBOC_SM4 has no ARPC method 2"):
        answer(of_pboc, arc=None, csu=bytes(4))
