"""A map runs its body once for each item, so many at a time, and answers in order."""

import random
from typing import Any

import orjson
import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import Cancel, Collect, Expand, TaskEnded, TimersDue
from flowmesh.engine.state import state as s
from flowmesh.plan import RenderError, inline, render_input, render_items
from tests.unit.engine.factories import Run, each, failed, json, node, plan

NOOP = {"kind": plan_pb2.NODE_KIND_NOOP}
TEMPLATE = plan_pb2.INPUT_MODE_TEMPLATE


def begun(*nodes: dict[str, Any], start: bytes = b"{}", **fields: Any) -> Run:
    """An execution whose maps have got what they asked for."""
    run = Run(plan(*nodes, **fields), start)
    run.serve()
    return run


def output(run: Run, node_id: str) -> Any:
    found = run.state.node(node_id)
    assert found is not None
    assert found.output is not None
    return orjson.loads(found.output.data)


def test_items_run_so_many_at_a_time_and_answer_in_their_order() -> None:
    """In any order of their ends; successors of the map get the list."""
    run = begun(each("m", [7, 8, 9], node("a"), concurrency=2), node("z", "m"))
    assert run.dispatched == ["m[0]/a", "m[1]/a"]
    run.complete("m[1]/a", b'"second"')
    assert run.dispatched == ["m[2]/a"]
    run.complete("m[2]/a", b'"third"')
    assert run.dispatched == []
    run.complete("m[0]/a", b'"first"')
    assert run.dispatched == ["z"]
    assert output(run, "m") == ["first", "second", "third"]
    assert run.state.scopes == {}


def test_a_body_sees_its_item_and_what_is_around_it() -> None:
    """`item` and `index`, tasks of the body and of the graphs around, the execution's input."""
    template = '{"i":"{{item.x}}","n":"{{index}}","o":"{{tasks.o.output}}","w":"{{input.w}}"}'
    body = [
        node("a", input_mode=TEMPLATE, input_template=template.encode()),
        node("b", "a", input_mode=TEMPLATE, input_template=b'["{{tasks.a.output}}","{{item}}"]'),
    ]
    run = begun(
        node("o"),
        each("m", "{{input.list}}", *body, after=("o",)),
        start=b'{"w":5,"list":[{"x":1},{"x":2}]}',
    )
    run.complete("o", b'"out"')
    run.serve()
    second = run.state.at_workers["m[1]/a"]
    assert orjson.loads(render_input(run.state, second).data) == {
        "i": 2,
        "n": 1,
        "o": "out",
        "w": 5,
    }
    run.complete("m[1]/a", b"42")
    third = run.state.at_workers["m[1]/b"]
    assert orjson.loads(render_input(run.state, third).data) == [42, {"x": 2}]


def test_an_item_that_fails_fails_the_map_when_the_others_have_ended() -> None:
    """None begins after it; the failure names the node."""
    run = begun(each("m", list(range(5)), node("a"), concurrency=2), node("z", "m"))
    run.fail("m[0]/a", "ClientError")
    assert run.dispatched == []
    run.complete("m[1]/a")
    assert run.state.status == s.EXECUTION_FAILED
    assert run.state.failure is not None
    assert (run.state.failure.node, getattr(run.state.failure, "class")) == (
        "m[0]/a",
        "ClientError",
    )
    assert "task_skipped z" in run.kinds


def test_an_item_may_fail_where_its_task_is_not_critical() -> None:
    """Its place in the output is null."""
    run = begun(each("m", [1, 2], node("a", critical=False)))
    run.fail("m[0]/a", "ClientError")
    run.complete("m[1]/a", b"2")
    assert output(run, "m") == [None, 2]


def test_a_map_of_nothing_is_nothing() -> None:
    """The empty list, at once."""
    run = begun(each("m", [], node("a")))
    assert run.state.status == s.EXECUTION_COMPLETED
    assert output(run, "m") == []


def test_several_leaves_answer_null() -> None:
    """As a workflow without an output template does."""
    run = begun(each("m", [1], node("a"), node("b")))
    run.complete("m[0]/a", b"1")
    run.complete("m[0]/b", b"2")
    assert output(run, "m") == [None]


def test_maps_nest() -> None:
    """The inner item is the nearest one; outputs nest as the maps do."""
    inner = each("in", "{{item}}", node("a", input_mode=TEMPLATE, input_template=b'"{{item}}"'))
    run = begun(each("out", [[1, 2], [3]], inner, concurrency=9))
    for one in list(run.state.at_workers.values()):
        run.complete(one.id, render_input(run.state, one).data)
    assert output(run, "out") == [[1, 2], [3]]
    assert "task_completed out[0]/in[1]/a" in run.kinds


