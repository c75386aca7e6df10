"""Requests refused for accounts: whose may pay for whom, which card pays in and buys, and what is reimbursed."""

from medsettle.v1 import accounts_pb2
from refusals.scene import Bad, Scene, forbidden_now, malformed, row
from trial_world import BEIJING_HOSPITAL, DESK, OPERATOR, Patient

Account = accounts_pb2.Account

OTHER_HUB_PERSON = 2 * 10**13 + 1
"""An id that only hub number 2 gives."""


def _link(scene: Scene, payer_person_id: int) -> accounts_pb2.AccountsLinkFamilyRequest:
    return accounts_pb2.AccountsLinkFamilyRequest(
        header=scene.agency.desk.header(), person_id=scene.fresh.person_id, payer_person_id=payer_person_id
    )


@forbidden_now("PERSON_OF_OTHER_HUB", caller=DESK)
def a_link_to_a_family_member_in_another_hub(scene: Scene) -> Bad:
    return Bad("Accounts.LinkFamily", _link(scene, OTHER_HUB_PERSON), {"hub_number": "2"})


@row("PERSON_UNKNOWN", "NOT_FOUND", caller=DESK)
def a_link_to_nobody(scene: Scene) -> Bad:
    return Bad("Accounts.LinkFamily", _link(scene, 4_711))


@malformed("payer_person_id", caller=DESK)
def a_link_to_oneself(scene: Scene) -> Bad:
    return Bad("Accounts.LinkFamily", _link(scene, scene.fresh.person_id))


@malformed("payer_person_id", caller=DESK)
def a_link_without_a_payer(scene: Scene) -> Bad:
    return Bad("Accounts.LinkFamily", _link(scene, 0))


@row("FAMILY_LINK_EXISTS", "ALREADY_EXISTS", caller=DESK)
def a_family_link_that_stands_already(scene: Scene) -> Bad:
    request = _link(scene, scene.large_family[0].person_id)
    request.person_id = scene.child.person_id
    return Bad("Accounts.LinkFamily", request)


@forbidden_now("FAMILY_LINKS_FULL", caller=DESK)
def a_ninth_payer(scene: Scene) -> Bad:
    request = _link(scene, scene.fresh.person_id)
    request.person_id = scene.child.person_id
    return Bad("Accounts.LinkFamily", request, {"limit": "8"})


@row("FAMILY_LINK_UNKNOWN", "NOT_FOUND", caller=DESK)
def the_end_of_a_family_link_that_never_was(scene: Scene) -> Bad:
    request = accounts_pb2.AccountsUnlinkFamilyRequest(
        header=scene.agency.desk.header(),
        person_id=scene.child.person_id,
        payer_person_id=scene.fresh.person_id,
    )
    return Bad("Accounts.UnlinkFamily", request)


def _top_up(patient: Patient, scene: Scene, account: Account.Kind.ValueType) -> accounts_pb2.AccountsTopUpRequest:
    return accounts_pb2.AccountsTopUpRequest(
        header=scene.agency.desk.header(), card_id=patient.card_id, account=account, amount_fen=100
    )


@forbidden_now("ACCOUNT_NOT_OFFERED", caller=DESK)
def the_medical_account_topped_up_with_the_holders_own_money(scene: Scene) -> Bad:
    request = _top_up(scene.settled.patient, scene, Account.INSURANCE)
    return Bad("Accounts.TopUp", request, {"account": "INSURANCE"})


@forbidden_now("CARD_LOST", caller=DESK, lacks="until_ms")
def a_lost_card_topped_up(scene: Scene) -> Bad:
    return Bad("Accounts.TopUp", _top_up(scene.lost, scene, Account.ONLINE), {"state": "FORMAL_LOST"})


@forbidden_now("CARD_NOT_ENABLED", caller=DESK)
def a_card_topped_up_before_it_is_enabled(scene: Scene) -> Bad:
    return Bad("Accounts.TopUp", _top_up(scene.fresh, scene, Account.OFFLINE), {"state": "ISSUED"})


