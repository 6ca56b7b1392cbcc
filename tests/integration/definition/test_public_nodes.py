"""Public nodes of graph JSON, on a real database."""

import json

from flowmesh.definition import limits
from flowmesh.definition.catalog import DefinitionCatalog
from tests.integration.definition.sources import JSON

NS = "default"
TEXT = "x" * 1_000_000


def graph(workflow_id: str, *nodes: str) -> bytes:
    made = [
        {
            "id": node,
            "type": "function",
            "name": node,
            "data": {"functionName": node, "functionCode": "return 1"},
            "metadata": {"isPublic": True, "note": TEXT if node == "large" else ""},
        }
        for node in nodes
    ]
    document = {"id": workflow_id, "name": workflow_id, "version": 1, "nodes": made, "edges": []}
    return json.dumps(document).encode()


async def test_a_page_of_large_nodes_ends_before_it_grows_too_large(
    catalog: DefinitionCatalog,
) -> None:
    """Pages break between workflows; each node is on one page, in order."""
    for number in range(3):
        await catalog.apply(NS, graph(f"g{number}", "large", "a", "b"), JSON, "")
    seen, token, pages = [], "", 0
    while token or not pages:
        page, token = await catalog.public_nodes(NS, size=10, token=token)
        assert sum(len(each.node) for each in page) <= limits.PAGE_BYTES_MAX
        seen += [(each.workflow_id, json.loads(each.node)["id"]) for each in page]
        pages += 1
    assert seen == [(f"g{number}", node) for number in range(3) for node in ("large", "a", "b")]
    assert pages == 2
