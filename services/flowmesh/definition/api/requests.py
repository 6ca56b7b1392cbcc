"""Fields that all mutating requests have."""

from collections.abc import Mapping
from typing import Any

from flowmesh.access.owners import NO_OWNER, owner_of
from flowmesh.definition.limits import DURATION_MS_MAX, TEXT_CHARACTERS_MAX
from flowmesh.definition.storage.records import Author
from flowmesh.errors import Invalid, Violation
from flowmesh.rpc import valid_id


def request_id_of(request: Any) -> str:
    return valid_id(request.request_id, "request_id") if request.request_id else ""


def author_of(request: Any) -> Author:
    """Return the actor, the reason and the owner of a change."""
    return Author(
        _text(request.actor, "actor"),
        _text(request.reason, "reason") if hasattr(request, "reason") else "",
        owner_of(request) if hasattr(request, "owner") else NO_OWNER,
    )


def durations_of(request: Any) -> Mapping[str, int]:
    """Return the measured durations of a request, in ms by node id."""
    for node, duration_ms in request.durations_ms.items():
        if not 0 <= duration_ms <= DURATION_MS_MAX:
            message = f"a duration must be from 0 to {DURATION_MS_MAX} ms, not {duration_ms}"
            violation = Violation(f"durations_ms[{node}]", message, "REQUEST_INVALID")
            raise Invalid("REQUEST_INVALID", message, violations=(violation,))
    durations: Mapping[str, int] = request.durations_ms
    return durations


def _text(value: str, field: str) -> str:
    if len(value) > TEXT_CHARACTERS_MAX:
        what = f"{field} has {len(value)} characters; at most {TEXT_CHARACTERS_MAX} are allowed"
        raise Invalid(
            "REQUEST_INVALID", what, violations=(Violation(field, what, "REQUEST_INVALID"),)
        )
    if "\0" in value:
        what = f"{field} holds a NUL character"
        raise Invalid(
            "STRING_HAS_NUL", what, violations=(Violation(field, what, "STRING_HAS_NUL"),)
        )
    return value
