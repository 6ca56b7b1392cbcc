"""The types of states of the Amazon States Language."""

import re

from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.constant_parts import check_headers, check_method, check_url
from flowmesh.definitions.formats.states.compiler import (
    JSONATA,
    CompileState,
    JsonObject,
    StateContext,
    expression_of,
    expressions_of,
    lookup_of,
    path_of,
    rule_problems,
    shape_of,
)
from flowmesh.definitions.formats.states.maps import compile_map, inner_machine
from flowmesh.definitions.formats.states.services import (
    called_by,
    compile_called,
    compile_events,
    publishes,
)
from flowmesh.definitions.formats.states.start import EXECUTION_RESOURCE, compile_start
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.standards.arns import without_placeholders
from flowmesh.standards.jsonata import is_expression
from flowmesh.tasktypes.builtin.http import TIMEOUT_MS as HTTP_TIMEOUT_MS

HTTP_RESOURCE = re.compile(r"arn:aws[\w-]*:states:::http:invoke\Z")
_IN_OUT = ("InputPath", "OutputPath")
_HTTP_KNOWN = frozenset(
    {"ApiEndpoint", "Method", "Headers", "QueryParameters", "RequestBody"}
)  # fmt: skip
# Members of which a Wait has exactly one.
WAITS = ("Seconds", "Timestamp", "SecondsPath", "TimestampPath")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)\Z")


def compile_pass(context: StateContext) -> None:
    config = {"op": "pass", **context.shape(*_IN_OUT, "Parameters", "ResultPath")}
    if context.reader.has("Result"):
        config["result"] = context.reader.raw("Result")
    context.node(context.entry, config, context.after)


def compile_succeed(context: StateContext) -> None:
    context.node(context.entry, {"op": "pass", **context.shape(*_IN_OUT, assigns=False)}, "")


def compile_fail(context: StateContext) -> None:
    config: JsonObject = {"op": "fail"} | ({JSONATA: True} if context.jsonata else {})
    for key, name in (("Error", "error"), ("Cause", "cause")):
        if context.jsonata:
            expression_of(context.reader, key)
            config[name] = context.reader.text(key, most=limits.DESCRIPTION_CHARACTERS_MAX)
        elif context.reader.has(f"{key}Path"):
            config[f"{name}_path"] = lookup_of(context.reader, f"{key}Path")
            if context.reader.has(key):
                message = f"a state has {key} or {key}Path, not both"
                context.problems.add(
                    "DEFINITION_INVALID", message, (*context.path, key), at_key=True
                )
        else:
            config[name] = context.reader.text(key, most=limits.DESCRIPTION_CHARACTERS_MAX)
    context.node(context.entry, config, "")


def compile_wait(context: StateContext) -> None:
    reader = context.reader
    known = WAITS[:2] if context.jsonata else WAITS
    given = [key for key in known if reader.has(key)]
    if len(given) != 1:
        message = f"a Wait has one of {', '.join(known)}"
        context.problems.add("DEFINITION_INVALID", message, context.path)
        return
    shape = context.shape(*_IN_OUT)
    key = given[0]
    if context.jsonata and is_expression(reader.value[key]):
        timer = context.new("timer")
        config = {"op": "wait", JSONATA: True, **shape, key.lower(): expression_of(reader, key)}
        context.node(context.entry, config, timer)
        context.timer(timer, "{{state.wait}}", context.after)
        return
    if key.endswith("Path"):
        name = "seconds_path" if key == "SecondsPath" else "timestamp_path"
        timer = context.new("timer")
        context.node(
            context.entry, {"op": "wait", **shape, name: path_of(reader, key, null=False)}, timer
        )
        context.timer(timer, "{{state.wait}}", context.after)
        return
    duration: int | str
    if key == "Seconds":
        most = limits.DELAY_MS_MAX // 1_000
        duration = 1_000 * reader.integer("Seconds", 0, 0, most, "TIMEOUT_INVALID")
    else:
        duration = reader.text("Timestamp")
        if not _INSTANT.match(duration):
            reader.wrong("Timestamp", "an instant such as 2030-01-31T12:00:00Z", "TIMEOUT_INVALID")
    if not shape:
        context.timer(context.entry, duration, context.after)
        return
    timer = context.new("timer")
    context.node(context.entry, {"op": "pass", **shape}, timer)
    context.timer(timer, duration, context.after)


