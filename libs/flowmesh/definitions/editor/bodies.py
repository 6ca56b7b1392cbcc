"""Schemas of what a task of a `Workflow` can be besides a call: a map, a group, a loop, a try."""

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
                "Templates that see cursor besides, null for the first page.", ANYTHING
            ),
            "items": described("Where its output has the items of a page.", text()),
            "next": described("Where its output has the cursor of the next page.", text()),
            "maxPages": number(
                1, limits.MAP_PAGES_MAX, whole=True, default=limits.MAP_PAGES_DEFAULT
            ),
            "retry": POLICY,
            "timeout": TIMEOUT,
            "queue": ID,
        },
        "taskRef",
        text="A task that brings the items page by page.",
    )


def _one_of(schema: Schema, *keys: str) -> Schema:
    """With one of these members at least."""
    return {**schema, "anyOf": [{"required": [key]} for key in keys]}


def bodies() -> dict[str, Schema]:
    """By the word that a task has for it."""
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
                    "results": described("What it answers.", choice(RESULTS, RESULTS[0])),
                    "tasks": tasks,
                    "concurrency": number(1, limit, whole=True, default=default),
                    "batch": described(
                        "item is a list of so many.", number(1, limits.MAP_BATCH_MAX, whole=True)
                    ),
                    "tolerate": described(
                        "How many items may fail: so many, or this share of them.",
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
                "state": described("What the first round begins with.", ANYTHING),
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
                    "finally": members({"tasks": tasks}, "tasks", text="Runs however it went."),
                },
                "tasks",
                text="Runs its tasks, others for what fails in them, and some however it went.",
            ),
            "catch",
            "finally",
        ),
    }
