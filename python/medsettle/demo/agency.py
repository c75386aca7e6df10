"""The insurance agency: operator, desk, card issuer and auditor, each with a certificate of its own.

Owns how packages, hospitals, people and cards come into the hub.
Leaves out what the packages say and who the people are: world.py.
"""

import itertools
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import date

from medsettle import jsonform
from medsettle.client import Client, connect
from medsettle.demo import world
from medsettle.demo.batch import submit
from medsettle.demo.patient import Patient
from medsettle.demo.scratch import PRODUCTS, Scratch
from medsettle.softcard import SoftCard
from medsettle.v1 import (
    accounts_pb2,
    cards_pb2,
    common_pb2,
    filings_pb2,
    fraud_pb2,
    inpatient_pb2,
    institutions_pb2,
    operations_pb2,
    packages_pb2,
    persons_pb2,
    presentation_pb2,
)
from medsettle.v1.cards_pb2 import Channel, Loss

INSURED_SINCE = "2020-01-01"


class Caller:
    """One actor of the agency and its request ids."""

    def __init__(self, scratch: Scratch, target: str, code: str, role: str) -> None:
        self.client: Client = connect(target, tls=scratch.client_tls(code, role))
        self._code = code
        self._numbers = itertools.count(1)

    def header(self) -> common_pb2.RequestHeader:
        """Begin a request."""
        return common_pb2.RequestHeader(
            request_id=f"{self._code}-{next(self._numbers):06d}",
            created_ms=time.time_ns() // 1_000_000,
            institution_code=self._code,
            operator="demo",
        )


