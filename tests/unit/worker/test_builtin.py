"""The table of built-in task types."""

from flowmesh.egress import OPEN, Egress
from flowmesh.executors.builtin import RESERVED_TASK_TYPES, builtin_executors
from flowmesh.sandbox import Sandbox


async def test_every_built_in_type_is_reserved() -> None:
    """A remote worker cannot take their place, nor that of what never leaves."""
    executors = builtin_executors(egress=Egress(OPEN), sandbox=Sandbox(), now_us=lambda: 0)
    outside = {"db.query", "db.exec", "grpc.call", "publish"}
    assert set(executors) | outside | {"noop", "delay"} == RESERVED_TASK_TYPES