def test_a_body_without_work_ends_in_one_step() -> None:
    """Also with thousands of items: the map continues in later commands, without recursion."""
    run = begun(each("m", list(range(25_000)), node("a", **NOOP), concurrency=1))
    assert run.state.status == s.EXECUTION_COMPLETED
    assert len(output(run, "m")) == 25_000
    assert run.events[-1].sequence == len(run.events)


def test_parallelism_holds_back_items_too() -> None:
    """The workflow's limit counts the tasks of all graphs."""
    run = begun(each("m", list(range(4)), node("a"), concurrency=4), node("b"), parallelism=2)
    assert sorted(run.state.at_workers) == ["b", "m[0]/a"]
    assert list(run.state.held) == ["m"]
    run.complete("b")
    assert sorted(run.state.at_workers) == ["m[0]/a", "m[1]/a"]
    for item in range(4):
        run.complete(f"m[{item}]/a")
        assert len(run.state.at_workers) <= 2
    assert run.state.status == s.EXECUTION_COMPLETED


def test_a_cancel_ends_what_runs_in_all_graphs() -> None:
    """Workers are requested to stop; a later result is rejected."""
    run = begun(each("m", [1, 2, 3], node("a")))
    run.do(Cancel("enough"))
    assert sorted(run.last.cancel) == [("m[0]/a", 1), ("m[1]/a", 1)]
    assert run.kinds[-2:] == ["task_canceled m", "workflow_canceled"]
    assert not run.complete("m[0]/a")


def test_a_map_asks_again_until_it_is_served() -> None:
    """The first server may be gone; a second answer changes nothing."""
    run = Run(plan(each("m", [1], node("a"))))
    assert [one.id for one in run.last.asks] == ["m"]
    assert run.state.wake_at_us == run.now + s.ASK_AGAIN_US
    run.do(TimersDue(), after_us=s.ASK_AGAIN_US)
    assert [one.id for one in run.last.asks] == ["m"]
    assert run.do(Expand("m", [1]))
    assert run.state.wake_at_us == 0
    run.do(Expand("m", [1]))
    assert run.kinds.count("map_started m") == 1
    assert run.kinds.count("task_scheduled m[0]/a") == 1
    assert not run.do(Expand("m", failure=failed()))
    assert not run.do(Collect("m", json(b"[]")))
    run.complete("m[0]/a")
    assert not run.do(Expand("m", [1]))


def test_unavailable_items_fail_the_map() -> None:
    """Its successors are skipped."""
    run = Run(plan(each("m", "{{input.n}}", node("a")), node("z", "m")), b'{"n": 3}')
    (asking,) = run.last.asks
    with pytest.raises(RenderError, match="expected a list, got a number"):
        render_items(run.state, asking, inline)
    run.do(Expand("m", failure=failed("ValidationError")))
    assert run.state.status == s.EXECUTION_FAILED
    assert run.kinds[-3:] == ["task_failed m", "task_skipped z", "workflow_failed"]


def test_a_large_output_is_collected_outside() -> None:
    """An event stays small; the outcome is what was stored."""
    run = begun(each("m", [1, 2], node("a")))
    large = orjson.dumps("x" * 200_000)
    run.complete("m[0]/a", large)
    run.complete("m[1]/a", large)
    assert [one.id for one in run.last.asks] == ["m"]
    assert run.state.status == s.EXECUTION_RUNNING
    asking = run.last.asks[0]
    assert asking.map is not None
    assert asking.map.outputs == [large, large]
    run.do(Collect("m", json(b'["stored"]')))
    assert output(run, "m") == ["stored"]


def test_a_result_for_an_item_that_is_not_open_is_stale() -> None:
    """Made-up tokens open no graph."""
    run = begun(each("m", list(range(9)), node("a"), concurrency=1))
    for strange in ("m[1]/a", "m[0]/b", "m[0]", "m", "[]/", "m[x]/a", "/", "m[0]/a/"):
        assert not run.do(TaskEnded(strange, 1, output=json(b"1")))
    assert sorted(run.state.scopes) == ["m[0]/"]


def test_memory_is_that_of_what_runs() -> None:
    """Of an item that has ended its output is all that stays."""
    run = begun(each("m", list(range(1_000)), node("a"), node("b", "a"), concurrency=10))
    rng = random.Random(1)
    while run.state.at_workers:
        assert len(run.state.scopes) <= 10
        one = rng.choice(list(run.state.at_workers.values()))
        run.complete(one.id, b"1")
    assert output(run, "m") == [1] * 1_000
