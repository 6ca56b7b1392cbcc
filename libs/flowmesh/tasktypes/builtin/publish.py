"""`publish`: an event to the subscribers of a subject. `message.publish`: a message."""

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
MESSAGE_PUBLISH = TaskType(
    name="message.publish",
    summary="A message to an exchange or a queue.",
    effect=Effect.CHANGES,
    executor="flowmesh.executors.publish:message_executor",
    parameters="flowmesh.definitions.editor.calls:message_parameters",
    output={
        "type": "object",
        "required": ["id", "queues"],
        "properties": {"id": {"type": "string"}, "queues": {"type": "integer"}},
    },
    native="message.publish",
    block="message",
    reader="flowmesh.definitions.formats.native.calls:message",
    action="read",
    input_mode=InputMode.RENDERED,
    upstream=Upstream("subscribers"),
)
TASK_TYPES = (PUBLISH, MESSAGE_PUBLISH)
