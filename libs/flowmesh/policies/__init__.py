"""Permission policies: whether a task may run for the actor that started its execution.

A policy is evaluated once for each kind of task in an execution, before the first dispatch. A
factory named by FLOWMESH_POLICY (`package.module:factory`) replaces `DeclaredPermissions`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

VARIABLE = "FLOWMESH_POLICY"


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """A kind of task in one execution, with its required and the granted permissions.

    `actor` and `permissions` come from the start; child executions inherit them.
    """

    namespace: str
    workflow_id: str
    execution_id: str
    task_type: str
    needed: tuple[str, ...]
    actor: str
    permissions: tuple[str, ...]


Asked = PermissionRequest
"""The former name of the class, for policies that import it."""


class Policy(Protocol):
    """A policy. It must answer from memory, because it blocks all tasks of the process."""

    def denies(self, request: PermissionRequest) -> str:
        """Return the reason for a denial, or an empty text."""
        ...


class DeclaredPermissions:
    """Denies tasks that require a permission which the actor does not have."""

    def denies(self, request: PermissionRequest) -> str:
        missing = [name for name in request.needed if name not in request.permissions]
        if not missing:
            return ""
        return f"{request.actor or 'the anonymous starter'} is not permitted {', '.join(missing)}"


def load(place: str) -> Policy:
    """Return the policy made by the factory at `package.module:factory`. Raises ValueError."""
    module_name, colon, name = place.partition(":")
    if not (colon and module_name and name):
        raise ValueError(f"{VARIABLE}: {place!r} is not package.module:factory")
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise ValueError(f"{VARIABLE}: {module_name} cannot be imported: {error}") from error
    factory: Callable[[], Policy] | None = getattr(module, name, None)
    if not callable(factory):
        raise ValueError(f"{VARIABLE}: {module_name} has no factory {name!r}")
    policy = factory()
    if not callable(getattr(policy, "denies", None)):
        raise ValueError(f"{VARIABLE}: the object made by {place} has no method denies")
    return policy
