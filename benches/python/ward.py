"""Patients who wait for their settlement: what the benchmarks of binding and network send.

Invariant: everything goes through an embedded hub's own calls; nothing is put into a journal by hand.
Invariant: chips sign while the ward is furnished, so no clock of a benchmark runs while a signature is made.
Leaves out certificates, key ring and soft cards, which are the demo's, as are packages, regions and the bill.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TypeVar

from medsettle import jsonform
from medsettle.demo import world
from medsettle.demo.patient import Patient
from medsettle.demo.scratch import PRODUCTS, Scratch
from medsettle.hub import AsyncHub
from medsettle.v1 import (
    cards_pb2,
    common_pb2,
    inpatient_pb2,
    institutions_pb2,
    packages_pb2,
    persons_pb2,
    presentation_pb2,
)

HOSPITAL = world.HOSPITALS[0]
AGENCY = "AGENCY000001"
AGENCY_ROLES = ("OPERATOR", "DESK", "ISSUER")

BILL_FEN = sum(round(100 * int(item.quantity) * int(item.price)) for item in world.HEART_BILL)

IN_FLIGHT = 500
"""Calls that furnish the ward at once: far below what the engine queues, enough to share a sync."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bystander:
    """Somebody with a card who is in no bed."""

    certificate: common_pb2.Certificate
    card_id: int


@dataclass(frozen=True, slots=True)
class Ward:
    """Discharged patients of one hospital: their ids, a signed settlement of each that was not sent yet; and others."""

    persons: list[int]
    settlements: list[inpatient_pb2.InpatientSettleRequest]
    bystanders: list[Bystander]


def header(institution: str, name: str) -> common_pb2.RequestHeader:
    """Begin a request with an id that is unique by its name."""
    return common_pb2.RequestHeader(
        request_id=f"{institution}-{name}",
        created_ms=time.time_ns() // 1_000_000,
        institution_code=institution,
        operator="bench",
    )


def furnish(root: Path, patients: int, bystanders: int = 0) -> tuple[Scratch, Ward]:
    """Fill a data directory with a ward and leave the directory closed."""

    async def furnished() -> Ward:
        async with await AsyncHub.open(scratch.data, keys=scratch.key_ring, kek=scratch.kek) as hub:
            return await _Furnishing(scratch, hub).ward(patients, bystanders)

    scratch = Scratch(root)
    return scratch, asyncio.run(furnished())


