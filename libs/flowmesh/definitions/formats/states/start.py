"""Tasks of the Amazon States Language that start another state machine.

The state machine is an ARN or a name, which may be computed when the state is entered.
"""

import re

from flowmesh.definitions.formats.machines import subworkflow
from flowmesh.definitions.formats.states.compiler import JsonObject, StateContext
from flowmesh.definitions.model import NO_RETRY, Node
from flowmesh.definitions.reading.reader import is_id
from flowmesh.standards.arns import machine_of
from flowmesh.standards.jsonata import is_expression

EXECUTION_RESOURCE = re.compile(
    r"arn:aws[\w-]*:states:::(?:aws-sdk:sfn|states):startExecution(\.sync(?::2)?)?\Z"
)
_KNOWN = frozenset({"StateMachineArn", "Input", "Name"})
_ARN = "StateMachineArn"


def compile_start(context: StateContext, how: str, shape: JsonObject, limit_ms: int) -> None:
    """Compile a task that starts a state machine, with `.sync` also waits for its end.

    `.sync` returns the output as text, `.sync:2` as JSON.
    """
    if context.reader.has("HeartbeatSeconds"):
        context.refuse("HeartbeatSeconds of startExecution", "HeartbeatSeconds")
    given = context.reader.raw(context.parameters)
    parameters = given if isinstance(given, dict) else {}
    names = {key.removesuffix(".$"): key for key in parameters}
    for name, key in names.items():
        if name not in _KNOWN:
            context.refuse(f"{name[:64]} of startExecution", context.parameters, key)
    if "Name" in names and how:
        why = "a name that several tasks may use needs an execution that is not awaited"
        feature = "the Name of an execution that is waited for"
        context.refuse(feature, context.parameters, names["Name"], why=why)
    if _ARN not in names:
        path = (*context.path, context.parameters, _ARN)
        message = f"{_ARN} is missing; it is the state machine to start"
        context.problems.add("DEFINITION_INVALID", message, path, at_key=True)
        return
    workflow, version = "{{state.call.workflow}}", "latest"
    computed = names[_ARN] != _ARN or is_expression(parameters[_ARN])
    if not computed:
        workflow, version = _named(context, parameters[_ARN])
    before, behind = context.split(shape)
    context.node(
        context.entry, {"op": "start", "computed": computed, **before}, call := context.new("call")
    )
    task = subworkflow(
        workflow,
        version,
        waits=bool(how),
        path=(*context.path, context.parameters),
        child_id="{{state.call.id}}" if "Name" in names else "",
    )
    node = Node(
        context.new("task"),
        context.path,
        name=context.name,
        task=task,
        input="{{state.call.input}}",
        has_input=True,
        retry=NO_RETRY,
        timeout_ms=limit_ms,
        bound=context.machine.bound,
    )
    answered: JsonObject = {"op": "ended", "text": how == ".sync"} if how else {"op": "started"}
    context.run_with_input(call, (node,), {**answered, **behind}, context.new("result"))


def _named(context: StateContext, arn: object) -> tuple[str, str]:
    """Return the workflow and the version of a constant ARN."""
    workflow, version = machine_of(arn) if isinstance(arn, str) else ("", "")
    if not is_id(workflow) or (version and not is_id(version)):
        message = f"expected the ARN or the name of a state machine, got {str(arn)[:64]!r}"
        context.problems.add(
            "DEFINITION_INVALID", message, (*context.path, context.parameters, _ARN)
        )
    return workflow, version or "latest"
