"""A story that leaves a fact of every kind in the journal: what a golden data directory is made of.

Invariant: it ends only when every kind of fact that this version knows was written, so a new kind needs a new scene.
Leaves out how the directory is kept and compared: golden.py.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

from google.protobuf.message import Message

from medsettle import Rejected, journal, jsonform
from medsettle.v1 import (
    accounts_pb2,
    cards_pb2,
    common_pb2,
    filings_pb2,
    fraud_pb2,
    inpatient_pb2,
    institutions_pb2,
    journal_pb2,
    messages_pb2,
    packages_pb2,
    persons_pb2,
    presentation_pb2,
)
from trial_town import Bank
from trial_visits import OUTPATIENT, PURCHASE, Counter
from trial_world import (
    BEIJING,
    DESK,
    EFFECTIVE_FROM,
    ISSUER,
    JINAN,
    LOCAL_HOSPITAL,
    OPERATOR,
    OTHER_HOSPITAL,
    Caller,
    Patient,
    Ward,
    days_ago,
    line,
)

RIGHT, WRONG = "827364", "827365"
JUMP = 2_000
CARDLESS_SERIAL = 900
RULES = {
    "region": JINAN,
    "effective_from": "2015-01-01",
    "rules": [{"kind": "SEX_CONFLICT"}, {"kind": "NEAR_CAP", "ratio_bp": 9000}],
}
MAN = presentation_pb2.HolderCheck(
    method=presentation_pb2.HolderCheck.PHOTO, observed_sex=presentation_pb2.Sex.MALE, observed_birth_year=1950
)


def known_kinds() -> set[str]:
    """Name every kind of fact that this version can write."""
    return {field.name for field in journal_pb2.Fact.DESCRIPTOR.oneofs_by_name["fact"].fields}


def records(data: Path) -> list[journal_pb2.Record]:
    """Read every record of a journal."""
    frames = journal.inspect(data, limit=1_000_000)
    return [journal_pb2.Record.FromString(record) for frame in frames for record in cast(list[bytes], frame["records"])]


def written_kinds(data: Path) -> set[str]:
    """Name every kind of fact in a journal."""
    return {str(fact.WhichOneof("fact")) for record in records(data) for fact in record.facts}


class Story(Bank):
    """A town in which, one after another, everything happens that leaves a fact."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.desk, self.issuer, self.operator = (Caller(code, "story-") for code in (DESK, ISSUER, OPERATOR))
        self.ward, self.pharmacy, self.clinic = Ward(LOCAL_HOSPITAL), Counter(PURCHASE), Counter(OUTPATIENT)

    def ask(self, caller: Caller, method: str, request: Message) -> Message:
        """Send a request under a new id of the caller."""
        request.header.CopyFrom(caller.header())  # type: ignore[attr-defined]
        return self.acting(caller.institution).call(method, request)

    def tell(self) -> None:
        """Let everything happen."""
        scenes: tuple[Callable[[], None], ...] = (
            self.persons, self.cards, self.locks, self.pins, self.own_money, self.stays, self.vouchers, self.alerts,
            self.theft, self.recomputation, self.suspensions, self.transfer,
        )  # fmt: skip
        for scene in scenes:
            scene()
        assert (missing := known_kinds() - written_kinds(self.data)) == set(), missing

    def persons(self) -> None:
        patient = self.insured()
        self.ask(self.desk, "Persons.Update", persons_pb2.PersonsUpdateRequest(person_id=patient.person_id, name="New"))
        filing = filings_pb2.FilingsFileRequest(
            person_id=patient.person_id,
            kind=filings_pb2.Filing.TRANSFER,
            destination=BEIJING,
            valid_from=EFFECTIVE_FROM,
        )
        filed = self.ask(self.desk, "Filings.File", filing)
        assert isinstance(filed, filings_pb2.FilingsFileResponse)
        withdrawal = filings_pb2.FilingsWithdrawRequest(person_id=patient.person_id, filing_id=filed.filing_id)
        self.ask(self.desk, "Filings.Withdraw", withdrawal)

    def cards(self) -> None:
        enrolled = self.ask(self.desk, "Persons.Enroll", self.agency.enrolment(CARDLESS_SERIAL))
        assert isinstance(enrolled, persons_pb2.PersonsEnrollResponse)
        apply = cards_pb2.CardsApplyRequest(person_id=enrolled.person_id, generation="3")
        applied = self.ask(self.issuer, "Cards.Apply", apply)
        assert isinstance(applied, cards_pb2.CardsApplyResponse)
        cause = cards_pb2.CardsFailApplicationRequest.NO_VALID_PHOTO
        failed = cards_pb2.CardsFailApplicationRequest(card_id=applied.card_id, cause=cause)
        self.ask(self.issuer, "Cards.FailApplication", failed)
        patient = self.insured()
        self.enable(patient.card_id)
        self.agency.report_loss(patient, cards_pb2.Loss.TEMPORARY)
        found = cards_pb2.CardsWithdrawLossRequest(card_id=patient.card_id, verified_by="desk clerk")
        self.ask(self.desk, "Cards.WithdrawLoss", found)
        cancel = cards_pb2.CardsCancelRequest(card_id=patient.card_id, cause=cards_pb2.CardsCancelRequest.RETURNED)
        self.ask(self.desk, "Cards.Cancel", cancel)
        retire = cards_pb2.CardsRetireGenerationRequest(
            region=JINAN, generation="2", cut_over_date=days_ago(0).isoformat()
        )
        self.ask(self.operator, "Cards.RetireGeneration", retire)

    def locks(self) -> None:
        patient = self.insured()
        self.admitted(patient)
        forged = patient.card_at_admission()
        forged.chip.cryptogram = bytes(8)
        with suppress(Rejected):
            self.acting(LOCAL_HOSPITAL).inpatient.admit(self.ward.admission(forged, days_ago(2)))
        patient.chip.atc += JUMP
        with suppress(Rejected):
            self.admitted(patient)
        unlock = cards_pb2.CardsUnlockRequest(
            card_id=patient.card_id, zone=cards_pb2.Zone.INSURANCE, presentation=patient.card_at_admission()
        )
        self.ask(self.desk, "Cards.Unlock", unlock)

    def pins(self) -> None:
        patient = self.insured()
        self.enable(patient.card_id)
        self.ask(self.desk, "Cards.SetPin", cards_pb2.CardsSetPinRequest(card_id=patient.card_id, pin=RIGHT))
        for pin in (WRONG, RIGHT):
            with suppress(Rejected):
                asked = cards_pb2.CardsVerifyPinRequest(card_sn=patient.chip.card_sn, pin=pin)
                self.ask(self.pharmacy, "Cards.VerifyPin", asked)

    def own_money(self) -> None:
        patient, relative = self.insured(), self.insured()
        year = accounts_pb2.AccountsOpenYearRequest(
            person_id=patient.person_id,
            insurance_type=common_pb2.InsuranceType.EMPLOYEE,
            benefit_year=days_ago(0).year,
            counter=common_pb2.Counter.INPATIENT,
            accumulators=common_pb2.Accumulators(admissions=1, eligible_fen=100_000, deductible_fen=50_000),
        )
        self.ask(self.operator, "Accounts.OpenYear", year)
        self.agency.pay_out(patient, 5_000, "C-1")
        bank_zone = cards_pb2.CardsEnableRequest(card_id=patient.card_id, zone=cards_pb2.Zone.BANK)
        self.ask(self.desk, "Cards.Enable", bank_zone)
        self.enable(patient.card_id)
        self.top_up(patient, accounts_pb2.Account.ONLINE, 3_000)
        self.ask(self.desk, "Cards.SetPin", cards_pb2.CardsSetPinRequest(card_id=patient.card_id, pin=RIGHT))
        self.purchase(self.pharmacy, patient, accounts_pb2.Account.ONLINE, 1_000, RIGHT)
        self.agency.link_family(patient, relative)
        unlink = accounts_pb2.AccountsUnlinkFamilyRequest(
            person_id=patient.person_id, payer_person_id=relative.person_id
        )
        self.ask(self.desk, "Accounts.UnlinkFamily", unlink)

    def admitted(self, patient: Patient) -> int:
        request = self.ward.admission(patient.card_at_admission(), days_ago(3))
        return self.acting(LOCAL_HOSPITAL).inpatient.admit(request).stay_id

    def stays(self) -> None:
        hub = self.acting(LOCAL_HOSPITAL).inpatient
        patient, other = self.insured(), self.insured()
        stay = self.admitted(patient)
        update = inpatient_pb2.InpatientUpdateStayRequest(stay_id=stay, department="cardiology", diagnosis="I21")
        self.ask(self.ward, "Inpatient.UpdateStay", update)
        hub.add_charges(self.ward.charges(stay, line(1, days_ago(2), "3"), line(2, days_ago(2))))
        self.ask(
            self.ward,
            "Inpatient.RevokeCharges",
            inpatient_pb2.InpatientRevokeChargesRequest(stay_id=stay, line_ids=["2"]),
        )
        hub.discharge(self.ward.discharge(stay, days_ago(1)))
        self.ask(self.ward, "Inpatient.CancelDischarge", inpatient_pb2.InpatientCancelDischargeRequest(stay_id=stay))
        hub.discharge(self.ward.discharge(stay, days_ago(0)))
        bill = self.ward.settlement(stay, patient.card_at_settlement(150_000, 5_000))
        hub.cancel_settlement(self.ward.cancellation(hub.settle(bill).settlement_id))
        again = self.ward.settlement(stay, patient.card_at_settlement(150_000, 2_000))
        hub.settle(again)
        for reversed_id in (again.header.request_id, "never-arrived"):
            reversal = messages_pb2.MessagesReverseRequest(reversed_request_id=reversed_id)
            self.ask(self.ward, "Messages.Reverse", reversal)
        mistaken = self.admitted(other)
        cancel = inpatient_pb2.InpatientCancelAdmissionRequest(stay_id=mistaken)
        self.ask(self.ward, "Inpatient.CancelAdmission", cancel)
        self.admitted(self.insured())

    def vouchers(self) -> None:
        hub, patient = self.acting(LOCAL_HOSPITAL).inpatient, self.insured()
        stay = self.admitted(patient)
        total = hub.add_charges(self.ward.charges(stay, line(1, days_ago(2), "5"))).stay_sum.total_fen
        hub.discharge(self.ward.discharge(stay, days_ago(1)))
        self.agency.report_loss(patient, cards_pb2.Loss.FORMAL)
        voucher = cards_pb2.CardsAuthorizeStayRequest(stay_id=stay, account_limit_fen=500, cause="card stolen")
        issued = self.ask(self.desk, "Cards.AuthorizeStay", voucher)
        assert isinstance(issued, cards_pb2.CardsAuthorizeStayResponse)
        request = self.ward.settlement(stay, patient.card_at_settlement(total))
        shown = presentation_pb2.Presentation(voucher_id=issued.voucher_id, terminal_id="T1")
        request.presentation.CopyFrom(shown)
        request.total_fen, request.account_request_fen = total, 500
        hub.settle(request)

    def bought(
        self, counter: Counter, patient: Patient, fen: int, check: presentation_pb2.HolderCheck | None = None
    ) -> list[int]:
        request = counter.settlement(
            patient.card_at_settlement(fen), line(1, days_ago(0), "1", f"{fen // 100}.{fen % 100:02d}")
        )
        if check is not None:
            request.holder_check.CopyFrom(check)
        return list(self.at(counter).visits.settle(request).alert_ids)

    def alerts(self) -> None:
        rules = jsonform.parse(packages_pb2.AlertRules, RULES)
        self.ask(
            self.operator, "Packages.InstallAlertRules", packages_pb2.PackagesInstallAlertRulesRequest(rules=rules)
        )
        seen = self.bought(self.pharmacy, self.insured(), 20_000, MAN)
        note = fraud_pb2.FraudAcknowledgeAlertRequest(alert_id=seen[0], note="her father, who fetched her medicine")
        self.ask(self.operator, "Fraud.AcknowledgeAlert", note)

    def theft(self) -> None:
        victim, since_ms = self.insured(), time.time_ns() // 1_000_000
        self.bought(self.pharmacy, victim, 30_000)
        self.bought(self.clinic, victim, 40_000)
        scope = fraud_pb2.UnwindScope(card_id=victim.card_id, since_ms=since_ms)
        unwind = fraud_pb2.FraudUnwindRequest(scope=scope, case_number="F-1", second_approver="director")
        self.ask(self.operator, "Fraud.Unwind", unwind)

    def recomputation(self) -> None:
        """Cancel what had cut a later visit, and then that visit: what waited to be paid on it is withdrawn."""
        patient, counter, settled = self.insured(), self.clinic, []
        for fen in (990_000, 100_000):
            bill = line(1, days_ago(0), "1", f"{fen // 100}.00")
            visit = counter.settlement(patient.card_at_settlement(fen), bill)
            settled.append(self.at(counter).visits.settle(visit).settlement_id)
        for settlement in settled:
            self.at(counter).visits.cancel(counter.cancellation(settlement))

    def suspensions(self) -> None:
        person = persons_pb2.PersonsSuspendNetworkRequest(
            person_id=self.insured().person_id,
            from_date=days_ago(0).isoformat(),
            to_date=days_ago(-9).isoformat(),
            case_number="S-1",
        )
        self.ask(self.operator, "Persons.SuspendNetwork", person)
        for department in ("dentistry", "eyes"):
            place = institutions_pb2.InstitutionsSuspendRequest(
                subject_code=OTHER_HOSPITAL,
                department=department,
                from_date=days_ago(0).isoformat(),
                case_number="S-2",
            )
            self.ask(self.operator, "Institutions.Suspend", place)
        resume = institutions_pb2.InstitutionsResumeRequest(subject_code=OTHER_HOSPITAL, department="eyes")
        self.ask(self.operator, "Institutions.Resume", resume)

    def transfer(self) -> None:
        spell = persons_pb2.InsuranceSpell(
            insurance_type=common_pb2.InsuranceType.EMPLOYEE,
            region=BEIJING,
            category=common_pb2.Category.ACTIVE,
            status=persons_pb2.InsuranceSpell.NORMAL,
            from_date=days_ago(0).isoformat(),
        )
        move = persons_pb2.PersonsTransferRegionRequest(person_id=self.insured().person_id, new_spell=spell)
        self.ask(self.desk, "Persons.TransferRegion", move)
