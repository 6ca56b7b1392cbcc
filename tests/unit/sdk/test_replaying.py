"""Histories of executions that people changed, replayed against their own plan."""

from flowmesh.api.common.v1 import search_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import SetAttributes, SetVariable
from flowmesh.sdk.testing import History
from flowmesh.sdk.testing.replaying import Replay
from tests.unit.engine.factories import Run, json, node, plan


async def test_what_people_set_is_taken_from_the_history() -> None:
    """Variables and search attributes come from outside, as signals do."""
    limit = plan_pb2.Variable(name="limit", initial=b"5")
    made = plan(node("a"), variables=[limit], output_template=b'"{{variables.limit}}"')
    run = Run(made)
    run.do(SetVariable("limit", json(b"6"), "rush", "r1", "ann"))
    value = search_pb2.SearchValue(name="attr.team", text="pay")
    run.do(SetAttributes((value,), ("attr.old",), "r2", "ann"))
    run.complete("a")
    assert run.state.output is not None
    assert run.state.output.data == b"6"
    await Replay(made, History("exec-1", "w", tuple(run.events)), {}).run()
