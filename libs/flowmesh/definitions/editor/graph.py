"""Schema of graph JSON. Unknown members are kept, so it refuses none."""

from flowmesh.definitions import limits
from flowmesh.definitions.editor.calls import CACHE_MS
from flowmesh.definitions.editor.parts import (
    ANYTHING,
    HEADERS,
    ID,
    IDS,
    JSON_SCHEMA,
    LABELS,
    Schema,
    anything,
    choice,
    code,
    described,
    document,
    flag,
    members,
    number,
    optional,
    or_null,
    retry,
    text,
    url,
    whole,
)
from flowmesh.definitions.editor.shared import of_graphs, of_tasks, of_workflows, outcomes
from flowmesh.definitions.formats.authentication import SCHEMES
from flowmesh.definitions.formats.common import METHODS
from flowmesh.definitions.formats.graph.document import N_OF_M
from flowmesh.definitions.formats.graph.edges import LANGUAGES
from flowmesh.definitions.formats.graph.nodes import NATIVE_KEYS, NODE_TYPES, OPERATIONS
from flowmesh.definitions.model import Join, Priority

_DESCRIPTION = text(limits.DESCRIPTION_CHARACTERS_MAX)
# Exactly one of them defines a custom node.
_CUSTOM = ("taskType", "handlerId", "action", *NATIVE_KEYS)
_TIMEOUT_MS = whole(limits.TIMEOUT_MS_MIN, limits.TIMEOUT_MS_MAX, "In ms.")
_WEBHOOKS = optional(
    {**dict.fromkeys(("onComplete", "onFailure", "onStep"), url(required=False)), "secret": text()},
    more=True,
)
_METADATA = optional(
    {
        **dict.fromkeys(("createdAt", "updatedAt", "createdBy", "category"), text()),
        "tags": {"type": "array", "items": {"type": "string"}},
        "isPublic": flag(False, "True if other workflows may copy it."),
    },
    more=True,
)


def graph_schema() -> Schema:
    """Return the schema of a workflow in graph JSON."""
    schema = members(
        {
            "id": described("The id of the workflow.", ID),
            "name": text(),
            "description": _DESCRIPTION,
            "metadata": _METADATA,
            "nodes": {
                "type": "array",
                "minItems": 1,
                "maxItems": limits.NODES_MAX,
                "items": _node(),
            },
            "edges": {"type": "array", "maxItems": limits.EDGES_MAX, "items": _edge()},
            "inputSchema": JSON_SCHEMA,
            "outputSchema": JSON_SCHEMA,
            "output": anything("The output of the workflow; templates over input and tasks."),
            "maxConcurrency": whole(
                0, limits.NODES_MAX, "Nodes that may run at once; 0 is no limit."
            ),
            "timeout": _TIMEOUT_MS,
            "labels": LABELS,
            **of_workflows(),
            **of_graphs(),
            "webhooks": _WEBHOOKS,
        },
        "id",
        "nodes",
        more=True,
    )
    schema["$defs"] = _data()
    return document("Workflow in graph JSON", schema)


def _node() -> Schema:
    at = {"type": ["number", "null"]}
    join = choice([*(join.value for join in Join), N_OF_M], Join.STRICT.value)
    counted = members(
        {
            "type": join,
            "count": number(1, limits.EDGES_MAX, "Number of edges it waits for."),
            "required": described("Nodes that must be among them.", IDS),
        }
    )
    node = members(
        {
            "id": ID,
            "type": {"enum": list(NODE_TYPES)},
            "name": text(),
            "description": _DESCRIPTION,
            "position": optional({"x": at, "y": at}, "x", "y", more=True),
            "data": described("The work of the node, by its type.", {"type": ["object", "null"]}),
            "metadata": _METADATA,
            "join": {"anyOf": [join, counted]},
            "critical": flag(True, "True if its failure fails the workflow."),
            "priority": choice([priority.name for priority in Priority], Priority.NORMAL.name),
            "queue": ID,
            "cache": CACHE_MS,
            **of_tasks(),
            **outcomes(),
        },
        "id",
        "type",
        more=True,
    )
    node["allOf"] = [
        {
            "if": {"required": ["type"], "properties": {"type": {"const": name}}},
            "then": {
                "properties": {"data": {"$ref": f"#/$defs/{name}"}},
                **({} if name == "webhook" else {"required": ["data"]}),
            },
        }
        for name in NODE_TYPES
    ]
    return node


