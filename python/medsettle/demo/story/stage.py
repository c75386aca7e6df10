"""Who and what a chapter can use, and the steps that chapters share.

Invariant: every charge line that a chapter bills is divided a second time from the catalogue's file and compared.
"""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from medsettle.demo import world
from medsettle.demo.agency import Agency
from medsettle.demo.checks.bill import NOTHING, LineAmounts, divide
from medsettle.demo.hospital import Hospital
from medsettle.demo.hub_process import HubProcess
from medsettle.demo.patient import Patient
from medsettle.demo.rush import BusyWard
from medsettle.demo.scratch import Scratch
from medsettle.demo.tell import Teller
from medsettle.v1 import common_pb2, inpatient_pb2


@dataclass(frozen=True, slots=True)
class Stage:
    """The running world."""

    tell: Teller
    scratch: Scratch
    hub: HubProcess
    agency: Agency
    hospitals: dict[world.Province, Hospital]
    shop: Hospital
    patients: dict[world.Resident, Patient]
    today: date
    progress: int
    """Where the hospitals' acknowledgements can be read, a byte each."""

    def days_ago(self, days: int) -> date:
        """Give a day of the past."""
        return self.today - timedelta(days=days)

    def treat(
        self,
        patient: Patient,
        province: world.Province,
        items: Sequence[world.Item],
        *,
        nights: int,
        kind: inpatient_pb2.AdmissionKind.Kind.ValueType = inpatient_pb2.AdmissionKind.PLANNED,
    ) -> "Treated":
        """Admit the patient so many nights ago, bill, and discharge today."""
        hospital, admission = self.hospitals[province], self.days_ago(nights)
        shown = patient.show_card()
        admitted = hospital.run(BusyWard.admit, shown, admission, kind)
        self.tell.check(
            "the chip recognises the hub's answer as its issuer's", patient.accepts(shown, admitted.chip_answer)
        )
        charged = hospital.run(BusyWard.charge, admitted.stay_id, items, admission)
        self.check_lines(patient, province, charged.lines, charged.stay_sum)
        hospital.run(BusyWard.discharge, admitted.stay_id, self.today)
        return Treated(admitted, list(charged.lines), charged.stay_sum)

    def settle(
        self,
        patient: Patient,
        province: world.Province,
        treated: "Treated",
        *,
        account_fen: int = 0,
        digest: bytes = b"",
    ) -> inpatient_pb2.InpatientSettleResponse:
        """Let the chip sign the bill and settle it."""
        signed = patient.sign_bill(treated.sum.total_fen, account_fen)
        begin_s = time.monotonic()
        settled = self.hospitals[province].run(BusyWard.settle, treated.stay_id, signed, digest)
        took_ms = 1000 * (time.monotonic() - begin_s)
        self.tell.say(f"The hub answered within {math.ceil(took_ms)} ms.")
        self.tell.check("the chip recognises this answer too", patient.accepts(signed, settled.chip_answer))
        return settled

    def check_lines(
        self,
        patient: Patient,
        province: world.Province,
        lines: Iterable[inpatient_pb2.StayLine],
        stay_sum: common_pb2.LineSplit,
    ) -> None:
        """Divide new lines, none of them a refund, from the catalogue's file, and compare line by line and in sum."""
        expected = [divided(patient, province, line.line) for line in lines]
        found = [amounts(line.split) for line in lines]
        self.tell.equal("every charge line is divided as the catalogue file of the place of care says", found, expected)
        self.tell.equal("the bill is the sum of its lines", amounts(stay_sum), total_of(expected))


@dataclass(frozen=True, slots=True)
class Treated:
    """A discharged stay that waits to be settled."""

    admitted: inpatient_pb2.InpatientAdmitResponse
    lines: list[inpatient_pb2.StayLine]
    sum: common_pb2.LineSplit

    @property
    def stay_id(self) -> int:
        """The stay."""
        return self.admitted.stay_id


def divided(patient: Patient, province: world.Province, line: inpatient_pb2.ChargeLine) -> LineAmounts:
    """Divide a line from the catalogue file of the province where it was billed."""
    insurance = patient.resident.province.insurance
    return divide(world.package(province.catalogue), insurance, "THREE", line.item_code, line.quantity, line.unit_price)


def amounts(split: common_pb2.LineSplit) -> LineAmounts:
    """Take the amounts of a line, or of a stay."""
    return LineAmounts(
        split.total_fen, split.own_pay_fen, split.over_ceiling_fen, split.first_pay_fen, split.in_scope_fen
    )


def total_of(lines: Iterable[LineAmounts]) -> LineAmounts:
    """Add lines up."""
    total = NOTHING
    for line in lines:
        total = total.plus(line)
    return total


def negated(split: common_pb2.Split) -> dict[str, int]:
    """Give every amount of a split with its sign turned, by field name."""
    return {name: -amount for name, amount in money(split).items()}


def money(split: common_pb2.Split) -> dict[str, int]:
    """Give every amount of a split by field name."""
    names = [field.name for field in common_pb2.Split.DESCRIPTOR.fields if field.name.endswith("_fen")]
    return {name: getattr(split, name) for name in names}


def used(years: Iterable[common_pb2.YearAccumulators]) -> dict[int, common_pb2.Accumulators]:
    """Give what was used by benefit year; a year in which nothing is used any more counts as none."""
    nothing = common_pb2.Accumulators()
    return {year.benefit_year: year.accumulators for year in years if year.accumulators != nothing}
