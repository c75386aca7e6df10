"""The scene in which requests must be refused, and how a row of the table is written.

Owns people, cards and stays in every state that refuses something.
Invariant: a row's request would be accepted but for the one thing that its name says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date

from google.protobuf.message import Message

from medsettle.client import Client
from medsettle.v1 import cards_pb2, fraud_pb2, inpatient_pb2, packages_pb2
from trial_site import Office
from trial_world import (
    BEIJING_HOSPITAL,
    CLOSED_HOSPITAL,
    JINAN,
    OTHER_HOSPITAL,
    PLANNED,
    Patient,
    Ward,
    days_ago,
    line,
)

MOST_FEN = 10_000_000_000
"""Largest amount of one bill, line or request: 100 million yuan."""
LINES, COMMANDS = 1_000, 10_000
MESSAGE_BYTES = 4 << 20
WINDOW_MS, AHEAD_MS = 72 * 3_600_000, 5 * 60_000
JUMP = 1_000
FIRST_DAY, LAST_DAY = 40, 30
"""Every stay begins and ends so many days ago."""


@dataclass
class Treated:
    """A patient with a stay."""

    patient: Patient
    stay_id: int
    total_fen: int
    settlement_id: int = 0


class Scene:
    """People, cards and stays, as the refusals need them."""

    def __init__(self, office: Office, client: Client, other: Client) -> None:
        self.office, self.agency, self.client = office, office.agency, client
        self.ward, self.other, self.closed = (
            Ward(code, "bad-") for code in (BEIJING_HOSPITAL, OTHER_HOSPITAL, CLOSED_HOSPITAL)
        )
        self.fresh = self.agency.insure()
        self.uncollected = self.agency.insure(collected=False)
        self.lost, self.temporarily_lost = self.agency.insure(), self.agency.insure()
        self.agency.report_loss(self.lost, cards_pb2.Loss.FORMAL)
        self.agency.report_loss(self.temporarily_lost, cards_pb2.Loss.TEMPORARY)
        self.open = self._treated(discharged=False)
        taken_back = line(3, self.day(), "-2")
        taken_back.takes_back_line_id = "2"
        self.client.inpatient.add_charges(self.ward.charges(self.open.stay_id, line(2, self.day(), "2"), taken_back))
        self.unfiled = self._treated()
        self.filed = self._treated(filed=True)
        self.settled = self._settled()
        self.cancelled = self._settled()
        self.client.inpatient.cancel_settlement(self.ward.cancellation(self.cancelled.settlement_id))
        self.elsewhere = self._treated(ward=self.other, client=other)
        self.child, *self.large_family = (self.agency.insure() for _ in range(9))
        for payer in self.large_family:
            self.agency.link_family(self.child, payer)
        self.acknowledged_alert, self.open_alert = self._watched()
        self.waiting_claim = "C-1"
        self.agency.pay_out(self.child, 100, self.waiting_claim)

    def day(self) -> date:
        """Give a day within every stay."""
        return days_ago(FIRST_DAY)

    def _treated(
        self, *, discharged: bool = True, filed: bool = False, ward: Ward | None = None, client: Client | None = None
    ) -> Treated:
        ward, hub, patient = ward or self.ward, (client or self.client).inpatient, self.agency.insure()
        if filed:
            self.agency.file_transfer(patient)
        stay = hub.admit(ward.admission(patient.card_at_admission(), self.day(), PLANNED)).stay_id
        sum_ = hub.add_charges(ward.charges(stay, line(1, self.day(), "5"))).stay_sum
        if discharged:
            hub.discharge(ward.discharge(stay, days_ago(LAST_DAY)))
        return Treated(patient, stay, sum_.total_fen)

    def _settled(self) -> Treated:
        treated = self._treated(filed=True)
        card = treated.patient.card_at_settlement(treated.total_fen)
        settled = self.client.inpatient.settle(self.ward.settlement(treated.stay_id, card))
        treated.settlement_id = settled.settlement_id
        return treated

    def _watched(self) -> list[int]:
        """Refuse the other sex from now on; two men too old were seen, and somebody looked at the first alert."""
        kinds, header = packages_pb2.AlertRule, self.agency.operator.header
        rules = [kinds(kind=kinds.SEX_CONFLICT, hard=True), kinds(kind=kinds.AGE_CONFLICT, tolerance_years=10)]
        package = packages_pb2.AlertRules(region=JINAN, effective_from="2015-01-01", rules=rules)
        request = packages_pb2.PackagesInstallAlertRulesRequest(header=header(), rules=package)
        self.office.operator.packages.install_alert_rules(request)
        raised: list[int] = []
        for patient in (self.agency.insure(), self.agency.insure()):
            admission = self.admission(patient)
            admission.holder_check.observed_birth_year = 1950
            raised.extend(self.client.inpatient.admit(admission).alert_ids)
        look = fraud_pb2.FraudAcknowledgeAlertRequest(header=header(), alert_id=raised[0], note="seen")
        self.office.operator.fraud.acknowledge_alert(look)
        return raised

    def admission(self, patient: Patient | None = None) -> inpatient_pb2.InpatientAdmitRequest:
        """Make an admission that would be accepted, were the patient's card in order."""
        patient = patient or self.fresh
        return self.ward.admission(patient.card_at_admission(), days_ago(2), PLANNED)

    def charges(self, **changes: str | int) -> inpatient_pb2.InpatientAddChargesRequest:
        """Make a charge of one line that would be accepted, but for what is changed in the line."""
        billed = line(9, self.day())
        for name, value in changes.items():
            setattr(billed, name, value)
        return self.ward.charges(self.open.stay_id, billed)

    def settlement(self, treated: Treated | None = None, account_fen: int = 0) -> inpatient_pb2.InpatientSettleRequest:
        """Make a settlement that would be accepted if the stay were in order."""
        treated = treated or self.filed
        return self.ward.settlement(treated.stay_id, treated.patient.card_at_settlement(treated.total_fen, account_fen))


@dataclass(frozen=True)
class Bad:
    """A request that must be refused, and metadata that the refusal must carry beside the field."""

    method: str
    request: Message | bytes
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A row of the table; `lacks` are declared metadata keys that this case does not have.

    A refusal that is `remembered` leaves itself behind and is given again.
    """

    make: Callable[[Scene], Bad]
    reason: str
    status: str
    field: str | None
    caller: str
    lacks: frozenset[str]
    remembered: bool

    @property
    def name(self) -> str:
        return self.make.__name__


TABLE: list[Row] = []


def row(
    reason: str,
    status: str,
    field: str | None = None,
    *,
    caller: str = BEIJING_HOSPITAL,
    lacks: str = "",
    remembered: bool = False,
) -> Callable[[Callable[[Scene], Bad]], Callable[[Scene], Bad]]:
    """Put a maker of requests on the table."""

    def put(make: Callable[[Scene], Bad]) -> Callable[[Scene], Bad]:
        TABLE.append(Row(make, reason, status, field, caller, frozenset(lacks.split()), remembered))
        return make

    return put


def malformed(field: str, *, caller: str = BEIJING_HOSPITAL) -> Callable[[Callable[[Scene], Bad]], object]:
    return row("REQUEST_MALFORMED", "INVALID_ARGUMENT", field, caller=caller)


def forbidden_now(
    reason: str, field: str | None = None, *, caller: str = BEIJING_HOSPITAL, lacks: str = ""
) -> Callable[[Callable[[Scene], Bad]], object]:
    return row(reason, "FAILED_PRECONDITION", field, caller=caller, lacks=lacks)
