"""The rows that a record of the journal gives to each table.

Owns which facts become which rows, with which sign.
Invariant: a row repeats what the fact says; nothing is computed by today's rules, nothing of another record is needed.
Invariant: no name, no number of a certificate and no card number is in any row; persons and cards have their ids.
Invariant: the ledger's legs are exactly those that the hub posted, so that they sum to zero, and to its trial balance.
Leaves out files and columns: tables.py.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias

from medsettle.v1 import (
    accounts_pb2,
    common_pb2,
    journal_pb2,
    operations_pb2,
    options_pb2,
)
from medsettle.v1.facade import METHODS

Row: TypeAlias = dict[str, Any]

_METHOD = {method.operation: name for name, method in METHODS.items() if method.operation}
_EPOCH = date(1970, 1, 1)

SPLIT_FIELDS = tuple(field.name for field in common_pb2.Split.DESCRIPTOR.fields if field.name.endswith("_fen"))
"""The amounts of a split, as columns of the settlements."""


OF_THE_BANK = "BANK"
"""The account of movements that the bank's books hold and the hub's persons do not."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A record with what its frame says of it."""

    record: journal_pb2.Record
    frame_number: int
    stamp_ms: int

    @property
    def key(self) -> Row:
        """The columns that every table begins with."""
        return {"sequence": self.record.sequence, "stamp": self.stamp_ms}


def records(decided: Decided) -> Iterator[Row]:
    """Give one row for the record itself."""
    record = decided.record
    yield decided.key | {
        "frame_number": decided.frame_number,
        "operation": record.operation,
        "method": _METHOD.get(record.operation),
        "institution_code": record.institution_code,
        "request_id": record.request_id,
        "request_digest": record.request_digest.hex(),
        "created": record.created_ms,
        "operator": record.operator,
        "roles": [
            kind.name
            for kind in options_pb2.Role.Kind.DESCRIPTOR.values
            if kind.number and record.roles >> kind.number & 1
        ],
        "forwarded_by": record.forwarded_by or None,
        "refused": record.refused,
        "facts": [fact.WhichOneof("fact") or "unknown" for fact in record.facts],
    }


def settlements(decided: Decided) -> Iterator[Row]:
    """Give a row for each settlement, its negation, its recomputation, and what was taken back from a thief."""
    for name, fact in _facts(decided):
        if name == "settled":
            yield decided.key | _settlement("SETTLED", fact, 1) | {"fund_delta_fen": fact.split.fund_total_fen}
        elif name == "settlement_cancelled":
            settlement = fact.settlement
            negated = _settlement("CANCELLED", settlement, -1)
            yield (
                decided.key
                | negated
                | {
                    "cancellation_id": fact.cancellation_id,
                    "fund_delta_fen": None,
                }
            )
            yield from _adjustments(decided, fact.adjustments)
        elif name == "unwound":
            for reversal in fact.reversals:
                yield decided.key | {
                    "kind": "UNWOUND",
                    "settlement_id": reversal.settlement_id,
                    "cancellation_id": fact.unwind_id,
                    "stay_id": reversal.stay_id or None,
                    "person_id": fact.person_id,
                    "institution_code": reversal.institution_code,
                    "account_fen": -reversal.account_fen - sum(draw.amount_fen for draw in reversal.family),
                    "family_fen": -sum(draw.amount_fen for draw in reversal.family),
                    "fund_delta_fen": -reversal.fund_fen,
                }
            yield from _adjustments(decided, fact.adjustments)


