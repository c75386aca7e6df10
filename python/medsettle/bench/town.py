"""The trial town: a region with its packages, one hospital, and people with soft cards, made over the ordinary calls.

Invariant: persons, cards and request ids are new in the hub, also when it holds a town already.
Leaves out what is asked for them: work.py.
"""

import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from medsettle import jsonform
from medsettle.auth.actor import Actor
from medsettle.bench.trial import Actors
from medsettle.demo import world
from medsettle.demo.agency import INSURED_SINCE
from medsettle.demo.batch import CHUNK, FIELD_OF_REQUEST
from medsettle.demo.scratch import PRODUCTS, Scratch
from medsettle.errors import Rejected, reason_name, refusal_error
from medsettle.softcard import SoftCard
from medsettle.v1 import (
    batch_pb2,
    cards_pb2,
    common_pb2,
    institutions_pb2,
    operations_pb2,
    packages_pb2,
    persons_pb2,
    presentation_pb2,
)

R = TypeVar("R", bound=Message)

Progress = Callable[[int, int], None]
"""Is called with the steps done and the steps in all."""


class Agency(Protocol):
    """What prepares a town: an embedded hub or a client, as the agency."""

    def submit(self, request: batch_pb2.BatchSubmitRequest, /) -> Awaitable[batch_pb2.BatchSubmitResponse]:
        """Have many commands decided."""

    def call(self, name: str, request: Message, /) -> Awaitable[Message]:
        """Call a method by its name."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a card."""

    certificate: common_pb2.Certificate
    card_id: int
    card: SoftCard


