"""Step-JSON workflows in a few words, and what their events say."""

import itertools

from flowmesh.contract.json_value import Json
from flowmesh.testing.world import World

_numbers = itertools.count(1)


def step(step_id: str, action: str, params: Json, *after: str, **more: Json) -> Json:
    """One step that runs after others."""
    return {
        "id": step_id,
        "name": step_id,
        "type": "task",
        "action": action,
        "params": params,
        "dependencies": list(after),
        **more,
    }


def http(world: World, route: str, *after: str, **more: Json) -> Json:
    """A step named like the route that it posts to."""
    return step(route, "http.request", {"url": world.url(route), "method": "POST"}, *after, **more)


def retry(attempts: int, initial_ms: int = 10, multiplier: float = 1) -> Json:
    return {
        "maxAttempts": attempts,
        "initialDelay": initial_ms,
        "backoffMultiplier": multiplier,
        "maxDelay": 30_000,
    }


def workflow(*steps: Json, **more: Json) -> Json:
    """A workflow with an id of its own."""
    name = f"flow-{next(_numbers)}"
    return {"id": name, "name": name, "steps": list(steps), **more}


def told(events: list[Json], *types: str) -> list[tuple[str, str]]:
    """Type and task of the events of these types, in order."""
    return [(each["type"], each.get("taskId", "")) for each in events if each["type"] in types]


def tasks_of(events: list[Json], kind: str) -> list[str]:
    """The tasks that events of a type are about, in order."""
    return [task for _, task in told(events, kind)]


def sequence_of(events: list[Json], kind: str, task: str = "") -> int:
    """The sequence of the only event of a type, about a task where one is named."""
    (found,) = [
        each["sequence"]
        for each in events
        if each["type"] == kind and each.get("taskId", "") == task
    ]
    return int(found)
