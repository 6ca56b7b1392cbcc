"""Schema of step JSON. Unknown members are kept, so it refuses none."""

from flowmesh.definitions import limits
from flowmesh.definitions.editor.calls import CACHE_MS
from flowmesh.definitions.editor.parameters import parameters_schema
from flowmesh.definitions.editor.parts import (
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
    or_null,
    retry,
    text,
    url,
    whole,
)
from flowmesh.definitions.editor.shared import (
    CODE,
    TRANSFORM_MEMBERS,
    of_tasks,
    of_workflows,
    outcomes,
)
from flowmesh.definitions.formats.common import SCRIPTS
from flowmesh.definitions.formats.steps import ACTIONS
from flowmesh.definitions.model import Priority
from flowmesh.tasktypes.builtin.control import NOOP

_DESCRIPTION = text(limits.DESCRIPTION_CHARACTERS_MAX)
_TIMEOUT_MS = whole(limits.TIMEOUT_MS_MIN, limits.TIMEOUT_MS_MAX, "In ms.")
_ACTIONS = {action: each for action, each in ACTIONS.items() if action}
_DURATION: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 0, "maximum": limits.DELAY_MS_MAX},
        {"type": "string", "pattern": TEMPLATE},
    ],
    "description": "In ms, or a template.",
}


def transform_parameters(more: bool) -> Schema:
    return {
        **members({**TRANSFORM_MEMBERS, "inputKey": text()}, more=more),
        "oneOf": [{"required": [each]} for each in TRANSFORM_MEMBERS],
    }


def function_parameters(more: bool) -> Schema:
    return members({"code": CODE, "language": choice(SCRIPTS, SCRIPTS[0])}, "code", more=more)


def condition_parameters(more: bool) -> Schema:
    return members({"expression": code("JavaScript over context.")}, "expression", more=more)


def delay_parameters(more: bool) -> Schema:
    return members({"duration": _DURATION}, "duration", more=more)


def steps_schema() -> Schema:
    """Return the schema of a workflow in step JSON."""
    webhooks = members(
        {
            **dict.fromkeys(("onComplete", "onFailure", "onStep"), url(required=False)),
            "secret": text(),
        },
        more=True,
    )
    schema = members(
        {
            "id": described("The id of the workflow.", ID),
            "name": text(),
            "description": _DESCRIPTION,
            "inputSchema": JSON_SCHEMA,
            "outputSchema": JSON_SCHEMA,
            "maxConcurrency": whole(
                0, limits.NODES_MAX, "Steps that may run at once; 0 is no limit."
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
    schema["$defs"] = {
        name: parameters_schema(each, action=True) for name, each in _ACTIONS.items()
    }
    return document("Workflow in step JSON", schema)


def _step() -> Schema:
    delay = whole(0, limits.RETRY_DELAY_MS_MAX)
    step = members(
        {
            "id": ID,
            "name": text(),
            "description": _DESCRIPTION,
            "action": described(
                "Built in, or a task type of your workers; without one the step succeeds at once.",
                {**ID, "examples": list(_ACTIONS)},
            ),
            "params": {"type": ["object", "null"]},
            "dependencies": described("Steps that must have succeeded before.", IDS),
            "retryPolicy": retry("backoffMultiplier", delay, more=True),
            "timeout": _TIMEOUT_MS,
            "critical": flag(True, "True if its failure fails the workflow."),
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
                **({} if each is NOOP else {"required": ["params"]}),
            },
        }
        for name, each in _ACTIONS.items()
    ]
    return step
