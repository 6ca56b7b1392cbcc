"""Built-in tasks, available to every workflow without a resource in the library."""

from flowmesh.definitions.model import Dialect, Task
from flowmesh.tasktypes import TASK_TYPES
from flowmesh.tasktypes.builtin import code, control

TRANSFORM = code.TRANSFORM.name
NOOP = control.NOOP.name
DELAY = control.DELAY.name
SIGNAL = control.SIGNAL.name
RECEIVE = control.RECEIVE.name
_BUILT_IN = {
    name: Task(type=name, executor=name, config={}, dialect=Dialect.NATIVE, name=name)
    for name, task_type in TASK_TYPES.items()
    if task_type.by_name
}
BUILT_IN_EXECUTORS = frozenset(TASK_TYPES)
"""Task types that Flowmesh runs itself, so no worker of a user can."""
NEVER_RUN = frozenset(
    name for name, task_type in TASK_TYPES.items() if not task_type.is_run_by_worker
)
AT_NO_WORKER = NEVER_RUN | {"subworkflow", "continueAsNew"}
"""Types that the engine completes itself; no worker gets an attempt of them."""
NOT_FOR_UNDO = AT_NO_WORKER - {NOOP, DELAY, SIGNAL}
NO_UNDO = f"a compensation is a {NOOP}, a {DELAY}, a {SIGNAL} or a task that a worker runs"
BUILT_IN_NAMES = frozenset(_BUILT_IN)


def built_in(name: str) -> Task | None:
    return _BUILT_IN.get(name)
