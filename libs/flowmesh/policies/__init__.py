"""What decides whether a task may run for whoever started its execution.

It is asked once of each kind of task in an execution, before the first of them is sent to a worker.
A module named by FLOWMESH_POLICY (`package.module:factory`) takes the place of `Declared`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

VARIABLE = "FLOWMESH_POLICY"


@dataclass(frozen=True, slots=True)
class Asked:
    """A kind of task in one execution: what it needs, and what its starter is said to have.

    `actor` and `permissions` are those of the start; children have those of their parents.
    """

    namespace: str
    workflow_id: str
    execution_id: str
    task_type: str
    needed: tuple[str, ...]
    actor: str
    permissions: tuple[str, ...]


class Policy(Protocol):
    """Answers at once, of what it has in memory: every task of the process waits for it."""

    def denies(self, asked: Asked) -> str:
        """Why these tasks may not run; empty where they may."""
        ...


class Declared:
    """Everything may run but what needs a permission that the starter does not have."""

    def denies(self, asked: Asked) -> str:
        missing = [name for name in asked.needed if name not in asked.permissions]
        if not missing:
            return ""
        return f"{asked.actor or 'whoever started it'} is not permitted {', '.join(missing)}"


def load(place: str) -> Policy:
    """What the factory at `package.module:factory` makes. Raises ValueError."""
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
        raise ValueError(f"{VARIABLE}: what {place} makes has no method denies")
    return policy
