"""Objects of a cluster as the operator reads them."""

from typing import Any

from flowmesh.operator.kinds import FINALIZER, Key


def made(kind: str, name: str, spec: Any = None, **metadata: Any) -> dict[str, Any]:
    """Return an object that has its finalizer, and no status."""
    known = {"name": name, "namespace": "shop", "uid": f"uid-{name}", "generation": 1}
    return {
        "apiVersion": "workflow.io/v1",
        "kind": kind,
        "metadata": {**known, "finalizers": [FINALIZER], **metadata},
        "spec": spec if spec is not None else {},
    }


def ready(found: dict[str, Any], reason: str, status: str = "True") -> dict[str, Any]:
    """Return an object with a condition Ready of its generation."""
    generation = found["metadata"]["generation"]
    condition = {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": "",
        "observedGeneration": generation,
    }
    return {**found, "status": {"observedGeneration": generation, "conditions": [condition]}}


def key(found: dict[str, Any]) -> Key:
    return Key(found["kind"], found["metadata"]["namespace"], found["metadata"]["name"])
