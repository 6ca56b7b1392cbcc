"""The table of built-in task types."""

from flowmesh.egress import OPEN, Egress
from flowmesh.executors.builtin import RESERVED_TASK_TYPES, builtin_executors
from flowmesh.executors.collaborators import Collaborators
from flowmesh.sandbox import Sandbox


async def test_every_built_in_type_is_reserved() -> None:
    """A remote worker cannot register a type of the worker service or of the orchestrator."""
    executors = builtin_executors(
        Collaborators(egress=Egress(OPEN), sandbox=Sandbox(), now_us=lambda: 0)
    )
    with_a_client = {"db.query", "db.exec", "grpc.call", "publish", "message.publish", "mcp.call"}
    with_a_client.add("ai.complete")
    assert set(executors) | with_a_client | {"noop", "delay"} == RESERVED_TASK_TYPES
