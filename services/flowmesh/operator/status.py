"""The status that the operator writes: conditions, version and warnings. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flowmesh.definitions.admission import WARNING_CHARACTERS_MAX
from flowmesh.definitions.editor.kubernetes import WARNINGS_MAX
from flowmesh.operator.kinds import Object
from flowmesh.operator.limits import MESSAGE_CHARACTERS_MAX
from flowmesh.operator.objects import condition


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of reconciling an object.

    `reason` of a definition is Registered, Invalid, MissingTask, OwnedElsewhere, InUse or
    Unavailable; docs/kubernetes.md has those of Apps and Infrastructure.
    """

    ready: bool
    reason: str
    message: str = ""
    version: int = 0
    digest: str = ""
    nodes: int | None = None
    used_by: int | None = None
    warnings: Sequence[str] = ()
    # Members of the status that only this kind has.
    more: Mapping[str, Any] = field(default_factory=dict)


def status_of(found: Object, outcome: Outcome, now: str) -> dict[str, Any]:
    """Return the status of an object; a condition keeps its time while its status is the same."""
    generation = found["metadata"].get("generation", 0)
    before = found.get("status") or {}
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "warnings": [each[:WARNING_CHARACTERS_MAX] for each in outcome.warnings][:WARNINGS_MAX],
        "conditions": [_ready(found, outcome, generation, now)],
    }
    known = {
        "version": outcome.version or before.get("version"),
        "digest": outcome.digest or before.get("digest"),
        "nodes": outcome.nodes if outcome.nodes is not None else before.get("nodes"),
        "usedBy": outcome.used_by if outcome.used_by is not None else before.get("usedBy"),
    }
    status |= outcome.more
    return status | {name: value for name, value in known.items() if value is not None}


def _ready(found: Object, outcome: Outcome, generation: int, now: str) -> Mapping[str, Any]:
    status = "True" if outcome.ready else "False"
    before = condition(found, "Ready")
    since = before.get("lastTransitionTime", now) if before.get("status") == status else now
    return {
        "type": "Ready",
        "status": status,
        "reason": outcome.reason,
        "message": outcome.message[:MESSAGE_CHARACTERS_MAX],
        "observedGeneration": generation,
        "lastTransitionTime": since,
    }


def is_same(found: Object, status: Mapping[str, Any]) -> bool:
    """Return whether an object has this status already."""
    before = found.get("status") or {}
    return all(
        before.get(name, [] if name == "warnings" else None) == value
        for name, value in status.items()
    )
