"""The newest known objects of the cluster, and the namespaces of the suite for them."""

from collections.abc import Iterator, Mapping
from typing import Any

from flowmesh.operator.kinds import MISSING_TASKS, NAMESPACE, Key, Object


class Objects:
    """A cache of the objects and namespaces of the watches."""

    def __init__(self) -> None:
        self._objects: dict[Key, Object] = {}
        self._namespaces: dict[str, Mapping[str, Any]] = {}

    def get(self, key: Key) -> Object | None:
        """Return the newest object of a key; None once it is gone."""
        return self._objects.get(key)

    def put(self, key: Key, found: Object) -> None:
        self._objects[key] = found

    def remove(self, key: Key) -> None:
        self._objects.pop(key, None)

    def known(self, kind: str = "") -> list[Key]:
        """Return the keys of a kind, or all."""
        return [key for key in self._objects if not kind or key.kind == kind]

    def waiting_for(self, task: Key) -> Iterator[Key]:
        """The workflows of a namespace that are not ready because of a missing task."""
        for key, found in self._objects.items():
            if key.kind == "Workflow" and key.namespace == task.namespace:
                ready = condition(found, "Ready")
                if ready.get("status") == "False" and task.name in ready.get("message", ""):
                    yield key

    # --- namespaces ---

    def put_namespace(self, name: str, metadata: Mapping[str, Any], *, ending: bool) -> None:
        self._namespaces[name] = {
            "labels": metadata.get("labels") or {},
            "annotations": metadata.get("annotations") or {},
            "ending": ending,
        }

    def remove_namespace(self, name: str) -> None:
        self._namespaces.pop(name, None)

    def suite_namespace(self, name: str) -> str:
        """Return the namespace of the suite for one of the cluster."""
        known = self._namespaces.get(name)
        return str(known["annotations"].get(NAMESPACE) or name) if known else name

    def waits_for_tasks(self, name: str) -> bool:
        """Return whether workflows of a namespace may be stored before their tasks."""
        known = self._namespaces.get(name)
        return bool(known and known["labels"].get(MISSING_TASKS) == "wait")

    def is_ending(self, name: str) -> bool:
        """Return whether a namespace is being deleted with everything in it."""
        known = self._namespaces.get(name)
        return bool(known and known["ending"])


def condition(found: Object, kind: str) -> Mapping[str, Any]:
    """Return a condition of an object; empty if it has none of this type."""
    conditions = (found.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each.get("type") == kind), {})


def task_references(part: Any) -> Iterator[str]:
    """The names of tasks of the same namespace in a spec, at any depth."""
    if isinstance(part, Mapping):
        reference = part.get("taskRef")
        if isinstance(reference, str) and "/" not in reference:
            yield reference.partition("@")[0]
        for value in part.values():
            yield from task_references(value)
    elif isinstance(part, list):
        for value in part:
            yield from task_references(value)