def compile_choice(context: StateContext) -> None:
    """Compile a Choice; if a choice transforms data, a node behind it does that."""
    shape = context.shape(*_IN_OUT)
    rules: list[Json] = []
    to: list[str] = []
    behind: dict[str, str] = {}

    def go(target: str, made: JsonObject) -> None:
        """Add a target of the choice: a state, or the node in front of it."""
        key = repr((target, made))
        if made and target and key not in behind:
            behind[key] = context.new("then")
            context.node(behind[key], {"op": "pass", **made}, target)
        to.append(behind[key] if made and target else target)

    items = context.reader.items("Choices")
    if not items:
        context.problems.add(
            "DEFINITION_INVALID", "a Choice needs Choices", (*context.path, "Choices")
        )
    for index, item in enumerate(items):
        path = (*context.path, "Choices", index)
        if not isinstance(item, dict):
            message = f"a choice is an object, not {kind_of(item)}"
            context.problems.add("DEFINITION_INVALID", message, path)
            continue
        rule = Reader(item, path, context.problems)
        if context.jsonata:
            rules.append(_condition(rule))
            own = expressions_of(rule, ("Output", "Assign"))
            go(context.target(rule, "Next"), own)
            rule.text("Comment", most=limits.DESCRIPTION_CHARACTERS_MAX)
            rule.refuse_unknown()
            continue
        assigned = shape_of(rule, ("Assign",))
        if rule_problems(rule):
            rules.append({key: item[key] for key in item if key not in ("Comment", "Assign")})
        general = {key: value for key, value in shape.items() if key != "assign"}
        go(context.target(rule, "Next"), general | assigned)
    config: JsonObject = {"op": "choice", "choices": rules} | (
        {JSONATA: True} if context.jsonata else {}
    )
    if "input_path" in shape:
        config["input_path"] = shape["input_path"]
    if context.reader.has("Default"):
        go(context.target(context.reader, "Default"), shape)
        config["default"] = to[-1]
    context.node(context.entry, {**config, "to": to}, among=tuple(to) or ("",))


def _condition(rule: Reader) -> Json:
    if not rule.has("Condition"):
        rule.missing("Condition", "true, false or an expression that is one of them")
    condition = expression_of(rule, "Condition")
    if not isinstance(condition, bool) and not is_expression(condition):
        rule.wrong("Condition", "true, false or an expression that is one of them")
    return condition


def compile_task(context: StateContext) -> None:
    reader = context.reader
    shape = context.shape(*_IN_OUT, "Parameters", "ResultSelector", "ResultPath")
    limit, heartbeat = _limits(context)
    written = reader.required_text("Resource", "the task to run")
    resource = without_placeholders(written)
    if HTTP_RESOURCE.match(resource):
        context.error_handling(context.entry)
        _check_http(context)
        config = {"op": "http", **shape}
        context.node(context.entry, config, context.after, timeout_ms=limit or HTTP_TIMEOUT_MS)
    elif started := EXECUTION_RESOURCE.match(resource):
        context.error_handling(context.entry)
        compile_start(context, started.group(1) or "", shape, limit)
    elif publishes(resource):
        context.error_handling(context.entry)
        compile_events(context, shape)
    else:
        called = called_by(context, written) if written else None
        context.error_handling(context.entry, function=called is not None and called.function)
        if called is not None:
            compile_called(context, called, shape, limit, heartbeat)


def _limits(context: StateContext) -> tuple[int, int]:
    """Return the timeout and the heartbeat in ms, 0 if not set."""
    for key in ("TimeoutSecondsPath", "HeartbeatSecondsPath", "Credentials"):
        if context.reader.has(key):
            context.refuse(key, key)
    limit = 1_000 * _seconds(context.reader, "TimeoutSeconds")
    heartbeat = 1_000 * _seconds(context.reader, "HeartbeatSeconds")
    if limit and heartbeat >= limit:
        message = "HeartbeatSeconds is less than TimeoutSeconds"
        context.problems.add("TIMEOUT_INVALID", message, (*context.path, "HeartbeatSeconds"))
    return limit, heartbeat


