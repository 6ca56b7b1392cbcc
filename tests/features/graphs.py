"""Graph JSON in a few words."""

import itertools

from flowmesh.contract.json_value import Json
from flowmesh.testing.suite import Suite

_numbers = itertools.count(1)


def node(node_id: str, kind: str, /, join: str = "", **data: Json) -> Json:
    """A node with all that the model of the document has."""
    made = {
        "id": node_id,
        "type": kind,
        "name": f"Node {node_id}",
        "description": "of a test",
        "version": 1,
        "position": {"x": 40.5, "y": -10},
        "data": data,
        "metadata": {
            "createdAt": "2026-01-31T08:00:00Z",
            "updatedAt": "2026-02-28T08:00:00Z",
            "createdBy": "ada",
            "tags": ["demo"],
            "category": "tests",
            "isPublic": False,
        },
    }
    return made | ({"join": join} if join else {})


def code(node_id: str, text: str = "return 1", /, join: str = "", **data: Json) -> Json:
    """A function node."""
    return node(node_id, "function", join, functionName=node_id, functionCode=text, **data)


def choice(node_id: str, /, default: str = "", **conditions: str) -> Json:
    """A decision node with conditions by their ids."""
    listed = [{"id": name, "expression": text} for name, text in conditions.items()]
    return node(
        node_id, "decision", conditions=listed, **({"defaultPath": default} if default else {})
    )


def edge(between: str, **more: Json) -> Json:
    """`a>b` as an edge of that id."""
    source, _, target = between.partition(">")
    return {"id": between, "source": source, "target": target, **more}


def graph(*nodes: Json, edges: list[Json] | None = None, **more: Json) -> Json:
    """A workflow with an id of its own."""
    name = f"graph-{next(_numbers)}"
    return {
        "id": name,
        "name": "A graph",
        "description": "of a test",
        "version": 1,
        "nodes": [{**each, "workflowId": name} for each in nodes],
        "edges": edges or [],
        "metadata": {
            "createdAt": "2026-01-31T08:00:00Z",
            "updatedAt": "2026-01-31T08:00:00Z",
            "createdBy": "ada",
            "tags": ["demo"],
        },
        **more,
    }


async def statuses(suite: Suite, execution_id: str) -> dict[str, str]:
    """Each node with how it is."""
    shown = (await suite.get(f"/api/v1/executions/{execution_id}/state")).json
    return dict(shown["nodes"])


async def ran(suite: Suite, definition: Json, context: Json = None) -> tuple[Json, dict[str, str]]:
    """Runs it to its end: the execution's JSON, and each node with how it went."""
    execution = await suite.run(definition, context)
    return execution, await statuses(suite, execution["executionId"])
