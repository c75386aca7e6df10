"""A small insured world for tests against a real engine: regions, packages, institutions, people with soft cards.

Owns how requests are made and the world is set up, through a client or an embedded hub alike.
Invariant: identity numbers begin with 000000, which is no region's, and PANs with 9156, so that both are nobody's.
Leaves out processes and certificates: trial_site.py.
"""

import hashlib
import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Protocol

from google.protobuf.message import Message

from medsettle import keys
from medsettle.softcard import ADMISSION_TYPE, Signature, SoftCard
from medsettle.v1 import (
    accounts_pb2,
    cards_pb2,
    common_pb2,
    filings_pb2,
    inpatient_pb2,
    institutions_pb2,
    packages_pb2,
    persons_pb2,
    presentation_pb2,
)
from medsettle.v1.facade import Services

OPERATOR, DESK, ISSUER, AUDITOR = "OPERATOR0001", "DESK00000001", "ISSUER000001", "AUDITOR00001"
PHARMACY = "P37010200001"
ROLE_OF = {OPERATOR: "OPERATOR", DESK: "DESK", ISSUER: "ISSUER", AUDITOR: "AUDITOR", PHARMACY: "PHARMACY"}
BEIJING, JINAN, GUANGZHOU = "110000", "370100", "440100"
BEIJING_HOSPITAL, OTHER_HOSPITAL, LOCAL_HOSPITAL = "H11010500001", "H11010500002", "H37010200001"
CLOSED_HOSPITAL = "H11010500003"
"""Not open to persons of other regions."""

ISSUER_KEY = hashlib.sha256(b"issuer master key of the tests").digest()[:16]
PAN_PREFIX, KEY_INDEX = "91563", 1
PURCHASE_TYPE = 0x00
EFFECTIVE_FROM = "2015-01-01"

PLANNED, EMERGENCY = inpatient_pb2.AdmissionKind.PLANNED, inpatient_pb2.AdmissionKind.EMERGENCY
CHECKED_BY_PHOTO = presentation_pb2.HolderCheck(method=presentation_pb2.HolderCheck.PHOTO)


def days_ago(days: int) -> date:
    """Give a business day, which is one of UTC+8."""
    return datetime.now(UTC).astimezone(timezone(timedelta(hours=8))).date() - timedelta(days=days)


class Calling(Protocol):
    """What calls methods by their names: a client, or an embedded hub acting for an institution."""

    def call(self, name: str, request: Message, /) -> Message: ...


class Caller:
    """An institution that makes requests; `prefix` keeps the ids of several callers of one institution apart."""

    def __init__(self, institution: str, prefix: str = "") -> None:
        self.institution = institution
        self._names = (f"{prefix}{number}" for number in itertools.count(1))

    def header(self) -> common_pb2.RequestHeader:
        """Begin a request that was not made before."""
        return common_pb2.RequestHeader(
            request_id=f"{self.institution}-{next(self._names)}",
            created_ms=time.time_ns() // 1_000_000,
            institution_code=self.institution,
            operator="test",
        )


@dataclass
class Patient:
    """An insured person and the card in use."""

    person_id: int
    certificate: common_pb2.Certificate
    card_id: int
    chip: SoftCard

    def card_at_admission(self, on: date | None = None) -> presentation_pb2.Presentation:
        """Let the chip sign an admission, today unless told."""
        return presented(self.chip.sign(0, 0, on or days_ago(0), ADMISSION_TYPE))

    def card_at_settlement(self, total_fen: int, account_fen: int = 0) -> presentation_pb2.Presentation:
        """Let the chip sign a bill and what may be drawn from the personal account."""
        return presented(self.chip.sign(total_fen, account_fen, days_ago(0), PURCHASE_TYPE))


def presented(signed: Signature) -> presentation_pb2.Presentation:
    """Give a chip's signature as a terminal passes it on."""
    values = {name: getattr(signed, name) for name in Signature.__slots__}
    values["scheme"] = presentation_pb2.Chip.Scheme.Value(signed.scheme)
    return presentation_pb2.Presentation(chip=presentation_pb2.Chip(**values), terminal_id="T1")


