"""What the references of workflows mean: the tasks of the catalog, and who may refer to them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import orjson

from flowmesh.definition.storage.records import Referred
from flowmesh.definitions import Task, TaskRef, Visibility, load_task, task_ref
from flowmesh.definitions.builtins import BUILT_IN_NAMES
from flowmesh.definitions.problems import nearest
from flowmesh.definitions.task_refs import FORM, is_task_ref

# Says of a reference what is wrong with it.
Why = Callable[[str], str]


class References:
    """Tasks by reference, as workflows of one namespace see them.

    `own` are tasks of the same source by their names; a reference that floats means those first.
    Private tasks are seen by those who bring them; and by who has them already, with `settled`.
    `names` are tasks of which one may have been meant where another is not there.
    """

    def __init__(
        self,
        namespace: str,
        found: Mapping[TaskRef, Referred],
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
        """The task; None where there is none that may be referred to."""
        # A node that has a body refers to nothing, and other formats have names of other forms.
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

    def _visibility(self, ref: TaskRef, found: Referred) -> Visibility:
        """What the newest version says, for all of them; that of the same source becomes it."""
        newest = self._own.get(replace(ref, version=0))
        return newest.visibility if newest is not None else Visibility(found.visibility)

    def _visible(self, ref: TaskRef, visibility: Visibility) -> bool:
        if ref.namespace != self._namespace:
            return visibility is Visibility.PUBLIC
        brought = replace(ref, version=0) in self._own
        return visibility is not Visibility.PRIVATE or self._settled or brought

    def why(self, text: str) -> str:
        """Why it is no task that may be referred to."""
        if not is_task_ref(text):
            return f"task {text[:64]!r} is not in the library; a reference is {FORM}"
        ref = task_ref(text, self._namespace)
        found = self._found.get(ref)
        if found is None and ref not in self._own:
            version = f" in version {ref.version}" if ref.version else ""
            near = "" if version else nearest(text, self._names)
            return f"task {text!r} is not in the library{version}{near}"
        if ref.namespace != self._namespace:
            return f"task {text!r} is not public; its namespace can make it so"
        return f"task {text!r} is private; apply it together with the workflows that use it"
