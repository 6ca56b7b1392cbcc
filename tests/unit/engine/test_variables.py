"""Variables of an execution: who sees which value, and that it stays so."""

from typing import Any

import orjson
import pytest

from flowmesh.api.common.v1.journal_pb2 import JournalRecord
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import (
    Cancel,
    Ended,
    Erase,
    Full,
    Pause,
    Resume,
    SetVariable,
    State,
    Suspend,
    TimersDue,
    variables,
)
from flowmesh.engine.state.journal import SLEEP
from flowmesh.orchestrator.storage.snapshots import restore, snapshot
from flowmesh.plan import Plan, render_input, render_items
from tests.unit.engine.factories import Run, each, json, node, plan, undo

LIMIT = plan_pb2.Variable(name="limit", initial=b"5")
READS = {
    "input_mode": plan_pb2.INPUT_MODE_TEMPLATE,
    "input_template": b'"{{variables.limit}}"',
}


def made(*nodes: dict[str, object], **fields: Any) -> Plan:
    return plan(*nodes, variables=[LIMIT], **fields)


def put(run: Run, value: bytes, **fields: str) -> bool:
    return run.do(SetVariable("limit", json(value), **fields))


def seen(state: State, node_id: str) -> object:
    """Return the input of a node's attempt."""
    one = state.node(node_id)
    assert one is not None
    return orjson.loads(render_input(state, one).data)


def test_nodes_see_what_was_set_before_they_became_ready() -> None:
    """However often their input is rendered, at the same instant too."""
    run = Run(made(node("a", **READS), node("b", "a", **READS), node("c", "b", **READS)))
    put(run, b"6", reason="more", actor="ann")
    run.complete("a")
    put(run, b'{"of": [7]}')
    run.complete("b")
    for state in (
        run.state,
        run.replayed(),
        restore("exec-1", run.state.plan, snapshot(run.state)),
    ):
        assert [seen(state, name) for name in "abc"] == [5, 6, {"of": [7]}]
        assert state.variables[-1] == {"limit": {"of": [7]}}
    told = next(event.variable_set for event in run.events if event.HasField("variable_set"))
    assert (told.name, told.reason, told.actor) == ("limit", "more", "ann")


def test_a_later_attempt_sees_a_later_value() -> None:
    """A delivery of the same attempt does not."""
    run = Run(made(node("a", retry={"max_attempts": 2, "initial_delay_ms": 1}, **READS)))
    put(run, b"6")
    assert seen(run.state, "a") == 5
    run.fail("a")
    run.do(TimersDue(), after_us=2_000)
    assert seen(run.state, "a") == 6


def test_what_a_map_runs_over_stays_what_it_was() -> None:
    """Its items are rendered again after a crash; those that begin later see newer values."""
    items = plan_pb2.Variable(name="limit", initial=b"[1, 2]")
    body = node("x", **READS)
    run = Run(plan(each("m", "{{variables.limit}}", body, concurrency=1), variables=[items]))
    run.serve()
    put(run, b"[9]")
    run.complete("m[0]/x")
    owner = run.state.node("m")
    assert owner is not None
    assert render_items(run.state, owner, lambda one: one.data) == [1, 2]
    assert seen(run.state, "m[1]/x") == [9]


def test_an_undo_sees_what_its_node_got() -> None:
    """In `undo.input`, and its own variables as they are."""
    template = b'{"was": "{{undo.input}}", "is": "{{variables.limit}}"}'
    undone = undo("a", input_template=template)
    run = Run(made(node("a", undo=undone, **READS), node("b", "a")))
    run.complete("a")
    put(run, b"6")
    run.do(Cancel())
    assert seen(run.state, "a:undo") == {"was": 5, "is": 6}


def test_a_handler_that_resumes_keeps_its_input() -> None:
    """Else it would not be the handler that wrote the journal."""
    run = Run(made(node("a", **READS)))
    asks = JournalRecord(index=0, kind=SLEEP, delay_ms=5)
    run.do(Suspend("a", 1, [asks], known=1, began_at_us=run.now))
    put(run, b"6")
    run.do(TimersDue(), after_us=10_000)
    one = run.state.node("a")
    assert one is not None
    assert one.attempt == 2
    assert seen(run.state, "a") == 5


def test_a_repeat_changes_nothing_and_what_has_ended_is_not_changed() -> None:
    """A paused execution is."""
    run = Run(made(node("a", **READS), node("b", "a", **READS)))
    run.do(Pause())
    put(run, b"6", request_id="r")
    put(run, b"7", request_id="r")
    assert run.state.variables[-1] == {"limit": 6}
    run.do(Resume())
    run.complete("a")
    run.complete("b")
    with pytest.raises(Ended):
        put(run, b"8")


def test_changes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """An execution keeps all of them."""
    monkeypatch.setattr(variables, "CHANGES_MAX", 2)
    run = Run(made(node("a")))
    put(run, b"6")
    put(run, b"7")
    before = run.state.sequence
    with pytest.raises(Full) as full:
        put(run, b"8")
    assert full.value.reason == "VARIABLES_FULL"
    assert run.state.sequence == before


def test_an_erasure_leaves_what_the_definition_says() -> None:
    """And no edited input."""
    run = Run(made(node("a", **READS)))
    put(run, b"6")
    run.complete("a")
    run.do(Erase("asked for"))
    assert run.state.variables == ({"limit": 5},)
    assert run.replayed().variables_set == ()
