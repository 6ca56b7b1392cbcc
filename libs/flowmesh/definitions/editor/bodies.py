"""Schemas of tasks with a body: a map, a group, a loop, a try."""

from flowmesh.definitions import limits
from flowmesh.definitions.editor.parts import (
    ANYTHING,
    DURATION,
    ID,
    IDS,
    TASK_REF,
    Schema,
    choice,
    code,
    described,
    members,
    number,
    or_null,
    retry,
    text,
)
from flowmesh.definitions.formats.native.bodies import RESULTS

TIMEOUT = described("Limit of one attempt.", or_null(DURATION))
POLICY = retry("multiplier", or_null(DURATION), elapsed=True)


def _pages() -> Schema:
    return members(
        {
            "taskRef": TASK_REF,
            "input": described(
                "Templates; cursor is available, null for the first page.", ANYTHING
            ),
            "items": described("Path of the items of a page in its output.", text()),
            "next": described("Path of the next cursor in its output.", text()),
            "maxPages": number(
                1, limits.MAP_PAGES_MAX, whole=True, default=limits.MAP_PAGES_DEFAULT
            ),
            "retry": POLICY,
            "timeout": TIMEOUT,
            "queue": ID,
        },
        "taskRef",
        text="A task that fetches the items page by page.",
    )


def _one_of(schema: Schema, *keys: str) -> Schema:
    """Require at least one of these members."""
    return {**schema, "anyOf": [{"required": [key]} for key in keys]}


def bodies() -> dict[str, Schema]:
    """Return the schemas by the member that a task has for them."""
    tasks: Schema = {"$ref": "#/$defs/tasks"}
    limit, default = limits.MAP_CONCURRENCY_MAX, limits.MAP_CONCURRENCY_DEFAULT
    return {
        "map": _one_of(
            members(
                {
                    "items": described(
                        'The list to run for, such as "{{input.orders}}".', ANYTHING
                    ),
                    "pages": _pages(),
                    "results": described(
                        "The output: the items' outputs, or counts.", choice(RESULTS, RESULTS[0])
                    ),
                    "tasks": tasks,
                    "concurrency": number(1, limit, whole=True, default=default),
                    "batch": described(
                        "item is a list of this many.", number(1, limits.MAP_BATCH_MAX, whole=True)
                    ),
                    "tolerate": described(
                        "Number of items that may fail, or their share.",
                        or_null(
                            members(
                                {
                                    "count": number(0, limits.MAP_ITEMS_MAX, whole=True),
                                    "share": number(0, 1),
                                }
                            )
                        ),
                    ),
                },
                "tasks",
                text="Runs its tasks once for each item; templates see item and index.",
            ),
            "items",
            "pages",
        ),
        "group": members({"tasks": tasks}, "tasks", text="Tasks that count as one."),
        "race": members({"tasks": tasks}, "tasks", text="The first task that completes wins."),
        "loop": members(
            {
                "while": code("CEL over state, input and tasks."),
                "rounds": number(1, limits.LOOP_ROUNDS_MAX, whole=True),
                "state": described("The state of the first round.", ANYTHING),
                "tasks": tasks,
            },
            "while",
            "tasks",
            text="Runs its tasks as long as a condition holds; templates see state.",
        ),
        "try": _one_of(
            members(
                {
                    "tasks": tasks,
                    "catch": {
                        "type": "array",
                        "items": members({"errors": IDS, "tasks": tasks}, "tasks"),
                    },
                    "finally": members({"tasks": tasks}, "tasks", text="Always runs at the end."),
                },
                "tasks",
                text="Runs its tasks, handlers of failures, and tasks that always run last.",
            ),
            "catch",
            "finally",
        ),
    }
