"""Schemas of the resources `Workflow` and `WorkflowTask` of `workflow.io/v1`."""

from flowmesh.definitions import limits
from flowmesh.definitions.editor.parts import (
    ANYTHING,
    DURATION,
    HEADERS,
    ID,
    IDS,
    JSON_SCHEMA,
    LABELS,
    TASK_REF,
    TEMPLATE,
    Schema,
    choice,
    code,
    document,
    flag,
    members,
    number,
    or_null,
    retry,
    said,
    text,
    url,
)
from flowmesh.definitions.formats.common import METHODS
from flowmesh.definitions.formats.native import API_VERSION, FORMS, LANGUAGES
from flowmesh.definitions.model import Join, Priority

_TIMEOUT = said("Limit of one attempt.", or_null(DURATION))
_RETRY = retry("multiplier", or_null(DURATION))
_DESCRIPTION = text(limits.DESCRIPTION_CHARACTERS_MAX)
_WAITED_FOR: Schema = {
    "type": ["array", "null"],
    "items": {
        "anyOf": [
            ID,
            members({"task": ID, "on": code("failure, success, or a label.")}, "task", "on"),
        ]
    },
}
_FORM = said("How templates are written.", choice(FORMS, FORMS[0]))
_CODE = code("JavaScript that returns the output.")
_CONDITION = text(
    limits.CODE_CHARACTERS_MAX, "CEL over input and tasks; must hold for the node to run."
)


def workflow_schema() -> Schema:
    """Of `kind: Workflow`."""
    spec = members(
        {
            "description": _DESCRIPTION,
            "tasks": {"$ref": "#/$defs/tasks"},
            "inputSchema": JSON_SCHEMA,
            "outputSchema": JSON_SCHEMA,
            "output": said("What the workflow answers; templates over input and tasks.", ANYTHING),
            "parallelism": said(
                "Tasks that may run at once; 0 is no limit.",
                number(0, limits.NODES_MAX, whole=True),
            ),
            "timeout": said("Limit of the whole execution.", or_null(DURATION)),
            "templates": _FORM,
        },
        "tasks",
    )
    schema = _resource("Workflow", spec)
    schema["$defs"] = {
        "tasks": {
            "type": "array",
            "minItems": 1,
            "maxItems": limits.NODES_MAX,
            "items": _either(),
        },
        "task": _node(),
        **{kind: _body(kind, body) for kind, body in _bodies().items()},
    }
    return document("Workflow of workflow.io/v1", schema)


def task_schema() -> Schema:
    """Of `kind: WorkflowTask`."""
    blocks: dict[str, Schema] = {
        "http": members(
            {"method": choice(METHODS, "GET"), "url": url(), "headers": HEADERS, "body": ANYTHING},
            "url",
        ),
        "transform": {
            **or_null(members({"code": _CODE, "pipeline": {"type": "array"}})),
            "not": {"required": ["code", "pipeline"]},
        },
        "function": members({"code": _CODE}, "code"),
        "delay": members(
            {"duration": {"anyOf": [DURATION, {"type": "string", "pattern": TEMPLATE}]}},
            "duration",
        ),
        "webhook": members({"url": url(), "headers": HEADERS, "payload": ANYTHING}, "url"),
        "condition": members({"expression": code("CEL over input.")}, "expression"),
        "decision": _decision(*LANGUAGES),
        "noop": or_null(members({})),
    }
    common: dict[str, Schema] = {
        "description": _DESCRIPTION,
        "type": said("What runs it: built in, or a task type of your workers.", ID),
        "inputSchema": JSON_SCHEMA,
        "outputSchema": JSON_SCHEMA,
        "retry": _RETRY,
        "timeout": _TIMEOUT,
        "queue": ID,
        "templates": _FORM,
    }
    spec: Schema = {
        "type": "object",
        "required": ["type"],
        "properties": {
            **common,
            "type": {**common["type"], "examples": list(blocks)},
            **{name: {"$ref": f"#/$defs/{name}"} for name in blocks},
            "config": {"type": ["object", "null"]},
        },
        "allOf": [
            {
                "if": {"required": ["type"], "properties": {"type": {"const": name}}},
                "then": members(
                    {**dict.fromkeys(common, True), name: True},
                    *([] if name in ("transform", "noop") else [name]),
                ),
            }
            for name in blocks
        ]
        + [
            {
                "if": {"properties": {"type": {"not": {"enum": list(blocks)}}}},
                "then": members({**dict.fromkeys(common, True), "config": True}),
            }
        ],
    }
    schema = _resource("WorkflowTask", spec)
    schema["$defs"] = blocks
    return document("WorkflowTask of workflow.io/v1", schema)


