"""The kinds that the operator reads, and keys of their objects."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from lightkube.generic_resource import GenericNamespacedResource

from flowmesh.definitions.editor.kubernetes import (
    GROUP,
    VERSION,
    agents,
    applications,
    resources,
)
from flowmesh.extras.kubernetes import namespaced_kind

Object = Mapping[str, Any]
"""An object of the API server, as JSON."""

KINDS: Final[Mapping[str, type[GenericNamespacedResource]]] = {
    each.kind: namespaced_kind(GROUP, VERSION, each.kind, each.plural) for each in resources()
}
PROVISIONED: Final = frozenset(each.kind for each in applications())
AGENTS: Final = frozenset(each.kind for each in agents())
TASK: Final = "WorkflowTask"
FINALIZER: Final = f"{GROUP}/definition"
DELETION_POLICY: Final = f"{GROUP}/deletion-policy"
MISSING_TASKS: Final = f"{GROUP}/missing-tasks"
NAMESPACE: Final = f"{GROUP}/namespace"
FIELD_MANAGER: Final = "flowmesh-operator"


class Key(NamedTuple):
    """An object of the cluster."""

    kind: str
    namespace: str
    name: str


def key_of(kind: str, found: Object) -> Key:
    """Return the key of an object."""
    metadata = found["metadata"]
    return Key(kind, metadata["namespace"], metadata["name"])


def owner_of(cluster: str, key: Key) -> str:
    """Return the name under which a cluster owns in the suite what an object says."""
    return f"kubernetes/{cluster}/{key.namespace}"
