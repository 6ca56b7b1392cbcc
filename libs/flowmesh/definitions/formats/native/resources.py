"""Reader of the resources `Workflow` and `WorkflowTask` of `workflow.io/v1`. Unknown members are
refused.
"""

from collections.abc import Callable
from types import NoneType

from flowmesh.contract.json_value import Json
from flowmesh.definitions import limits
from flowmesh.definitions.builtins import BUILT_IN_EXECUTORS
from flowmesh.definitions.formats.authentication import authentication_of
from flowmesh.definitions.formats.common import (
    headers_of,
    javascript,
    method_of,
    node_list,
    transform_config,
    url_of,
)
from flowmesh.definitions.formats.native import calls, templates
from flowmesh.definitions.formats.native.blocks import BLOCKS, reader_of
from flowmesh.definitions.formats.native.bodies import (
    Place,
    body_kind,
    read_body,
    read_edges,
)
from flowmesh.definitions.formats.native.go_form import from_go
from flowmesh.definitions.formats.native.links import inline_kind, read_inline_task
from flowmesh.definitions.formats.native.outcomes import (
    read_compensation,
    read_outcome,
    read_policy,
)
from flowmesh.definitions.formats.native.times import read_duration, read_retry, read_timeout
from flowmesh.definitions.formats.search_attributes import read_retention, read_search
from flowmesh.definitions.formats.start_policy import read_start
from flowmesh.definitions.formats.task_limits import (
    read_limits,
    read_permissions,
    read_requires,
    read_secrets,
)
from flowmesh.definitions.formats.task_types import warn_if_mistyped
from flowmesh.definitions.formats.triggers import read_triggers
from flowmesh.definitions.formats.variables import read_variables
from flowmesh.definitions.model import (
    VARIABLE_NAMES,
    Dialect,
    Node,
    Priority,
    Task,
    Visibility,
    Workflow,
    WorkflowTemplate,
)
from flowmesh.definitions.problems import Path, nearest
from flowmesh.definitions.reading.reader import Reader, kind_of
from flowmesh.tasktypes.builtin.code import FUNCTION

API_VERSION = "workflow.io/v1"
_VISIBILITIES = tuple(visibility.name for visibility in Visibility)
_PRIORITIES = tuple(priority.name for priority in Priority)
# Syntaxes of templates.
FORMS = ("NATIVE", "GO")
# Languages of a decision's conditions.
LANGUAGES = ("CEL", "JAVASCRIPT", "JSONPATH", "JQ")


def load(reader: Reader) -> Workflow | Task | WorkflowTemplate | None:
    version, kind = reader.text("apiVersion"), reader.text("kind")
    if version != API_VERSION:
        message = f"apiVersion must be {API_VERSION}, not {version[:64]!r}"
        reader.problems.add("DEFINITION_INVALID", message, ("apiVersion",))
    if kind not in _KINDS:
        listed = ", ".join(_KINDS)
        message = f"kind must be one of {listed}, not {kind[:64]!r}{nearest(kind, _KINDS)}"
        reader.problems.add("DEFINITION_INVALID", message, ("kind",))
        return None
    if not reader.has("spec"):
        reader.missing("spec", f"the content of the {kind}")
    name, labels = _metadata(reader.object("metadata"))
    spec = reader.object("spec")
    resource = _KINDS[kind](name, labels, spec)
    if isinstance(resource, Workflow | Task):
        form = spec.choice("templates", FORMS, FORMS[0])
        resource = from_go(resource, reader.problems) if form == "GO" else resource
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
    variables = read_variables(spec)
    return Workflow(
        id=name,
        name=name,
        dialect=Dialect.NATIVE,
        nodes=_nodes(spec, "workflow", Place(bound=VARIABLE_NAMES if variables else frozenset())),
        input_schema=spec.raw("inputSchema"),
        output_schema=spec.raw("outputSchema"),
        output=spec.raw("output"),
        has_output=spec.has("output"),
        parallelism=spec.integer("parallelism", 0, 0, limits.NODES_MAX),
        timeout_ms=read_timeout(spec),
        labels=labels,
        nodes_path=("spec", "tasks"),
        search=read_search(spec),
        retention_ms=read_retention(spec),
        start=read_start(spec),
        schema_path=("spec",),
        on_failure=read_policy(spec),
        compensation=read_compensation(spec),
        triggers=read_triggers(spec, name),
        limits=read_limits(spec),
        variables=variables,
    )


def _nodes(graph: Reader, what: str, place: Place) -> tuple[Node, ...]:
    """Return the tasks of one graph."""
    found = []
    for index, task in enumerate(node_list(graph, "tasks", what)):
        path: Path = (*graph.path, "tasks", index)
        if not isinstance(task, dict):
            message = f"a task is an object, not {kind_of(task)}"
            graph.problems.add("DEFINITION_INVALID", message, path)
            continue
        reader = Reader(task, path, graph.problems)
        found.append(read_task(reader, place))
        reader.refuse_unknown()
    return tuple(found)


def read_task(reader: Reader, place: Place) -> Node:
    """Return one task of a graph: a call, a decision, or a body of tasks."""
    kind = body_kind(reader)
    return read_body(reader, kind, place, _nodes) if kind else _node(reader, place)


