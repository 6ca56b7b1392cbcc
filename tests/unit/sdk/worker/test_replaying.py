"""Histories that hold what comes from people, and not all values, replayed as they are."""

from typing import Any

import pytest

from flowmesh.api.common.v1 import search_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import SetAttributes, SetVariable
from flowmesh.sdk import DurableContext
from flowmesh.sdk.testing import History, LocalEnvironment, ReplayMismatch
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


async def sums(ctx: DurableContext, given: dict[str, int]) -> int:
    """Needs its input, and what its steps return."""
    rows = await ctx.step("rows", lambda: {"count": 2})
    await ctx.step("kept", str, rows["count"])
    return given["n"] + int(rows["count"])


async def history_of(environment: LocalEnvironment) -> History:
    return (await environment.run("sums", {"n": 1})).history


async def test_an_input_that_is_stored_elsewhere_is_no_difference() -> None:
    """The definition is judged; a handler is not, whose input is not in the history."""
    environment = LocalEnvironment(durable={"sums": sums})
    history = await history_of(environment)
    for event in history.events:
        if event.HasField("workflow_started"):
            event.workflow_started.input.Clear()
            event.workflow_started.input.reference.digest = "d"
    await environment.replay(history)


async def test_an_output_that_is_stored_elsewhere_is_no_difference() -> None:
    """A handler is judged by what it asks for before it is given that, and not by more."""
    environment = LocalEnvironment(durable={"sums": sums})
    history = await history_of(environment)
    for event in history.events:
        for record in event.journal_appended.records:
            if record.name == "rows":
                record.output.Clear()
                record.output.reference.digest = "d"
    await environment.replay(history)

    async def other(ctx: DurableContext, given: Any) -> Any:
        await ctx.step("others", str)

    with pytest.raises(
        ReplayMismatch, match="step 'rows', but the handler requested step 'others'"
    ):
        await LocalEnvironment(durable={"sums": other}).replay(history)
