"""The life of cards through an embedded hub, and the same after it was opened again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from medsettle import EngineSettings, Hub, Rejected
from medsettle.hub import Acting
from medsettle.v1 import accounts_pb2, cards_pb2, common_pb2, operations_pb2, persons_pb2
from trial_world import (
    BEIJING,
    BEIJING_HOSPITAL,
    DESK,
    ISSUER,
    JINAN,
    OPERATOR,
    ROLE_OF,
    Agency,
    KeyRing,
    Patient,
    Ward,
    days_ago,
    found_world,
    make_chip,
    replacement,
)

State = cards_pb2.Card
JUMP = 1_001


class Town:
    """A founded world, open in this process."""

    def __init__(self, root: Path) -> None:
        self.data, self.ring = root / "data", KeyRing.make(root)
        self.hub = self.open()
        found_world(self.acting(OPERATOR))
        self.agency = Agency(self.acting(DESK), self.acting(ISSUER), self.acting(OPERATOR))
        self.ward = Ward(BEIJING_HOSPITAL)

    def open(self) -> Hub:
        settings = EngineSettings(segment_bytes=1 << 20)
        return Hub.open(self.data, keys=self.ring.path, kek=self.ring.kek, settings=settings)

    def reopen(self) -> None:
        self.hub.close()
        self.hub = self.open()

    def acting(self, institution: str) -> Acting:
        return self.hub.acting([ROLE_OF.get(institution, "HOSPITAL")], institution)

    def card(self, card_id: int) -> cards_pb2.Card:
        return self.acting(DESK).cards.get(cards_pb2.CardsGetRequest(card_id=card_id)).card

    def admit(self, patient: Patient) -> int:
        request = self.ward.admission(patient.card_at_admission(), days_ago(2))
        return self.acting(BEIJING_HOSPITAL).inpatient.admit(request).stay_id

    def counts(self, region: str = "", generation: str = "") -> dict[int, int]:
        request = cards_pb2.CardsCountByStateRequest(region=region, generation=generation)
        counted = self.acting(OPERATOR).cards.count_by_state(request)
        return {row.state: row.count for row in counted.counts if row.count} | {-1: counted.insured_persons}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    opened = Town(tmp_path)
    yield opened
    opened.hub.close()


def renewal(town: Town, lost: Patient, serial: int = 77_777) -> tuple[cards_pb2.CardsReplaceRequest, Patient]:
    chip = make_chip(serial)
    request = replacement(town.agency.desk.header(), lost.card_id, chip)
    return request, Patient(lost.person_id, lost.certificate, 0, chip)


def test_a_card_is_replaced_on_the_spot_once_and_the_same_request_gives_the_same_card(town: Town) -> None:
    lost = town.agency.insure()
    town.admit(lost)
    town.agency.report_loss(lost, cards_pb2.Loss.FORMAL)
    request, renewed = renewal(town, lost)
    desk = town.acting(DESK).cards
    given = desk.replace(request)
    assert (given.card.insurance_state, given.card.bank_state) == (State.ENABLED, State.ISSUED)
    assert given.card.predecessor_card_id == lost.card_id
    again = desk.replace(request)
    assert (again.header.replayed, again.card) == (True, given.card)
    with pytest.raises(Rejected) as refusal:
        desk.replace(renewal(town, lost, 77_778)[0])
    assert refusal.value.reason == "CARD_EXISTS"
    town.reopen()
    assert town.card(given.card.card_id) == given.card
    assert town.card(lost.card_id).insurance_state == State.FORMAL_LOST
    with pytest.raises(Rejected) as refusal:
        town.admit(renewed)
    assert refusal.value.reason == "STAY_OVERLAPS", "the new card is taken; only the bed is occupied"


def test_a_card_locked_by_a_jump_is_unlocked_with_its_chip_in_hand_and_works_from_there(town: Town) -> None:
    patient = town.agency.insure()
    town.admit(patient)
    patient.chip.atc += JUMP
    with pytest.raises(Rejected) as refusal:
        town.admit(patient)
    assert refusal.value.reason == "COUNTER_JUMP"
    assert town.card(patient.card_id).insurance_state == State.LOCKED
    request = cards_pb2.CardsUnlockRequest(
        header=town.agency.desk.header(),
        card_id=patient.card_id,
        zone=cards_pb2.Zone.INSURANCE,
        presentation=patient.card_at_admission(),
    )
    card = town.acting(DESK).cards.unlock(request).card
    assert (card.insurance_state, card.atc) == (State.ENABLED, patient.chip.atc)
    town.reopen()
    assert town.card(patient.card_id) == card
    with pytest.raises(Rejected) as refusal:
        town.admit(patient)
    assert refusal.value.reason == "STAY_OVERLAPS", "the card is taken again"


def test_a_retired_generation_settles_nothing_and_is_counted_as_retired(town: Town) -> None:
    enabled, collected, waiting = town.agency.insure(), town.agency.insure(), town.agency.insure(collected=False)
    town.admit(enabled)
    before = {State.MADE: 1, State.ISSUED: 1, State.ENABLED: 1, -1: 3}
    assert town.counts() == town.counts(JINAN) == town.counts("370000", "3") == before
    assert town.counts(BEIJING) == {-1: 0}
    assert town.counts(JINAN, "2") == {-1: 3}
    town.agency.report_loss(collected, cards_pb2.Loss.TEMPORARY)
    assert town.counts() == {State.MADE: 1, State.TEMP_LOST: 1, State.ENABLED: 1, -1: 3}
    request = cards_pb2.CardsRetireGenerationRequest(
        header=town.agency.operator.header(), region=JINAN, generation="3", cut_over_date=days_ago(0).isoformat()
    )
    town.acting(OPERATOR).cards.retire_generation(request)
    for _ in range(2):
        assert town.counts() == {State.RETIRED: 3, -1: 3}
        assert {town.card(each.card_id).insurance_state for each in (enabled, collected, waiting)} == {State.RETIRED}
        with pytest.raises(Rejected) as refusal:
            town.admit(enabled)
        assert refusal.value.reason == "CARD_RETIRED"
        town.reopen()


def test_a_person_takes_the_balance_to_another_region_and_leaves_the_card_behind(town: Town) -> None:
    patient = town.agency.insure()
    town.admit(patient)
    town.agency.credit(patient, 12_345)
    spell = persons_pb2.InsuranceSpell(
        insurance_type=common_pb2.InsuranceType.EMPLOYEE,
        region=BEIJING,
        category=common_pb2.Category.ACTIVE,
        status=persons_pb2.InsuranceSpell.NORMAL,
        from_date=days_ago(0).isoformat(),
    )
    request = persons_pb2.PersonsTransferRegionRequest(
        header=town.agency.desk.header(), person_id=patient.person_id, new_spell=spell
    )
    person = town.acting(DESK).persons.transfer_region(request).person
    assert [(each.region, each.to_date) for each in person.spells] == [(JINAN, days_ago(1).isoformat()), (BEIJING, "")]
    town.reopen()
    key = persons_pb2.PersonsGetRequest(person_id=patient.person_id)
    assert town.acting(DESK).persons.get(key).person == person
    assert town.card(patient.card_id).insurance_state == State.CANCELLED
    account = accounts_pb2.AccountsGetRequest(person_id=patient.person_id)
    assert town.acting(DESK).accounts.get(account).accounts[0].balance_fen == 12_345
    books = town.acting(OPERATOR).operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())
    personal = {
        row.region: row.balance_fen
        for row in books.balances
        if row.account == operations_pb2.LedgerBalance.PERSONAL_ACCOUNTS
    }
    assert personal == {JINAN: 0, BEIJING: 12_345}
    assert town.counts(BEIJING)[-1] == 1
