"""Chapters: a reply lost on the way, and a hub killed in the middle of its work."""

import os
import select
from collections.abc import Iterator
from datetime import timedelta

from medsettle.demo import world
from medsettle.demo.hospital import Hospital
from medsettle.demo.patient import Patient
from medsettle.demo.rush import BusyWard, Visit
from medsettle.demo.story.stage import Stage, divided, total_of, used
from medsettle.v1 import inpatient_pb2, messages_pb2
from medsettle.v1.inpatient_pb2 import AdmissionKind

PATIENTS_PER_HOSPITAL = 30
STAYS_PER_PATIENT = 8
NIGHTS = 4
PROGRESS_TIMEOUT_S = 60.0

_Outcome = messages_pb2.MessagesGetOutcomeResponse


def lost_reply(stage: Stage) -> None:
    """Let the hub decide and the line swallow its answer."""
    tell, gao, hospital = stage.tell, stage.patients[world.GAO], stage.hospitals[world.JINAN]
    tell.chapter("A reply lost on the way")
    tell.say(
        f"{gao.name} is settled in Jinan, 500.00 of it from his account, when the line begins to lose everything that "
        "comes back. The clerk sees the clock run out and does not know: settled or not?"
    )
    stage.agency.credit(gao, 80_000, f"{stage.today:%Y-%m}")
    treated = stage.treat(gao, world.JINAN, world.HEART_BILL, nights=12)
    signed = gao.sign_bill(treated.sum.total_fen, 50_000)
    request_id, status = hospital.run(BusyWard.settle_over_a_bad_line, treated.stay_id, signed)
    tell.equal("no reply came", status, "DEADLINE_EXCEEDED")
    tell.say(f"Over a new connection the hospital asks what became of its request {request_id}.")
    outcome = hospital.run(BusyWard.outcome, request_id)
    tell.equal("the hub knows: it was accepted", outcome.outcome, _Outcome.ACCEPTED)
    original = inpatient_pb2.InpatientSettleResponse.FromString(outcome.original_response)
    tell.who_pays(lost_reply=original.split)
    tell.equal(
        "and gives the reply that was lost",
        (outcome.method, original.split.total_fen),
        ("Inpatient.Settle", treated.sum.total_fen),
    )
    again = hospital.run(BusyWard.send_again, request_id)
    tell.check("sending the same request again is recognised as that", again.header.replayed, again.header)
    again.header.replayed = original.header.replayed
    tell.equal("and brings the same reply, bit by bit", again, original)
    tell.equal("the account was drawn once", stage.agency.balance_fen(gao), 30_000)
    unknown = hospital.run(BusyWard.outcome, f"{request_id}-never-sent")
    tell.equal("a request that was never sent is unknown", unknown.outcome, _Outcome.UNKNOWN)


