"""The JSON of packages and cases: strict reading with every problem named by its path, and printing.

Owns the form: proto field names, integers as numbers, enums by bare name, bytes as base64, null for what is absent.
Invariant: what `to_json` prints, `parse` reads back to an equal message.
Invariant: reading never guesses. An unknown name, a repeated name, a wrong type or a number out of range is a problem.
Leaves out what a package means (gaps in bands, ratios over 100 %): the core checks that, behind `benefit.py`.
"""

import base64
import binascii
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

M = TypeVar("M", bound=Message)

_INTEGER_BOUNDS = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in a document; `path` is such as `layers[0].bands[1].rate_bp`, empty for the whole."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class MalformedDocument(ValueError):
    """The document does not have the form of its message; `problems` names every fault."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems)))


class _Object(dict[str, object]):
    """A JSON object that remembers which names stood in it more than once."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.repeated = [name for name, count in counts.items() if count > 1]


def decode(text: str | bytes) -> object:
    """Read JSON text so that `problems` can also see names that stand twice; raises MalformedDocument."""
    try:
        data: object = json.loads(text, object_pairs_hook=_Object)
    except (ValueError, RecursionError) as error:
        raise MalformedDocument([Problem("", f"is not JSON: {error}")]) from None
    return data


def problems(message_type: type[Message], data: object) -> list[Problem]:
    """Walk JSON data against the message's descriptor and gather all that is wrong."""
    reading = _Reading()
    reading.fill(message_type(), data, "")
    return reading.problems


def parse(message_type: type[M], data: object) -> M:
    """Make the message that JSON data describes; raises MalformedDocument with every problem."""
    message = message_type()
    reading = _Reading()
    reading.fill(message, data, "")
    if reading.problems:
        raise MalformedDocument(reading.problems)
    return message


def to_json(message: Message) -> dict[str, object]:
    """Describe a message as JSON data, with defaults; what has presence and is absent is None."""
    return {field.name: _field_to_json(message, field) for field in _descriptor(message).fields}


