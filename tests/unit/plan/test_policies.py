"""Policies of a plan, compiled from their messages."""

import pytest

from flowmesh.api.definition.v1 import plan_pb2
from tests.unit.engine.factories import node, plan


@pytest.mark.parametrize(
    "conflict", [plan_pb2.START_CONFLICT_UNSPECIFIED, plan_pb2.START_CONFLICT_QUEUE]
)
def test_starts_queue_by_default(conflict: plan_pb2.StartConflict.ValueType) -> None:
    """START_CONFLICT_UNSPECIFIED resolves to START_CONFLICT_QUEUE."""
    policy = plan(node("a"), start=plan_pb2.StartPolicy(concurrency=1, on_conflict=conflict)).start
    assert policy is not None
    assert policy.on_conflict == plan_pb2.START_CONFLICT_QUEUE
