"""`function`, `python` and `transform`: code and pipelines that compute an output."""

from flowmesh.tasktypes.record import CheckKind, Effect, InputMode, TaskType

FUNCTION = TaskType(
    name="function",
    summary="JavaScript or TypeScript, or a handler of a worker.",
    effect=Effect.COMPUTES,
    executor="flowmesh.executors.code.javascript:function_executor",
    parameters="flowmesh.definitions.editor.calls:function_parameters",
    action_parameters="flowmesh.definitions.editor.steps:function_parameters",
    native="function",
    block="function",
    reader="flowmesh.definitions.formats.native.resources:read_function",
    action="read",
    action_reader="flowmesh.definitions.formats.steps:read_function",
    check=CheckKind.JAVASCRIPT,
    input_mode=InputMode.CONTEXT,
)
PYTHON = TaskType(
    name="python",
    summary="Python that computes.",
    effect=Effect.COMPUTES,
    executor="flowmesh.executors.code.python:python_executor",
    parameters="flowmesh.definitions.editor.calls:python_parameters",
    native="python",
    block="python",
    reader="flowmesh.definitions.formats.native.calls:python",
    action="read",
    check=CheckKind.PYTHON,
    input_mode=InputMode.CONTEXT,
)
TRANSFORM = TaskType(
    name="transform",
    summary="Reshapes data with JavaScript or a [pipeline of operations](transforms.md).",
    effect=Effect.COMPUTES,
    executor="flowmesh.executors.code.transform:transform_executor",
    parameters="flowmesh.definitions.editor.native:transform_parameters",
    action_parameters="flowmesh.definitions.editor.steps:transform_parameters",
    native="transform",
    block="transform",
    block_required=False,
    reader="flowmesh.definitions.formats.native.resources:read_transform",
    action="read",
    action_reader="flowmesh.definitions.formats.steps:read_transform",
    check=CheckKind.TRANSFORM,
    input_mode=InputMode.CONTEXT,
    by_name=True,
)
TASK_TYPES = (FUNCTION, PYTHON, TRANSFORM)
