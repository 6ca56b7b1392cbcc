"""`serverless.task` and `states.task`: tasks of the open standards, made by their importers."""

from flowmesh.tasktypes.record import CheckKind, Effect, TaskType

SERVERLESS_TASK = TaskType(
    name="serverless.task",
    summary="A task of a Serverless Workflow document.",
    effect=Effect.UNKNOWN,
    executor="flowmesh.executors.serverless.factory:serverless_executor",
    check=CheckKind.CONFIG,
    composite=True,
)
STATES_TASK = TaskType(
    name="states.task",
    summary="A state of an Amazon States Language document.",
    effect=Effect.UNKNOWN,
    executor="flowmesh.executors.states.factory:states_executor",
    check=CheckKind.CONFIG,
    composite=True,
)
TASK_TYPES = (SERVERLESS_TASK, STATES_TASK)