class _Reading:
    """One walk over a document, which fills the message as far as it goes and gathers the problems."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def report(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, message))

    def fill(self, message: Message, data: object, path: str) -> None:
        if not isinstance(data, Mapping):
            self.report(path, f"must be an object, not {_kind(data)}")
            return
        self._report_repeated(data, path)
        descriptor = _descriptor(message)
        for name, value in data.items():
            field = descriptor.fields_by_name.get(name)
            if field is None:
                self.report(_join(path, name), f"is not a field of {descriptor.name}")
            elif value is None:
                if not field.has_presence:
                    self.report(_join(path, name), "may not be null; leave it out for the default")
            else:
                self._fill_field(message, field, value, _join(path, name))
        for oneof in descriptor.oneofs:
            present = [field.name for field in oneof.fields if data.get(field.name) is not None]
            if len(present) > 1:
                self.report(path, f"only one of {', '.join(present)} may be given")

    def _report_repeated(self, data: Mapping[str, object], path: str) -> None:
        if isinstance(data, _Object):
            for name in data.repeated:
                self.report(_join(path, name), "stands more than once")

    def _fill_field(self, message: Message, field: FieldDescriptor, value: object, path: str) -> None:
        if _is_map(field):
            self._fill_map(message, field, value, path)
        elif field.is_repeated:
            self._fill_list(message, field, value, path)
        elif field.message_type is not None:
            child = getattr(message, field.name)
            child.SetInParent()
            self.fill(child, value, path)
        else:
            scalar = self._scalar(field, value, path)
            if scalar is not None:
                setattr(message, field.name, scalar)

    def _fill_list(self, message: Message, field: FieldDescriptor, value: object, path: str) -> None:
        if not isinstance(value, list):
            self.report(path, f"must be a list, not {_kind(value)}")
            return
        items = getattr(message, field.name)
        for index, item in enumerate(value):
            item_path = f"{path}[{index}]"
            if field.message_type is not None:
                self.fill(items.add(), item, item_path)
            elif (scalar := self._scalar(field, item, item_path)) is not None:
                items.append(scalar)

    def _fill_map(self, message: Message, field: FieldDescriptor, value: object, path: str) -> None:
        if not isinstance(value, Mapping):
            self.report(path, f"must be an object, not {_kind(value)}")
            return
        self._report_repeated(value, path)
        key_field, value_field = _map_fields(field)
        entries = getattr(message, field.name)
        for name, item in value.items():
            item_path = f"{path}[{name}]"
            key = self._map_key(key_field, name, item_path)
            if value_field.message_type is not None:
                child = GetMessageClass(value_field.message_type)()
                self.fill(child, item, item_path)
                if key is not None:
                    entries[key].CopyFrom(child)
            elif (scalar := self._scalar(value_field, item, item_path)) is not None and key is not None:
                entries[key] = scalar

    def _map_key(self, field: FieldDescriptor, name: str, path: str) -> object:
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._scalar(field, name, path)
        try:
            number = int(name)
        except ValueError:
            number = None
        # "+1", "01" and "1_0" would be second names for the same key.
        if number is None or str(number) != name:
            self.report(path, "the key must be a whole number")
            return None
        return self._scalar(field, number, path)

    def _scalar(self, field: FieldDescriptor, value: object, path: str) -> object:
        """Return the value as protobuf wants it, or None after reporting why it cannot be."""
        if field.type in _INTEGER_BOUNDS:
            read: Callable[[FieldDescriptor, object], object] = _integer
        else:
            read = _READERS[field.type]
        try:
            return read(field, value)
        except ValueError as error:
            self.report(path, str(error))
            return None


def _integer(field: FieldDescriptor, value: object) -> int:
    # In Python a truth value is an integer; in a document it is a mistake.
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"must be a whole number, not {_kind(value)}")
    low, high = _INTEGER_BOUNDS[field.type]
    if not low <= value <= high:
        raise ValueError(f"must be between {low} and {high}")
    return value


def _boolean(_field: FieldDescriptor, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not {_kind(value)}")
    return value


def _text(_field: FieldDescriptor, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {_kind(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a surrogate pair") from None
    return value


def _octets(_field: FieldDescriptor, value: object) -> bytes:
    if not isinstance(value, str):
        raise ValueError(f"must be base64 text, not {_kind(value)}")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None


def _enum(field: FieldDescriptor, value: object) -> int:
    assert field.enum_type is not None
    known = field.enum_type.values_by_name
    if isinstance(value, str) and value in known:
        return known[value].number
    names = ", ".join(name for name, entry in known.items() if entry.number)
    shown = repr(value) if isinstance(value, str) else _kind(value)
    raise ValueError(f"must be one of {names}, not {shown}")


_READERS: dict[int, Callable[[FieldDescriptor, object], object]] = {
    FieldDescriptor.TYPE_BOOL: _boolean,
    FieldDescriptor.TYPE_STRING: _text,
    FieldDescriptor.TYPE_BYTES: _octets,
    FieldDescriptor.TYPE_ENUM: _enum,
}


def _field_to_json(message: Message, field: FieldDescriptor) -> object:
    value = getattr(message, field.name)
    if _is_map(field):
        _, value_field = _map_fields(field)
        return {str(key): _value_to_json(value_field, value[key]) for key in sorted(value)}
    if field.is_repeated:
        return [_value_to_json(field, item) for item in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _value_to_json(field, value)


def _value_to_json(field: FieldDescriptor, value: Any) -> object:
    if field.message_type is not None:
        return to_json(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        # A number of a newer contract is shown as it is; reading it is refused.
        return value if known is None else known.name
    if field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(value).decode("ascii")
    return value


def _descriptor(message: Message) -> Descriptor:
    # The stubs also name protobuf's native class, which has the same shape.
    return cast(Descriptor, message.DESCRIPTOR)


def _is_map(field: FieldDescriptor) -> bool:
    return field.is_repeated and field.message_type is not None and field.message_type.GetOptions().map_entry


def _map_fields(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    entry: Descriptor | None = field.message_type
    assert entry is not None
    return entry.fields_by_name["key"], entry.fields_by_name["value"]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _kind(value: object) -> str:
    """Name a JSON value's type as its author would."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"
