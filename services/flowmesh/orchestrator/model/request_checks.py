"""Checks that requests of all kinds share."""

from collections.abc import Collection

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import Invalid, Violation
from flowmesh.orchestrator.model.payload_checks import check_inline, check_size
from flowmesh.rpc import valid_id

REQUEST_ID_MAX = 256
TEXT_MAX = 4_096
PERMISSIONS_MAX = 64


def check_permissions(names: Collection[str]) -> None:
    """Raise Invalid for too many permissions or a malformed name."""
    if len(names) > PERMISSIONS_MAX:
        text = f"permissions holds {len(names)} names, at most {PERMISSIONS_MAX}"
        violation = Violation("permissions", text, "REQUEST_INVALID")
        raise Invalid("REQUEST_INVALID", text, violations=(violation,))
    for name in names:
        valid_id(name, "permissions")


def check_text(value: str, field: str, length_max: int) -> None:
    """Raise Invalid for a text that is too long or that the database cannot store."""
    if len(value) > length_max:
        raise Invalid(
            "REQUEST_INVALID", f"{field} has {len(value)} characters, at most {length_max}"
        )
    if "\0" in value:
        raise Invalid("STRING_HAS_NUL", f"{field} holds a NUL character")


def check_start(request: pb.StartExecutionRequest) -> None:
    """Raise Invalid for faults of a start that do not depend on its plan."""
    # An execution that starts another may give it a value with more levels than callers may.
    (check_size if request.HasField("link") else check_inline)(request.input, "input")
    check_text(request.request_id, "request_id", REQUEST_ID_MAX)
    check_text(request.actor, "actor", TEXT_MAX)
    if request.permissions:
        check_permissions(request.permissions)
    if request.version and request.version_label:
        message = "name a version by its number or by a label, not by both"
        violation = Violation("version_label", message, "REQUEST_INVALID")
        raise Invalid("REQUEST_INVALID", message, violations=(violation,))
