"""`publish`: an event to the subscribers of a subject."""

from flowmesh.tasktypes.record import Effect, InputMode, TaskType, Upstream

PUBLISH = TaskType(
    name="publish",
    summary="An event to subscribers of NATS.",
    effect=Effect.CHANGES,
    executor="flowmesh.executors.publish:publish_executor",
    parameters="flowmesh.definitions.editor.calls:publish_parameters",
    output={
        "type": "object",
        "required": ["id", "subject"],
        "properties": {"id": {"type": "string"}, "subject": {"type": "string"}},
    },
    native="publish",
    block="publish",
    reader="flowmesh.definitions.formats.native.calls:publish",
    action="read",
    input_mode=InputMode.RENDERED,
    upstream=Upstream("subscribers"),
)
TASK_TYPES = (PUBLISH,)
