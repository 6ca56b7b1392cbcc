"""The types of states of the Amazon States Language."""

import re

from flowmesh.definitions import limits
from flowmesh.definitions.constant_parts import check_headers, check_method, check_url
from flowmesh.definitions.formats.machines import Machine
from flowmesh.definitions.formats.states.layout import (
    JSONATA,
    At,
    Lay,
    Made,
    expression_of,
    expressions_of,
    lookup_of,
    path_of,
    rule_problems,
    shape_of,
    template_of,
)
from flowmesh.definitions.formats.states.services import (
    called_by,
    lay_called,
    lay_events,
    publishes,
)
from flowmesh.definitions.formats.states.start import EXECUTION_RESOURCE, lay_start
from flowmesh.definitions.model import Json, MapBody, Node
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.plan import HTTP_TIMEOUT_MS
from flowmesh.standards.arns import without_placeholders
from flowmesh.standards.jsonata import is_expression

HTTP_RESOURCE = re.compile(r"arn:aws[\w-]*:states:::http:invoke\Z")
_IN_OUT = ("InputPath", "OutputPath")
_HTTP_KNOWN = frozenset(
    {"ApiEndpoint", "Method", "Headers", "QueryParameters", "RequestBody"}
)  # fmt: skip
# How long a Wait is, and what a Map runs: one of each.
WAITS = ("Seconds", "Timestamp", "SecondsPath", "TimestampPath")
PROCESSORS = ("ItemProcessor", "Iterator")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)\Z")


def lay_pass(at: At) -> None:
    config = {"op": "pass", **at.shape(*_IN_OUT, "Parameters", "ResultPath")}
    if at.reader.has("Result"):
        config["result"] = at.reader.raw("Result")
    at.node(at.entry, config, at.after)


def lay_succeed(at: At) -> None:
    at.node(at.entry, {"op": "pass", **at.shape(*_IN_OUT, assigns=False)}, "")


def lay_fail(at: At) -> None:
    config: Made = {"op": "fail"} | ({JSONATA: True} if at.jsonata else {})
    for key, name in (("Error", "error"), ("Cause", "cause")):
        if at.jsonata:
            expression_of(at.reader, key)
            config[name] = at.reader.text(key, most=limits.DESCRIPTION_CHARACTERS_MAX)
        elif at.reader.has(f"{key}Path"):
            config[f"{name}_path"] = lookup_of(at.reader, f"{key}Path")
            if at.reader.has(key):
                message = f"a state has {key} or {key}Path, not both"
                at.problems.add("DEFINITION_INVALID", message, (*at.path, key), at_key=True)
        else:
            config[name] = at.reader.text(key, most=limits.DESCRIPTION_CHARACTERS_MAX)
    at.node(at.entry, config, "")


def lay_wait(at: At) -> None:
    reader = at.reader
    known = WAITS[:2] if at.jsonata else WAITS
    given = [key for key in known if reader.has(key)]
    if len(given) != 1:
        message = f"a Wait has one of {', '.join(known)}"
        at.problems.add("DEFINITION_INVALID", message, at.path)
        return
    shape = at.shape(*_IN_OUT)
    key = given[0]
    if at.jsonata and is_expression(reader.value[key]):
        timer = at.new("timer")
        config = {"op": "wait", JSONATA: True, **shape, key.lower(): expression_of(reader, key)}
        at.node(at.entry, config, timer)
        at.timer(timer, "{{state.wait}}", at.after)
        return
    if key.endswith("Path"):
        name = "seconds_path" if key == "SecondsPath" else "timestamp_path"
        timer = at.new("timer")
        at.node(at.entry, {"op": "wait", **shape, name: path_of(reader, key, null=False)}, timer)
        at.timer(timer, "{{state.wait}}", at.after)
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
        at.timer(at.entry, duration, at.after)
        return
    timer = at.new("timer")
    at.node(at.entry, {"op": "pass", **shape}, timer)
    at.timer(timer, duration, at.after)


def lay_choice(at: At) -> None:
    """A node that decides; where something is made of the data, nodes behind it do that."""
    shape = at.shape(*_IN_OUT)
    rules: list[Json] = []
    to: list[str] = []
    behind: dict[str, str] = {}

    def go(target: str, made: Made) -> None:
        """One more end of the choice: a state, or the node in front of it."""
        key = repr((target, made))
        if made and target and key not in behind:
            behind[key] = at.new("then")
            at.node(behind[key], {"op": "pass", **made}, target)
        to.append(behind[key] if made and target else target)

    items = at.reader.items("Choices")
    if not items:
        at.problems.add("DEFINITION_INVALID", "a Choice needs Choices", (*at.path, "Choices"))
    for index, item in enumerate(items):
        path = (*at.path, "Choices", index)
        if not isinstance(item, dict):
            message = f"a choice is an object, not {kind_of(item)}"
            at.problems.add("DEFINITION_INVALID", message, path)
            continue
        rule = Reader(item, path, at.problems)
        if at.jsonata:
            rules.append(_condition(rule))
            own = expressions_of(rule, ("Output", "Assign"))
            go(at.target(rule, "Next"), own)
            rule.text("Comment", most=limits.DESCRIPTION_CHARACTERS_MAX)
            rule.refuse_unknown()
            continue
        assigned = shape_of(rule, ("Assign",))
        if rule_problems(rule):
            rules.append({key: item[key] for key in item if key not in ("Comment", "Assign")})
        general = {key: value for key, value in shape.items() if key != "assign"}
        go(at.target(rule, "Next"), general | assigned)
    config: Made = {"op": "choice", "choices": rules} | ({JSONATA: True} if at.jsonata else {})
    if "input_path" in shape:
        config["input_path"] = shape["input_path"]
    if at.reader.has("Default"):
        go(at.target(at.reader, "Default"), shape)
        config["default"] = to[-1]
    at.node(at.entry, {**config, "to": to}, among=tuple(to) or ("",))


