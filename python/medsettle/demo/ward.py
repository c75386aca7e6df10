"""One hospital: its connection to the hub, its stays, and its own books.

Invariant: a request whose outcome is unknown is kept as it was sent, so that it can be sent again.
Leaves out the process around it (hospital.py) and the busy hour (rush.py).
"""

import itertools
import time
from collections.abc import Sequence
from datetime import date

from medsettle.client import Retries, TlsFiles, connect
from medsettle.demo.books import Reconciliation, Row, Totals
from medsettle.demo.relay import LossyRelay
from medsettle.demo.world import Item
from medsettle.errors import NoAnswer
from medsettle.v1 import (
    common_pb2,
    inpatient_pb2,
    messages_pb2,
    persons_pb2,
    presentation_pb2,
    visits_pb2,
)

ONE_ATTEMPT = Retries(attempts=1)
LOST_REPLY_PATIENCE_S = 1.5
"""How long a clerk waits for a reply that will not come; the hub has long answered by then."""


class Ward:
    """What the hospital's system does; every method is one step of the story."""

    def __init__(self, code: str, target: str, tls: TlsFiles) -> None:
        self._code = code
        self._target = target
        self._tls = tls
        self._client = connect(target, tls=tls)
        self._request_numbers = itertools.count(1)
        self._line_numbers = itertools.count(1)
        self._sent: set[str] = set()
        self._books: dict[int, Row] = {}
        self._unanswered: dict[str, inpatient_pb2.InpatientSettleRequest] = {}

    def eligibility(self, card_sn: str) -> persons_pb2.PersonsCheckEligibilityResponse:
        """Ask what the bearer of a card would be entitled to today."""
        return self._client.persons.check_eligibility(
            persons_pb2.PersonsCheckEligibilityRequest(card_sn=card_sn, visit_kind=common_pb2.VisitKind.INPATIENT)
        )

    def admit(
        self,
        presentation: presentation_pb2.Presentation,
        admission: date,
        kind: inpatient_pb2.AdmissionKind.Kind.ValueType = inpatient_pb2.AdmissionKind.PLANNED,
    ) -> inpatient_pb2.InpatientAdmitResponse:
        """Admit the holder of the card."""
        return self._client.inpatient.admit(self._admission(presentation, admission, kind))

    def charge(self, stay_id: int, items: Sequence[Item], day: date) -> inpatient_pb2.InpatientAddChargesResponse:
        """Bill items."""
        return self._client.inpatient.add_charges(self._charges(stay_id, items, day))

    def take_back(
        self, stay_id: int, line: inpatient_pb2.ChargeLine, quantity: str, day: date
    ) -> inpatient_pb2.InpatientAddChargesResponse:
        """Take back a part of a line."""
        request = self._charges(stay_id, [Item(line.item_code, f"-{quantity}", line.unit_price)], day)
        request.lines[0].takes_back_line_id = line.line_id
        return self._client.inpatient.add_charges(request)

    def revoke(self, stay_id: int, line_ids: Sequence[str]) -> inpatient_pb2.InpatientRevokeChargesResponse:
        """Strike lines out."""
        return self._client.inpatient.revoke_charges(
            inpatient_pb2.InpatientRevokeChargesRequest(header=self._header(), stay_id=stay_id, line_ids=line_ids)
        )

    def discharge(self, stay_id: int, day: date) -> inpatient_pb2.InpatientDischargeResponse:
        """Discharge the patient."""
        return self._client.inpatient.discharge(self._discharge(stay_id, day))

    def cancel_discharge(self, stay_id: int) -> None:
        """Open the stay again."""
        self._client.inpatient.cancel_discharge(
            inpatient_pb2.InpatientCancelDischargeRequest(header=self._header(), stay_id=stay_id)
        )

    def cancel_admission(self, stay_id: int) -> None:
        """Void the stay."""
        self._client.inpatient.cancel_admission(
            inpatient_pb2.InpatientCancelAdmissionRequest(header=self._header(), stay_id=stay_id)
        )

    def quote(self, stay_id: int, account_fen: int = 0) -> inpatient_pb2.InpatientQuoteResponse:
        """Ask for the split without committing it."""
        return self._client.inpatient.quote(
            inpatient_pb2.InpatientQuoteRequest(stay_id=stay_id, account_request_fen=account_fen)
        )

    def settle(
        self, stay_id: int, signed: presentation_pb2.Presentation, quote_digest: bytes = b""
    ) -> inpatient_pb2.InpatientSettleResponse:
        """Settle what the chip signed, and enter it in the books."""
        request = self._settlement(stay_id, signed, quote_digest)
        return self._entered(request, self._client.inpatient.settle(request))

    def visit(
        self,
        kind: common_pb2.VisitKind.Kind.ValueType,
        day: date,
        items: Sequence[Item],
        signed: presentation_pb2.Presentation,
        check: presentation_pb2.HolderCheck,
    ) -> visits_pb2.VisitsSettleResponse:
        """Settle an outpatient visit or a purchase, and enter it in the books."""
        request = visits_pb2.VisitsSettleRequest(
            header=self._header(),
            visit_kind=kind,
            visit_date=day.isoformat(),
            department="counter",
            diagnosis="J06",
            lines=self._lines(items, day),
            total_fen=signed.chip.amount_fen,
            account_request_fen=signed.chip.other_amount_fen,
            presentation=signed,
            holder_check=check,
        )
        response = self._client.visits.settle(request)
        row = Row.of_split(response.settlement_id, request.header.request_id, response.split)
        self._books[row.settlement_id] = row
        return response

    def cancel_settlement(self, settlement_id: int) -> inpatient_pb2.InpatientCancelSettlementResponse:
        """Cancel a settlement, and enter its negation in the books."""
        header = self._header()
        response = self._client.inpatient.cancel_settlement(
            inpatient_pb2.InpatientCancelSettlementRequest(header=header, settlement_id=settlement_id)
        )
        row = Row.of_split(response.cancellation_id, header.request_id, response.split, cancels=settlement_id)
        self._books[row.settlement_id] = row
        return response

    def settle_over_a_bad_line(self, stay_id: int, signed: presentation_pb2.Presentation) -> tuple[str, str]:
        """Settle while every reply gets lost; gives the request id and the transport's status."""
        request = self._settlement(stay_id, signed)
        request_id = request.header.request_id
        with (
            LossyRelay(self._target) as relay,
            connect(relay.target, tls=self._tls, retries=ONE_ATTEMPT) as client,
        ):
            # A question builds the connection up while the line still works.
            client.messages.get_outcome(messages_pb2.MessagesGetOutcomeRequest(request_id=request_id))
            relay.lose_replies()
            try:
                client.inpatient.settle(request, timeout=LOST_REPLY_PATIENCE_S)
            except NoAnswer as lost:
                self._unanswered[request_id] = request
                return request_id, lost.status
        raise RuntimeError("the reply came through although the line lost every byte")

    def outcome(self, request_id: str) -> messages_pb2.MessagesGetOutcomeResponse:
        """Ask over a new connection what became of a request."""
        with connect(self._target, tls=self._tls) as client:
            return client.messages.get_outcome(messages_pb2.MessagesGetOutcomeRequest(request_id=request_id))

    def send_again(self, request_id: str) -> inpatient_pb2.InpatientSettleResponse:
        """Send an unanswered settlement again, byte for byte, and enter the answer."""
        request = self._unanswered[request_id]
        response = self._entered(request, self._client.inpatient.settle(request))
        del self._unanswered[request_id]
        return response

    def reconcile(self, first_day: date, last_day: date) -> Reconciliation:
        """Put the own books beside what the hub lists for these days."""
        hub: list[Row] = []
        totals = Totals()
        for ordinal in range(first_day.toordinal(), last_day.toordinal() + 1):
            request = inpatient_pb2.InpatientListSettlementsRequest(day=date.fromordinal(ordinal).isoformat())
            while True:
                response = self._client.inpatient.list_settlements(request)
                hub += map(Row.of_hub, response.rows)
                if not response.next_page_token:
                    break
                request.page.page_token = response.next_page_token
            totals = totals.plus(response)
        return Reconciliation(
            own=sorted(self._books.values(), key=lambda row: row.settlement_id),
            hub=sorted(hub, key=lambda row: row.settlement_id),
            own_totals=Totals.of(self._books.values()),
            hub_totals=totals,
            never_sent=[row.request_id for row in hub if row.request_id not in self._sent],
        )

    def _entered(
        self, request: inpatient_pb2.InpatientSettleRequest, response: inpatient_pb2.InpatientSettleResponse
    ) -> inpatient_pb2.InpatientSettleResponse:
        self._books[response.settlement_id] = Row.of_split(
            response.settlement_id, request.header.request_id, response.split
        )
        return response

    def _header(self) -> common_pb2.RequestHeader:
        request_id = f"{self._code}-{next(self._request_numbers):06d}"
        self._sent.add(request_id)
        return common_pb2.RequestHeader(
            request_id=request_id,
            created_ms=time.time_ns() // 1_000_000,
            institution_code=self._code,
            operator="ward clerk",
        )

    def _admission(
        self,
        presentation: presentation_pb2.Presentation,
        admission: date,
        kind: inpatient_pb2.AdmissionKind.Kind.ValueType,
    ) -> inpatient_pb2.InpatientAdmitRequest:
        return inpatient_pb2.InpatientAdmitRequest(
            header=self._header(),
            presentation=presentation,
            holder_check=presentation_pb2.HolderCheck(method=presentation_pb2.HolderCheck.PHOTO),
            admission_date=admission.isoformat(),
            kind=kind,
            department="cardiology",
            diagnosis="I20.0",
        )

    def _charges(self, stay_id: int, items: Sequence[Item], day: date) -> inpatient_pb2.InpatientAddChargesRequest:
        return inpatient_pb2.InpatientAddChargesRequest(
            header=self._header(), stay_id=stay_id, lines=self._lines(items, day)
        )

    def _lines(self, items: Sequence[Item], day: date) -> list[inpatient_pb2.ChargeLine]:
        return [
            inpatient_pb2.ChargeLine(
                line_id=str(next(self._line_numbers)),
                item_code=item.code,
                quantity=item.quantity,
                unit_price=item.price,
                date=day.isoformat(),
            )
            for item in items
        ]

    def _discharge(self, stay_id: int, day: date) -> inpatient_pb2.InpatientDischargeRequest:
        return inpatient_pb2.InpatientDischargeRequest(
            header=self._header(), stay_id=stay_id, discharge_date=day.isoformat()
        )

    def _settlement(
        self, stay_id: int, signed: presentation_pb2.Presentation, quote_digest: bytes = b""
    ) -> inpatient_pb2.InpatientSettleRequest:
        return inpatient_pb2.InpatientSettleRequest(
            header=self._header(),
            stay_id=stay_id,
            total_fen=signed.chip.amount_fen,
            account_request_fen=signed.chip.other_amount_fen,
            quote_digest=quote_digest,
            presentation=signed,
            holder_check=presentation_pb2.HolderCheck(method=presentation_pb2.HolderCheck.PHOTO),
        )
