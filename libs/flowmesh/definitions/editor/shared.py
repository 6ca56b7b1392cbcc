"""Schemas shared by the native formats: start policy, limits, policies, variables."""

from flowmesh.contract.plugin_functions import PATTERN
from flowmesh.definitions import limits
from flowmesh.definitions.editor.parts import (
    DURATION,
    ID,
    JSON_SCHEMA,
    Schema,
    anything,
    choice,
    code,
    described,
    duration,
    flag,
    members,
    number,
    optional,
    or_null,
    text,
    whole,
)
from flowmesh.definitions.editor.triggers import triggers
from flowmesh.definitions.formats.native.outcomes import ON_FAILURE, ORDERS, POLICIES, START_LIMIT
from flowmesh.definitions.formats.variables import NAME
from flowmesh.definitions.model import StartConflict

CODE = code("JavaScript that returns the output.")
# A transform has one of them.
TRANSFORM_MEMBERS: dict[str, Schema] = {
    "code": CODE,
    "pipeline": {"type": "array"},
    "function": {"type": "string", "pattern": PATTERN, "examples": ["plugin:title-case"]},
}
_SEARCH: dict[str, Schema] = {
    "searchAttributes": described(
        "Search attributes of executions, as attr.<name>.",
        {
            "type": ["object", "null"],
            "propertyNames": {"pattern": r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,62}$"},
            "additionalProperties": optional(
                {
                    "type": choice(("TEXT", "NUMBER", "BOOL", "TIME"), ""),
                    "from": anything("A template over input."),
                },
                "type",
            ),
        },
    ),
    "searchable": described(
        "Searchable parts of the input, such as input.customerId.",
        {
            "type": ["array", "null"],
            "items": {"type": "string", "pattern": r"^input(\.[A-Za-z_][A-Za-z0-9_]*){1,8}$"},
            "uniqueItems": True,
        },
    ),
    "retention": described(
        "Retention of ended executions.",
        {
            "anyOf": [DURATION, {"type": "string", "pattern": "^[0-9]{1,4}d$"}, {"type": "null"}],
            "examples": ["12h", "30d"],
        },
    ),
}
_VARIABLES: dict[str, Schema] = {
    "variables": described(
        "Values that can change while an execution runs, as {{variables.<name>}}.",
        {
            "type": ["object", "null"],
            "maxProperties": limits.VARIABLES_MAX,
            "propertyNames": {"pattern": f"^{NAME}$"},
            "additionalProperties": optional(
                {"schema": JSON_SCHEMA, "initial": anything("The initial value.")}
            ),
        },
    )
}


_COMPENSATION = members(
    {
        "onFailure": flag(True),
        "onCancel": flag(True),
        "onTerminate": flag(False),
        "order": choice(ORDERS, ORDERS[0]),
    },
    text="Events that trigger compensation, and its order.",
)
PERMISSIONS = described(
    "Permissions that the starter of an execution needs for this to run.",
    or_null({"type": "array", "items": ID, "maxItems": limits.PERMISSIONS_MAX}),
)
REPEATABLE = described(
    "True if it may run again, also with an input that is discarded: it then begins before the"
    " outcome of the task before it is committed.",
    {"type": "boolean", "default": False},
)


def of_workflows() -> dict[str, Schema]:
    """Return the members of a workflow in any format."""
    return {**_SEARCH, "start": _start(), "limits": _limits(), "triggers": triggers()}


def of_graphs() -> dict[str, Schema]:
    """Return the members of a workflow whose nodes have several kinds of dependencies."""
    policy = choice(POLICIES, POLICIES[0])
    return {
        **_VARIABLES,
        "onFailure": described(
            "Reaction of the other tasks to the failure of a critical task.", policy
        ),
        "compensation": or_null(_COMPENSATION),
    }


def of_tasks() -> dict[str, Schema]:
    """Return the members of a task in any format."""
    return {
        "limits": _limits(),
        "requires": described(
            "Labels required of its workers.",
            {
                "type": ["object", "null"],
                "propertyNames": ID,
                "additionalProperties": ID,
                "maxProperties": limits.REQUIRES_MAX,
            },
        ),
        "permissions": PERMISSIONS,
        "repeatable": REPEATABLE,
    }


def outcomes() -> dict[str, Schema]:
    """Return the members for failure handling of a node."""
    return {
        "onFailure": choice(ON_FAILURE, ON_FAILURE[0], "Reaction to its failure."),
        "fallback": anything("Its output if it failed and the workflow continues."),
        "totalTimeout": duration("Limit of all attempts in total."),
        START_LIMIT: duration("Limit of the time an attempt waits for a worker."),
    }


def _start() -> Schema:
    """Return the schema of a start policy."""
    most = limits.LIMIT_CONCURRENCY_MAX
    return optional(
        {
            "key": text(
                limits.CODE_CHARACTERS_MAX,
                "Template over input; the policy applies to the starts with the same value.",
            ),
            "concurrency": whole(1, most, "Running executions per key."),
            "onConflict": choice([each.name for each in StartConflict], "QUEUE"),
            "delay": duration("Delay between the request and the start."),
            "debounce": duration("Delay after the last request before the start."),
            "maxWait": duration("Maximum delay after the first request."),
            "dedupWindow": duration("A request within this time returns the earlier execution."),
        }
    )


def _limits() -> Schema:
    most = limits.LIMIT_CONCURRENCY_MAX
    return optional(
        {
            "concurrency": whole(0, most, "Tasks at workers at the same time."),
            "rate": number(0, limits.LIMIT_RATE_MAX, "Tasks started per second."),
            "burst": whole(0, most, "Tasks started at once after a pause."),
            "key": text(
                limits.CODE_CHARACTERS_MAX, "Template over input; each value has its own limit."
            ),
            "retries": number(0, limits.LIMIT_RETRIES_MAX, "Retries per started task, as a share."),
        }
    )