def _condition(rule: Reader) -> Json:
    if not rule.has("Condition"):
        rule.missing("Condition", "true, false or an expression that is one of them")
    condition = expression_of(rule, "Condition")
    if not isinstance(condition, bool) and not is_expression(condition):
        rule.wrong("Condition", "true, false or an expression that is one of them")
    return condition


def lay_task(at: At) -> None:
    reader = at.reader
    shape = at.shape(*_IN_OUT, "Parameters", "ResultSelector", "ResultPath")
    limit, heartbeat = _limits(at)
    said = reader.required_text("Resource", "what runs the task")
    resource = without_placeholders(said)
    if HTTP_RESOURCE.match(resource):
        at.error_handling(at.entry)
        _check_http(at)
        config = {"op": "http", **shape}
        at.node(at.entry, config, at.after, timeout_ms=limit or HTTP_TIMEOUT_MS)
    elif started := EXECUTION_RESOURCE.match(resource):
        at.error_handling(at.entry)
        lay_start(at, started.group(1) or "", shape, limit)
    elif publishes(resource):
        at.error_handling(at.entry)
        lay_events(at, shape)
    else:
        called = called_by(at, said) if said else None
        at.error_handling(at.entry, function=called is not None and called.function)
        if called is not None:
            lay_called(at, called, shape, limit, heartbeat)


def _limits(at: At) -> tuple[int, int]:
    """The timeout and the heartbeat in ms, 0 where there is none."""
    for key in ("TimeoutSecondsPath", "HeartbeatSecondsPath", "Credentials"):
        if at.reader.has(key):
            at.refuse(key, key)
    limit = 1_000 * _seconds(at.reader, "TimeoutSeconds")
    heartbeat = 1_000 * _seconds(at.reader, "HeartbeatSeconds")
    if limit and heartbeat >= limit:
        message = "HeartbeatSeconds is less than TimeoutSeconds"
        at.problems.add("TIMEOUT_INVALID", message, (*at.path, "HeartbeatSeconds"))
    return limit, heartbeat


