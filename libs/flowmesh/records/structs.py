"""Structs and dataclasses from protobuf messages, by the names of their fields.

A pair of record and message is compiled once to one call of the record with a getter for each
field: that of a struct when its module is imported, that of a dataclass when it is first read. A
field that the message lacks is an error there. The value follows from the two types: an enum is a
word, microseconds are an instant, bytes are JSON, a message is an inner record. An empty field is
omitted if the record allows UNSET, and None if it allows None. Structs hold JSON text and instants
as text, dataclasses hold decoded values and `datetime`; their fields that begin with `_` are
their own.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache, reduce
from keyword import iskeyword
from typing import Any, Literal, TypeVar, get_origin, get_type_hints

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from msgspec import UNSET

from flowmesh.records.source import Shape, shape_of
from flowmesh.records.words import words_of
from flowmesh.records.writing import descriptor_of, target
from flowmesh.views import instant, raw_json, raw_value

T = TypeVar("T")
S_ = TypeVar("S_", bound=msgspec.Struct)

_PAYLOAD = "flowmesh.api.common.v1.Payload"
_TIMESTAMP = "google.protobuf.Timestamp"
_SCALARS = {
    FieldDescriptor.CPPTYPE_STRING: (str,),
    FieldDescriptor.CPPTYPE_BOOL: (bool,),
    FieldDescriptor.CPPTYPE_DOUBLE: (float,),
    FieldDescriptor.CPPTYPE_FLOAT: (float,),
}


def reader(
    struct: type[S_], message: type[Message], *, given: Collection[str] = ()
) -> Callable[..., S_]:
    """Return the function that makes a struct of a message.

    Fields in `given` are not those of the message, but named arguments of the function.
    """
    return _compiled(struct, descriptor_of(message), frozenset(given))


def value_from(record: type[T], message: Message, /, **given: object) -> T:
    """Return the record of a message; `given` has the fields that the message lacks."""
    read = _compiled(record, message.DESCRIPTOR, frozenset(given))  # type: ignore[arg-type]
    made: T = read(message, **given)
    return made


def values_from(record: type[T], messages: Iterable[Message]) -> tuple[T, ...]:
    """Return the records of messages."""
    return tuple([value_from(record, each) for each in messages])


def moment(at_us: int) -> datetime | None:
    """Convert microseconds since the epoch to a UTC time; 0 becomes None."""
    if not at_us:
        return None
    seconds, micros = divmod(at_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)


def _decoded(data: bytes) -> Any:
    return msgspec.json.decode(data) if data else None


@cache
def _compiled(record: Any, message: Descriptor, given: frozenset[str]) -> Callable[..., Any]:
    return _Compiler(plain=dataclasses.is_dataclass(record)).function(record, message, given)


def _fields(record: type) -> list[tuple[str, Any]]:
    """Return the names and types of the fields of a record."""
    if not dataclasses.is_dataclass(record):
        return [(field.name, field.type) for field in msgspec.structs.fields(record)]
    types = get_type_hints(record, include_extras=True)
    names = (field.name for field in dataclasses.fields(record))
    return [(name, types[name]) for name in names if name[0] != "_"]


class _Compiler:
    """The text of a function, and the objects that it names."""

    def __init__(self, *, plain: bool) -> None:
        # True for a dataclass, which holds Python values.
        self._plain = plain
        self._names: dict[str, Any] = {"UNSET": UNSET}

    def function(
        self, record: type, message: Descriptor, given: Collection[str]
    ) -> Callable[..., Any]:
        values = [
            f"{name}={self._value(f'{record.__name__}.{name}', name, shape_of(kind), message)}"
            for name, kind in _fields(record)
            if name not in given and not shape_of(kind).source.apart
        ]
        named = ["**given"] if given else []
        head = ", ".join(["message", *named])
        text = f"lambda {head}: {self._name(record)}({', '.join(values + named)})"
        # The text has only names of fields and of the objects above.
        return eval(text, self._names)  # type: ignore[no-any-return]  # noqa: S307

    def _name(self, value: Any) -> str:
        """Return a name for an object in the text."""
        name = f"_{len(self._names)}"
        self._names[name] = value
        return name

    def _value(self, place: str, name: str, shape: Shape, message: Descriptor) -> str:
        path = shape.source.path
        if path == ".":
            return f"{self._name(shape.source.read)}(message)"
        if not path or path.endswith("."):
            path += name.rstrip("_")
        if shape.kind in (str, datetime) and path == name and name not in message.fields_by_name:
            path += "_us"
        found = target(message, path, place)
        *outer, last = path.split(".")
        access = reduce(_access, outer, "message")
        text = _access(access, last)
        shown = self._shown(place, found, shape, text)
        if not shape.absent:
            return shown
        has = found.has_presence and found.cpp_type != FieldDescriptor.CPPTYPE_STRING
        if shown == text and not has:
            return f"{text} or {shape.absent}"
        filled = f"{access}.HasField({last!r})" if has else text
        return f"({shown} if {filled} else {shape.absent})"

    def _shown(self, place: str, field: FieldDescriptor, shape: Shape, text: str) -> str:
        """Return the expression of a value that is not empty."""
        if shape.source.read is not None:
            return f"{self._name(shape.source.read)}({text})"
        if not field.is_repeated:
            return self._single(place, field, shape, text)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = field.message_type.fields_by_name["value"]
            shown = self._single(place, value, shape.item, "each")
            same = shown == "each"
            return f"dict({text})" if same else f"{{k: {shown} for k, each in {text}.items()}}"
        shown = self._single(place, field, shape.item, "each")
        made = text if shown == "each" else f"[{shown} for each in {text}]"
        sequence = "list" if get_origin(shape.kind) is list else "tuple"
        return f"{sequence}({made})" if made == text or sequence == "tuple" else made

    def _single(self, place: str, field: FieldDescriptor, shape: Shape, text: str) -> str:
        kind = shape.kind
        if field.message_type is not None:
            return f"{self._name(self._of_message(place, field.message_type, kind))}({text})"
        if field.enum_type is not None and kind is not int:
            return self._word(words_of(field.enum_type, shape), kind, text)
        if field.type == FieldDescriptor.TYPE_BYTES and kind is bytes:
            return text
        if field.type == FieldDescriptor.TYPE_BYTES and kind is bytes:
            return text
        if field.type == FieldDescriptor.TYPE_BYTES and kind is Any:
            return f"{self._name(_decoded if self._plain else raw_json)}({text})"
        if kind is datetime:
            return f"{self._name(moment)}({text})"
        if field.name.endswith("_us") and kind is str:
            return f"{self._name(instant)}({text})"
        scalar = str if get_origin(kind) is Literal else kind
        if scalar not in _SCALARS.get(field.cpp_type, (int, float)):
            raise TypeError(f"{place} is {kind}, but {field.full_name} is of another type")
        return text if shape.source.empty is None else f"{text} or {shape.source.empty!r}"

    def _word(self, words: dict[int, str], kind: Any, text: str) -> str:
        """Return the expression of a word; clients read numbers of newer services as unknown."""
        if not self._plain:
            return f"{self._name(words)}[{text}]"
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            words = {number: kind(word) for number, word in words.items() if word in {*kind}}
            return f"{self._name(words)}.get({text}, {self._name(kind('unknown'))})"
        return f"{self._name(words)}.get({text}, 'unknown')"

    def _of_message(self, place: str, message: Descriptor, kind: Any) -> Callable[[Any], Any]:
        if message.full_name == _PAYLOAD and kind is Any:
            return raw_value
        if message.full_name == _TIMESTAMP and kind is str:
            return _timestamp
        if message.full_name == _TIMESTAMP and kind is datetime:
            return lambda stamp: stamp.ToDatetime(tzinfo=UTC)
        if isinstance(kind, type) and (
            issubclass(kind, msgspec.Struct) or dataclasses.is_dataclass(kind)
        ):
            return _compiled(kind, message, frozenset())
        raise TypeError(f"{place} is {kind}, which is not made of {message.full_name}")


def _access(text: str, name: str) -> str:
    return f"getattr({text}, {name!r})" if iskeyword(name) else f"{text}.{name}"


def _timestamp(stamp: Any) -> str:
    return instant(stamp.seconds * 1_000_000 + stamp.nanos // 1_000)
