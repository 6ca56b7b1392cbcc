"""The resources `Workflow` and `WorkflowTask` of `workflow.io/v1`. Unknown members are refused."""

from collections.abc import Callable
from types import NoneType

from flowmesh.definitions import limits
from flowmesh.definitions.durations import duration_ms
from flowmesh.definitions.formats.common import headers_of, method_of, node_list, retry_of, url_of
from flowmesh.definitions.model import (
    ITEM_NAMES,
    NATIVE_RETRY,
    Dialect,
    Json,
    MapBody,
    Node,
    Priority,
    Retry,
    Task,
    Workflow,
)
from flowmesh.definitions.problems import Path, nearest
from flowmesh.definitions.reader import Reader, kind_of

API_VERSION = "workflow.io/v1"
_PRIORITIES = tuple(priority.name for priority in Priority)
# What is said of the tasks in a map and not of the map, and where it goes instead.
_NOT_OF_A_MAP = {
    "taskRef": "what runs for each item goes into map.tasks",
    "input": "the list goes into map.items, inputs to the tasks in map.tasks",
    "retry": "say it of the tasks in map.tasks",
    "timeout": "say it of the tasks in map.tasks",
    "queue": "say it of the tasks in map.tasks",
    "priority": "say it of the tasks in map.tasks",
}


def load(reader: Reader) -> Workflow | Task | None:
    version, kind = reader.text("apiVersion"), reader.text("kind")
    if version != API_VERSION:
        message = f"apiVersion must be {API_VERSION}, not {version[:64]!r}"
        reader.problems.add("DEFINITION_INVALID", message, ("apiVersion",))
    if kind not in _KINDS:
        message = f"kind must be Workflow or WorkflowTask, not {kind[:64]!r}{nearest(kind, _KINDS)}"
        reader.problems.add("DEFINITION_INVALID", message, ("kind",))
        return None
    if not reader.has("spec"):
        reader.missing("spec", f"what the {kind} is")
    name, labels = _metadata(reader.object("metadata"))
    spec = reader.object("spec")
    resource = _KINDS[kind](name, labels, spec)
    spec.refuse_unknown()
    reader.refuse_unknown()
    return resource


def _metadata(metadata: Reader) -> tuple[str, dict[str, str]]:
    name = metadata.identifier("name", "the name of the resource")
    labels = metadata.labels()
    metadata.object("annotations")
    metadata.text("namespace")
    metadata.refuse_unknown()
    return name, labels


def _workflow(name: str, labels: dict[str, str], spec: Reader) -> Workflow:
    spec.text("description", most=limits.DESCRIPTION_CHARACTERS_MAX)
    tasks = node_list(spec, "tasks")
    return Workflow(
        id=name,
        name=name,
        dialect=Dialect.NATIVE,
        nodes=_nodes(tasks, spec, depth=0),
        input_schema=spec.raw("inputSchema"),
        output_schema=spec.raw("outputSchema"),
        output=spec.raw("output"),
        has_output=spec.has("output"),
        parallelism=spec.integer("parallelism", 0, 0, limits.NODES_MAX),
        timeout_ms=_timeout(spec),
        labels=labels,
        nodes_path=("spec", "tasks"),
        schema_path=("spec",),
    )


def _nodes(tasks: list[Json], graph: Reader, *, depth: int) -> tuple[Node, ...]:
    """The tasks of a graph that stands in `depth` maps."""
    found = []
    for index, task in enumerate(tasks):
        path: Path = (*graph.path, "tasks", index)
        if not isinstance(task, dict):
            message = f"a task is an object, not {kind_of(task)}"
            graph.problems.add("DEFINITION_INVALID", message, path)
            continue
        reader = Reader(task, path, graph.problems)
        found.append(_map(reader, depth) if reader.has("map") else _node(reader, depth))
        reader.refuse_unknown()
    return tuple(found)


def _node(reader: Reader, depth: int) -> Node:
    node_id = reader.identifier("id", "the name of the task in this workflow")
    return Node(
        id=node_id,
        path=reader.path,
        name=reader.text("name") or node_id,
        task_ref=reader.identifier("taskRef", "the name of a WorkflowTask or of a built-in task"),
        input=reader.raw("input"),
        has_input=reader.has("input"),
        condition=reader.text("condition", most=limits.CODE_CHARACTERS_MAX),
        dependencies=reader.identifiers("dependsOn"),
        dependencies_key="dependsOn",
        retry=_retry(reader),
        timeout_ms=_timeout(reader),
        critical=reader.flag("critical", True),
        priority=Priority[reader.choice("priority", _PRIORITIES, Priority.NORMAL.name)],
        queue=reader.identifier("queue", "", required=False),
        bound=ITEM_NAMES if depth else frozenset(),
    )


def _map(reader: Reader, depth: int) -> Node:
    node_id = reader.identifier("id", "the name of the map in this workflow")
    for key, instead in _NOT_OF_A_MAP.items():
        if reader.has(key):
            message = f"{key} does not belong to a map; {instead}"
            reader.problems.add("DEFINITION_INVALID", message, (*reader.path, key), at_key=True)
    body = reader.object("map")
    if not body.has("items"):
        body.missing("items", 'the list to run for, such as "{{input.orders}}"')
    node = Node(
        id=node_id,
        path=reader.path,
        name=reader.text("name") or node_id,
        input=body.raw("items"),
        has_input=body.has("items"),
        condition=reader.text("condition", most=limits.CODE_CHARACTERS_MAX),
        dependencies=reader.identifiers("dependsOn"),
        dependencies_key="dependsOn",
        critical=reader.flag("critical", True),
        body=_map_body(body, depth + 1),
        bound=ITEM_NAMES if depth else frozenset(),
    )
    body.refuse_unknown()
    return node


