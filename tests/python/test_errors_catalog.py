"""The catalog of refusals: complete, read from the contract, and raised as the right exception."""

import pickle
import subprocess
import sys
from importlib import import_module

import pytest
from google.rpc import code_pb2

import medsettle
from medsettle.errors import (
    CATALOG,
    CatalogEntry,
    Halted,
    Overloaded,
    Recovering,
    Rejected,
    Unavailable,
    decoded_refusal,
    refusal_error,
)
from medsettle.v1 import reason_pb2, refusal_pb2


def test_every_reason_of_the_contract_is_in_the_catalog() -> None:
    declared = {value.name: value.number for value in reason_pb2.Reason.Code.DESCRIPTOR.values if value.number}
    assert {entry.reason: entry.number for entry in CATALOG.values()} == declared
    assert CATALOG["CARD_LOST"].number == 2003


@pytest.mark.parametrize("entry", CATALOG.values(), ids=CATALOG)
def test_a_reason_says_how_it_travels_and_what_to_do_in_both_languages(entry: CatalogEntry) -> None:
    assert entry.status in code_pb2.Code.DESCRIPTOR.values_by_name
    assert entry.status != "OK"
    assert entry.retry in {"NEVER", "SAME_REQUEST", "QUOTE_AGAIN"}
    assert entry.advice.endswith(".")
    assert any("一" <= character <= "鿿" for character in entry.advice_zh)
    assert len(set(entry.metadata)) == len(entry.metadata)


def test_only_what_the_hub_may_overcome_by_itself_is_sent_again() -> None:
    again = {entry.reason for entry in CATALOG.values() if entry.retry == "SAME_REQUEST"}
    assert again == {"OVERLOADED", "HALTED", "RECOVERING", "CLOCK_SUSPECT", "DISK_FULL"}


def test_a_refusal_carries_what_the_contract_says() -> None:
    refusal = refusal_pb2.Refusal(reason=reason_pb2.Reason.QUOTE_STALE)
    error = decoded_refusal(refusal.SerializeToString())
    assert isinstance(error, Rejected)
    assert (error.reason, error.number, error.status, error.retry) == ("QUOTE_STALE", 3003, "ABORTED", "QUOTE_AGAIN")
    assert error.advice.startswith("Ask for a new quote and show it to the patient;")
    assert error.advice_zh.startswith("请重新预结算并告知患者")


def test_a_refusal_names_its_details() -> None:
    refusal = refusal_pb2.Refusal(
        reason=reason_pb2.Reason.TOTAL_MISMATCH, metadata={"institution_total_fen": "100", "hub_total_fen": "99"}
    )
    error = decoded_refusal(refusal.SerializeToString())
    assert isinstance(error, Rejected)
    assert error.detail == {"institution_total_fen": "100", "hub_total_fen": "99"}
    assert str(error) == "TOTAL_MISMATCH (hub_total_fen=99, institution_total_fen=100)"


@pytest.mark.parametrize(
    ("reason", "kind"), [("OVERLOADED", Overloaded), ("HALTED", Halted), ("RECOVERING", Recovering)]
)
def test_a_hub_that_cannot_take_requests_is_not_a_refusal(reason: str, kind: type[Unavailable]) -> None:
    error = refusal_error(reason, {})
    assert type(error) is kind
    assert not isinstance(error, Rejected)
    assert str(error) == CATALOG[reason].advice


def test_a_reason_of_a_newer_contract_is_kept_and_never_retried() -> None:
    error = decoded_refusal(b"\x08\x8f\x4e")  # reason 9999
    assert isinstance(error, Rejected)
    assert (error.reason, error.number, error.retry) == ("REASON_9999", 0, "NEVER")


def test_a_refusal_survives_the_way_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(Rejected("STAY_UNKNOWN", {"stay_id": "7"})))
    assert (error.reason, error.detail) == ("STAY_UNKNOWN", {"stay_id": "7"})


def test_a_client_needs_neither_the_extension_nor_the_server() -> None:
    script = (
        "import sys, medsettle, medsettle.v1.inpatient_pb2\n"
        "medsettle.Client, medsettle.connect_async, medsettle.Rejected\n"
        "loaded = set(sys.modules)\n"
        "print(*sorted(m for m in loaded if m in {'medsettle._core', 'medsettle.hub', 'uvloop'}"
        " or m.startswith('medsettle.rpc')))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_every_public_name_has_a_home() -> None:
    assert set(medsettle._HOME_OF) | medsettle._MODULES == set(medsettle.__all__)
    for name, module in medsettle._HOME_OF.items():
        if module != "hub":
            assert getattr(medsettle, name) is getattr(import_module(f"medsettle.{module}"), name)
