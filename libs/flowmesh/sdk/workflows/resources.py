"""Resources that are written in code: the tasks of a library, and the form all of them have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowmesh.sdk.payloads import Json, encode
from flowmesh.sdk.workflows.refs import plain

API_VERSION = "workflow.io/v1"


def resource(
    kind: str,
    name: str,
    spec: dict[str, Any],
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, Json] | None = None,
    namespace: str | None = None,
) -> dict[str, Any]:
    """A native resource; what is None is left out of its metadata."""
    metadata: dict[str, Any] = {"name": name}
    if labels is not None:
        metadata["labels"] = dict(labels)
    if annotations is not None:
        metadata["annotations"] = dict(annotations)
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def source_text(resources: list[dict[str, Any]]) -> bytes:
    """The resources as YAML documents (each of them JSON)."""
    return b"\n---\n".join(encode(document) for document in resources)


@dataclass(frozen=True, slots=True)
class WorkflowTask:
    """A task that workflows use by its name; `spec` is that of the resource.

    Workflows that use it bring it along: `Workflow("order", brings=[charge])`. Alone it is
    registered with `client.apply(charge)`.
    """

    name: str
    spec: Mapping[str, Json]
    labels: Mapping[str, str] | None = field(default=None, kw_only=True)
    annotations: Mapping[str, Json] | None = field(default=None, kw_only=True)
    namespace: str | None = field(default=None, kw_only=True)

    @property
    def id(self) -> str:
        return self.name

    def as_resources(self) -> list[dict[str, Any]]:
        more = (self.labels, self.annotations, self.namespace)
        return [resource("WorkflowTask", self.name, plain(self.spec), *more)]

    def source(self) -> bytes:
        return source_text(self.as_resources())