def killed_hub(stage: Stage) -> None:
    """Kill the hub under load, and see what is left."""
    tell, hospitals = stage.tell, list(stage.hospitals.values())
    tell.chapter("The hub is killed in the middle of its work")
    with tell.working("filling the wards"):
        crowd = _crowd(stage)
        visits = {hospital: list(_visits(stage, hospital, crowd[hospital])) for hospital in hospitals}
        filling = [hospital.begin(BusyWard.prepare, visits[hospital]) for hospital in hospitals]
        waiting = sum(finish() for finish in filling)
    patients = sum(len(of_hospital) for of_hospital in crowd.values())
    tell.say(
        f"{waiting} bills of {patients} patients wait at three counters, from their own provinces and from others. "
        "All hospitals settle at once, several clerks each. After a third of them the hub's process is killed "
        "(SIGKILL): no warning, no last word."
    )
    with tell.working("settling"):
        working = [hospital.begin(BusyWard.settle_all) for hospital in hospitals]
        _await_acknowledgements(stage.progress, waiting // 3)
        stage.hub.kill()
        acknowledged = sum(finish() for finish in working)
    tell.check(
        f"it happened in the middle: {acknowledged} of {waiting} were acknowledged",
        waiting // 3 <= acknowledged < waiting,
    )
    with tell.working("starting the hub again"):
        took_s = stage.hub.start()
    tell.say(f"Started again on the same directory, the hub read its journal and was ready after {took_s:.1f} s.")
    _nothing_lost(stage)
    _resolved(stage, waiting, crowd)


def _nothing_lost(stage: Stage) -> None:
    tell, hospitals = stage.tell, list(stage.hospitals.values())
    last_day = world.today()
    looking = [hospital.begin(BusyWard.look_around, stage.today, last_day) for hospital in hospitals]
    findings = [finish() for finish in looking]
    tell.table(
        ["hospital", "acknowledged", "found unchanged", "without reply", "of these accepted", "unknown"],
        [
            [h.name, *map(str, (f.acknowledged, f.unchanged, f.unanswered, f.accepted, f.unknown))]
            for h, f in zip(hospitals, findings, strict=True)
        ],
    )
    tell.check(
        "every acknowledged settlement is there, amount by amount as it was answered",
        all(f.unchanged == f.acknowledged for f in findings),
    )
    tell.check("no row of any hospital's books is missing", all(f.missing == 0 for f in findings))
    tell.check(
        "and nothing else is there: each row was acknowledged, or was asked for and is found by its request id",
        all(f.unexplained == 0 for f in findings),
        [f.unexplained for f in findings],
    )
    tell.check(
        "every request without reply is accepted or unknown, never in between",
        all(f.accepted + f.unknown == f.unanswered for f in findings) and any(f.unanswered for f in findings),
        findings,
    )
    tell.equal("the books of the hub balance", stage.agency.trial_balance().sum_fen, 0)
    tell.say("The hospitals send every unanswered request again, the same bytes under the same id.")
    for hospital, found in zip(hospitals, findings, strict=True):
        tell.equal(
            f"{hospital.name}: what was accepted is only answered again, what was unknown is settled now",
            hospital.run(BusyWard.send_unanswered_again),
            (found.accepted, found.unknown),
        )


def _resolved(stage: Stage, waiting: int, crowd: dict[Hospital, list[Patient]]) -> None:
    tell, hospitals = stage.tell, list(stage.hospitals.values())
    with tell.working("settling the rest"):
        working = [hospital.begin(BusyWard.settle_all) for hospital in hospitals]
        rest = sum(finish() for finish in working)
        patients = [patient for of_hospital in crowd.values() for patient in of_hospital]
        counted = sum(year.admissions for p in patients for year in used(stage.agency.accumulators(p)).values())
    tell.say(f"Then the remaining {rest} are settled.")
    tell.equal(f"the {len(patients)} patients were counted {waiting} admissions, each stay once", counted, waiting)
    tell.say(
        "A kill takes a process and not the disk's memory; lost syncs and torn sectors are proved by the project's "
        "tests on a simulated disk."
    )


def _crowd(stage: Stage) -> dict[Hospital, list[Patient]]:
    """Insure people for each hospital: every other one from Jinan, the others from the hospital's own province."""
    crowd: dict[Hospital, list[Patient]] = {}
    serial = 100
    for province, hospital in stage.hospitals.items():
        half = PATIENTS_PER_HOSPITAL // 2
        people = [*world.crowd(province, serial, half), *world.crowd(world.JINAN, serial + half, half)]
        crowd[hospital] = stage.agency.insure(people)
        serial += PATIENTS_PER_HOSPITAL
    return crowd


def _visits(stage: Stage, hospital: Hospital, patients: list[Patient]) -> Iterator[Visit]:
    """Give each patient some stays, the oldest first; those from elsewhere come as emergencies."""
    province = hospital.place.province
    for stay in reversed(range(STAYS_PER_PATIENT)):
        discharge = stage.days_ago(stay * (NIGHTS + 1))
        for number, patient in enumerate(patients):
            items = [world.Item("WARD-DAY", str(NIGHTS), "480"), world.Item("SURGERY", "1", f"{3000 + 37 * number}")]
            items.append(world.Item("STENT", "1", "3999.99") if number % 3 else world.Item("SELF-PAID", "1", "88.80"))
            lines = [inpatient_pb2.ChargeLine(item_code=i.code, quantity=i.quantity, unit_price=i.price) for i in items]
            total = total_of(divided(patient, province, line) for line in lines)
            at_home = patient.resident.province == province
            yield Visit(
                admission=discharge - timedelta(days=NIGHTS),
                discharge=discharge,
                kind=AdmissionKind.PLANNED if at_home else AdmissionKind.EMERGENCY,
                items=items,
                card_at_admission=patient.show_card(),
                card_at_settlement=patient.sign_bill(total.total_fen),
            )


def _await_acknowledgements(progress: int, count: int) -> None:
    """Wait until so many bytes came through the pipe."""
    while count > 0:
        readable, _, _ = select.select([progress], [], [], PROGRESS_TIMEOUT_S)
        if not readable:
            raise RuntimeError("the hospitals get no acknowledgements")
        count -= len(os.read(progress, count))
