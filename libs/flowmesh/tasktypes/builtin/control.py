"""Types that the orchestrator or the engine completes itself, and the echo of the worker."""

from flowmesh.tasktypes.record import CheckKind, Effect, TaskType

NOOP = TaskType(
    name="noop",
    summary="Completes at once; its output is its input, or null without one.",
    effect=Effect.CONTROLS,
    parameters="flowmesh.definitions.editor.calls:no_parameters",
    native="noop",
    block="noop",
    block_required=False,
    reader="flowmesh.definitions.formats.native.calls:nothing",
    action="read",
    check=CheckKind.NONE,
    by_name=True,
)
ECHO = TaskType(
    name="builtin.noop",
    summary="Returns its input from the worker.",
    effect=Effect.CONTROLS,
    executor="flowmesh.executors.noop:noop_executor",
    action="unchecked",
    check=CheckKind.CONFIG,
)
DELAY = TaskType(
    name="delay",
    summary="Waits; needs no worker.",
    effect=Effect.CONTROLS,
    parameters="flowmesh.definitions.editor.native:delay_parameters",
    action_parameters="flowmesh.definitions.editor.steps:delay_parameters",
    native="delay",
    block="delay",
    reader="flowmesh.definitions.formats.native.resources:read_delay",
    action="read",
    action_reader="flowmesh.definitions.formats.steps:read_delay",
    check=CheckKind.DELAY,
    by_name=True,
)
APPROVAL = TaskType(
    name="approval",
    summary="Waits for the decision of people.",
    effect=Effect.CONTROLS,
    check=CheckKind.CONFIG,
    reserved=False,
)
SIGNAL = TaskType(
    name="signal",
    summary="Waits for a signal.",
    effect=Effect.CONTROLS,
    check=CheckKind.CONFIG,
    by_name=True,
    reserved=False,
)
RECEIVE = TaskType(
    name="webhook.receive",
    summary="Waits for a call of its callback URL.",
    effect=Effect.CONTROLS,
    action="unchecked",
    check=CheckKind.CONFIG,
    by_name=True,
    reserved=False,
)
TASK_TYPES = (NOOP, ECHO, DELAY, APPROVAL, SIGNAL, RECEIVE)
