"""Schemas of what all formats of ours say alike: when runs begin, limits, policies, variables."""

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
        "What executions are found by, as attr.<name>.",
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
        "Parts of the input that executions are found by, as input.customerId.",
        {
            "type": ["array", "null"],
            "items": {"type": "string", "pattern": r"^input(\.[A-Za-z_][A-Za-z0-9_]*){1,8}$"},
            "uniqueItems": True,
        },
    ),
    "retention": described(
        "How long ended executions are kept.",
        {
            "anyOf": [DURATION, {"type": "string", "pattern": "^[0-9]{1,4}d$"}, {"type": "null"}],
            "examples": ["12h", "30d"],
        },
    ),
}
_VARIABLES: dict[str, Schema] = {
    "variables": described(
        "Values that people change while an execution runs, as {{variables.<name>}}.",
        {
            "type": ["object", "null"],
            "maxProperties": limits.VARIABLES_MAX,
            "propertyNames": {"pattern": f"^{NAME}$"},
            "additionalProperties": or_null(
                members(
                    {
                        "schema": JSON_SCHEMA,
                        "initial": described("Its first value.", ANYTHING),
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
    text="When what was done is undone, and in which order.",
)
PERMISSIONS = described(
    "What whoever starts an execution must be permitted for this to run.",
    or_null({"type": "array", "items": ID, "maxItems": limits.PERMISSIONS_MAX}),
)


def of_workflows() -> dict[str, Schema]:
    """Members of a workflow in any format."""
    return {
        **_SEARCH,
        "start": _start(),
        "limits": _limits(),
        "triggers": triggers(),
    }


def of_graphs() -> dict[str, Schema]:
    """Members of a workflow whose nodes depend on one another in more ways than one."""
    policy = choice(POLICIES, POLICIES[0])
    return {
        **_VARIABLES,
        "onFailure": described("What the others do once a critical task has failed.", policy),
        "compensation": or_null(_COMPENSATION),
    }


def of_tasks() -> dict[str, Schema]:
    """Members of a task in any format."""
    return {
        "limits": _limits(),
        "requires": described(
            "Labels that its workers must have.",
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
    """What follows from the failure of a node."""
    return {
        "onFailure": described("What its failure means.", choice(ON_FAILURE, ON_FAILURE[0])),
        "fallback": described("Its output where it failed and the others go on.", ANYTHING),
        "totalTimeout": described("Limit of all attempts together.", or_null(DURATION)),
        START_LIMIT: described("Limit of the wait of an attempt for a worker.", or_null(DURATION)),
    }


def _start() -> Schema:
    """When executions begin."""
    most = limits.LIMIT_CONCURRENCY_MAX
    return or_null(
        members(
            {
                "key": text(
                    limits.CODE_CHARACTERS_MAX,
                    "Template over input; the starts of each of its values are about one another.",
                ),
                "concurrency": described(
                    "Executions of a key that have begun and not ended.",
                    number(1, most, whole=True),
                ),
                "onConflict": choice([each.name for each in StartConflict], "QUEUE"),
                "delay": described("It begins so long after its start.", or_null(DURATION)),
                "debounce": described(
                    "It begins when nothing was started for so long.", or_null(DURATION)
                ),
                "maxWait": described(
                    "It begins so long after the first start at the latest.", or_null(DURATION)
                ),
                "dedupWindow": described(
                    "A start so soon after another is answered with its execution.",
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
                "concurrency": described("Tasks at workers at once.", number(0, most, whole=True)),
                "rate": described(
                    "Tasks that may begin in a second.", number(0, limits.LIMIT_RATE_MAX)
                ),
                "burst": described("As many at once after a pause.", number(0, most, whole=True)),
                "key": text(
                    limits.CODE_CHARACTERS_MAX,
                    "Template over input; each of its values is limited by itself.",
                ),
                "retries": described(
                    "Retries per task that began, as a share.", number(0, limits.LIMIT_RETRIES_MAX)
                ),
            }
        )
    )
