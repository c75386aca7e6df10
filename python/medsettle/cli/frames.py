"""What is in a journal's frames, as `medsettle inspect` shows it.

Owns the reading of bodies (journal.proto) and their shape on the screen and in JSON.
Invariant: names, card numbers and numbers of certificates never leave here unmasked.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from medsettle import jsonform
from medsettle.cli.terminal import moment, yuan
from medsettle.v1 import cards_pb2, common_pb2, journal_pb2, persons_pb2, refusal_pb2
from medsettle.v1.facade import METHODS

if TYPE_CHECKING:
    from rich.tree import Tree

_ITEMS_SHOWN = 8
"""Items of a list that the tree shows; a catalogue has tens of thousands."""

_KEEP_FIRST, _KEEP_LAST = slice(0, 1), slice(-4, None)
_KEEP_YEAR = slice(0, 4)
_MASKED = {
    message.DESCRIPTOR.fields_by_name[name].full_name: kept
    for message, name, kept in (
        (common_pb2.Certificate, "number", _KEEP_LAST),
        (cards_pb2.Card, "pan", _KEEP_LAST),
        (journal_pb2.CardMade, "pan", _KEEP_LAST),
        (journal_pb2.Profile, "name", _KEEP_FIRST),
        (persons_pb2.Person, "name", _KEEP_FIRST),
        (persons_pb2.Person, "birth_date", _KEEP_YEAR),
    )
}
"""Fields that name a person or a card, with the part that stays readable."""

_BIRTH_DAYS = journal_pb2.Profile.DESCRIPTOR.fields_by_name["birth_days"].full_name
"""A date as a number: of it the first day of its year stays."""

_EPOCH = date(1970, 1, 1)

_METHOD_OF_OPERATION = {method.operation: method for method in METHODS.values() if method.operation}


@dataclass(frozen=True, slots=True)
class RecordView:
    """A decision: who asked for what, the facts it left by their names, and the answer."""

    sequence: int
    operation: str
    institution_code: str
    request_id: str
    operator: str
    created_ms: int
    refused: bool
    facts: list[tuple[str, Message]]
    response: Message | None

    def to_json(self) -> dict[str, object]:
        """Describe the decision as JSON data, with defaults."""
        return {
            "sequence": self.sequence,
            "operation": self.operation,
            "institution_code": self.institution_code,
            "request_id": self.request_id,
            "operator": self.operator,
            "created_ms": self.created_ms,
            "refused": self.refused,
            "facts": [{name: jsonform.to_json(fact)} for name, fact in self.facts],
            "response": None if self.response is None else jsonform.to_json(self.response),
        }


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame by its header and the decisions in it."""

    number: int
    kind: str
    epoch: int
    stamp_ms: int
    first_sequence: int
    last_sequence: int
    hash: str
    records: list[RecordView]

    def to_json(self) -> dict[str, object]:
        """Describe the frame as JSON data."""
        return {
            "number": self.number,
            "kind": self.kind,
            "epoch": self.epoch,
            "stamp_ms": self.stamp_ms,
            "first_sequence": self.first_sequence,
            "last_sequence": self.last_sequence,
            "hash": self.hash,
            "records": [record.to_json() for record in self.records],
        }


def frame_from(entry: Mapping[str, object]) -> Frame:
    """Read what `medsettle.journal.inspect` gives for a frame."""
    records = cast(Iterable[bytes], entry["records"])
    return Frame(
        number=cast(int, entry["number"]),
        kind=cast(str, entry["kind"]),
        epoch=cast(int, entry["epoch"]),
        stamp_ms=cast(int, entry["stamp_ms"]),
        first_sequence=cast(int, entry["first_sequence"]),
        last_sequence=cast(int, entry["last_sequence"]),
        hash=cast(bytes, entry["hash"]).hex(),
        records=[_record(journal_pb2.Record.FromString(record)) for record in records],
    )


def _record(record: journal_pb2.Record) -> RecordView:
    method = _METHOD_OF_OPERATION.get(record.operation)
    response: Message | None = None
    if record.refused:
        response = refusal_pb2.Refusal.FromString(record.response)
    elif method is not None:
        response = method.response_type.FromString(record.response)
    facts = [_fact(fact) for fact in record.facts]
    for message in (response, *(fact for _, fact in facts)):
        if message is not None:
            mask(message)
    return RecordView(
        sequence=record.sequence,
        operation=f"operation {record.operation}" if method is None else method.name,
        institution_code=record.institution_code,
        request_id=record.request_id,
        operator=record.operator,
        created_ms=record.created_ms,
        refused=record.refused,
        facts=facts,
        response=response,
    )