class Ward(Caller):
    """A hospital's requests about stays."""

    def admission(
        self,
        card: presentation_pb2.Presentation,
        day: date,
        kind: inpatient_pb2.AdmissionKind.Kind.ValueType = EMERGENCY,
    ) -> inpatient_pb2.InpatientAdmitRequest:
        return inpatient_pb2.InpatientAdmitRequest(
            header=self.header(),
            presentation=card,
            holder_check=CHECKED_BY_PHOTO,
            admission_date=day.isoformat(),
            kind=kind,
        )

    def charges(self, stay_id: int, *lines: inpatient_pb2.ChargeLine) -> inpatient_pb2.InpatientAddChargesRequest:
        return inpatient_pb2.InpatientAddChargesRequest(header=self.header(), stay_id=stay_id, lines=lines)

    def discharge(self, stay_id: int, day: date) -> inpatient_pb2.InpatientDischargeRequest:
        return inpatient_pb2.InpatientDischargeRequest(
            header=self.header(), stay_id=stay_id, discharge_date=day.isoformat()
        )

    def settlement(self, stay_id: int, card: presentation_pb2.Presentation) -> inpatient_pb2.InpatientSettleRequest:
        return inpatient_pb2.InpatientSettleRequest(
            header=self.header(),
            stay_id=stay_id,
            total_fen=card.chip.amount_fen,
            account_request_fen=card.chip.other_amount_fen,
            presentation=card,
            holder_check=CHECKED_BY_PHOTO,
        )

    def cancellation(self, settlement_id: int) -> inpatient_pb2.InpatientCancelSettlementRequest:
        return inpatient_pb2.InpatientCancelSettlementRequest(header=self.header(), settlement_id=settlement_id)


def line(
    line_id: int, day: date, quantity: str = "1", price: str = "500", item: str = "WARD-DAY"
) -> inpatient_pb2.ChargeLine:
    """Bill pieces of an item at a price in yuan."""
    return inpatient_pb2.ChargeLine(
        line_id=str(line_id), item_code=item, quantity=quantity, unit_price=price, date=day.isoformat()
    )


def policy() -> packages_pb2.BenefitPolicy:
    """Make a policy that pays 80 % above 500 yuan, 70 % elsewhere, and nothing there without a filing."""
    return packages_pb2.BenefitPolicy(
        region=JINAN,
        insurance_type=common_pb2.InsuranceType.EMPLOYEE,
        visit_kind=common_pb2.VisitKind.INPATIENT,
        effective_from=EFFECTIVE_FROM,
        deductibles=[packages_pb2.Deductible(amount_fen=50_000)],
        band_measure=packages_pb2.BandMeasure.AFTER_DEDUCTIBLE,
        band_basis=packages_pb2.BandBasis.STAY,
        layers=[
            packages_pb2.Layer(
                fund=common_pb2.Fund.POOL,
                base=packages_pb2.LayerBase.ELIGIBLE_AFTER_DEDUCTIBLE,
                bands=[packages_pb2.Band(rate_bp=8_000)],
            )
        ],
        filing_adjustments=[
            packages_pb2.FilingAdjustment(kind=kind, mode=packages_pb2.Adjustment.POINTS, value_bp=1_000)
            for kind in (filings_pb2.Filing.TRANSFER, filings_pb2.Filing.EMERGENCY)
        ],
        unfiled=packages_pb2.Unfiled.REFUSED,
        cross_year=packages_pb2.CrossYear.WHOLE,
        on_cancel=packages_pb2.OnCancel.KEEP,
    )


def catalogue(region: str) -> packages_pb2.Catalogue:
    """Make a catalogue of one item that counts and one that does not."""
    kinds = packages_pb2.CatalogueItem
    made = packages_pb2.Catalogue(region=region, effective_from=EFFECTIVE_FROM)
    for code, kind in (("WARD-DAY", kinds.A), ("PRIVATE-ROOM", kinds.C)):
        # The field's name is a keyword of Python.
        setattr(made.items.add(code=code, name=f"Item {code}"), "class", kind)
    return made