class _Furnishing:
    """The steps from an empty hub to a ward."""

    def __init__(self, scratch: Scratch, hub: AsyncHub) -> None:
        self._scratch = scratch
        self._agency = hub.acting(AGENCY_ROLES, AGENCY)
        self._hospital = hub.acting(("HOSPITAL",), HOSPITAL.code)
        self._numbers = itertools.count(1)

    async def ward(self, patients: int, bystanders: int) -> Ward:
        await self._install()
        everybody = await self._insure(patients + bystanders)
        insured, others = everybody[:patients], everybody[patients:]
        stays = await self._discharged_stays(insured)
        settlements = [
            inpatient_pb2.InpatientSettleRequest(
                header=self._from_hospital(),
                stay_id=stay,
                total_fen=BILL_FEN,
                presentation=patient.sign_bill(BILL_FEN),
                holder_check=presentation_pb2.HolderCheck(method=presentation_pb2.HolderCheck.PHOTO),
            )
            for patient, stay in zip(insured, stays, strict=True)
        ]
        at_home = [Bystander(_certificate(other.resident), other.card_id) for other in others]
        return Ward([patient.person_id for patient in insured], settlements, at_home)

    async def _install(self) -> None:
        packages, institutions = self._agency.packages, self._agency.institutions
        regions = [jsonform.parse(packages_pb2.Region, region) for region in world.package("regions")]
        await packages.install_regions(
            packages_pb2.PackagesInstallRegionsRequest(header=self._from_agency(), regions=regions)
        )
        province = HOSPITAL.province
        policy = jsonform.parse(packages_pb2.BenefitPolicy, world.package(province.policy))
        await packages.install_policy(
            packages_pb2.PackagesInstallPolicyRequest(header=self._from_agency(), policy=policy)
        )
        catalogue = jsonform.parse(packages_pb2.Catalogue, world.package(province.catalogue))
        await packages.install_catalogue(
            packages_pb2.PackagesInstallCatalogueRequest(header=self._from_agency(), catalogue=catalogue)
        )
        institution = institutions_pb2.Institution(
            institution_code=HOSPITAL.code,
            name=HOSPITAL.name,
            kind=institutions_pb2.Institution.HOSPITAL,
            level=common_pb2.Level.THREE,
            region=HOSPITAL.district,
            networked=True,
            cross_region=True,
        )
        await institutions.register(
            institutions_pb2.InstitutionsRegisterRequest(header=self._from_agency(), institution=institution)
        )

    async def _insure(self, patients: int) -> list[Patient]:
        """Enrol people and give each a card, of the two generations in turn."""
        schemes = list(PRODUCTS)
        residents = [
            world.Resident(
                serial,
                f"Patient {serial}",
                "FEMALE",
                date(1970, 1, 1),
                HOSPITAL.province,
                schemes[serial % len(schemes)],
            )
            for serial in range(1, patients + 1)
        ]
        desk, issuer = self._agency.persons, self._agency.cards
        enrolled = await _all(desk.enroll(self._enrolment(resident)) for resident in residents)
        persons = [response.person_id for response in enrolled]
        applied = await _all(
            issuer.apply(
                cards_pb2.CardsApplyRequest(
                    header=self._from_agency(), person_id=person, generation=PRODUCTS[resident.scheme].generation
                )
            )
            for person, resident in zip(persons, residents, strict=True)
        )
        insured = [
            Patient(resident, person, card.card_id, self._scratch.make_card(resident.scheme, resident.serial))
            for resident, person, card in zip(residents, persons, applied, strict=True)
        ]
        await _all(issuer.mark_made(self._made(patient)) for patient in insured)
        await _all(
            issuer.hand_over(
                cards_pb2.CardsHandOverRequest(
                    header=self._from_agency(), card_id=patient.card_id, collected_by="holder"
                )
            )
            for patient in insured
        )
        return insured

    async def _discharged_stays(self, patients: Sequence[Patient]) -> list[int]:
        hospital = self._hospital.inpatient
        discharge = world.today()
        admission = discharge - timedelta(days=12)
        admitted = await _all(
            hospital.admit(
                inpatient_pb2.InpatientAdmitRequest(
                    header=self._from_hospital(),
                    presentation=patient.show_card(),
                    holder_check=presentation_pb2.HolderCheck(method=presentation_pb2.HolderCheck.PHOTO),
                    admission_date=admission.isoformat(),
                    kind=inpatient_pb2.AdmissionKind.PLANNED,
                    department="cardiology",
                    diagnosis="I20.0",
                )
            )
            for patient in patients
        )
        stays = [response.stay_id for response in admitted]
        lines = [
            inpatient_pb2.ChargeLine(
                line_id=str(number),
                item_code=item.code,
                quantity=item.quantity,
                unit_price=item.price,
                date=admission.isoformat(),
            )
            for number, item in enumerate(world.HEART_BILL, 1)
        ]
        await _all(
            hospital.add_charges(
                inpatient_pb2.InpatientAddChargesRequest(header=self._from_hospital(), stay_id=stay, lines=lines)
            )
            for stay in stays
        )
        await _all(
            hospital.discharge(
                inpatient_pb2.InpatientDischargeRequest(
                    header=self._from_hospital(), stay_id=stay, discharge_date=discharge.isoformat()
                )
            )
            for stay in stays
        )
        return stays

    def _enrolment(self, resident: world.Resident) -> persons_pb2.PersonsEnrollRequest:
        province = resident.province
        spell = persons_pb2.InsuranceSpell(
            insurance_type=common_pb2.InsuranceType.Kind.Value(province.insurance),
            region=province.region,
            category=common_pb2.Category.Kind.Value(province.category),
            status=persons_pb2.InsuranceSpell.NORMAL,
            from_date="2020-01-01",
        )
        return persons_pb2.PersonsEnrollRequest(
            header=self._from_agency(),
            name=resident.name,
            sex=presentation_pb2.Sex.Kind.Value(resident.sex),
            birth_date=resident.birth_date.isoformat(),
            certificates=[_certificate(resident)],
            spells=[spell],
        )

    def _made(self, patient: Patient) -> cards_pb2.CardsMarkMadeRequest:
        card = patient.card
        return cards_pb2.CardsMarkMadeRequest(
            header=self._from_agency(),
            card_id=patient.card_id,
            pan=card.pan,
            sequence_number=card.sequence_number,
            card_sn=card.card_sn,
            scheme=presentation_pb2.Chip.Scheme.Value(card.scheme),
            key_index=card.key_index,
        )

    def _from_agency(self) -> common_pb2.RequestHeader:
        return header(AGENCY, f"{next(self._numbers):08d}")

    def _from_hospital(self) -> common_pb2.RequestHeader:
        return header(HOSPITAL.code, f"{next(self._numbers):08d}")


def _certificate(resident: world.Resident) -> common_pb2.Certificate:
    # There are more people than the demo's identity numbers for one birthday.
    return common_pb2.Certificate(kind=common_pb2.Certificate.PASSPORT, number=f"E{resident.serial:09d}")


async def _all(calls: Iterator[Awaitable[T]]) -> list[T]:
    """Await calls in their order, a bounded number of them at once."""
    results: list[T] = []
    while some := list(itertools.islice(calls, IN_FLIGHT)):
        results.extend(await asyncio.gather(*some))
    return results
