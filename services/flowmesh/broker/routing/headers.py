"""Matching of message headers against the arguments of bindings of headers exchanges."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flowmesh.api.broker.v1 import message_pb2
from flowmesh.api.broker.v1 import topology_pb2 as pb

Value = tuple[str, Any]
"""The type of a value and the value: values of different types differ, 1 and 1.0 do not."""

_NUMBER = "number"
_NUMBERS = ("whole", "number")
_ANY = (pb.HEADERS_MATCH_ANY, pb.HEADERS_MATCH_ANY_WITH_X)
_WITH_X = (pb.HEADERS_MATCH_ALL_WITH_X, pb.HEADERS_MATCH_ANY_WITH_X)


def typed(headers: Mapping[str, message_pb2.HeaderValue]) -> dict[str, Value]:
    """Return the values of headers with their types."""
    found: dict[str, Value] = {}
    for name, value in headers.items():
        kind = value.WhichOneof("value") or ""
        type_name = _NUMBER if kind in _NUMBERS else kind
        found[name] = (type_name, getattr(value, kind) if kind else None)
    return found


@dataclass(frozen=True, slots=True)
class HeadersMatcher:
    """The arguments of a binding."""

    any: bool
    arguments: Mapping[str, Value]

    @classmethod
    def of(cls, binding: pb.Binding) -> "HeadersMatcher":
        arguments = typed(binding.arguments)
        if binding.match not in _WITH_X:
            arguments = {
                name: value for name, value in arguments.items() if not name.startswith("x-")
            }
        return cls(binding.match in _ANY, arguments)

    def matches(self, headers: Mapping[str, Value]) -> bool:
        agree = (
            name in headers and (value[0] == "" or headers[name] == value)
            for name, value in self.arguments.items()
        )
        return any(agree) if self.any else all(agree)