def _regions() -> Iterator[packages_pb2.Region]:
    for code, parent, home in (
        (BEIJING, "", True),
        ("110105", BEIJING, True),
        ("370000", "", True),
        (JINAN, "370000", True),
        ("370102", JINAN, True),
        ("440000", "", False),
        (GUANGZHOU, "440000", False),
    ):
        yield packages_pb2.Region(code=code, name=f"Region {code}", parent=parent, home=home)


def found_world(hub: Services) -> None:
    """Install regions and packages and register the institutions, as the operator."""
    operator = Caller(OPERATOR, "founding-")
    hub.packages.install_regions(
        packages_pb2.PackagesInstallRegionsRequest(header=operator.header(), regions=list(_regions()))
    )
    hub.packages.install_policy(packages_pb2.PackagesInstallPolicyRequest(header=operator.header(), policy=policy()))
    for region in (BEIJING, JINAN):
        hub.packages.install_catalogue(
            packages_pb2.PackagesInstallCatalogueRequest(header=operator.header(), catalogue=catalogue(region))
        )
    for code, region, cross_region in (
        (BEIJING_HOSPITAL, "110105", True),
        (OTHER_HOSPITAL, "110105", True),
        (CLOSED_HOSPITAL, "110105", False),
        (LOCAL_HOSPITAL, "370102", True),
    ):
        institution = institutions_pb2.Institution(
            institution_code=code,
            name=f"Hospital {code}",
            kind=institutions_pb2.Institution.HOSPITAL,
            level=common_pb2.Level.THREE,
            region=region,
            networked=True,
            cross_region=cross_region,
        )
        hub.institutions.register(
            institutions_pb2.InstitutionsRegisterRequest(header=operator.header(), institution=institution)
        )


def identity_number(serial: int) -> str:
    """Make 18 characters, the last by ISO 7064 MOD 11-2, that are nobody's."""
    digits = f"00000019800101{serial:03d}"
    remainder = sum(int(digit) * pow(2, 17 - place, 11) for place, digit in enumerate(digits)) % 11
    return digits + "10X98765432"[remainder]


class Agency:
    """The desk, the issuer and the operator where people are concerned."""

    def __init__(self, desk: Services, issuer: Services, operator: Services) -> None:
        self._desk_hub, self._issuer_hub, self._operator_hub = desk, issuer, operator
        self.desk, self.issuer, self.operator = Caller(DESK), Caller(ISSUER), Caller(OPERATOR)
        self._serials = itertools.count(1)

    def enrolment(self, serial: int, region: str = JINAN) -> persons_pb2.PersonsEnrollRequest:
        """Make the request that enrols an employee."""
        spell = persons_pb2.InsuranceSpell(
            insurance_type=common_pb2.InsuranceType.EMPLOYEE,
            region=region,
            category=common_pb2.Category.ACTIVE,
            status=persons_pb2.InsuranceSpell.NORMAL,
            from_date=EFFECTIVE_FROM,
        )
        certificate = common_pb2.Certificate(kind=common_pb2.Certificate.IDENTITY_CARD, number=identity_number(serial))
        return persons_pb2.PersonsEnrollRequest(
            header=self.desk.header(),
            name=f"Person {serial}",
            sex=presentation_pb2.Sex.FEMALE,
            birth_date="1980-01-01",
            certificates=[certificate],
            spells=[spell],
        )

    def insure(self, *, collected: bool = True) -> Patient:
        """Enrol a person of Jinan and make a card, which the first use enables once it is collected."""
        serial = next(self._serials)
        enrolment = self.enrolment(serial)
        person_id = self._desk_hub.persons.enroll(enrolment).person_id
        hub, header = self._issuer_hub.cards, self.issuer.header
        applied = hub.apply(cards_pb2.CardsApplyRequest(header=header(), person_id=person_id, generation="3"))
        chip = make_chip(serial)
        hub.mark_made(
            cards_pb2.CardsMarkMadeRequest(
                header=header(),
                card_id=applied.card_id,
                pan=chip.pan,
                sequence_number=chip.sequence_number,
                card_sn=chip.card_sn,
                scheme=presentation_pb2.Chip.PBOC_SM4,
                key_index=chip.key_index,
            )
        )
        if collected:
            hub.hand_over(
                cards_pb2.CardsHandOverRequest(header=header(), card_id=applied.card_id, collected_by="holder")
            )
        return Patient(person_id, enrolment.certificates[0], applied.card_id, chip)

    def credit(self, patient: Patient, amount_fen: int, period: str = "2026-01") -> None:
        """Pay a contribution into the personal account."""
        self._operator_hub.accounts.credit(self.credit_request(patient, amount_fen, period))

    def credit_request(self, patient: Patient, amount_fen: int, period: str) -> accounts_pb2.AccountsCreditRequest:
        return accounts_pb2.AccountsCreditRequest(
            header=self.operator.header(), person_id=patient.person_id, amount_fen=amount_fen, period_key=period
        )

    def pay_out(self, patient: Patient, amount_fen: int, claim_number: str) -> bool:
        """Reimburse a claim, and say whether it waits."""
        request = accounts_pb2.AccountsPayOutRequest(
            header=self.operator.header(),
            person_id=patient.person_id,
            amount_fen=amount_fen,
            claim_number=claim_number,
        )
        return self._operator_hub.accounts.pay_out(request).waiting

    def link_family(self, person: Patient, payer: Patient) -> None:
        """Let the payer's account pay for the person."""
        request = accounts_pb2.AccountsLinkFamilyRequest(
            header=self.desk.header(), person_id=person.person_id, payer_person_id=payer.person_id
        )
        self._desk_hub.accounts.link_family(request)

    def file_transfer(self, patient: Patient) -> None:
        """File treatment in Beijing."""
        self._desk_hub.filings.file(
            filings_pb2.FilingsFileRequest(
                header=self.desk.header(),
                person_id=patient.person_id,
                kind=filings_pb2.Filing.TRANSFER,
                destination=BEIJING,
                valid_from=EFFECTIVE_FROM,
            )
        )

    def report_loss(self, patient: Patient, loss: cards_pb2.Loss.Kind.ValueType) -> cards_pb2.CardsReportLossResponse:
        """Report the loss of every card of the person."""
        return self._desk_hub.cards.report_loss(
            cards_pb2.CardsReportLossRequest(
                header=self.desk.header(),
                certificate=patient.certificate,
                loss=loss,
                channel=cards_pb2.Channel.DESK,
                verified_by="desk clerk",
            )
        )