def _settlement(kind: str, settlement: journal_pb2.StoredSettlement, sign: int) -> Row:
    case, split = settlement.case, settlement.split
    row: Row = {
        "kind": kind,
        "settlement_id": settlement.settlement_id,
        "stay_id": settlement.stay_id or None,
        "person_id": settlement.person_id,
        "institution_code": settlement.institution_code,
        "visit_kind": _name(common_pb2.VisitKind.Kind, case.visit_kind),
        "insured_region": _region(case.insured_region),
        "care_region": _region(case.care_region),
        "insurance_type": _name(common_pb2.InsuranceType.Kind, case.insurance_type),
        "category": _name(common_pb2.Category.Kind, case.category),
        "filing_kind": _enum(case, "filing_kind"),
        "scope": _enum(case, "scope"),
        "level": _enum(case, "level"),
        "admission_date": _day(case.admission_days),
        "discharge_date": _day(case.discharge_days),
        "terminal_id": settlement.terminal_id or None,
        "catalogue_hash": settlement.catalogue_hash.hex(),
        "policy_hashes": [policy.policy_hash.hex() for policy in settlement.policies],
    }
    return row | {field: sign * getattr(split, field) for field in SPLIT_FIELDS}


def _adjustments(decided: Decided, adjustments: Iterable[journal_pb2.StoredAdjustment]) -> Iterator[Row]:
    for adjustment in adjustments:
        yield decided.key | {
            "kind": "ADJUSTED",
            "settlement_id": adjustment.settlement_id,
            "cancellation_id": adjustment.cancellation_id,
            "fund_delta_fen": adjustment.fund_delta_fen,
        }


def ledger_legs(decided: Decided) -> Iterator[Row]:
    """Give a row for each leg that the record posted."""
    for name, fact in _facts(decided):
        for leg in _legs(fact):
            yield decided.key | {
                "fact": name,
                "account": _name(operations_pb2.LedgerBalance.Account, leg.account),
                "region": _region(leg.region),
                "fund": _enum(leg, "fund"),
                "insurance_type": _enum(leg, "insurance_type"),
                "institution_code": leg.institution_code or None,
                "amount_fen": leg.amount_fen,
            }


def _legs(fact: Any) -> Iterator[journal_pb2.Leg]:
    """Give the legs of a fact, and of what it reverses and recomputes; those of what it repeats are not posted."""
    fields = fact.DESCRIPTOR.fields_by_name
    if "legs" in fields:
        yield from fact.legs
    for part in ("reversals", "adjustments"):
        if part in fields:
            for one in getattr(fact, part):
                yield from one.legs


def card_events(decided: Decided) -> Iterator[Row]:
    """Give a row for everything that became of a card, of its zones, its PIN and its counter."""
    for name, fact in _facts(decided):
        if not name.startswith(("card_", "pin_", "cryptogram_")):
            continue
        row = decided.key | {
            "event": name,
            "card_id": fact.card_id,
            "institution_code": decided.record.institution_code,
        }
        fields = fact.DESCRIPTOR.fields_by_name
        if "person_id" in fields:
            row["person_id"] = fact.person_id
        for field in ("zone", "loss", "cause", "channel"):
            if field in fields:
                row[field] = _enum(fact, field)
        if "zones" in fields:
            kinds = fields["zones"].enum_type.values_by_number
            row["zones"] = [kinds[number].name for number in fact.zones]
        for field in (
            "region",
            "generation",
            "predecessor_card_id",
            "cancelled_card_id",
            "verified_by",
            "count",
            "atc",
        ):
            if field in fields and getattr(fact, field):
                row[field] = _region(fact.region) if field == "region" else getattr(fact, field)
        yield row


def account_movements(decided: Decided) -> Iterator[Row]:
    """Give a row for everything that came into an account or a purse, or went out of it."""
    for name, fact in _facts(decided):
        if (movements := _MOVEMENTS.get(name)) is not None:
            for movement in movements(fact):
                yield decided.key | {"event": name, "institution_code": decided.record.institution_code} | movement


def _movement(account: str, amount_fen: int, **columns: Any) -> Row:
    return {"account": account, "amount_fen": amount_fen} | columns


def _credited(fact: journal_pb2.AccountCredited) -> Iterator[Row]:
    yield _movement("INSURANCE", fact.amount_fen, person_id=fact.person_id, reference=fact.period_key)


