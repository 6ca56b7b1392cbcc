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
from flowmesh.definitions.formats.native import API_VERSION
from flowmesh.definitions.model import Priority

_TIMEOUT = said("Limit of one attempt.", or_null(DURATION))
_RETRY = retry("multiplier", or_null(DURATION))
_DESCRIPTION = text(limits.DESCRIPTION_CHARACTERS_MAX)
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
        },
        "tasks",
    )
    schema = _resource("Workflow", spec)
    schema["$defs"] = {
        "tasks": {
            "type": "array",
            "minItems": 1,
            "maxItems": limits.NODES_MAX,
            "items": {
                "if": {"required": ["map"]},
                "then": {"$ref": "#/$defs/map"},
                "else": {"$ref": "#/$defs/task"},
            },
        },
        "task": _node(),
        "map": _map(),
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
        "dependsOn": said("Nodes that must have completed before.", IDS),
        "critical": said("Whether its failure fails the workflow.", flag(True)),
    }


def _node() -> Schema:
    return members(
        {
            **_shared(),
            "taskRef": said("A WorkflowTask, or transform, delay, noop.", ID),
            "input": said("Templates at any depth, over input and tasks.", ANYTHING),
            "retry": _RETRY,
            "timeout": _TIMEOUT,
            "priority": choice([priority.name for priority in Priority], Priority.NORMAL.name),
            "queue": ID,
        },
        "id",
        "taskRef",
    )


def _map() -> Schema:
    body = members(
        {
            "items": said('The list to run for, such as "{{input.orders}}".', ANYTHING),
            "tasks": {"$ref": "#/$defs/tasks"},
            "concurrency": number(
                1,
                limits.MAP_CONCURRENCY_MAX,
                whole=True,
                default=limits.MAP_CONCURRENCY_DEFAULT,
            ),
        },
        "items",
        "tasks",
        text="Runs its tasks once for each item; templates see item and index.",
    )
    return members({**_shared(), "map": body}, "id", "map")
