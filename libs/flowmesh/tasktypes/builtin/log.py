"""`log`: a line in the worker's log."""

from flowmesh.tasktypes.record import Effect, InputMode, TaskType

LOG = TaskType(
    name="log",
    summary="A line in the worker's log, kept with the node.",
    effect=Effect.LOGS,
    executor="flowmesh.executors.log:log_executor",
    parameters="flowmesh.definitions.editor.calls:log_parameters",
    output={"type": "string"},
    native="log",
    block="log",
    reader="flowmesh.definitions.formats.native.calls:log",
    action="read",
    input_mode=InputMode.RENDERED,
)
TASK_TYPES = (LOG,)