def _topped_up(fact: journal_pb2.ToppedUp) -> Iterator[Row]:
    yield _movement(_kind(fact), fact.amount_fen, person_id=fact.person_id, card_id=fact.card_id)


def _purchased(fact: journal_pb2.Purchased) -> Iterator[Row]:
    yield _movement(
        _kind(fact), -fact.amount_fen, person_id=fact.person_id, card_id=fact.card_id, reference=fact.terminal_id
    )


def _made(fact: journal_pb2.CardMade) -> Iterator[Row]:
    if fact.purse_fen:
        yield _movement("PURSE", fact.purse_fen, card_id=fact.card_id)


def _enabled(fact: journal_pb2.CardEnabled) -> Iterator[Row]:
    for moved in fact.moves:
        yield _movement(_kind(moved), -moved.amount_fen, card_id=moved.from_card_id)
        # A purse of the hub's ends in the account, one of a chip in the new chip.
        account = "INSURANCE" if _kind(moved) == "PURSE" else _kind(moved)
        yield _movement(account, moved.amount_fen, card_id=fact.card_id)


def _paid_out(fact: journal_pb2.PayOutMade) -> Iterator[Row]:
    yield _movement(
        OF_THE_BANK,
        fact.amount_fen,
        person_id=fact.person_id,
        card_id=fact.card_id or None,
        reference=fact.claim_number,
    )


def _settled(fact: journal_pb2.StoredSettlement) -> Iterator[Row]:
    yield from _drawn(fact, -1, fact.family)


def _cancelled(fact: journal_pb2.SettlementCancelled) -> Iterator[Row]:
    yield from _drawn(fact.settlement, 1, fact.family)


def _drawn(
    settlement: journal_pb2.StoredSettlement, sign: int, family: Iterable[journal_pb2.FamilyDraw]
) -> Iterator[Row]:
    own_fen, number = settlement.split.account_fen - settlement.split.family_fen, settlement.settlement_id
    if own_fen:
        yield _movement("INSURANCE", sign * own_fen, person_id=settlement.person_id, settlement_id=number)
    yield from _family(family, sign, number)


def _family(family: Iterable[journal_pb2.FamilyDraw], sign: int, settlement: int) -> Iterator[Row]:
    for draw in family:
        yield _movement("INSURANCE", sign * draw.amount_fen, person_id=draw.payer_person_id, settlement_id=settlement)


def _unwound(fact: journal_pb2.Unwound) -> Iterator[Row]:
    for reversal in fact.reversals:
        if reversal.account_fen:
            yield _movement(
                "INSURANCE", reversal.account_fen, person_id=fact.person_id, settlement_id=reversal.settlement_id
            )
        yield from _family(reversal.family, 1, reversal.settlement_id)


_MOVEMENTS: Mapping[str, Callable[[Any], Iterator[Row]]] = {
    "account_credited": _credited,
    "topped_up": _topped_up,
    "purchased": _purchased,
    "card_made": _made,
    "card_enabled": _enabled,
    "pay_out_made": _paid_out,
    "settled": _settled,
    "settlement_cancelled": _cancelled,
    "unwound": _unwound,
}


def _facts(decided: Decided) -> Iterator[tuple[str, Any]]:
    for fact in decided.record.facts:
        if (name := fact.WhichOneof("fact")) is not None:
            yield name, getattr(fact, name)


def _kind(fact: Any) -> str:
    return accounts_pb2.Account.Kind.Name(fact.account)


def _name(kinds: Any, number: int) -> str | None:
    """Name a value; None for the one that says nothing."""
    return kinds.Name(number) if number else None


def _enum(message: Any, field: str) -> str | None:
    number = getattr(message, field)
    known = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
    return known.name if known is not None and number else None


def _region(code: int) -> str | None:
    return f"{code:06}" if code else None


def _day(days: int) -> date:
    return _EPOCH + timedelta(days=days)
