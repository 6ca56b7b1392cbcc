"""Schemas of tasks with a body: a map, a group, a loop, a try."""

from flowmesh.definitions import limits
from flowmesh.definitions.editor.parts import (
    ID,
    IDS,
    TASK_REF,
    Schema,
    anything,
    choice,
    code,
    described,
    duration,
    members,
    number,
    optional,
    retry,
    text,
    whole,
)
from flowmesh.definitions.formats.native.bodies import RESULTS

TIMEOUT = duration("Limit of one attempt.")
POLICY = retry("multiplier", duration(), elapsed=True)


def _pages() -> Schema:
    return members(
        {
            "taskRef": TASK_REF,
            "input": anything("Templates; cursor is available, null for the first page."),
            "items": described("Path of the items of a page in its output.", text()),
            "next": described("Path of the next cursor in its output.", text()),
            "maxPages": whole(1, limits.MAP_PAGES_MAX, default=limits.MAP_PAGES_DEFAULT),
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
                    "items": anything('The list to run for, such as "{{input.orders}}".'),
                    "pages": _pages(),
                    "results": choice(
                        RESULTS, RESULTS[0], "The output: the items' outputs, or counts."
                    ),
                    "tasks": tasks,
                    "concurrency": whole(1, limit, default=default),
                    "batch": whole(1, limits.MAP_BATCH_MAX, "item is a list of this many."),
                    "tolerate": described(
                        "Number of items that may fail, or their share.",
                        optional({"count": whole(0, limits.MAP_ITEMS_MAX), "share": number(0, 1)}),
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
                "rounds": whole(1, limits.LOOP_ROUNDS_MAX),
                "state": anything("The state of the first round."),
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
