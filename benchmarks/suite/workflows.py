"""The workflows of the workloads, as step JSON."""

import json
from itertools import pairwise
from typing import Any

from benchmarks.workloads import MAP_AT_ONCE
from flowmesh.definitions.limits import NODES_MAX

NOOP = "bench.noop"
STAMP = "bench.stamp"
BUILTIN = "builtin.noop"
REPEATABLE = "bench-repeatable"
"""The task type of a durable handler of repeatable steps."""
DURABLE = "bench-durable"
"""The task type of a durable handler; its input is the number of steps."""
WORK = "bench.work"
"""The task type of a step of `WORK_MS`."""
RECORDED = "bench.recorded"
"""The task type of a counted step of `RECORDED_MS`."""
SLEEP_MS = 3_600_000
PARAMS = {"note": "abcdefghij" * 8}


def chain(name: str, steps: int, action: str = NOOP, *, repeatable: bool = False) -> dict[str, Any]:
    """Return a workflow of sequential steps."""
    return {
        "id": name,
        "name": name,
        "steps": [
            {
                "id": f"s{number}",
                "name": f"s{number}",
                "action": action,
                "params": PARAMS,
                "dependencies": [f"s{number - 1}"] if number else [],
                "repeatable": repeatable,
            }
            for number in range(steps)
        ],
    }


def limited(name: str, steps: int) -> dict[str, Any]:
    """Return the chain with limits, priorities and joins that delay nothing."""
    limits = {"concurrency": 1_000, "rate": 1_000_000, "burst": 1_000_000}
    said = {"limits": limits, "priority": "HIGH", "join": "all"}
    data = {"action": NOOP, "params": PARAMS}
    ids = [f"s{number}" for number in range(steps)]
    return {
        "id": name,
        "nodes": [{"id": each, "type": "custom", "data": data, **said} for each in ids],
        "edges": [
            {"id": f"e-{after}", "source": before, "target": after}
            for before, after in pairwise(ids)
        ],
        "limits": {"concurrency": 1_000, "key": "{{input.customer}}"},
    }


def fan(name: str, width: int) -> dict[str, Any]:
    """Return a workflow of parallel steps and a join, up to the node limit of a graph."""
    width = min(width, NODES_MAX - 1)
    wide = [
        {"id": f"s{number}", "name": f"s{number}", "action": NOOP, "dependencies": []}
        for number in range(width)
    ]
    names = [step["id"] for step in wide]
    return {
        "id": name,
        "name": name,
        "steps": [*wide, {"id": "join", "name": "join", "action": NOOP, "dependencies": names}],
    }


def mapped(name: str) -> str:
    """Return a map over the list of the input, with its task, as YAML documents."""
    task = {"metadata": {"name": "mapped-noop"}, "kind": "WorkflowTask", "spec": {"type": NOOP}}
    body = {"id": "step", "taskRef": "mapped-noop", "input": {"item": "{{item}}"}}
    each = {"items": "{{input.items}}", "concurrency": MAP_AT_ONCE, "tasks": [body]}
    spec = {"tasks": [{"id": "each", "map": each}]}
    workflow = {"metadata": {"name": name}, "kind": "Workflow", "spec": spec}
    documents = ({"apiVersion": "workflow.io/v1", **each} for each in (task, workflow))
    return "\n---\n".join(map(json.dumps, documents))


def sleeper(name: str, duration: int | str = SLEEP_MS) -> dict[str, Any]:
    """Return a workflow of one timer, of an hour or of a template."""
    step = {"id": "sleep", "name": "sleep", "action": "delay", "params": {"duration": duration}}
    return {"id": name, "name": name, "steps": [step]}


def echo(name: str) -> dict[str, Any]:
    """Return a workflow of one step that returns the input."""
    workflow = chain(name, 1)
    workflow["steps"][0]["params"] = {"blob": "{{context.blob}}"}
    return workflow
