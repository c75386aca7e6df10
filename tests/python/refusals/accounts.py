"""Requests refused for accounts: whose may pay for whom."""

from medsettle.v1 import accounts_pb2
from refusals.scene import Bad, Scene, forbidden_now, malformed, row
from trial_world import DESK

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
