"""Fields of protobuf messages from structs of requests, by the names of their fields."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

import msgspec
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from msgspec import UNSET

from flowmesh.jsontext import dump_json
from flowmesh.records.source import Shape, shape_of
from flowmesh.records.words import numbers_of

M_ = TypeVar("M_", bound=Message)
Write = Callable[[Any], Any]
# Getters by the field that they fill; a dict fills an inner message.
Tree = dict[str, Any]


def descriptor_of(message: type[Message]) -> Descriptor:
    return cast("Descriptor", message.DESCRIPTOR)


def message_of(message: type[M_], record: object, **others: object) -> M_:
    """Return a message with the fields of a record that have the names of its own."""
    names = descriptor_of(message).fields_by_name.keys() - others.keys()
    return message(**{name: getattr(record, name) for name in names}, **others)


def target(message: Descriptor, path: str, place: str) -> FieldDescriptor:
    """Return the field at a path such as `limit.kind`; `place` is named if there is none."""
    owner: Descriptor | None = message
    found: FieldDescriptor | None = None
    for name in path.split("."):
        found = owner.fields_by_name.get(name) if owner else None
        owner = found.message_type if found else None
    if found is None:
        raise TypeError(f"{place}: {message.full_name} has no field {path!r}")
    return found


def put(tree: Tree, path: str, get: Write) -> None:
    """Add the getter of the field at a path."""
    *outer, last = path.split(".")
    for name in outer:
        tree = tree.setdefault(name, {})
    tree[last] = get


def build(tree: Tree, value: Any) -> dict[str, Any]:
    """Return the named arguments of a message, of inner ones too."""
    return {
        name: build(get, value) if isinstance(get, dict) else get(value)
        for name, get in tree.items()
    }


def writer(struct: type[msgspec.Struct], message: type[M_]) -> Callable[..., M_]:
    """Return the function that makes a message of a struct, and of further fields by name."""
    write = _arguments(struct, descriptor_of(message))
    return lambda value, **given: message(**write(value), **given)


def _arguments(struct: type[msgspec.Struct], message: Descriptor) -> Write:
    """Return the function that makes the named arguments of a message of a struct."""
    tree: Tree = {}
    for field in msgspec.structs.fields(struct):
        source = shape_of(field.type).source
        if not source.apart:
            path = source.path or field.name.rstrip("_")
            found = target(message, path, f"{struct.__name__}.{field.name}")
            put(tree, path, value_writer(field, found))
    return lambda value: build(tree, value)


def value_writer(field: msgspec.structs.FieldInfo, found: FieldDescriptor) -> Write:
    """Return the getter that makes the value of a field of a message of a struct."""
    name, shape = field.name, shape_of(field.type)
    check = _checked(shape, field.encode_name, many=found.is_repeated)
    convert = _converted(shape, found)

    def write(struct: Any) -> Any:
        value = getattr(struct, name)
        if value is UNSET or value is None:
            return None
        if check is not None:
            check(value)
        return value if convert is None else convert(value)

    return write


def _checked(shape: Shape, name: str, *, many: bool) -> Write | None:
    checks = (shape.item if many and not shape.check else shape).check
    if checks is None:
        return None
    check = checks.check
    if many:
        return lambda value: [check(name, each) for each in value]
    return lambda value: check(name, value)


def _converted(shape: Shape, field: FieldDescriptor) -> Write | None:
    if shape.source.read is not None:
        return shape.source.read
    if not field.is_repeated:
        return _single(shape, field)
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        return None
    one = _single(shape.item, field)
    return None if one is None else lambda value: [one(each) for each in value]


def _single(shape: Shape, field: FieldDescriptor) -> Write | None:
    if field.message_type is not None:
        return _arguments(shape.kind, field.message_type)
    if field.enum_type is not None:
        return _numbers(field.enum_type, shape).__getitem__
    if field.type == FieldDescriptor.TYPE_BYTES and shape.kind is Any:
        return dump_json
    return None


def _numbers(enum: EnumDescriptor, shape: Shape) -> dict[str, int]:
    """Return the numbers of the words that a body may hold. All of them must be known."""
    numbers = numbers_of(enum, shape)
    words = get_args(shape.kind) if get_origin(shape.kind) is Literal else ()
    if (not words and shape.check is None) or not numbers.keys() >= {*words}:
        raise TypeError(f"{enum.full_name} has no value for each word of {shape.kind}")
    return numbers
