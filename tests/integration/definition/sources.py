"""Small sources for tests of the catalog."""

import json
from typing import Any

import yaml

JSON = "application/json"
YAML = "application/yaml"


def steps(workflow_id: str, *step_ids: str, **more: Any) -> bytes:
    """A chain of no-op steps."""
    chain = [
        {"id": step, "dependencies": list(step_ids[index - 1 : index])}
        for index, step in enumerate(step_ids)
    ]
    return json.dumps({"id": workflow_id, "steps": chain, **more}).encode()


def task(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "WorkflowTask",
        "metadata": {"name": name},
        "spec": {"type": "http", "http": {"url": "http://service/"}, **spec},
    }


def workflow(name: str, *refs: str, **spec: Any) -> dict[str, Any]:
    tasks = [{"id": f"t{index}", "taskRef": ref} for index, ref in enumerate(refs)]
    return {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {"tasks": tasks, **spec},
    }


def documents(*resources: dict[str, Any]) -> bytes:
    return yaml.safe_dump_all(resources, sort_keys=False).encode()
