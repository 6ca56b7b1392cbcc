"""Schema of step JSON. Members that are not known are kept, so it refuses none."""

from flowmesh.definitions import limits
from flowmesh.definitions.editor.calls import (
    BLOCKS,
    CACHE_MS,
    authentication_schema,
    call_blocks,
)
from flowmesh.definitions.editor.parts import (
    ANYTHING,
    HEADERS,
    ID,
    IDS,
    JSON_SCHEMA,
    LABELS,
    TEMPLATE,
    Schema,
    choice,
    code,
    described,
    document,
    flag,
    members,
    number,
    or_null,
    retry,
    text,
    url,
)
from flowmesh.definitions.editor.shared import of_tasks, of_workflows, outcomes
from flowmesh.definitions.formats.common import METHODS, SCRIPTS
from flowmesh.definitions.model import Priority

_DESCRIPTION = text(limits.DESCRIPTION_CHARACTERS_MAX)
_TIMEOUT_MS = described("In ms.", number(limits.TIMEOUT_MS_MIN, limits.TIMEOUT_MS_MAX, whole=True))
_CODE = code("JavaScript that returns the output.")
_DURATION: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": limits.DELAY_MS_MAX},
        {"type": "string", "pattern": TEMPLATE},
    ],
    "description": "In ms, or a template.",
}
_PARAMS: dict[str, Schema] = {
    "http.request": members(
        {
            "method": choice(METHODS, "GET"),
            "url": url(),
            "headers": HEADERS,
            "body": ANYTHING,
            "authentication": authentication_schema(),
        },
        "url",
        more=True,
    ),
    "delay": members({"duration": _DURATION}, "duration", more=True),
    "transform": {
        **members({"code": _CODE, "pipeline": {"type": "array"}, "inputKey": text()}, more=True),
        "oneOf": [{"required": ["code"]}, {"required": ["pipeline"]}],
    },
    "function": members(
        {"code": _CODE, "language": choice(SCRIPTS, SCRIPTS[0])}, "code", more=True
    ),
    "condition": members({"expression": code("JavaScript over context.")}, "expression", more=True),
    "webhook": members({"url": url(), "headers": HEADERS, "payload": ANYTHING}, "url", more=True),
    "noop": or_null(members({}, more=True)),
    **{name: call_blocks(more=True)[block] for name, block in BLOCKS.items()},
}


def steps_schema() -> Schema:
    """Of a workflow in step JSON."""
    webhooks = members(
        {
            **dict.fromkeys(("onComplete", "onFailure", "onStep"), url(required=False)),
            "secret": text(),
        },
        more=True,
    )
    schema = members(
        {
            "id": described("The name the workflow is started by.", ID),
            "name": text(),
            "description": _DESCRIPTION,
            "inputSchema": JSON_SCHEMA,
            "outputSchema": JSON_SCHEMA,
            "maxConcurrency": described(
                "Steps that may run at once; 0 is no limit.",
                number(0, limits.NODES_MAX, whole=True),
            ),
            "timeout": _TIMEOUT_MS,
            "labels": LABELS,
            **of_workflows(),
            "webhooks": or_null(webhooks),
            "steps": {
                "type": "array",
                "minItems": 1,
                "maxItems": limits.NODES_MAX,
                "items": _step(),
            },
        },
        "id",
        "steps",
        more=True,
    )
    schema["$defs"] = _PARAMS
    return document("Workflow in step JSON", schema)


def _step() -> Schema:
    delay = number(0, limits.RETRY_DELAY_MS_MAX, whole=True)
    step = members(
        {
            "id": ID,
            "name": text(),
            "description": _DESCRIPTION,
            "action": described(
                "Built in, or a task type of your workers; without one the step succeeds at once.",
                {**ID, "examples": list(_PARAMS)},
            ),
            "params": {"type": ["object", "null"]},
            "dependencies": described("Steps that must have succeeded before.", IDS),
            "retryPolicy": retry("backoffMultiplier", delay, more=True),
            "timeout": _TIMEOUT_MS,
            "critical": described("Whether its failure fails the workflow.", flag(True)),
            "priority": choice([priority.name for priority in Priority], Priority.NORMAL.name),
            "queue": ID,
            "cache": CACHE_MS,
            **outcomes(),
            **of_tasks(),
        },
        "id",
        more=True,
    )
    step["allOf"] = [
        {
            "if": {"required": ["action"], "properties": {"action": {"const": name}}},
            "then": {
                "properties": {"params": {"$ref": f"#/$defs/{name}"}},
                **({} if name == "noop" else {"required": ["params"]}),
            },
        }
        for name in _PARAMS
    ]
    return step
