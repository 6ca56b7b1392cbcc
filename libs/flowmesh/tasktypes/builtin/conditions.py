"""`condition` and `decision`: expressions that choose which nodes run."""

from flowmesh.tasktypes.record import CheckKind, Effect, InputMode, TaskType

CONDITION = TaskType(
    name="condition",
    summary="Evaluates an [expression](expressions.md).",
    effect=Effect.CONTROLS,
    executor="flowmesh.executors.code.condition:condition_executor",
    parameters="flowmesh.definitions.editor.native:condition_parameters",
    action_parameters="flowmesh.definitions.editor.steps:condition_parameters",
    native="condition",
    block="condition",
    reader="flowmesh.definitions.formats.native.resources:read_condition",
    action="read",
    action_reader="flowmesh.definitions.formats.steps:read_condition",
    check=CheckKind.CONDITION,
    input_mode=InputMode.CONTEXT,
)
DECISION = TaskType(
    name="decision",
    summary="Names the [conditions](expressions.md) that hold.",
    effect=Effect.CONTROLS,
    executor="flowmesh.executors.code.decision:decision_executor",
    parameters="flowmesh.definitions.editor.native:decision_parameters",
    native="decision",
    block="decision",
    reader="flowmesh.definitions.formats.native.resources:read_decision",
    check=CheckKind.DECISION,
    input_mode=InputMode.CONTEXT,
)
TASK_TYPES = (CONDITION, DECISION)
