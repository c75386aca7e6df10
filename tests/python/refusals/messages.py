"""Requests refused for their bytes, their header, a field, a package or a region, and methods that are not there."""

import time

from medsettle.v1 import batch_pb2, filings_pb2, institutions_pb2, packages_pb2, persons_pb2
from refusals.scene import (
    AHEAD_MS,
    COMMANDS,
    LINES,
    MESSAGE_BYTES,
    MOST_FEN,
    WINDOW_MS,
    Bad,
    Scene,
    forbidden_now,
    malformed,
    row,
)
from trial_world import BEIJING_HOSPITAL, DESK, GUANGZHOU, OPERATOR, days_ago, line, policy


@malformed("")
def bytes_that_are_no_message(scene: Scene) -> Bad:
    return Bad("Inpatient.Admit", b"\xff" * 20)


@malformed("presentation")
def a_message_that_is_cut_off(scene: Scene) -> Bad:
    header = scene.ward.header().SerializeToString()
    return Bad("Inpatient.Admit", b"\x0a" + bytes([len(header)]) + header + b"\x12\x7f\x0a")


@malformed("")
def an_unknown_field(scene: Scene) -> Bad:
    return Bad("Inpatient.Admit", scene.admission().SerializeToString() + b"\xf8\x3f\x01")


@malformed("header")
def an_unknown_field_inside_a_message(scene: Scene) -> Bad:
    header = scene.ward.header().SerializeToString() + b"\xf8\x3f\x01"
    return Bad("Inpatient.CancelDischarge", b"\x0a" + bytes([len(header)]) + header)


@malformed("kind")
def an_unknown_value_of_an_enum(scene: Scene) -> Bad:
    request = scene.admission()
    request.kind = 77  # type: ignore[assignment]
    return Bad("Inpatient.Admit", request)


@malformed("kind")
def an_enum_that_is_not_given(scene: Scene) -> Bad:
    request = scene.admission()
    request.ClearField("kind")
    return Bad("Inpatient.Admit", request)


@malformed("stay_id")
def a_field_given_twice(scene: Scene) -> Bad:
    request = scene.ward.discharge(scene.open.stay_id, days_ago(1)).SerializeToString()
    return Bad("Inpatient.Discharge", request + b"\x10\x01")


@row("REQUEST_TOO_LARGE", "INVALID_ARGUMENT")
def a_message_over_the_limit(scene: Scene) -> Bad:
    sizes = {"limit": str(MESSAGE_BYTES), "size": str(MESSAGE_BYTES + 1)}
    return Bad("Inpatient.Admit", bytes(MESSAGE_BYTES + 1), sizes)


@row("REQUEST_TOO_LARGE", "INVALID_ARGUMENT")
def a_line_too_many(scene: Scene) -> Bad:
    lines = [line(number, scene.day()) for number in range(10, 11 + LINES)]
    request = scene.ward.charges(scene.open.stay_id, *lines)
    return Bad("Inpatient.AddCharges", request, {"limit": str(LINES), "size": str(LINES + 1)})


@row("REQUEST_TOO_LARGE", "INVALID_ARGUMENT")
def a_command_too_many(scene: Scene) -> Bad:
    batch = batch_pb2.BatchSubmitRequest()
    for _ in range(COMMANDS + 1):
        batch.commands.add().operations_status.SetInParent()
    return Bad("Batch.Submit", batch, {"limit": str(COMMANDS), "size": str(COMMANDS + 1)})


# The header.


@malformed("header")
def no_header(scene: Scene) -> Bad:
    request = scene.admission()
    request.ClearField("header")
    return Bad("Inpatient.Admit", request)


@malformed("header.request_id")
def a_request_id_with_a_space(scene: Scene) -> Bad:
    request = scene.admission()
    request.header.request_id = "one two"
    return Bad("Inpatient.Admit", request)


@malformed("header.institution_code")
def a_short_institution_code(scene: Scene) -> Bad:
    request = scene.admission()
    request.header.institution_code = "H1"
    return Bad("Inpatient.Admit", request)


@forbidden_now("REQUEST_TOO_OLD")
def a_request_older_than_the_window(scene: Scene) -> Bad:
    request = scene.admission()
    request.header.created_ms -= WINDOW_MS + 60_000
    metadata = {"created_ms": str(request.header.created_ms), "window_ms": str(WINDOW_MS)}
    return Bad("Inpatient.Admit", request, metadata)


