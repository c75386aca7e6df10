"""Unwinds that are not in order, and reading about them without the right."""

from medsettle.v1 import fraud_pb2
from refusals.scene import Bad, Scene, forbidden_now, malformed, row
from trial_world import OPERATOR


def _unwind(
    scene: Scene, since_ms: int = 1, until_ms: int = 0, excluded: tuple[int, ...] = ()
) -> fraud_pb2.FraudUnwindRequest:
    """Unwind everything that was ever settled with the lost card: nothing."""
    scope = fraud_pb2.UnwindScope(
        card_id=scene.lost.card_id, since_ms=since_ms, until_ms=until_ms, excluded_settlement_ids=excluded
    )
    return fraud_pb2.FraudUnwindRequest(
        header=scene.agency.operator.header(), scope=scope, case_number="F-1", second_approver="director"
    )


def _bad(request: fraud_pb2.FraudUnwindRequest, **metadata: str) -> Bad:
    return Bad("Fraud.Unwind", request, metadata)


@forbidden_now("NOTHING_TO_UNWIND", caller=OPERATOR)
def an_unwind_of_nothing(scene: Scene) -> Bad:
    return _bad(_unwind(scene))


@malformed("second_approver", caller=OPERATOR)
def an_unwind_with_one_approver_only(scene: Scene) -> Bad:
    request = _unwind(scene)
    request.second_approver = request.header.operator
    return _bad(request)


@malformed("second_approver", caller=OPERATOR)
def an_unwind_with_one_approver_in_two_spellings(scene: Scene) -> Bad:
    request = _unwind(scene)
    request.header.operator, request.second_approver = "Me", "mE"
    return _bad(request)


@malformed("second_approver", caller=OPERATOR)
def an_unwind_with_one_approver_and_a_space_that_nobody_sees(scene: Scene) -> Bad:
    request = _unwind(scene)
    request.second_approver = request.header.operator + "\u200b"
    return _bad(request)


@malformed("header.operator", caller=OPERATOR)
def an_unwind_by_somebody_with_a_space_that_nobody_sees(scene: Scene) -> Bad:
    request = _unwind(scene)
    request.header.operator = "di\u200brector"
    return _bad(request)


@malformed("second_approver", caller=OPERATOR)
def an_unwind_without_a_second_approver(scene: Scene) -> Bad:
    request = _unwind(scene)
    request.second_approver = ""
    return _bad(request)


@malformed("header.operator", caller=OPERATOR)
def an_unwind_by_nobody(scene: Scene) -> Bad:
    request = _unwind(scene)
    request.header.operator = ""
    return _bad(request)


@malformed("case_number", caller=OPERATOR)
def an_unwind_without_a_case(scene: Scene) -> Bad:
    request = _unwind(scene)
    request.case_number = ""
    return _bad(request)


@malformed("scope", caller=OPERATOR)
def an_unwind_of_no_scope(scene: Scene) -> Bad:
    request = _unwind(scene)
    request.ClearField("scope")
    return _bad(request)


@malformed("scope.card_id", caller=OPERATOR)
def an_unwind_of_no_card(scene: Scene) -> Bad:
    request = _unwind(scene)
    request.scope.card_id = 0
    return _bad(request)


@row("CARD_UNKNOWN", "NOT_FOUND", caller=OPERATOR)
def an_unwind_of_a_card_that_was_never_made(scene: Scene) -> Bad:
    request = _unwind(scene)
    request.scope.card_id = 4_711
    return _bad(request, card="4711")


@malformed("scope.since_ms", caller=OPERATOR)
def an_unwind_since_tomorrow(scene: Scene) -> Bad:
    return _bad(_unwind(scene, since_ms=4_000_000_000_000))


@malformed("scope.since_ms", caller=OPERATOR)
def an_unwind_since_ever(scene: Scene) -> Bad:
    return _bad(_unwind(scene, since_ms=0))


@malformed("scope.until_ms", caller=OPERATOR)
def an_unwind_until_tomorrow(scene: Scene) -> Bad:
    return _bad(_unwind(scene, until_ms=4_000_000_000_000))


@malformed("scope.until_ms", caller=OPERATOR)
def an_unwind_that_ends_before_it_begins(scene: Scene) -> Bad:
    return _bad(_unwind(scene, since_ms=3, until_ms=2))


@malformed("scope.excluded_settlement_ids[0]", caller=OPERATOR)
def an_unwind_that_excludes_what_is_not_in_it(scene: Scene) -> Bad:
    return _bad(_unwind(scene, excluded=(4_711,)))


@malformed("scope.excluded_settlement_ids", caller=OPERATOR)
def an_unwind_that_excludes_more_than_it_may_hold(scene: Scene) -> Bad:
    return _bad(_unwind(scene, excluded=tuple(range(1, 502))))


@malformed("scope.excluded_stay_ids[0]", caller=OPERATOR)
def an_unwind_that_excludes_a_stay_that_is_not_in_it(scene: Scene) -> Bad:
    request = _unwind(scene)
    request.scope.excluded_stay_ids.append(4_711)
    return _bad(request)


@malformed("preview_digest", caller=OPERATOR)
def an_unwind_of_half_a_preview(scene: Scene) -> Bad:
    request = _unwind(scene)
    request.preview_digest = bytes(31)
    return _bad(request)


@row("ROLE_FORBIDDEN", "PERMISSION_DENIED")
def a_hospital_that_previews_an_unwind(scene: Scene) -> Bad:
    return Bad("Fraud.PreviewUnwind", fraud_pb2.FraudPreviewUnwindRequest(scope=_unwind(scene).scope))


@row("ROLE_FORBIDDEN", "PERMISSION_DENIED")
def a_hospital_that_reads_claims(scene: Scene) -> Bad:
    return Bad("Fraud.ListClaims", fraud_pb2.FraudListClaimsRequest())


@malformed("institution_code", caller=OPERATOR)
def claims_on_an_institution_that_cannot_be(scene: Scene) -> Bad:
    return Bad("Fraud.ListClaims", fraud_pb2.FraudListClaimsRequest(institution_code="h"))
