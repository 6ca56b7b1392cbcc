"""Small sources, and their problems as lines."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from flowmesh.definitions import Problem, Task, check, errors_in, read_source


def steps(*given: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"id": "w", "steps": list(given), **more}).encode()


def http(step_id: str, *dependencies: str, **more: Any) -> dict[str, Any]:
    params = {"url": "http://service/", **more.pop("params", {})}
    return {
        "id": step_id,
        "action": "http.request",
        "params": params,
        "dependencies": list(dependencies),
        **more,
    }


def resource(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def task(name: str, **spec: Any) -> dict[str, Any]:
    return resource("WorkflowTask", name, **{"type": "echo", **spec})


def workflow(*tasks: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return resource("Workflow", "w", tasks=list(tasks), **spec)


def node(node_id: str, ref: str = "noop", **more: Any) -> dict[str, Any]:
    return {"id": node_id, "taskRef": ref, **more}


def documents(*resources: dict[str, Any]) -> bytes:
    return yaml.safe_dump_all(resources, sort_keys=False).encode()


def problems(source: bytes, library: Mapping[str, Task] | None = None) -> list[Problem]:
    """Return all problems of a source, including warnings."""
    reading = read_source(source)
    return [*reading.problems, *check(reading, (library or {}).get)]


def refusals(source: bytes) -> list[tuple[str, str]]:
    """Return code and place of each error."""
    return [(problem.code, problem.place) for problem in errors_in(problems(source))]


def codes(source: bytes) -> set[str]:
    return {code for code, _ in refusals(source)}


def object_schema(*required: str, **properties: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(required),
    }