def _node(reader: Reader, place: Place) -> Node:
    node_id = reader.identifier("id", "the name of the task in this workflow")
    kind = inline_kind(reader)
    written = read_inline_task(reader, kind, place) if kind else None
    task_ref = reader.task_ref("taskRef", required=written is None)
    edges = read_edges(reader)
    return Node(
        id=node_id,
        path=reader.path,
        name=reader.text("name") or node_id,
        task_ref=task_ref,
        task=written.task if written is not None else None,
        input=written.input if written is not None else reader.raw("input"),
        has_input=written.has_input if written is not None else reader.has("input"),
        condition=reader.text("condition", most=limits.CODE_CHARACTERS_MAX),
        dependencies=edges.dependencies,
        dependencies_key="dependsOn",
        retry=read_retry(reader),
        timeout_ms=read_timeout(reader),
        critical=reader.flag("critical", True),
        priority=Priority[reader.choice("priority", _PRIORITIES, Priority.NORMAL.name)],
        queue=reader.identifier("queue", "", required=False),
        edges=edges.edges,
        join=edges.join,
        join_count=edges.count,
        join_required=edges.required,
        outcome=read_outcome(reader, node_id, place.bound),
        bound=place.bound,
        cache=calls.read_cache(reader, read_duration),
        limits=read_limits(reader),
        requires=read_requires(reader),
        permissions=read_permissions(reader),
        repeatable=reader.flag("repeatable", False),
    )


def _task(name: str, labels: dict[str, str], spec: Reader) -> Task:
    spec.text("description", most=limits.DESCRIPTION_CHARACTERS_MAX)
    task_type = spec.identifier(
        "type", "http, transform, function, delay, webhook, condition, decision …"
    )
    found = BLOCKS.get(task_type)
    block = "config" if found is None else found.block
    missing = found is not None and found.block_required and spec.raw(block) is None
    if missing:
        spec.missing(block, f"the configuration of the {task_type}")
    body = spec.object(block)
    wrong = missing or not isinstance(spec.raw(block), dict | NoneType)
    config = {} if wrong else dict(body.value) if found is None else reader_of(found)(body)
    executor = task_type if found is None else found.name
    if found is not None:
        body.refuse_unknown()
    elif task_type:
        warn_if_mistyped(spec, "type", BLOCKS)
    if found is FUNCTION:
        executor = config.pop("handler", executor)
    return Task(
        type=task_type,
        executor=executor,
        config=config,
        dialect=Dialect.NATIVE,
        name=name,
        input_schema=spec.raw("inputSchema"),
        output_schema=spec.raw("outputSchema"),
        retry=read_retry(spec),
        timeout_ms=read_timeout(spec),
        queue=spec.identifier("queue", "", required=False),
        permissions=read_permissions(spec),
        secrets=read_secrets(spec, remote=found is None),
        labels=labels,
        visibility=Visibility[spec.choice("visibility", _VISIBILITIES, "NAMESPACE")],
        path=("spec",),
        config_path=body.path,
    )


def read_http(body: Reader) -> dict[str, Json]:
    config: dict[str, Json] = {
        "method": method_of(body),
        "url": url_of(body, "url", required=True),
    }
    if headers := headers_of(body):
        config["headers"] = headers
    if body.has("body"):
        config["body"] = body.raw("body")
    if body.raw("authentication") is not None:
        config["authentication"] = authentication_of(body.object("authentication"))
    return config


def read_transform(body: Reader) -> dict[str, Json]:
    return transform_config(body)


def read_function(body: Reader) -> dict[str, Json]:
    if not body.has("handlerId"):
        return {"code": javascript(body, "code")}
    handler = body.identifier("handlerId", "the task type of a worker")
    if body.has("code"):
        message = "a function has either code or handlerId, not both"
        body.problems.add("DEFINITION_INVALID", message, (*body.path, "handlerId"), at_key=True)
    elif handler in BUILT_IN_EXECUTORS:
        message = f"{handler} is built in; a handler is the task type of a worker"
        body.problems.add("DEFINITION_INVALID", message, (*body.path, "handlerId"))
    return {"handler": handler}


def read_delay(body: Reader) -> dict[str, Json]:
    value = body.raw("duration")
    if value is None:
        body.missing("duration", 'how long to wait, such as "5s"')
    if isinstance(value, str) and "{{" in value:
        return {"duration": value}
    code = "TIMEOUT_INVALID"
    return {"duration": read_duration(body, "duration", 0, 0, limits.DELAY_MS_MAX, code)}


def read_condition(body: Reader) -> dict[str, Json]:
    expression = body.required_text("expression", "a CEL expression over input")
    return {"expression": expression, "language": "cel"}


def read_decision(body: Reader) -> dict[str, Json]:
    if not body.has("conditions"):
        body.missing("conditions", "a list of {id, expression, language}")
    conditions: list[Json] = []
    for index, value in enumerate(body.items("conditions")):
        path: Path = (*body.path, "conditions", index)
        if not isinstance(value, dict):
            message = f"a condition is an object, not {kind_of(value)}"
            body.problems.add("DEFINITION_INVALID", message, path)
            continue
        each = Reader(value, path, body.problems)
        if value.get("id") in [condition["id"] for condition in conditions]:
            message = f"the id {value['id']!r} is taken by another condition"
            body.problems.add("DEFINITION_INVALID", message, (*path, "id"))
        conditions.append(
            {
                "id": each.required_text("id", "the name of the condition in the output"),
                "expression": each.required_text("expression", "a condition over input"),
                "language": each.choice("language", LANGUAGES, LANGUAGES[0]).lower(),
            }
        )
        each.text("description", most=limits.DESCRIPTION_CHARACTERS_MAX)
        each.refuse_unknown()
    return {
        "conditions": conditions,
        "default": list(body.identifiers("default")),
        "match": body.choice("match", ("FIRST", "ALL"), "FIRST").lower(),
    }


_KINDS: dict[str, Callable[[str, dict[str, str], Reader], Workflow | Task | WorkflowTemplate]] = {
    "Workflow": _workflow,
    "WorkflowTask": _task,
    "WorkflowTemplate": templates.load,
}
