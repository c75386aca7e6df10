"""The soft card against cryptograms that two other implementations agree on."""

import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from medsettle.softcard import ADMISSION_TYPE, CounterExhausted, Scheme, Signature, SoftCard

VECTORS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "vectors" / "arqc.json").read_text())["vectors"]
GENUINE = [vector for vector in VECTORS if not vector["tampered"]]
TAMPERED = [vector for vector in VECTORS if vector["tampered"]]
SCHEME_OF_SESSION_KEY = {
    "PBOC_SM4": Scheme.PBOC_SM4,
    "PBOC_TDES": Scheme.PBOC_TDES,
    "EMV_CSK_TDES": Scheme.EMV_CSK_TDES,
    "EMV_CSK_AES": Scheme.EMV_AES,
}
CARD_SN = "0123456789ABCDEF0123456789ABCDEF"


def card_of(vector: dict[str, Any]) -> SoftCard:
    scheme = SCHEME_OF_SESSION_KEY[vector["sk_derivation"]]
    return SoftCard(
        scheme,
        bytes.fromhex(vector["issuer_master_key"]),
        vector["pan"],
        int(vector["psn"] or "0"),
        CARD_SN,
        1,
        vector["mk_derivation"] if scheme is Scheme.EMV_CSK_TDES else None,
        atc=max(0, int(vector["atc"], 16) - 1),
    )


def new_card(scheme: Scheme = Scheme.PBOC_SM4, atc: int = 0) -> SoftCard:
    return SoftCard(scheme, bytes(range(16)), "9156000000000000017", 1, CARD_SN, 1, atc=atc)


def sign_fields_of(card: SoftCard, vector: dict[str, Any]) -> Signature:
    """Sign the fields that the vector's 33 or 37 bytes are made of."""
    data = bytes.fromhex(vector["transaction_data"])
    return card.sign(
        int(data[0:6].hex()),
        int(data[6:12].hex()),
        date(2000 + int(data[21:22].hex()), int(data[22:23].hex()), int(data[23:24].hex())),
        data[24],
        unpredictable_number=data[25:29],
        terminal_country=int(data[12:14].hex()),
        tvr=data[14:19],
        currency=int(data[19:21].hex()),
        aip=data[29:31],
        cvr=data[33:],
    )


def signature_with(cryptogram: bytes, atc: int) -> Signature:
    """Return a signature of which only the counter and the cryptogram matter, as for the check of an answer."""
    return Signature(
        pan="",
        sequence_number=0,
        card_sn=CARD_SN,
        scheme=Scheme.PBOC_SM4,
        key_index=1,
        atc=atc,
        amount_fen=0,
        other_amount_fen=0,
        terminal_country=156,
        tvr=bytes(5),
        currency=156,
        transaction_date="2025-01-01",
        transaction_type=ADMISSION_TYPE,
        unpredictable_number=bytes(4),
        aip=bytes(2),
        cvr=b"",
        cryptogram=cryptogram,
    )


def test_the_vectors_hold_every_scheme_and_both_kinds() -> None:
    assert {vector["sk_derivation"] for vector in GENUINE} == set(SCHEME_OF_SESSION_KEY)
    assert (len(GENUINE), len(TAMPERED)) == (90, 10)


@pytest.mark.parametrize("vector", GENUINE, ids=lambda vector: f"{vector['id']}-{vector['sk_derivation']}")
def test_a_genuine_vector_is_reproduced_and_its_answer_accepted(vector: dict[str, Any]) -> None:
    card, atc = card_of(vector), int(vector["atc"], 16)
    cryptogram = card.cryptogram(atc, bytes.fromhex(vector["transaction_data"]))
    assert cryptogram.hex().upper() == vector["arqc"]

    signature, arpc = signature_with(cryptogram, atc), bytes.fromhex(vector["arpc"])
    altered = bytes([arpc[0] ^ 1]) + arpc[1:]
    if vector["arpc_method"] == 1:
        arc = bytes.fromhex(vector["arc"])
        assert card.check_arpc(signature, arc, arpc)
        assert not card.check_arpc(signature, arc, altered)
        assert not card.check_arpc(signature, bytes([arc[0], arc[1] ^ 1]), arpc)
    else:
        csu, auth_data = bytes.fromhex(vector["csu"]), bytes.fromhex(vector["proprietary_auth_data"])
        assert card.check_arpc_method_2(signature, csu, auth_data, arpc)
        assert not card.check_arpc_method_2(signature, csu, auth_data, altered)