def replacement(
    header: common_pb2.RequestHeader, lost_card_id: int, chip: SoftCard, *, enable: bool = True
) -> cards_pb2.CardsReplaceRequest:
    """Ask for a new card on the spot, in use at once unless told otherwise."""
    return cards_pb2.CardsReplaceRequest(
        header=header,
        lost_card_id=lost_card_id,
        pan=chip.pan,
        sequence_number=chip.sequence_number,
        card_sn=chip.card_sn,
        scheme=presentation_pb2.Chip.PBOC_SM4,
        key_index=chip.key_index,
        generation="3",
        enable=enable,
    )


def make_chip(serial: int, issuer_key: bytes = ISSUER_KEY) -> SoftCard:
    """Personalise a chip; the hub knows it once a card is marked made with it."""
    return SoftCard(
        "PBOC_SM4",
        issuer_key,
        pan=f"{PAN_PREFIX}{serial:011d}",
        sequence_number=1,
        card_sn=f"{serial:032X}",
        key_index=KEY_INDEX,
    )


@dataclass(frozen=True)
class KeyRing:
    """A key ring on disk with the issuer's key in it, and the specification of its key-encryption key."""

    path: Path
    kek: str

    @classmethod
    def make(cls, directory: Path) -> "KeyRing":
        kek = directory / "kek.hex"
        kek.touch(mode=0o600)
        kek.write_text(hashlib.sha256(b"key-encryption key of the tests").hexdigest())
        ring = cls(directory / "keys.json", f"file:{kek}")
        keys.create(ring.path, ring.kek)
        mask = hashlib.sha256(b"first component").digest()[:16]
        components: Sequence[bytes] = (mask, bytes(a ^ b for a, b in zip(mask, ISSUER_KEY, strict=True)))
        attributes = keys.KeyAttributes("tests", "PBOC_SM4", KEY_INDEX, PAN_PREFIX, PAN_PREFIX)
        keys.import_components(ring.path, ring.kek, attributes, components)
        return ring