class Town:
    """People, and who asks for them under which request ids."""

    def __init__(self, actors: Actors) -> None:
        self.actors = actors
        self.persons: list[Person] = []
        self.run = secrets.token_hex(4)
        """Part of every request id, so that none was used before."""
        self._numbers = itertools.count(1)

    def header(self, by: Actor) -> common_pb2.RequestHeader:
        """Begin a request."""
        return common_pb2.RequestHeader(
            request_id=f"{by.institution}-{self.run}-{next(self._numbers):09d}",
            created_ms=time.time_ns() // 1_000_000,
            institution_code=by.institution,
            operator="bench",
        )

    async def settle_in(self, agency: Agency, scratch: Scratch, count: int, show: Progress) -> None:
        """Install the packages, register the hospital and insure people; raises Rejected with the hub's reason."""
        status = await agency.call("Operations.Status", operations_pb2.OperationsStatusRequest())
        assert isinstance(status, operations_pb2.OperationsStatusResponse)
        await self._install(agency)
        first = status.persons + 1
        for begin in range(0, count, CHUNK):
            show(begin, count)
            serials = range(first + begin, first + min(begin + CHUNK, count))
            self.persons += await self._insure(agency, scratch, serials)
        show(count, count)

    async def _install(self, agency: Agency) -> None:
        by, province = self.actors.agency, world.JINAN
        regions = [jsonform.parse(packages_pb2.Region, region) for region in world.package("regions")]
        await agency.call(
            "Packages.InstallRegions",
            packages_pb2.PackagesInstallRegionsRequest(header=self.header(by), regions=regions),
        )
        for name in (province.policy, *world.VISIT_POLICIES):
            policy = jsonform.parse(packages_pb2.BenefitPolicy, world.package(name))
            await _install(
                agency,
                "Packages.InstallPolicy",
                packages_pb2.PackagesInstallPolicyRequest(header=self.header(by), policy=policy),
            )
        catalogue = jsonform.parse(packages_pb2.Catalogue, world.package(province.catalogue))
        await _install(
            agency,
            "Packages.InstallCatalogue",
            packages_pb2.PackagesInstallCatalogueRequest(header=self.header(by), catalogue=catalogue),
        )
        place = world.HOSPITALS[0]
        institution = institutions_pb2.Institution(
            institution_code=self.actors.hospital.institution,
            name=place.name,
            kind=institutions_pb2.Institution.HOSPITAL,
            level=common_pb2.Level.THREE,
            region=place.district,
            networked=True,
            cross_region=True,
        )
        await agency.call(
            "Institutions.Register",
            institutions_pb2.InstitutionsRegisterRequest(header=self.header(by), institution=institution),
        )

    async def _insure(self, agency: Agency, scratch: Scratch, serials: Sequence[int]) -> list[Person]:
        """Enrol people and hand a card to each, of the two generations in turn."""
        by, schemes = self.actors.agency, list(PRODUCTS)
        certificates = [
            # There are more people than identity numbers of one birthday.
            common_pb2.Certificate(kind=common_pb2.Certificate.PASSPORT, number=f"E{serial:09d}")
            for serial in serials
        ]
        enrolments = [self._enrolment(*one) for one in zip(serials, certificates, strict=True)]
        enrolled = await _submit(agency, enrolments, persons_pb2.PersonsEnrollResponse)
        chips = [scratch.make_card(schemes[serial % len(schemes)], serial) for serial in serials]
        applications = [
            cards_pb2.CardsApplyRequest(
                header=self.header(by), person_id=person.person_id, generation=PRODUCTS[chip.scheme].generation
            )
            for person, chip in zip(enrolled, chips, strict=True)
        ]
        applied = await _submit(agency, applications, cards_pb2.CardsApplyResponse)
        ids = [response.card_id for response in applied]
        made = [self._made(card_id, chip) for card_id, chip in zip(ids, chips, strict=True)]
        await _submit(agency, made, cards_pb2.CardsMarkMadeResponse)
        handed = [
            cards_pb2.CardsHandOverRequest(header=self.header(by), card_id=card_id, collected_by="holder")
            for card_id in ids
        ]
        await _submit(agency, handed, cards_pb2.CardsHandOverResponse)
        # In use at once, so that no run has more first uses than another.
        enabled = [
            cards_pb2.CardsEnableRequest(header=self.header(by), card_id=card_id, zone=cards_pb2.Zone.INSURANCE)
            for card_id in ids
        ]
        await _submit(agency, enabled, cards_pb2.CardsEnableResponse)
        return [Person(*one) for one in zip(certificates, ids, chips, strict=True)]

    def _enrolment(self, serial: int, certificate: common_pb2.Certificate) -> persons_pb2.PersonsEnrollRequest:
        province = world.JINAN
        spell = persons_pb2.InsuranceSpell(
            insurance_type=common_pb2.InsuranceType.Kind.Value(province.insurance),
            region=province.region,
            category=common_pb2.Category.Kind.Value(province.category),
            status=persons_pb2.InsuranceSpell.NORMAL,
            from_date=INSURED_SINCE,
        )
        return persons_pb2.PersonsEnrollRequest(
            header=self.header(self.actors.agency),
            name=f"Trial Person {serial}",
            sex=presentation_pb2.Sex.FEMALE,
            birth_date=date(1970, 1, 1).isoformat(),
            certificates=[certificate],
            spells=[spell],
        )

    def _made(self, card_id: int, chip: SoftCard) -> cards_pb2.CardsMarkMadeRequest:
        return cards_pb2.CardsMarkMadeRequest(
            header=self.header(self.actors.agency),
            card_id=card_id,
            pan=chip.pan,
            sequence_number=chip.sequence_number,
            card_sn=chip.card_sn,
            scheme=presentation_pb2.Chip.Scheme.Value(chip.scheme),
            key_index=chip.key_index,
        )


async def _install(agency: Agency, name: str, request: Message) -> None:
    """Install a package, unless a town before has done so."""
    try:
        await agency.call(name, request)
    except Rejected as refusal:
        if refusal.reason != "PACKAGE_CONFLICTS":
            raise


async def _submit(agency: Agency, requests: Sequence[Message], response_type: type[R]) -> list[R]:
    """Have requests of one kind decided; raises the first refusal."""
    batch = batch_pb2.BatchSubmitRequest()
    for request in requests:
        getattr(batch.commands.add(), FIELD_OF_REQUEST[request.DESCRIPTOR.full_name]).CopyFrom(request)
    responses: list[R] = []
    for result in (await agency.submit(batch)).results:
        kind = result.WhichOneof("result")
        if kind is None or kind == "refusal":
            raise refusal_error(reason_name(result.refusal.reason), result.refusal.metadata)
        response = getattr(result, kind)
        assert isinstance(response, response_type)
        responses.append(response)
    return responses
