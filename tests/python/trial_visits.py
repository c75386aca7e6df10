"""Visits in the small insured world: packages and a pharmacy, who settles visits with which requests, and a hub."""

from datetime import date

from medsettle.v1 import common_pb2, inpatient_pb2, institutions_pb2, packages_pb2, presentation_pb2, visits_pb2
from medsettle.v1.facade import Services
from trial_world import (
    CHECKED_BY_PHOTO,
    LOCAL_HOSPITAL,
    OPERATOR,
    PHARMACY,
    Caller,
    Patient,
    days_ago,
    policy,
)

OUTPATIENT, PURCHASE = common_pb2.VisitKind.OUTPATIENT, common_pb2.VisitKind.PHARMACY
LIMIT_FEN = 550_000


def found_visits(hub: Services) -> None:
    """Install packages that pay 55 % up to 5,500 yuan a year, and register a pharmacy, as the operator."""
    operator = Caller(OPERATOR, "visits-")
    for kind in (OUTPATIENT, PURCHASE):
        package = policy()
        package.visit_kind = kind
        package.on_cancel = packages_pb2.OnCancel.READJUDICATE
        package.account_use = packages_pb2.AccountUse.ALLOWED
        del package.deductibles[:]
        package.layers[0].bands[0].rate_bp = 5_500
        package.layers[0].annual_cap_fen = LIMIT_FEN
        hub.packages.install_policy(packages_pb2.PackagesInstallPolicyRequest(header=operator.header(), policy=package))
    institution = institutions_pb2.Institution(
        institution_code=PHARMACY,
        name="Pharmacy",
        kind=institutions_pb2.Institution.PHARMACY,
        level=common_pb2.Level.NONE,
        region="370102",
        networked=True,
    )
    hub.institutions.register(
        institutions_pb2.InstitutionsRegisterRequest(header=operator.header(), institution=institution)
    )


class Counter(Caller):
    """The requests of an outpatient department or a pharmacy."""

    def __init__(self, kind: common_pb2.VisitKind.Kind.ValueType, prefix: str = "counter-") -> None:
        super().__init__(PHARMACY if kind == PURCHASE else LOCAL_HOSPITAL, prefix)
        self.kind = kind

    def quote(
        self, patient: Patient, *lines: inpatient_pb2.ChargeLine, day: date | None = None
    ) -> visits_pb2.VisitsQuoteRequest:
        return visits_pb2.VisitsQuoteRequest(
            card_sn=patient.chip.card_sn, visit_kind=self.kind, visit_date=(day or days_ago(0)).isoformat(), lines=lines
        )

    def settlement(
        self, card: presentation_pb2.Presentation, *lines: inpatient_pb2.ChargeLine, quote_digest: bytes = b""
    ) -> visits_pb2.VisitsSettleRequest:
        return visits_pb2.VisitsSettleRequest(
            header=self.header(),
            visit_kind=self.kind,
            visit_date=days_ago(0).isoformat(),
            department="internal medicine",
            diagnosis="J06",
            lines=lines,
            total_fen=card.chip.amount_fen,
            account_request_fen=card.chip.other_amount_fen,
            quote_digest=quote_digest,
            presentation=card,
            holder_check=CHECKED_BY_PHOTO,
        )

    def cancellation(self, settlement_id: int) -> visits_pb2.VisitsCancelRequest:
        return visits_pb2.VisitsCancelRequest(header=self.header(), settlement_id=settlement_id)