@row("CLOCK_AHEAD", "INVALID_ARGUMENT")
def a_clock_that_is_ahead(scene: Scene) -> Bad:
    request = scene.admission()
    request.header.created_ms = time.time_ns() // 1_000_000 + AHEAD_MS + 60_000
    return Bad("Inpatient.Admit", request, {"created_ms": str(request.header.created_ms)})


@row("REQUEST_ID_REUSED", "ALREADY_EXISTS")
def a_request_id_with_another_body(scene: Scene) -> Bad:
    first = scene.ward.charges(scene.open.stay_id, line(int(time.time_ns() // 1_000) % 10**14, scene.day()))
    bound = scene.client.inpatient.add_charges(first).header.sequence
    first.lines[0].quantity = "2"
    metadata = {"request_id": first.header.request_id, "original_sequence": str(bound)}
    return Bad("Inpatient.AddCharges", first, metadata)


@row("REQUEST_ID_REUSED", "ALREADY_EXISTS")
def a_request_id_of_another_method(scene: Scene) -> Bad:
    first = scene.ward.charges(scene.open.stay_id, line(int(time.time_ns() // 1_000) % 10**14, scene.day()))
    scene.client.inpatient.add_charges(first)
    request = scene.ward.discharge(scene.open.stay_id, days_ago(1))
    request.header.request_id = first.header.request_id
    return Bad("Inpatient.Discharge", request, {"request_id": first.header.request_id})


# Fields.


@malformed("account_request_fen")
def a_negative_amount(scene: Scene) -> Bad:
    request = scene.settlement()
    request.account_request_fen = -1
    return Bad("Inpatient.Settle", request)


@malformed("presentation.chip.amount_fen")
def a_negative_signed_amount(scene: Scene) -> Bad:
    request = scene.settlement()
    request.presentation.chip.amount_fen = -1
    return Bad("Inpatient.Settle", request)


@row("AMOUNT_TOO_LARGE", "INVALID_ARGUMENT", "total_fen")
def an_amount_that_overflows(scene: Scene) -> Bad:
    request = scene.settlement()
    request.total_fen = (1 << 63) - 1
    return Bad("Inpatient.Settle", request, {"limit_fen": str(MOST_FEN)})


@row("AMOUNT_TOO_LARGE", "INVALID_ARGUMENT", "lines[0]")
def a_line_whose_product_overflows(scene: Scene) -> Bad:
    request = scene.charges(quantity="99999999", unit_price="99999999")
    return Bad("Inpatient.AddCharges", request, {"limit_fen": str(MOST_FEN)})


@malformed("lines[0].quantity")
def a_quantity_beyond_all_numbers(scene: Scene) -> Bad:
    return Bad("Inpatient.AddCharges", scene.charges(quantity="9" * 60))


@malformed("lines[0].quantity")
def a_negative_quantity_that_takes_nothing_back(scene: Scene) -> Bad:
    return Bad("Inpatient.AddCharges", scene.charges(quantity="-1"))


@malformed("lines[0].unit_price")
def a_price_with_an_exponent(scene: Scene) -> Bad:
    return Bad("Inpatient.AddCharges", scene.charges(unit_price="1e3"))


@row("AMOUNT_TOO_LARGE", "INVALID_ARGUMENT", "amount_fen", caller=OPERATOR)
def a_credit_that_is_too_large(scene: Scene) -> Bad:
    request = scene.agency.credit_request(scene.fresh, MOST_FEN + 1, "2026-02")
    return Bad("Accounts.Credit", request, {"limit_fen": str(MOST_FEN)})


@malformed("amount_fen", caller=OPERATOR)
def a_credit_of_less_than_nothing(scene: Scene) -> Bad:
    return Bad("Accounts.Credit", scene.agency.credit_request(scene.fresh, -1, "2026-02"))


@malformed("certificates[0].number", caller=DESK)
def a_wrong_check_character(scene: Scene) -> Bad:
    request = scene.agency.enrolment(999)
    number = request.certificates[0].number
    request.certificates[0].number = number[:-1] + ("1" if number[-1] != "1" else "2")
    return Bad("Persons.Enroll", request)


@malformed("birth_date", caller=DESK)
def a_birthday_that_does_not_exist(scene: Scene) -> Bad:
    request = scene.agency.enrolment(999)
    request.birth_date = "1981-02-29"
    return Bad("Persons.Enroll", request)


@malformed("lines[0].date")
def a_charge_on_a_day_that_does_not_exist(scene: Scene) -> Bad:
    return Bad("Inpatient.AddCharges", scene.charges(date="2026-04-31"))


@malformed("discharge_date")
def a_date_written_in_another_way(scene: Scene) -> Bad:
    request = scene.ward.discharge(scene.open.stay_id, days_ago(1))
    request.discharge_date = request.discharge_date.replace("-", "/")
    return Bad("Inpatient.Discharge", request)


# Suspensions.


def _suspension(scene: Scene, **changed: str) -> institutions_pb2.InstitutionsSuspendRequest:
    days = {"from_date": days_ago(0).isoformat(), "to_date": days_ago(-1).isoformat(), **changed}
    return institutions_pb2.InstitutionsSuspendRequest(
        header=scene.agency.operator.header(), **{"subject_code": BEIJING_HOSPITAL, "case_number": "F-1", **days}
    )


@malformed("to_date", caller=OPERATOR)
def a_suspension_that_ends_before_it_begins(scene: Scene) -> Bad:
    return Bad("Institutions.Suspend", _suspension(scene, to_date=days_ago(1).isoformat()))


@malformed("case_number", caller=OPERATOR)
def a_suspension_without_a_case(scene: Scene) -> Bad:
    return Bad("Institutions.Suspend", _suspension(scene, case_number=""))


@row("INSTITUTION_UNKNOWN", "NOT_FOUND", caller=OPERATOR)
def a_suspension_of_an_institution_that_is_not_registered(scene: Scene) -> Bad:
    return Bad("Institutions.Suspend", _suspension(scene, subject_code="H99999999999"))


@forbidden_now("NOT_SUSPENDED", caller=OPERATOR)
def a_resumption_of_what_is_not_suspended(scene: Scene) -> Bad:
    request = institutions_pb2.InstitutionsResumeRequest(
        header=scene.agency.operator.header(), subject_code=BEIJING_HOSPITAL
    )
    return Bad("Institutions.Resume", request)


@malformed("from_date", caller=OPERATOR)
def a_person_suspended_from_a_day_that_does_not_exist(scene: Scene) -> Bad:
    request = persons_pb2.PersonsSuspendNetworkRequest(
        header=scene.agency.operator.header(),
        person_id=scene.fresh.person_id,
        from_date="2026-02-30",
        to_date=days_ago(0).isoformat(),
        case_number="F-1",
    )
    return Bad("Persons.SuspendNetwork", request)


# Regions and packages.


@forbidden_now("NOT_HOME_OF_REGION", caller=DESK)
def a_person_of_a_region_of_another_hub(scene: Scene) -> Bad:
    return Bad("Persons.Enroll", scene.agency.enrolment(999, GUANGZHOU), {"region": GUANGZHOU})


@row("REGION_UNKNOWN", "NOT_FOUND", caller=DESK)
def a_region_that_does_not_exist(scene: Scene) -> Bad:
    return Bad("Persons.Enroll", scene.agency.enrolment(999, "999999"), {"region": "999999"})


@row("CERTIFICATE_IN_USE", "ALREADY_EXISTS", caller=DESK)
def a_certificate_of_somebody_else(scene: Scene) -> Bad:
    request = scene.agency.enrolment(999)
    request.certificates[0].CopyFrom(scene.fresh.certificate)
    return Bad("Persons.Enroll", request)


@forbidden_now("PACKAGE_CONFLICTS", caller=OPERATOR)
def a_package_that_would_change_the_past(scene: Scene) -> Bad:
    changed = policy()
    changed.layers[0].bands[0].rate_bp = 9_000
    return Bad(
        "Packages.InstallPolicy",
        packages_pb2.PackagesInstallPolicyRequest(header=scene.agency.operator.header(), policy=changed),
    )


# Filings.


@row("PERSON_UNKNOWN", "NOT_FOUND", caller=DESK)
def a_filing_for_nobody(scene: Scene) -> Bad:
    request = filings_pb2.FilingsFileRequest(
        header=scene.agency.desk.header(),
        person_id=4_711,
        kind=filings_pb2.Filing.TRANSFER,
        destination=GUANGZHOU,
        valid_from="2026-01-01",
    )
    return Bad("Filings.File", request)