@malformed("amount_fen", caller=DESK)
def a_top_up_of_nothing(scene: Scene) -> Bad:
    request = _top_up(scene.settled.patient, scene, Account.ONLINE)
    request.amount_fen = 0
    return Bad("Accounts.TopUp", request)


def _purchase(scene: Scene, patient: Patient, **changes: str | int) -> accounts_pb2.AccountsPurchaseRequest:
    request = accounts_pb2.AccountsPurchaseRequest(
        header=scene.ward.header(),
        card_sn=patient.chip.card_sn,
        account=Account.OFFLINE,
        amount_fen=100,
        terminal_id="T1",
    )
    for name, value in changes.items():
        setattr(request, name, value)
    return request


@forbidden_now("PURCHASE_EXCEEDS", caller=BEIJING_HOSPITAL)
def more_than_the_purse_in_the_chip_holds(scene: Scene) -> Bad:
    expected = {"requested_fen": "100", "available_fen": "0"}
    return Bad("Accounts.Purchase", _purchase(scene, scene.settled.patient), expected)


@malformed("pin")
def a_purchase_online_without_the_pin(scene: Scene) -> Bad:
    return Bad("Accounts.Purchase", _purchase(scene, scene.settled.patient, account=Account.ONLINE))


@malformed("pin")
def a_pin_for_a_purse_that_has_none(scene: Scene) -> Bad:
    return Bad("Accounts.Purchase", _purchase(scene, scene.settled.patient, pin="123456"))


@forbidden_now("CARD_LOST", lacks="until_ms")
def a_purchase_online_with_a_lost_card(scene: Scene) -> Bad:
    request = _purchase(scene, scene.lost, account=Account.ONLINE, pin="123456")
    return Bad("Accounts.Purchase", request, {"state": "FORMAL_LOST"})


@forbidden_now("PIN_NOT_SET")
def a_purchase_online_with_a_card_that_has_no_pin(scene: Scene) -> Bad:
    request = _purchase(scene, scene.settled.patient, account=Account.ONLINE, pin="123456")
    return Bad("Accounts.Purchase", request)


@row("CARD_UNKNOWN", "NOT_FOUND")
def a_purchase_with_a_card_that_nobody_made(scene: Scene) -> Bad:
    return Bad("Accounts.Purchase", _purchase(scene, scene.fresh, card_sn="F" * 32), {"card": "F" * 32})


def _pay_out(scene: Scene, **changes: str | int) -> accounts_pb2.AccountsPayOutRequest:
    request = accounts_pb2.AccountsPayOutRequest(
        header=scene.agency.operator.header(),
        person_id=scene.child.person_id,
        amount_fen=100,
        claim_number="C-2",
    )
    for name, value in changes.items():
        setattr(request, name, value)
    return request


@row("CLAIM_PAID", "ALREADY_EXISTS", caller=OPERATOR)
def a_claim_that_waits_to_be_paid_already(scene: Scene) -> Bad:
    return Bad("Accounts.PayOut", _pay_out(scene, claim_number=scene.waiting_claim), {"claim_number": "C-1"})


@row("PERSON_UNKNOWN", "NOT_FOUND", caller=OPERATOR)
def a_claim_of_nobody(scene: Scene) -> Bad:
    return Bad("Accounts.PayOut", _pay_out(scene, person_id=4_711))


@malformed("amount_fen", caller=OPERATOR)
def a_claim_for_nothing(scene: Scene) -> Bad:
    return Bad("Accounts.PayOut", _pay_out(scene, amount_fen=0))


@malformed("claim_number", caller=OPERATOR)
def a_claim_without_a_number(scene: Scene) -> Bad:
    return Bad("Accounts.PayOut", _pay_out(scene, claim_number=""))
