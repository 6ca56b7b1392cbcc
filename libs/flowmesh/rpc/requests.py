"""Checks of common request fields: namespaces, ids, sequences and enums."""

import re
from collections.abc import Iterable
from typing import Any, Protocol

from flowmesh.errors import Invalid, Violation

DEFAULT_NAMESPACE = "default"
SEQUENCE_MAX = 1 << 62
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class Namespaced(Protocol):
    """A request with a namespace."""

    @property
    def namespace(self) -> str: ...


class Following(Protocol):
    """A request for events after a sequence."""

    @property
    def after(self) -> int: ...


def namespace_of(request: Namespaced) -> str:
    """Return the namespace of a request; `default` if empty. Raises ID_INVALID."""
    return valid_id(request.namespace or DEFAULT_NAMESPACE, "namespace")


def after_sequence(request: Following) -> int:
    """Return the sequence after which events are requested, bounded by the possible range."""
    return min(max(0, request.after), SEQUENCE_MAX)


def is_id(value: str) -> bool:
    """Return whether the text is a valid id."""
    return _ID.fullmatch(value) is not None


def valid_id(value: str, field: str) -> str:
    """Return the value if it is a valid id; raise ID_INVALID with the field otherwise."""
    if is_id(value):
        return value
    shown = value if len(value) <= 40 else f"{value[:40]}…"
    text = f"{field} {shown!r} is not an id: 1 to 128 of A-Z a-z 0-9 . _ : -"
    raise Invalid("ID_INVALID", text, violations=(Violation(field, text, "ID_INVALID"),))


def check_enum_values(values: Iterable[int], choices: Any, field: str) -> None:
    """Raise ENUM_UNKNOWN with the field if a value is not in the enum `choices`."""
    known = choices.values()
    for value in values:
        if value not in known:
            text = f"{field}: {value} is not one of {', '.join(choices.keys())}"
            raise Invalid(
                "ENUM_UNKNOWN", text, violations=(Violation(field, text, "ENUM_UNKNOWN"),)
            )
