"""A hospital's own books: the settlements and cancellations that were acknowledged to it.

Invariant: a row is entered only from a response that reached the hospital, never from a listing of the hub.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from medsettle.v1 import common_pb2, inpatient_pb2


@dataclass(frozen=True, slots=True)
class Row:
    """A settlement, or a cancellation with negative amounts, as both sides count it."""

    settlement_id: int
    cancels_settlement_id: int
    request_id: str
    total_fen: int
    fund_total_fen: int
    account_fen: int
    cash_fen: int

    @classmethod
    def of_split(cls, settlement_id: int, request_id: str, split: common_pb2.Split, cancels: int = 0) -> "Row":
        """Take the amounts from a response."""
        amounts = split.total_fen, split.fund_total_fen, split.account_fen, split.cash_fen
        return cls(settlement_id, cancels, request_id, *amounts)

    @classmethod
    def of_hub(cls, row: inpatient_pb2.SettlementRow) -> "Row":
        """Take a row of the hub's listing."""
        amounts = row.total_fen, row.fund_total_fen, row.account_fen, row.cash_fen
        return cls(row.settlement_id, row.cancels_settlement_id, row.request_id, *amounts)


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of a day."""

    count: int = 0
    total_fen: int = 0
    fund_total_fen: int = 0
    account_fen: int = 0
    cash_fen: int = 0

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Totals":
        """Add rows up."""
        rows = list(rows)
        return cls(
            len(rows),
            sum(row.total_fen for row in rows),
            sum(row.fund_total_fen for row in rows),
            sum(row.account_fen for row in rows),
            sum(row.cash_fen for row in rows),
        )

    def plus(self, day: inpatient_pb2.InpatientListSettlementsResponse) -> "Totals":
        """Add the hub's totals of another day."""
        return Totals(
            self.count + day.count,
            self.total_fen + day.total_fen,
            self.fund_total_fen + day.fund_total_fen,
            self.account_fen + day.account_fen,
            self.cash_fen + day.cash_fen,
        )


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A hospital's books beside what the hub lists for it."""

    own: list[Row]
    hub: list[Row]
    own_totals: Totals
    hub_totals: Totals
    never_sent: list[str]
    """Request ids that the hub holds and the hospital never sent."""