def _map_body(body: Reader, depth: int) -> MapBody:
    tasks = node_list(body, "tasks", "map")
    if depth > limits.MAP_DEPTH_MAX:
        message = f"maps may be nested {limits.MAP_DEPTH_MAX} deep"
        body.problems.add("NESTING_TOO_DEEP", message, body.path)
        tasks = []
    return MapBody(
        nodes=_nodes(tasks, body, depth=depth),
        concurrency=body.integer(
            "concurrency", limits.MAP_CONCURRENCY_DEFAULT, 1, limits.MAP_CONCURRENCY_MAX
        ),
        path=body.path,
    )


def _timeout(reader: Reader) -> int:
    return _duration(
        reader, "timeout", 0, limits.TIMEOUT_MS_MIN, limits.TIMEOUT_MS_MAX, "TIMEOUT_INVALID"
    )


def _duration(reader: Reader, key: str, default: int, least: int, most: int, code: str) -> int:
    value = reader.raw(key)
    if value is None:
        return default
    found = duration_ms(value) if isinstance(value, str) else None
    if found is None:
        reader.wrong(key, 'a duration such as "500ms", "30s", "5m" or "1h"', code)
        return default
    if not least <= found <= most:
        message = f"{key} is {found} ms; it must be from {least} to {most} ms"
        reader.problems.add(code, message, (*reader.path, key))
        return default
    return found


def _retry(reader: Reader) -> Retry | None:
    if reader.raw("retry") is None:
        return None
    policy = reader.object("retry")
    most, code = limits.RETRY_DELAY_MS_MAX, "RETRY_INVALID"
    retry = retry_of(
        policy,
        NATIVE_RETRY,
        multiplier="multiplier",
        initial_delay_ms=_duration(
            policy, "initialDelay", NATIVE_RETRY.initial_delay_ms, 0, most, code
        ),
        max_delay_ms=_duration(policy, "maxDelay", NATIVE_RETRY.max_delay_ms, 0, most, code),
    )
    policy.refuse_unknown()
    return retry


def _task(name: str, labels: dict[str, str], spec: Reader) -> Task:
    spec.text("description", most=limits.DESCRIPTION_CHARACTERS_MAX)
    task_type = spec.identifier("type", "http, transform, function, delay, webhook, condition …")
    executor, block, read = _TYPES.get(task_type, (task_type, "config", _custom))
    missing = read in _REQUIRED and spec.raw(block) is None
    if missing:
        spec.missing(block, f"what the {task_type} does")
    body = spec.object(block)
    wrong = missing or not isinstance(spec.raw(block), dict | NoneType)
    config = {} if wrong else read(body)
    if read is not _custom:
        body.refuse_unknown()
    return Task(
        type=task_type,
        executor=executor,
        config=config,
        dialect=Dialect.NATIVE,
        name=name,
        input_schema=spec.raw("inputSchema"),
        output_schema=spec.raw("outputSchema"),
        retry=_retry(spec),
        timeout_ms=_timeout(spec),
        queue=spec.identifier("queue", "", required=False),
        labels=labels,
        path=("spec",),
        config_path=body.path,
    )


def _http(body: Reader) -> dict[str, Json]:
    config: dict[str, Json] = {
        "method": method_of(body),
        "url": url_of(body, "url", required=True),
    }
    if headers := headers_of(body):
        config["headers"] = headers
    if body.has("body"):
        config["body"] = body.raw("body")
    return config


def _transform(body: Reader) -> dict[str, Json]:
    config: dict[str, Json] = {}
    if body.has("code"):
        config["code"] = body.required_text("code", "JavaScript that returns the output")
    if body.has("pipeline"):
        config["pipeline"] = body.items("pipeline")
    if len(config) == 2:
        message = "a transform has either code or a pipeline, not both"
        body.problems.add("DEFINITION_INVALID", message, (*body.path, "code"), at_key=True)
    return config


def _function(body: Reader) -> dict[str, Json]:
    return {"code": body.required_text("code", "JavaScript that returns the output")}


def _delay(body: Reader) -> dict[str, Json]:
    value = body.raw("duration")
    if value is None:
        body.missing("duration", 'how long to wait, such as "5s"')
    if isinstance(value, str) and "{{" in value:
        return {"duration": value}
    code = "TIMEOUT_INVALID"
    return {"duration": _duration(body, "duration", 0, 0, limits.DELAY_MS_MAX, code)}


def _webhook(body: Reader) -> dict[str, Json]:
    config: dict[str, Json] = {"url": url_of(body, "url", required=True)}
    if headers := headers_of(body):
        config["headers"] = headers
    if body.has("payload"):
        config["payload"] = body.raw("payload")
    return config


def _condition(body: Reader) -> dict[str, Json]:
    expression = body.required_text("expression", "a CEL expression over input")
    return {"expression": expression, "language": "cel"}


def _noop(_body: Reader) -> dict[str, Json]:
    return {}


def _custom(body: Reader) -> dict[str, Json]:
    return dict(body.value)


_Read = Callable[[Reader], dict[str, Json]]
_REQUIRED: frozenset[_Read] = frozenset({_http, _function, _delay, _webhook, _condition})
_TYPES: dict[str, tuple[str, str, _Read]] = {
    "http": ("http.request", "http", _http),
    "transform": ("transform", "transform", _transform),
    "function": ("function", "function", _function),
    "delay": ("delay", "delay", _delay),
    "webhook": ("webhook", "webhook", _webhook),
    "condition": ("condition", "condition", _condition),
    "noop": ("noop", "noop", _noop),
}
_KINDS: dict[str, Callable[[str, dict[str, str], Reader], Workflow | Task]] = {
    "Workflow": _workflow,
    "WorkflowTask": _task,
}
