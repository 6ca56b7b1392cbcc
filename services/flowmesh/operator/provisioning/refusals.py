"""Refusals of the API server as problems of the App or Infrastructure of the object. Pure."""

from collections.abc import Sequence
from typing import Final

from lightkube import ApiError

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.operator.kinds import Object

REASON: Final = "REQUEST_INVALID"
# The member of a spec by a part of the path in the object that it becomes.
_MEMBERS: Final[Sequence[tuple[str, str]]] = (
    ("metadata.name", "metadata.name"),
    (".env", "env"),
    (".ports", "port"),
    (".resources", "resources"),
    (".image", "image"),
    ("Probe", "readyPath"),
    ("data[", "source.files"),
    ("olumeClaim", "size"),
    ("Replicas", "scaling"),
    ("replicas", "replicas"),
)


def refusals(wanted: Object, error: ApiError) -> list[definition_pb2.Problem]:
    """Return the causes of a refusal, each with the member of the spec if it is known."""
    details = error.status.details
    causes = (details.causes if details else None) or []
    told = [(each.field or "", each.message or "") for each in causes]
    title = f"{wanted['kind']} {wanted['metadata']['name']}"
    return [
        definition_pb2.Problem(
            path=next((name for part, name in _MEMBERS if part in field), "spec"),
            message=f"{title}: {field}: {message}" if field else f"{title}: {message}",
            code=REASON,
            severity=definition_pb2.SEVERITY_ERROR,
        )
        for field, message in told or [("", str(error.status.message))]
    ]
