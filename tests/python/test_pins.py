"""PINs of cards: set at a desk, compared at institutions, counted before they are answered, and never written down."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from medsettle import KeyRingError, Rejected, keys
from medsettle.v1 import accounts_pb2, cards_pb2
from trial_town import Bank
from trial_visits import PURCHASE, Counter
from trial_world import DESK, Patient

Account = accounts_pb2.Account
RIGHT, WRONG = "827364", "827365"
TRIES = 6


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    opened = Bank(tmp_path)
    with opened.hub:
        yield opened


def _card(bank: Bank, patient: Patient) -> cards_pb2.Card:
    return bank.acting(DESK).cards.get(cards_pb2.CardsGetRequest(card_id=patient.card_id)).card


def _set_pin(bank: Bank, patient: Patient, pin: str) -> None:
    request = cards_pb2.CardsSetPinRequest(header=bank.agency.desk.header(), card_id=patient.card_id, pin=pin)
    bank.acting(DESK).cards.set_pin(request)


def _asked(counter: Counter, patient: Patient, pin: str) -> cards_pb2.CardsVerifyPinRequest:
    return cards_pb2.CardsVerifyPinRequest(header=counter.header(), card_sn=patient.chip.card_sn, pin=pin)


def _in_use_with_pin(bank: Bank) -> Patient:
    patient = bank.insured(1_000)
    bank.enable(patient.card_id)
    assert not _card(bank, patient).pin_set
    _set_pin(bank, patient, RIGHT)
    return patient


def test_six_wrong_pins_lock_the_card_also_across_a_restart_and_a_desk_gives_it_back(bank: Bank) -> None:
    patient, counter = _in_use_with_pin(bank), Counter(PURCHASE)
    hub = bank.at(counter).cards
    hub.verify_pin(_asked(counter, patient, RIGHT))
    first = _asked(counter, patient, WRONG)
    for _ in range(2):  # The second is the same request again, and costs nothing.
        with pytest.raises(Rejected) as refusal:
            hub.verify_pin(first)
        assert (refusal.value.reason, refusal.value.detail["tries_left"]) == ("PIN_WRONG", "5")
    bank.hub.close()
    bank.hub = bank.open()
    with bank.hub:
        hub = bank.at(counter).cards
        for left in range(TRIES - 2, -1, -1):
            with pytest.raises(Rejected, match="PIN_WRONG") as refusal:
                hub.verify_pin(_asked(counter, patient, WRONG))
            assert refusal.value.detail["tries_left"] == str(left)
        assert _card(bank, patient).insurance_state == cards_pb2.Card.LOCKED
        with pytest.raises(Rejected, match="CARD_LOCKED"):
            hub.verify_pin(_asked(counter, patient, RIGHT))
        _set_pin(bank, patient, WRONG)
        unlock = cards_pb2.CardsUnlockRequest(
            header=bank.agency.desk.header(), card_id=patient.card_id, zone=cards_pb2.Zone.INSURANCE
        )
        bank.acting(DESK).cards.unlock(unlock)
        hub.verify_pin(_asked(counter, patient, WRONG))
        card = _card(bank, patient)
        assert (card.insurance_state, card.pin_tries_left, card.pin_set) == (cards_pb2.Card.ENABLED, TRIES, True)


def test_the_online_account_pays_with_the_pin_only(bank: Bank) -> None:
    patient, counter = _in_use_with_pin(bank), Counter(PURCHASE)
    bank.top_up(patient, Account.ONLINE, 300)
    with pytest.raises(Rejected, match="PIN_WRONG"):
        bank.purchase(counter, patient, Account.ONLINE, 100, pin=WRONG)
    assert _card(bank, patient).pin_tries_left == TRIES - 1
    assert bank.purchase(counter, patient, Account.ONLINE, 100, pin=RIGHT) == 200
    assert _card(bank, patient).pin_tries_left == TRIES


@pytest.mark.parametrize("pin", ["", "12345", "1234567", "12345x", "\uff11\uff12\uff13\uff14\uff15\uff16"])
def test_a_pin_has_six_digits(bank: Bank, pin: str) -> None:
    patient = bank.insured()
    with pytest.raises(Rejected) as refusal:
        _set_pin(bank, patient, pin)
    assert (refusal.value.reason, refusal.value.detail["field"]) == ("REQUEST_MALFORMED", "pin")


def test_under_another_key_no_pin_is_compared_and_no_try_is_lost(bank: Bank) -> None:
    patient, counter = _in_use_with_pin(bank), Counter(PURCHASE)
    bank.hub.close()
    ring = json.loads(bank.ring.path.read_text())
    del ring["pin_key"]
    bank.ring.path.write_text(json.dumps(ring))
    assert keys.pin_key(bank.ring.path, bank.ring.kek) is None
    assert keys.generate_pin_key(bank.ring.path, bank.ring.kek) == keys.pin_key(bank.ring.path, bank.ring.kek)
    with pytest.raises(KeyRingError, match="there is one already"):
        keys.generate_pin_key(bank.ring.path, bank.ring.kek)
    bank.hub = bank.open()
    with bank.hub:
        for pin in (RIGHT, WRONG):
            with pytest.raises(Rejected, match="PIN_KEY_MISSING"):
                bank.at(counter).cards.verify_pin(_asked(counter, patient, pin))
        assert _card(bank, patient).pin_tries_left == TRIES


def test_no_pin_is_in_any_file_of_the_hub(bank: Bank, tmp_path: Path) -> None:
    patient, counter = _in_use_with_pin(bank), Counter(PURCHASE)
    with pytest.raises(Rejected, match="PIN_WRONG"):
        bank.at(counter).cards.verify_pin(_asked(counter, patient, WRONG))
    bank.hub.close()
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(patient.chip.card_sn.encode() in content for content in files), "the journal is among them"
    assert not any(pin.encode() in content for content in files for pin in (RIGHT, WRONG))