def _resource(kind: str, spec: Schema) -> Schema:
    metadata = members(
        {
            "name": ID,
            "labels": LABELS,
            "annotations": {"type": ["object", "null"]},
            "namespace": text(),
        },
        "name",
    )
    return members(
        {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": metadata,
            "spec": spec,
        },
        "apiVersion",
        "kind",
        "metadata",
        "spec",
    )


def _shared() -> dict[str, Schema]:
    return {
        "id": ID,
        "name": text(),
        "condition": _CONDITION,
        "dependsOn": said("Nodes that must have ended before, and how.", _WAITED_FOR),
        "join": choice([join.name for join in Join], Join.STRICT.name),
        "critical": said("Whether its failure fails the workflow.", flag(True)),
    }


def _node() -> Schema:
    schema = members(
        {
            **_shared(),
            "taskRef": said(
                "A WorkflowTask (name, name@3, namespace/name), or transform, delay, noop, signal.",
                TASK_REF,
            ),
            "decision": _decision(),
            "input": said("Templates at any depth, over input and tasks.", ANYTHING),
            "retry": _RETRY,
            "timeout": _TIMEOUT,
            "priority": choice([priority.name for priority in Priority], Priority.NORMAL.name),
            "queue": ID,
        },
        "id",
    )
    schema["anyOf"] = [{"required": ["taskRef"]}, {"required": ["decision"]}]
    return schema


def _decision(*languages: str) -> Schema:
    """The conditions of a decision, in CEL where no language can be named."""
    known: dict[str, Schema] = {
        "id": {"type": "string", "pattern": r"\S"} if languages else ID,
        "expression": code("A condition, CEL unless it says otherwise."),
    }
    if languages:
        known |= {"language": choice(languages, languages[0]), "description": _DESCRIPTION}
    return members(
        {
            "conditions": {"type": "array", "items": members(known, "id", "expression")},
            "default": said("Ids to name where no condition holds.", IDS),
            "match": choice(("FIRST", "ALL"), "FIRST"),
        },
        "conditions",
        text="Its output names the conditions that hold.",
    )


def _either() -> Schema:
    """A body where one of its words is there, the first of them; else a task."""
    schema: Schema = {"$ref": "#/$defs/task"}
    for kind in reversed(_bodies()):
        body = {"$ref": f"#/$defs/{kind}"}
        schema = {"if": {"required": [kind]}, "then": body, "else": schema}
    return schema


def _body(kind: str, body: Schema) -> Schema:
    return members({**_shared(), kind: body}, "id", kind)


def _bodies() -> dict[str, Schema]:
    tasks: Schema = {"$ref": "#/$defs/tasks"}
    limit, default = limits.MAP_CONCURRENCY_MAX, limits.MAP_CONCURRENCY_DEFAULT
    return {
        "map": members(
            {
                "items": said('The list to run for, such as "{{input.orders}}".', ANYTHING),
                "tasks": tasks,
                "concurrency": number(1, limit, whole=True, default=default),
            },
            "items",
            "tasks",
            text="Runs its tasks once for each item; templates see item and index.",
        ),
        "group": members({"tasks": tasks}, "tasks", text="Tasks that count as one."),
        "race": members({"tasks": tasks}, "tasks", text="The first task that completes wins."),
        "loop": members(
            {
                "while": code("CEL over state, input and tasks."),
                "rounds": number(1, limits.LOOP_ROUNDS_MAX, whole=True),
                "state": said("What the first round begins with.", ANYTHING),
                "tasks": tasks,
            },
            "while",
            "tasks",
            text="Runs its tasks as long as a condition holds; templates see state.",
        ),
        "try": members(
            {
                "tasks": tasks,
                "catch": {
                    "type": "array",
                    "items": members({"errors": IDS, "tasks": tasks}, "tasks"),
                },
            },
            "tasks",
            "catch",
            text="Runs its tasks, and others for what fails in them, by the class of the failure.",
        ),
    }