def _edge() -> Schema:
    return members(
        {
            "id": {"type": "string", "pattern": r"\S"},
            "source": ID,
            "target": ID,
            "condition": text(
                limits.CODE_CHARACTERS_MAX, "The id of a condition, an expression, or error."
            ),
            "outcome": text(about="The outcome in the source's output that takes the edge."),
            "priority": number(-1e9, 1e9),
            "type": {**text(), "examples": ["error"]},
        },
        "id",
        "source",
        "target",
        more=True,
    )


def _data() -> dict[str, Schema]:
    """Return the schema of `data` by the type of node."""
    delay = whole(0, limits.RETRY_DELAY_MS_MAX)
    common: dict[str, Schema] = {
        "input": ANYTHING,
        "inputSchema": JSON_SCHEMA,
        "outputSchema": JSON_SCHEMA,
        "timeout": _TIMEOUT_MS,
        "retryPolicy": retry("backoffMultiplier", delay, more=True),
    }

    def data(known: dict[str, Schema], *required: str) -> Schema:
        return members({**common, **known}, *required, more=True)

    return {
        "function": {
            **data({"functionName": text(), "functionCode": code("JavaScript."), "handlerId": ID}),
            "oneOf": [{"required": ["functionCode"]}, {"required": ["handlerId"]}],
        },
        "http": data(
            {
                "method": choice(METHODS, "GET"),
                "url": url(),
                "headers": HEADERS,
                "body": ANYTHING,
                "sendContext": flag(False),
                "authentication": _authentication(),
            },
            "url",
        ),
        "decision": data(
            {
                "conditions": {"type": "array", "items": _condition()},
                "defaultPath": described("The id of an edge.", text()),
                "match": {"enum": ["first", "all"]},
            },
            "conditions",
        ),
        "webhook": or_null(
            data({"webhookId": ID, "payloadSchema": JSON_SCHEMA, "transformationTemplate": {}})
        ),
        "trigger": data(
            {
                "triggerType": {"enum": ["manual", "api", "scheduled", "event"]},
                "config": {"type": ["object", "null"]},
            },
            "triggerType",
        ),
        "delay": data(
            {
                "delayType": {"enum": ["fixed", "until", "expression"]},
                "delayValue": anything("Ms, an instant, or an expression."),
            },
            "delayType",
            "delayValue",
        ),
        "transformation": data(
            {
                "transformationType": {"enum": list(OPERATIONS)},
                "transformationConfig": {"type": ["object", "null"]},
            },
            "transformationType",
            "transformationConfig",
        ),
        "custom": {"type": "object", "anyOf": [{"required": [key]} for key in _CUSTOM]},
    }


def _condition() -> Schema:
    known: dict[str, Schema] = {
        "id": {"type": "string", "pattern": r"\S"},
        "expression": code("JavaScript, or a JSONPath."),
        "language": {"enum": [*LANGUAGES, None, ""]},
    }
    return members(known, "id", "expression", more=True)


def _authentication() -> Schema:
    """Return the schema of authentication: required and optional members by type."""
    schemes = [
        members(
            {
                "type": {"const": kind},
                "config": members({key: {"type": "string"} for key in (*needed, *more)}, *needed),
            },
            "type",
            "config",
        )
        for kind, (needed, more) in SCHEMES.items()
    ]
    return {"anyOf": [*schemes, {"type": "null"}]}
