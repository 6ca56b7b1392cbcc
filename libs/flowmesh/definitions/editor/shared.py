"""Schemas shared by the native formats: start policy, limits, policies, variables."""

from flowmesh.definitions import limits
from flowmesh.definitions.editor.parts import (
    ANYTHING,
    DURATION,
    ID,
    JSON_SCHEMA,
    Schema,
    choice,
    described,
    flag,
    members,
    number,
    or_null,
    text,
)
from flowmesh.definitions.editor.triggers import triggers
from flowmesh.definitions.formats.native.outcomes import ON_FAILURE, ORDERS, POLICIES, START_LIMIT
from flowmesh.definitions.formats.variables import NAME
from flowmesh.definitions.model import StartConflict

_SEARCH: dict[str, Schema] = {
    "searchAttributes": described(
        "Search attributes of executions, as attr.<name>.",
        {
            "type": ["object", "null"],
            "propertyNames": {"pattern": r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,62}$"},
            "additionalProperties": or_null(
                members(
                    {
                        "type": choice(("TEXT", "NUMBER", "BOOL", "TIME"), ""),
                        "from": described("A template over input.", ANYTHING),
                    },
                    "type",
                )
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
            "additionalProperties": or_null(
                members(
                    {
                        "schema": JSON_SCHEMA,
                        "initial": described("The initial value.", ANYTHING),
                    }
                )
            ),
        },
    ),
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


def of_workflows() -> dict[str, Schema]:
    """Return the members of a workflow in any format."""
    return {
        **_SEARCH,
        "start": _start(),
        "limits": _limits(),
        "triggers": triggers(),
    }


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
    }


def outcomes() -> dict[str, Schema]:
    """Return the members for failure handling of a node."""
    return {
        "onFailure": described("Reaction to its failure.", choice(ON_FAILURE, ON_FAILURE[0])),
        "fallback": described("Its output if it failed and the workflow continues.", ANYTHING),
        "totalTimeout": described("Limit of all attempts in total.", or_null(DURATION)),
        START_LIMIT: described(
            "Limit of the time an attempt waits for a worker.", or_null(DURATION)
        ),
    }


def _start() -> Schema:
    """Return the schema of a start policy."""
    most = limits.LIMIT_CONCURRENCY_MAX
    return or_null(
        members(
            {
                "key": text(
                    limits.CODE_CHARACTERS_MAX,
                    "Template over input; the policy applies to the starts with the same value.",
                ),
                "concurrency": described(
                    "Running executions per key.",
                    number(1, most, whole=True),
                ),
                "onConflict": choice([each.name for each in StartConflict], "QUEUE"),
                "delay": described("Delay between the request and the start.", or_null(DURATION)),
                "debounce": described(
                    "Delay after the last request before the start.", or_null(DURATION)
                ),
                "maxWait": described("Maximum delay after the first request.", or_null(DURATION)),
                "dedupWindow": described(
                    "A request within this time returns the earlier execution.",
                    or_null(DURATION),
                ),
            }
        )
    )


def _limits() -> Schema:
    most = limits.LIMIT_CONCURRENCY_MAX
    return or_null(
        members(
            {
                "concurrency": described(
                    "Tasks at workers at the same time.", number(0, most, whole=True)
                ),
                "rate": described("Tasks started per second.", number(0, limits.LIMIT_RATE_MAX)),
                "burst": described(
                    "Tasks started at once after a pause.", number(0, most, whole=True)
                ),
                "key": text(
                    limits.CODE_CHARACTERS_MAX,
                    "Template over input; each value has its own limit.",
                ),
                "retries": described(
                    "Retries per started task, as a share.", number(0, limits.LIMIT_RETRIES_MAX)
                ),
            }
        )
    )