def _seconds(reader: Reader, key: str) -> int:
    return reader.integer(key, 0, 1, limits.TIMEOUT_MS_MAX // 1_000, "TIMEOUT_INVALID")


def _check_http(context: StateContext) -> None:
    parameters = context.reader.raw(context.parameters)
    if not isinstance(parameters, dict):
        context.reader.missing(
            context.parameters, "ApiEndpoint, Method and other parts of the request"
        )
        return
    names = {key.removesuffix(".$"): key for key in parameters}
    for name in ("ApiEndpoint", "Method"):
        if name not in names:
            path = (*context.path, context.parameters, name)
            message = f"{name} is missing; an HTTP task needs it"
            context.problems.add("DEFINITION_INVALID", message, path, at_key=True)
    for name, key in names.items():
        if name not in _HTTP_KNOWN:
            why = "a WorkflowTask of the library has credentials; name it as flowmesh:NAME"
            why = why if name == "Authentication" else ""
            context.refuse(f"{name[:64]} of an HTTP task", context.parameters, key, why=why)
    _check_request(context, parameters)


def _check_request(context: StateContext, parameters: dict[str, Json]) -> None:
    """Check the parts of an HTTP request that no path and no expression computes."""
    path = (*context.path, context.parameters)
    url, method = parameters.get("ApiEndpoint"), parameters.get("Method")
    if isinstance(url, str) and not _computed(url):
        check_url(url, (*path, "ApiEndpoint"), context.problems)
    if not _computed(method):
        check_method(method, (*path, "Method"), context.problems)
    headers = parameters.get("Headers")
    if isinstance(headers, dict):
        constant = {
            name: each
            for name, each in headers.items()
            if not (name.endswith(".$") or _computed(each))
        }
        check_headers(constant, (*path, "Headers"), context.problems)


def _computed(value: Json) -> bool:
    """Return whether a value is a JSONata expression."""
    return isinstance(value, str) and value.startswith("{%")


def _first_value(context: StateContext, prepared: bool) -> JsonObject:
    """Return the initial value of a machine inside this state."""
    value: JsonObject = {"data": "{{state.call}}" if prepared else "{{state.data}}"}
    if context.machine.in_map:
        value["map"] = "{{state.map}}"
    if context.compiler.has_variables:
        value["variables"] = "{{state.variables}}"
    return value


def compile_parallel(context: StateContext) -> None:
    shape = context.shape(*_IN_OUT, "Parameters", "ResultSelector", "ResultPath")
    context.error_handling(context.entry)
    items = context.reader.items("Branches")
    if not items:
        context.problems.add(
            "DEFINITION_INVALID", "a Parallel needs Branches", (*context.path, "Branches")
        )
    before, behind = context.split(shape)
    call = context.entry
    if before:
        call = context.new("call")
        context.node(context.entry, {"op": "before", **before}, call)
    branches = []
    for index, item in enumerate(items):
        path = (*context.path, "Branches", index)
        if not isinstance(item, dict):
            message = f"a branch is an object, not {kind_of(item)}"
            context.problems.add("DEFINITION_INVALID", message, path)
            continue
        inner = context.machine.inner(path)
        start = inner_machine(context, inner, Reader(item, path, context.problems))
        branches.append(
            inner.as_node(
                context.new(f"branch-{index}"),
                start,
                _first_value(context, bool(before)),
                name=context.name,
            )
        )
    context.run_with_input(call, tuple(branches), {"op": "joined", **behind}, context.new("result"))


KINDS: dict[str, CompileState] = {
    "Pass": compile_pass,
    "Task": compile_task,
    "Choice": compile_choice,
    "Wait": compile_wait,
    "Succeed": compile_succeed,
    "Fail": compile_fail,
    "Parallel": compile_parallel,
    "Map": compile_map,
}
