"""Worker tasks of the Amazon States Language, and events that they publish.

A Lambda function, an activity and every service that Flowmesh does not implement are worker tasks.
The resource names the task type.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flowmesh.contract.json_value import Json
from flowmesh.definitions.builtins import BUILT_IN_EXECUTORS, SIGNAL
from flowmesh.definitions.formats.states.compiler import TOKEN_SUFFIX, JsonObject, StateContext
from flowmesh.definitions.model import NO_RETRY, Dialect, Node, Outcome, Task
from flowmesh.definitions.problems import Path
from flowmesh.definitions.reading.reader import is_id
from flowmesh.standards.arns import function_of, without_placeholders

# Signal that carries the result of a task with a token.
TOKEN_SIGNAL = "states.task-token"  # noqa: S105 - a name
_SERVICE = re.compile(
    r"arn:aws[\w-]*:states:[\w-]*:\w*:([\w-]+:(?:[\w-]+:)?\w+(?:\.sync(?::2)?)?)\Z", re.ASCII
)
_ACTIVITY = re.compile(r"arn:aws[\w-]*:states:[\w-]*:\w*:activity:([\w.-]+)\Z", re.ASCII)
_FUNCTION = re.compile(r"arn:aws[\w-]*:lambda:[\w-]*:\w*:function:", re.ASCII)
_LIBRARY = "flowmesh:"
_INVOKE = frozenset({"lambda:invoke", "aws-sdk:lambda:invoke"})
_EVENTS = frozenset({"events:putEvents", "aws-sdk:eventbridge:putEvents"})
# Implemented elsewhere or not at all; a worker cannot take their place.
_OWN = frozenset({"http:invoke", "states:startExecution", "aws-sdk:sfn:startExecution"})
_ONE_TYPE = "a task of a worker has one type, which is known when the document is registered"
_CALL = frozenset({"FunctionName", "Payload", "InvocationType", "Qualifier", "LogType"})
_CONSTANT = {"InvocationType": "RequestResponse", "LogType": "None"}
_ENTRY = frozenset({"Source", "DetailType", "Detail", "EventBusName", "Time"})


@dataclass(frozen=True, slots=True)
class Called:
    """The task of a resource: one of the library or of a worker, with its parameters.

    `before` and `behind` are added to the configurations of the states around it; `function` means
    a Lambda function, whose errors have their own names.
    """

    type: str
    library: bool = False
    function: bool = False
    before: Mapping[str, Json] | None = None
    behind: Mapping[str, Json] | None = None


def called_by(context: StateContext, resource: str) -> Called | None:
    """Return the task of a resource; None if it is refused, which is noted."""
    name = without_placeholders(resource)
    if resource.startswith(_LIBRARY):
        return Called(resource.removeprefix(_LIBRARY), library=True)
    if match := _ACTIVITY.match(name):
        return Called(match[1])
    if _FUNCTION.match(name):
        function = function_of(name)
        return Called(function[0], function=True) if function is not None else None
    if match := _SERVICE.match(name.removesuffix(TOKEN_SUFFIX)):
        if match[1] in _INVOKE:
            return _invoked(context)
        if match[1] not in _EVENTS | _OWN:
            warn_of_service(context, match[1], (*context.path, "Resource"))
            return Called(match[1])
    if name.startswith("arn:"):
        context.refuse(f"the resource {resource[:128]}", "Resource")
        return None
    if name in BUILT_IN_EXECUTORS:
        context.refuse(f"the built-in task {name}", "Resource", why="refer to a WorkflowTask")
        return None
    return Called(name)


def service_of(resource: str) -> str:
    """Return the service and the action that a resource names, empty if it names none."""
    match = _SERVICE.match(without_placeholders(resource))
    return match[1].removeprefix("aws-sdk:") if match is not None else ""


def warn_of_service(context: StateContext, service: str, path: Path) -> None:
    message = f"Flowmesh does not call {service} itself: a worker has to serve it as a task type"
    context.problems.warn("FEATURE_UNSUPPORTED", message, path)


def _parameters(context: StateContext) -> tuple[dict[str, Json], dict[str, str]]:
    """Return the parameters, and their keys by name."""
    given = context.reader.raw(context.parameters)
    parameters = given if isinstance(given, dict) else {}
    return parameters, {key.removesuffix(".$"): key for key in parameters}


def _invoked(context: StateContext) -> Called | None:
    """Return the function that `lambda:invoke` names in its parameters."""
    parameters, names = _parameters(context)
    for name, key in names.items():
        if name not in _CALL:
            context.refuse(f"{name[:64]} of lambda:invoke", context.parameters, key)
        elif name in _CONSTANT and parameters[key] != _CONSTANT[name]:
            why = f"the state waits for the result; it is {_CONSTANT[name]}"
            context.refuse(f"another {name} of lambda:invoke", context.parameters, key, why=why)
    if "FunctionName" not in names:
        path = (*context.path, context.parameters, "FunctionName")
        message = "FunctionName is missing; it is the function to invoke"
        context.problems.add("DEFINITION_INVALID", message, path, at_key=True)
        return None
    for name in ("FunctionName", "Qualifier"):
        if names.get(name, name) != name:
            context.refuse(f"{name} as a path", context.parameters, names[name], why=_ONE_TYPE)
            return None
    given = parameters["FunctionName"]
    function = function_of(given) if isinstance(given, str) else None
    if function is None:
        message = f"expected the name or the ARN of a Lambda function, got {str(given)[:64]!r}"
        path = (*context.path, context.parameters, "FunctionName")
        context.problems.add("DEFINITION_INVALID", message, path)
        return None
    name, qualifier = function
    version = str(parameters.get("Qualifier") or qualifier)
    executed = version if version.isascii() and version.isdecimal() else "$LATEST"
    return Called(name, function=True, before={"call": "Payload"}, behind={"version": executed})


def compile_called(
    context: StateContext, called: Called, shape: JsonObject, limit_ms: int, heartbeat_ms: int
) -> None:
    """Compile a task of a worker or of the library together with its input value.

    With a token, the result is a signal with the token as its key.
    """
    if not is_id(called.type):
        message = f"{called.type[:64]!r} is no name of a task"
        context.problems.add("ID_INVALID", message, (*context.path, "Resource"))
        return
    has_token = context.has_token
    before, behind = context.split(shape)
    before |= called.before or {}
    if has_token:
        before["token"] = True
    call, answer = context.entry, context.new("result")
    if before:
        call = context.new("call")
        context.node(context.entry, {"op": "before", **before}, call)
    task = None if called.library else Task(
        called.type, called.type, {}, Dialect.NATIVE, retry=NO_RETRY
    )  # fmt: skip
    node = Node(
        context.new("task"),
        context.path,
        name=context.name,
        task=task,
        task_ref=called.type if called.library else "",
        input="{{state.call}}" if before else "{{state.data}}",
        has_input=True,
        retry=NO_RETRY,
        timeout_ms=limit_ms,
        heartbeat_ms=0 if has_token else heartbeat_ms,
        # The time in the queue counts too.
        outcome=Outcome(total_timeout_ms=limit_ms),
        bound=context.machine.bound,
    )
    if has_token:
        context.run_with_input(
            call, (node, _sent(context, limit_ms)), {"op": "sent", **behind}, answer
        )
        return
    context.run_with_input(
        call, (node,), {"op": "result", **behind, **(called.behind or {})}, answer
    )


def _sent(context: StateContext, limit_ms: int) -> Node:
    """Return a node that waits for the result sent with the token."""
    if context.reader.has("HeartbeatSeconds"):
        why = "no heartbeats are sent with a token; TimeoutSeconds limits the wait"
        context.refuse("HeartbeatSeconds of a task with a token", "HeartbeatSeconds", why=why)
    return Node(
        context.new("token"),
        context.path,
        name=context.name,
        task=Task(SIGNAL, SIGNAL, {"name": TOKEN_SIGNAL}, Dialect.NATIVE),
        input="{{state.token}}",
        has_input=True,
        timeout_ms=limit_ms,
        bound=context.machine.bound,
    )


def publishes(resource: str) -> bool:
    """Return whether a resource publishes events without waiting for a token."""
    match = _SERVICE.match(resource)
    return match is not None and match[1] in _EVENTS


def compile_events(context: StateContext, shape: JsonObject) -> None:
    """Compile a task that publishes the events of its parameters."""
    parameters, names = _parameters(context)
    if "Entries" not in names:
        path = (*context.path, context.parameters, "Entries")
        message = "Entries is missing; it is the list of events that are published"
        context.problems.add("DEFINITION_INVALID", message, path, at_key=True)
    for name, key in names.items():
        if name != "Entries":
            context.refuse(f"{name[:64]} of events:putEvents", context.parameters, key)
    entries = parameters.get("Entries")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        _check_entry(context, entry, (context.parameters, "Entries", index))
    context.node(context.entry, {"op": "publish", **shape}, context.after)


def _check_entry(context: StateContext, entry: Json, below: tuple[str | int, ...]) -> None:
    if not isinstance(entry, dict):
        message = "an entry is an object with Source, DetailType and Detail"
        context.problems.add("DEFINITION_INVALID", message, (*context.path, *below))
        return
    names = {key.removesuffix(".$"): key for key in entry}
    for name in ("Source", "DetailType"):
        if name not in names:
            message = f"{name} is missing; an event needs it"
            path = (*context.path, *below, name)
            context.problems.add("DEFINITION_INVALID", message, path, at_key=True)
    for name, key in names.items():
        if name not in _ENTRY:
            context.refuse(f"{name[:64]} of an event", *below, key)