def _fact(fact: journal_pb2.Fact) -> tuple[str, Message]:
    name = fact.WhichOneof("fact")
    if name is None:
        return "fact of a newer version", fact
    return name, getattr(fact, name)


def mask(message: Message) -> None:
    """Make what names a person or a card unreadable but for a part."""
    for field, value in message.ListFields():
        if (kept := _MASKED.get(field.full_name)) is not None:
            setattr(message, field.name, _masked(value, kept))
        elif field.full_name == _BIRTH_DAYS:
            born = _EPOCH + timedelta(days=value)
            setattr(message, field.name, (date(born.year, 1, 1) - _EPOCH).days)
        elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for child in value if field.is_repeated else (value,):
                mask(child)


def _masked(text: str, kept: slice) -> str:
    readable = range(len(text))[kept] if len(text) > 4 or kept == _KEEP_FIRST else range(0)
    return "".join(character if index in readable else "*" for index, character in enumerate(text))


def grow(tree: "Tree", message: Message) -> None:
    """Add a message's fields: simple ones on the branch itself, the others below it."""
    simple: list[str] = []
    for field, value in _shown_fields(message):
        if field.message_type is None and not field.is_repeated:
            simple.append(f"{_label(field)}={_shown(field, value)}")
        elif field.message_type is None:
            simple.append(f"{_label(field)}={','.join(_shown(field, item) for item in value)}")
        elif field.message_type.GetOptions().map_entry:
            tree.add(f"{field.name}: {len(value)}")
        elif field.is_repeated:
            _grow_list(tree.add(f"{field.name}: {len(value)}"), value)
        else:
            grow(tree.add(field.name), value)
    tree.label = "  ".join((str(tree.label), *simple))


def _shown_fields(message: Message) -> Iterator[tuple[Any, Any]]:
    """Give what is set, and a balance also where it is zero: that an account is empty is worth knowing."""
    for field in message.DESCRIPTOR.fields:
        if field.name == "balance_fen" or (
            message.HasField(field.name) if field.has_presence else getattr(message, field.name)
        ):
            yield field, getattr(message, field.name)


def _grow_list(tree: "Tree", items: Iterable[Message]) -> None:
    hidden = 0
    for index, item in enumerate(items):
        if index < _ITEMS_SHOWN:
            grow(tree.add("-"), item)
        else:
            hidden += 1
    if hidden:
        tree.add(f"... {hidden} more; --json shows all")


def _day(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).isoformat()


def _decimal(parts: int, of: int) -> str:
    """Show a number of parts exactly, without zeros behind."""
    whole, rest = divmod(abs(parts), of)
    shown = f"{whole:,}.{rest:0{len(str(of)) - 1}}".rstrip("0").rstrip(".")
    return f"-{shown}" if parts < 0 else shown


_CONVERTED: Mapping[str, Callable[[int], str]] = {
    "_fen": lambda fen: f"{yuan(fen)} yuan",
    "_ms": moment,
    "_days": _day,
    "_ten_thousandths": lambda parts: _decimal(parts, 10_000),
    "_millionths": lambda parts: f"{_decimal(parts, 1_000_000)} yuan",
}
"""How numbers are shown whose names end with these units."""


def _label(field: FieldDescriptor) -> str:
    """Name a field; what is shown in another unit does not bear its own."""
    return next((field.name.removesuffix(unit) for unit in _CONVERTED if field.name.endswith(unit)), field.name)


def _shown(field: FieldDescriptor, value: int | str | bytes) -> str:
    if isinstance(value, bytes):
        return value[:8].hex() + ("..." if len(value) > 8 else "")
    if isinstance(value, str):
        return value
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return str(value) if known is None else known.name
    if field.full_name == _BIRTH_DAYS:
        return _masked(_day(value), _KEEP_YEAR)
    for unit, converted in _CONVERTED.items():
        if field.name.endswith(unit):
            return converted(value)
    return str(value)
