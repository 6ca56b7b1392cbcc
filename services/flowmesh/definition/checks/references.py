"""Resolution of task references, and the visibility of tasks."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import orjson

from flowmesh.access import current
from flowmesh.access.roles import READ
from flowmesh.definition.storage.records import ReferredTask
from flowmesh.definitions import Task, TaskRef, Visibility, load_task, task_ref
from flowmesh.definitions.builtins import BUILT_IN_NAMES
from flowmesh.definitions.problems import nearest
from flowmesh.definitions.task_refs import FORM, is_task_ref


class References:
    """Tasks by reference, as visible to the workflows of one namespace.

    `own` are tasks of the same source; an unpinned reference resolves to them first.
    Private tasks are visible to workflows of the same source, and to all if `settled`.
    `names` are candidates for suggestions.
    """

    def __init__(
        self,
        namespace: str,
        found: Mapping[TaskRef, ReferredTask],
        own: Mapping[TaskRef, Task],
        *,
        settled: bool = False,
        names: Collection[str] = (),
    ) -> None:
        self._namespace = namespace
        self._found = found
        self._own = own
        self._settled = settled
        self._names = frozenset((*names, *(ref.name for ref in own), *BUILT_IN_NAMES))
        self._loaded: dict[TaskRef, Task] = {}

    def __call__(self, text: str) -> Task | None:
        """Return the task, or None if there is no visible one."""
        # A node with a body has no reference, and other formats have other forms of names.
        if not is_task_ref(text):
            return None
        ref = task_ref(text, self._namespace)
        task = self._own.get(ref)
        if task is not None:
            return task if self._visible(ref, task.visibility) else None
        found = self._found.get(ref)
        if found is None or not self._visible(ref, self._visibility(ref, found)):
            return None
        if ref not in self._loaded:
            self._loaded[ref] = load_task(orjson.loads(found.definition))
        return self._loaded[ref]

    def _visibility(self, ref: TaskRef, found: ReferredTask) -> Visibility:
        """The visibility in the newest version, which a task of the same source becomes."""
        newest = self._own.get(replace(ref, version=0))
        return newest.visibility if newest is not None else Visibility(found.visibility)

    def _visible(self, ref: TaskRef, visibility: Visibility) -> bool:
        if ref.namespace != self._namespace:
            return visibility is Visibility.PUBLIC
        in_source = replace(ref, version=0) in self._own
        return visibility is not Visibility.PRIVATE or self._settled or in_source

    def problem_with(self, text: str) -> str:
        """Describe why a reference does not resolve."""
        if not is_task_ref(text):
            return f"there is no task {text[:64]!r}; a reference has the form {FORM}"
        ref = task_ref(text, self._namespace)
        found = self._found.get(ref)
        if found is None and ref not in self._own:
            version = f" in version {ref.version}" if ref.version else ""
            near = "" if version else nearest(text, self._names)
            return f"there is no task {text!r}{version}{near}"
        if ref.namespace != self._namespace:
            return f"task {text!r} is not public; publish it in its namespace first"
        return f"task {text!r} is private; apply it together with the workflows that use it"


def shared_with_caller(refs: Iterable[TaskRef]) -> set[TaskRef]:
    """Return the references to namespaces whose public tasks the caller may use."""
    caller = current()
    return {ref for ref in refs if caller is None or caller.shares(ref.namespace)}


def visible_namespaces() -> frozenset[str] | None:
    """Return the namespaces whose public tasks and usages the caller sees; None for all."""
    caller = current()
    return None if caller is None or caller.everywhere & READ else caller.shared