class Agency:
    """The agency; a context manager that closes its connections."""

    def __init__(self, scratch: Scratch, target: str) -> None:
        self._scratch = scratch
        self.operator = Caller(scratch, target, "OPERATOR0001", "OPERATOR")
        self.desk = Caller(scratch, target, "DESK00000001", "DESK")
        self.issuer = Caller(scratch, target, "ISSUER000001", "ISSUER")
        self.auditor = Caller(scratch, target, "AUDITOR00001", "AUDITOR")
        self._closing = ExitStack()
        for caller in (self.operator, self.desk, self.issuer, self.auditor):
            self._closing.callback(caller.client.close)
        self._card_serials = itertools.count(1)

    def install_packages(self) -> None:
        """Install the region tree, then each province's policy and catalogue, from their files."""
        client, header = self.operator.client, self.operator.header
        regions = [jsonform.parse(packages_pb2.Region, region) for region in world.package("regions")]
        client.packages.install_regions(packages_pb2.PackagesInstallRegionsRequest(header=header(), regions=regions))
        for name in (*(province.policy for province in world.PROVINCES), *world.VISIT_POLICIES):
            policy = jsonform.parse(packages_pb2.BenefitPolicy, world.package(name))
            client.packages.install_policy(packages_pb2.PackagesInstallPolicyRequest(header=header(), policy=policy))
        for province in world.PROVINCES:
            catalogue = jsonform.parse(packages_pb2.Catalogue, world.package(province.catalogue))
            client.packages.install_catalogue(
                packages_pb2.PackagesInstallCatalogueRequest(header=header(), catalogue=catalogue)
            )

    def register(self, place: world.Place) -> None:
        """Register a third-level hospital, or a pharmacy, that is open to patients of every region."""
        institution = institutions_pb2.Institution(
            institution_code=place.code,
            name=place.name,
            kind=institutions_pb2.Institution.Kind.Value(place.role),
            level=common_pb2.Level.THREE if place.role == "HOSPITAL" else common_pb2.Level.NONE,
            region=place.district,
            networked=True,
            cross_region=True,
        )
        self.operator.client.institutions.register(
            institutions_pb2.InstitutionsRegisterRequest(header=self.operator.header(), institution=institution)
        )

    def insure(self, residents: Iterable[world.Resident]) -> list[Patient]:
        """Enrol people and give each a card: applied for, made, handed over, and not enabled yet."""
        residents = list(residents)
        enrolments = [self._enrolment(resident) for resident in residents]
        enrolled = submit(self.desk.client, enrolments, persons_pb2.PersonsEnrollResponse)
        persons = [response.person_id for response in enrolled]
        issued = self.issue(dict(zip(persons, residents, strict=True)))
        return [Patient(resident, person, *issued[person]) for resident, person in zip(residents, persons, strict=True)]

    def issue(
        self, residents: Mapping[int, world.Resident], predecessor_card_id: int = 0
    ) -> dict[int, tuple[int, SoftCard]]:
        """Make a card for each person and hand it over; gives card id and chip by person id."""
        client, header = self.issuer.client, self.issuer.header
        applications = [
            cards_pb2.CardsApplyRequest(
                header=header(),
                person_id=person,
                predecessor_card_id=predecessor_card_id,
                generation=PRODUCTS[resident.scheme].generation,
            )
            for person, resident in residents.items()
        ]
        ids = [response.card_id for response in submit(client, applications, cards_pb2.CardsApplyResponse)]
        chips = [self._scratch.make_card(one.scheme, next(self._card_serials)) for one in residents.values()]
        made = [self._made(card_id, chip) for card_id, chip in zip(ids, chips, strict=True)]
        submit(client, made, cards_pb2.CardsMarkMadeResponse)
        handed = [
            cards_pb2.CardsHandOverRequest(header=header(), card_id=card_id, collected_by="holder") for card_id in ids
        ]
        submit(client, handed, cards_pb2.CardsHandOverResponse)
        return dict(zip(residents, zip(ids, chips, strict=True), strict=True))

    def install_alert_rules(self, name: str) -> None:
        """Install rules that look whenever a card is shown."""
        rules = jsonform.parse(packages_pb2.AlertRules, world.package(name))
        self.operator.client.packages.install_alert_rules(
            packages_pb2.PackagesInstallAlertRulesRequest(header=self.operator.header(), rules=rules)
        )

    def replace(self, patient: Patient) -> Patient:
        """Replace a lost card at the desk, while the holder waits; the new one is in use at once."""
        product = PRODUCTS[patient.resident.scheme]
        chip = self._scratch.make_card(patient.resident.scheme, next(self._card_serials))
        request = cards_pb2.CardsReplaceRequest(
            header=self.desk.header(),
            lost_card_id=patient.card_id,
            pan=chip.pan,
            sequence_number=chip.sequence_number,
            card_sn=chip.card_sn,
            scheme=presentation_pb2.Chip.Scheme.Value(chip.scheme),
            key_index=product.key_index,
            generation=product.generation,
            enable=True,
        )
        card = self.desk.client.cards.replace(request).card
        return Patient(patient.resident, patient.person_id, card.card_id, chip)

    def preview_unwind(self, scope: fraud_pb2.UnwindScope) -> fraud_pb2.FraudPreviewUnwindResponse:
        """Ask what an unwind would do."""
        return self.operator.client.fraud.preview_unwind(fraud_pb2.FraudPreviewUnwindRequest(scope=scope))

    def unwind(
        self, scope: fraud_pb2.UnwindScope, case_number: str, second_approver: str, preview_digest: bytes
    ) -> fraud_pb2.FraudUnwindResponse:
        """Take back everything in the scope."""
        return self.operator.client.fraud.unwind(
            fraud_pb2.FraudUnwindRequest(
                header=self.operator.header(),
                scope=scope,
                case_number=case_number,
                second_approver=second_approver,
                preview_digest=preview_digest,
            )
        )

    def claims(self, case_number: str) -> list[fraud_pb2.Claim]:
        """List what institutions owe in a case."""
        request = fraud_pb2.FraudListClaimsRequest(case_number=case_number)
        return list(self.operator.client.fraud.list_claims(request).claims)

    def alerts(self, patient: Patient) -> list[fraud_pb2.Alert]:
        """List the open alerts about a person."""
        request = fraud_pb2.FraudListAlertsRequest(person_id=patient.person_id)
        return list(self.operator.client.fraud.list_alerts(request).alerts)

    def enable_bank_zone(self, patient: Patient) -> None:
        """Bring the bank zone of a card into use; whatever waits for it is paid there."""
        self.desk.client.cards.enable(
            cards_pb2.CardsEnableRequest(header=self.desk.header(), card_id=patient.card_id, zone=cards_pb2.Zone.BANK)
        )

    def statement(self, patient: Patient) -> list[accounts_pb2.StatementEntry]:
        """Read everything that moved the person's money or used the person's limits."""
        request = accounts_pb2.AccountsStatementRequest(person_id=patient.person_id)
        return [entry for page in self.desk.client.accounts.statement(request) for entry in page.entries]

    def credit(self, patient: Patient, amount_fen: int, period: str) -> None:
        """Pay a contribution into the personal account."""
        self.operator.client.accounts.credit(
            accounts_pb2.AccountsCreditRequest(
                header=self.operator.header(), person_id=patient.person_id, amount_fen=amount_fen, period_key=period
            )
        )

    def open_year(self, patient: Patient, year: int, accumulators: common_pb2.Accumulators) -> None:
        """Import what an employee has used in a running year."""
        self.operator.client.accounts.open_year(
            accounts_pb2.AccountsOpenYearRequest(
                header=self.operator.header(),
                person_id=patient.person_id,
                insurance_type=common_pb2.InsuranceType.EMPLOYEE,
                benefit_year=year,
                counter=common_pb2.Counter.INPATIENT,
                accumulators=accumulators,
            )
        )

    def file(
        self, patient: Patient, kind: filings_pb2.Filing.Kind.ValueType, destination: str, valid_from: date
    ) -> None:
        """File care elsewhere."""
        self.desk.client.filings.file(
            filings_pb2.FilingsFileRequest(
                header=self.desk.header(),
                person_id=patient.person_id,
                kind=kind,
                destination=destination,
                valid_from=valid_from.isoformat(),
            )
        )

    def report_loss(
        self, patient: Patient, loss: Loss.Kind.ValueType, channel: Channel.Kind.ValueType
    ) -> cards_pb2.CardsReportLossResponse:
        """Report a loss by the person's certificate, as a caller does who knows no card number."""
        return self.desk.client.cards.report_loss(
            cards_pb2.CardsReportLossRequest(
                header=self.desk.header(),
                certificate=patient.certificate,
                loss=loss,
                channel=channel,
                verified_by="desk clerk",
            )
        )

    def withdraw_loss(self, patient: Patient) -> None:
        """Withdraw a report of loss."""
        self.desk.client.cards.withdraw_loss(
            cards_pb2.CardsWithdrawLossRequest(
                header=self.desk.header(), card_id=patient.card_id, verified_by="desk clerk"
            )
        )

    def cards(self, patient: Patient) -> list[cards_pb2.Card]:
        """List the person's cards."""
        request = cards_pb2.CardsListRequest(person_id=patient.person_id)
        return list(self.desk.client.cards.list(request).cards)

    def balance_fen(self, patient: Patient) -> int:
        """Read the balance of the personal account."""
        request = accounts_pb2.AccountsGetRequest(person_id=patient.person_id)
        accounts = self.desk.client.accounts.get(request).accounts
        return sum(a.balance_fen for a in accounts if a.kind == accounts_pb2.Account.INSURANCE)

    def accumulators(self, patient: Patient) -> list[common_pb2.YearAccumulators]:
        """Read what the person has used in every year."""
        request = accounts_pb2.AccountsGetAccumulatorsRequest(person_id=patient.person_id)
        return list(self.auditor.client.accounts.get_accumulators(request).years)

    def trial_balance(self) -> operations_pb2.OperationsTrialBalanceResponse:
        """Read the balances of all ledger accounts."""
        return self.auditor.client.operations.trial_balance(operations_pb2.OperationsTrialBalanceRequest())

    def settlements(self, ids: Iterable[int]) -> list[inpatient_pb2.Settlement]:
        """Read settlements of any hospital, as an auditor."""
        requests = [inpatient_pb2.InpatientGetSettlementRequest(settlement_id=number) for number in ids]
        found = submit(self.auditor.client, requests, inpatient_pb2.InpatientGetSettlementResponse)
        return [response.settlement for response in found]

    def _enrolment(self, resident: world.Resident) -> persons_pb2.PersonsEnrollRequest:
        certificate = common_pb2.Certificate(kind=common_pb2.Certificate.IDENTITY_CARD, number=resident.identity_number)
        province = resident.province
        spell = persons_pb2.InsuranceSpell(
            insurance_type=common_pb2.InsuranceType.Kind.Value(province.insurance),
            region=province.region,
            category=common_pb2.Category.Kind.Value(province.category),
            status=persons_pb2.InsuranceSpell.NORMAL,
            from_date=INSURED_SINCE,
        )
        return persons_pb2.PersonsEnrollRequest(
            header=self.desk.header(),
            name=resident.name,
            sex=presentation_pb2.Sex.Kind.Value(resident.sex),
            birth_date=resident.birth_date.isoformat(),
            certificates=[certificate],
            spells=[spell],
        )

    def _made(self, card_id: int, chip: SoftCard) -> cards_pb2.CardsMarkMadeRequest:
        product = PRODUCTS[chip.scheme]
        return cards_pb2.CardsMarkMadeRequest(
            header=self.issuer.header(),
            card_id=card_id,
            pan=chip.pan,
            sequence_number=chip.sequence_number,
            card_sn=chip.card_sn,
            scheme=presentation_pb2.Chip.Scheme.Value(chip.scheme),
            key_index=product.key_index,
        )

    def __enter__(self) -> "Agency":
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()