def _seconds(reader: Reader, key: str) -> int:
    return reader.integer(key, 0, 1, limits.TIMEOUT_MS_MAX // 1_000, "TIMEOUT_INVALID")


def _check_http(at: At) -> None:
    parameters = at.reader.raw(at.parameters)
    if not isinstance(parameters, dict):
        at.reader.missing(at.parameters, "ApiEndpoint, Method and what else the request has")
        return
    names = {key.removesuffix(".$"): key for key in parameters}
    for name in ("ApiEndpoint", "Method"):
        if name not in names:
            path = (*at.path, at.parameters, name)
            message = f"{name} is missing; an HTTP task needs it"
            at.problems.add("DEFINITION_INVALID", message, path, at_key=True)
    for name, key in names.items():
        if name not in _HTTP_KNOWN:
            why = "a WorkflowTask of the library has credentials; name it as flowmesh:NAME"
            why = why if name == "Authentication" else ""
            at.refuse(f"{name[:64]} of an HTTP task", at.parameters, key, why=why)
    _check_request(at, parameters)


def _check_request(at: At, parameters: dict[str, Json]) -> None:
    """Check the parts of an HTTP request that no path and no expression computes."""
    path = (*at.path, at.parameters)
    url, method = parameters.get("ApiEndpoint"), parameters.get("Method")
    if isinstance(url, str) and not _computed(url):
        check_url(url, (*path, "ApiEndpoint"), at.problems)
    if not _computed(method):
        check_method(method, (*path, "Method"), at.problems)
    headers = parameters.get("Headers")
    if isinstance(headers, dict):
        constant = {
            name: each
            for name, each in headers.items()
            if not (name.endswith(".$") or _computed(each))
        }
        check_headers(constant, (*path, "Headers"), at.problems)


def _computed(value: Json) -> bool:
    """Whether a value is a JSONata expression."""
    return isinstance(value, str) and value.startswith("{%")


def _first_value(at: At, prepared: bool) -> Made:
    """The value that a machine inside of this state begins with."""
    value: Made = {"data": "{{state.call}}" if prepared else "{{state.data}}"}
    if at.machine.in_map:
        value["map"] = "{{state.map}}"
    if at.layout.has_variables:
        value["variables"] = "{{state.variables}}"
    return value


def lay_parallel(at: At) -> None:
    shape = at.shape(*_IN_OUT, "Parameters", "ResultSelector", "ResultPath")
    at.error_handling(at.entry)
    items = at.reader.items("Branches")
    if not items:
        at.problems.add("DEFINITION_INVALID", "a Parallel needs Branches", (*at.path, "Branches"))
    before, behind = at.split(shape)
    call = at.entry
    if before:
        call = at.new("call")
        at.node(at.entry, {"op": "before", **before}, call)
    branches = []
    for index, item in enumerate(items):
        path = (*at.path, "Branches", index)
        if not isinstance(item, dict):
            message = f"a branch is an object, not {kind_of(item)}"
            at.problems.add("DEFINITION_INVALID", message, path)
            continue
        inner = at.machine.inner(path)
        start = _inner_machine(at, inner, Reader(item, path, at.problems))
        branches.append(
            inner.as_node(
                at.new(f"branch-{index}"), start, _first_value(at, bool(before)), name=at.name
            )
        )
    at.beside(call, tuple(branches), {"op": "joined", **behind}, at.new("result"))


def _inner_machine(at: At, inner: Machine, reader: Reader) -> str:
    start = at.layout.machine(inner, reader)
    reader.text("Comment", most=limits.DESCRIPTION_CHARACTERS_MAX)
    reader.refuse_unknown()
    return start


_MAP_UNSUPPORTED = (
    "ItemReader", "ItemBatcher", "ResultWriter", "ToleratedFailureCount",
    "ToleratedFailureCountPath", "ToleratedFailurePercentage", "ToleratedFailurePercentagePath",
    "MaxConcurrencyPath", "Label",
)  # fmt: skip


def lay_map(at: At) -> None:
    """The items are made first; each is the first value of a machine of its own."""
    reader = at.reader
    shape = at.shape(*_IN_OUT, "ResultSelector", "ResultPath")
    for key in _MAP_UNSUPPORTED:
        if reader.has(key):
            at.refuse(key, key, why="items come from the input and run in this execution")
    at.error_handling(at.entry)
    config: Made = {"op": "items"}
    if "input_path" in shape:
        config["input_path"] = shape.pop("input_path")
    config |= _items(at)
    most = reader.integer("MaxConcurrency", 0, 0, limits.MAP_CONCURRENCY_MAX)
    inner = at.machine.inner((*at.path, "ItemProcessor"), in_map=True)
    start = _processor(at, inner)
    each, run, items = at.new("item"), at.new("run"), at.new("items")
    body = MapBody(
        (inner.as_node(each, start, "{{item}}", name=at.name),),
        most or limits.MAP_CONCURRENCY_DEFAULT,
        at.path,
    )
    node = Node(
        items,
        at.machine.names.place((*at.path, "items"), items),
        name=at.name,
        input="{{state.items}}",
        has_input=True,
        body=body,
        bound=at.machine.bound,
    )
    at.node(at.entry, config, run)
    at.beside(run, (node,), {"op": "mapped", **shape}, at.new("result"))


def _items(at: At) -> Made:
    """Where the items of a Map are, and what is made of each."""
    reader = at.reader
    found: Made = {}
    if at.jsonata:
        for key, name in (("Items", "items"), ("ItemSelector", "selector")):
            if reader.has(key):
                found[name] = expression_of(reader, key)
        return found | {JSONATA: True}
    if reader.has("ItemsPath"):
        found["items_path"] = path_of(reader, "ItemsPath", null=False) or "$"
    selectors = [key for key in ("ItemSelector", "Parameters") if reader.has(key)]
    for key in selectors:
        found["selector"] = template_of(reader, key)
    if len(selectors) > 1:
        message = "a Map has ItemSelector or Parameters, not both"
        at.problems.add("DEFINITION_INVALID", message, (*at.path, "Parameters"), at_key=True)
    return found


def _processor(at: At, inner: Machine) -> str:
    keys = [key for key in PROCESSORS if at.reader.has(key)]
    if len(keys) != 1:
        at.reader.missing("ItemProcessor", "StartAt and States of what runs for each item")
        return ""
    processor = at.reader.object(keys[0])
    configuration = processor.object("ProcessorConfig")
    mode = configuration.text("Mode") or "INLINE"
    if mode != "INLINE":
        path = (keys[0], "ProcessorConfig", "Mode")
        why = "items run in this execution, up to MaxConcurrency at once; INLINE says so"
        at.refuse(f"a Map in mode {mode[:16]}", *path, why=why)
    configuration.text("ExecutionType")
    configuration.refuse_unknown()
    return _inner_machine(at, inner, processor)


KINDS: dict[str, Lay] = {
    "Pass": lay_pass,
    "Task": lay_task,
    "Choice": lay_choice,
    "Wait": lay_wait,
    "Succeed": lay_succeed,
    "Fail": lay_fail,
    "Parallel": lay_parallel,
    "Map": lay_map,
}
