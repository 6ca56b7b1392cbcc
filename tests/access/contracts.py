"""Methods and identifier fields of the contracts, found by their options."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from flowmesh.access import Rule, rule_of_method
from flowmesh.api.common.v1 import access_pb2
from flowmesh.api.common.v1.access_pb2 import IdKind
from tests.unit.access.test_rules import METHODS as DESCRIPTORS

# These name no object of a tenant.
CHOSEN = (IdKind.ID_KIND_REQUEST, IdKind.ID_KIND_INTERNAL)
# Texts that name objects besides the fields with `id_of`.
NAMES = frozenset({"name", "key", "token", "digest", "hook", "subject", "label", "path", "target"})


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request that names an object, at a path of fields."""

    path: tuple[str, ...]
    kind: int

    def __str__(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Method:
    """A method with its rule and the fields of its request that name objects."""

    descriptor: MethodDescriptor
    rule: Rule
    fields: tuple[Field, ...]

    @property
    def name(self) -> str:
        """Return `Service.Method`."""
        return self.rule.method

    @property
    def path(self) -> str:
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @property
    def arity(self) -> str:
        """Return the name of the method of a channel that makes such calls."""
        kinds = ("unary", "stream")
        inward = kinds[self.descriptor.client_streaming]
        return f"{inward}_{kinds[self.descriptor.server_streaming]}"

    def request(self) -> Any:
        return GetMessageClass(self.descriptor.input_type)()

    @property
    def response(self) -> type[Message]:
        return GetMessageClass(self.descriptor.output_type)

    def __str__(self) -> str:
        return self.name


def method_of(descriptor: MethodDescriptor) -> Method:
    fields = tuple(_fields(descriptor.input_type, (), ()))
    return Method(descriptor, rule_of_method(descriptor), fields)


def fill(message: Any, path: tuple[str, ...], value: str) -> None:
    """Set a text at a path; lists along it get one element."""
    *parents, last = path
    for name in parents:
        field = message.DESCRIPTOR.fields_by_name[name]
        message = getattr(message, name)
        if field.is_repeated:
            message = message[0] if message else message.add()
    if message.DESCRIPTOR.fields_by_name[last].is_repeated:
        getattr(message, last)[:] = [value]
    else:
        setattr(message, last, value)


def _fields(message: Descriptor, above: tuple[str, ...], seen: tuple[str, ...]) -> Iterator[Field]:
    if message.full_name in seen or not message.full_name.startswith("flowmesh."):
        return
    for field in message.fields:
        path = (*above, field.name)
        if field.GetOptions().Extensions[access_pb2.internal]:
            continue
        kind = field.GetOptions().Extensions[access_pb2.id_of]
        text = field.type == FieldDescriptor.TYPE_STRING
        if (kind and kind not in CHOSEN) or (text and not above and field.name in NAMES):
            yield Field(path, kind)
        elif field.message_type is not None:
            yield from _fields(field.message_type, path, (*seen, message.full_name))


METHODS = tuple(method_of(descriptor) for descriptor in DESCRIPTORS)
BY_NAME = {method.name: method for method in METHODS}
