"""Resources built in code: reusable tasks and the common form of all resources."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flowmesh.contract.json_value import Json
from flowmesh.sdk.values.payloads import encode
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
    """Return a native resource; its metadata omits arguments that are None."""
    metadata: dict[str, Any] = {"name": name}
    if labels is not None:
        metadata["labels"] = dict(labels)
    if annotations is not None:
        metadata["annotations"] = dict(annotations)
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def source_text(resources: list[dict[str, Any]]) -> bytes:
    """Encode resources as YAML documents, each of which is JSON."""
    return b"\n---\n".join(encode(document) for document in resources)


@dataclass(frozen=True, slots=True)
class WorkflowTask:
    """A reusable task that workflows refer to by name; `spec` is that of the resource.

    `Workflow("order", brings=[charge])` registers it together with the workflow,
    `client.apply(charge)` by itself.
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