@pytest.mark.parametrize("vector", TAMPERED, ids=lambda vector: f"{vector['id']}-{vector['tamper_kind']}")
def test_a_tampered_vector_is_not_what_the_card_signs(vector: dict[str, Any]) -> None:
    cryptogram = card_of(vector).cryptogram(int(vector["atc"], 16), bytes.fromhex(vector["transaction_data"]))
    assert cryptogram.hex().upper() != vector["arqc"]


FIELDWISE = [
    vector
    for vector in GENUINE
    if len(vector["transaction_data"]) in (66, 74) and vector["transaction_data"][62:66] == vector["atc"]
]


@pytest.mark.parametrize("vector", FIELDWISE, ids=lambda vector: f"{vector['id']}-{vector['sk_derivation']}")
def test_signing_the_fields_of_a_vector_gives_its_cryptogram(vector: dict[str, Any]) -> None:
    signature = sign_fields_of(card_of(vector), vector)
    assert signature.cryptogram.hex().upper() == vector["arqc"]
    assert f"{signature.atc:04X}" == vector["atc"]


def test_every_scheme_is_also_signed_field_by_field() -> None:
    assert {vector["sk_derivation"] for vector in FIELDWISE} == set(SCHEME_OF_SESSION_KEY)


@pytest.mark.parametrize("scheme", Scheme)
def test_the_counter_moves_by_one_and_changes_the_cryptogram(scheme: Scheme) -> None:
    card = new_card(scheme)
    first, second = (card.sign(100, 0, date(2025, 3, 1), 0, unpredictable_number=b"\x01\x02\x03\x04") for _ in range(2))
    assert (first.atc, second.atc) == (1, 2)
    assert first.cryptogram != second.cryptogram


def test_the_same_random_source_gives_the_same_signature() -> None:
    signatures = [new_card().sign(100, 20, date(2025, 3, 1), ADMISSION_TYPE, rng=random.Random(7)) for _ in range(2)]
    assert signatures[0] == signatures[1]
    assert signatures[0] != new_card().sign(100, 20, date(2025, 3, 1), ADMISSION_TYPE, rng=random.Random(8))


def test_an_exhausted_card_signs_no_more() -> None:
    card = new_card(atc=0xFFFE)
    assert card.sign(0, 0, date(2025, 1, 1), ADMISSION_TYPE).atc == 0xFFFF
    with pytest.raises(CounterExhausted):
        card.sign(0, 0, date(2025, 1, 1), ADMISSION_TYPE)
    assert card.atc == 0xFFFF


@pytest.mark.parametrize(
    "field",
    [{"tvr": bytes(4)}, {"aip": bytes(3)}, {"cvr": bytes(3)}, {"unpredictable_number": bytes(5)}, {"currency": 10_000}],
    ids=lambda field: next(iter(field)),
)
def test_a_field_of_the_wrong_size_is_refused_and_does_not_count(field: dict[str, Any]) -> None:
    card = new_card()
    with pytest.raises(ValueError, match=r"bytes|decimal digits"):
        card.sign(0, 0, date(2025, 1, 1), ADMISSION_TYPE, **field)
    assert card.atc == 0


@pytest.mark.parametrize("amount_fen", [-1, 10**12])
def test_an_amount_that_twelve_digits_cannot_hold_is_refused(amount_fen: int) -> None:
    with pytest.raises(ValueError, match="12 decimal digits"):
        new_card().sign(amount_fen, 0, date(2025, 1, 1), 0)


def test_pboc_has_no_second_answer_method() -> None:
    card = new_card(Scheme.PBOC_TDES)
    signature = card.sign(0, 0, date(2025, 1, 1), ADMISSION_TYPE)
    with pytest.raises(ValueError, match="no ARPC method 2"):
        card.check_arpc_method_2(signature, bytes(4), b"", bytes(4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"issuer_key": bytes(15)}, "16 bytes"),
        ({"pan": "9156"}, "PAN"),
        ({"card_sn": "12"}, "serial"),
        ({"card_sn": CARD_SN.lower()}, "serial"),
        ({"sequence_number": 100}, "decimal digits"),
        ({"scheme": "DES"}, "DES"),
        ({"derivation": "EMV_A"}, "no choice"),
    ],
)
def test_a_card_that_cannot_exist_is_refused(arguments: dict[str, Any], message: str) -> None:
    valid: dict[str, Any] = {
        "scheme": Scheme.PBOC_SM4,
        "issuer_key": bytes(16),
        "pan": "9156000000000017",
        "sequence_number": 0,
        "card_sn": CARD_SN,
        "key_index": 1,
    }
    with pytest.raises(ValueError, match=message):
        SoftCard(**(valid | arguments))
