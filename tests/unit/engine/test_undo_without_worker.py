"""A compensation by a node that the engine completes itself: noop, timer, wait for a signal."""

from typing import Any

import pytest

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.engine import Signal, TimersDue
from flowmesh.engine.state import state as s
from tests.unit.engine.factories import Run, each, node, plan, undo

NONE: dict[str, Any] = {"input_mode": plan_pb2.INPUT_MODE_NONE, "input_template": b""}
NOOP = NONE | {"kind": plan_pb2.NODE_KIND_NOOP}
TIMER = NONE | {"kind": plan_pb2.NODE_KIND_TIMER, "delay_ms": 10}
SIGNAL = NONE | {"kind": plan_pb2.NODE_KIND_SIGNAL, "signal": "returned"}
RENDERED = {
    "kind": plan_pb2.NODE_KIND_TIMER,
    "input_mode": plan_pb2.INPUT_MODE_TEMPLATE,
    "input_template": b'"{{undo.output}}"',
}
LATER_US = 10_000


def failing(*undos: dict[str, Any], parallel: bool = False) -> Run:
    """A chain of completed tasks with these undos, whose last task, without one, then fails."""
    names = [f"n{place}" for place in range(len(undos))]
    nodes = [
        node(name, *names[:place][-1:], undo=_undo(name, undos[place]))
        for place, name in enumerate(names)
    ]
    policy = plan_pb2.Compensation(parallel=parallel)
    run = Run(plan(*nodes, node("last", names[-1]), compensation=policy))
    for name in names:
        run.complete(name, b"10")
    run.fail("last")
    return run


def _undo(name: str, fields: dict[str, Any]) -> plan_pb2.PlanNode:
    made = undo(name, **{key: value for key, value in fields.items() if key != "kind"})
    made.kind = fields.get("kind", made.kind)
    return made


def signal(run: Run, name: str) -> None:
    run.do(Signal(name, payload_pb2.Payload(data=b"1"), "r-1", ""))


@pytest.mark.parametrize("parallel", [False, True])
def test_noops_end_the_compensation_in_the_same_decision(parallel: bool) -> None:
    """Two in a row, and then the execution fails."""
    run = failing(NOOP, NOOP, parallel=parallel)
    assert run.state.status == s.EXECUTION_FAILED
    assert [kind for kind in run.kinds if kind.startswith("task_completed") and "undo" in kind] == [
        "task_completed n1:undo",
        "task_completed n0:undo",
    ]
    assert run.replayed().status == s.EXECUTION_FAILED


def test_a_noop_leads_on_to_an_undo_by_a_worker() -> None:
    """The task of a worker comes before the noop of the node before it."""
    run = failing({}, NOOP)
    assert run.dispatched == ["n0:undo"]
    run.complete("n0:undo")
    assert run.state.status == s.EXECUTION_FAILED


@pytest.mark.parametrize("timer", [TIMER, RENDERED])
def test_a_timer_undoes_when_it_fires(timer: dict[str, Any]) -> None:
    """Of a constant duration, and of one that the output of its node gives."""
    run = failing(NOOP, timer)
    assert run.state.status == s.EXECUTION_COMPENSATING
    assert run.state.wake_at_us == run.now + LATER_US
    run.do(TimersDue(), after_us=LATER_US - 1)
    assert run.state.status == s.EXECUTION_COMPENSATING
    run.do(TimersDue(), after_us=1)
    assert run.state.status == s.EXECUTION_FAILED
    assert run.replayed().status == s.EXECUTION_FAILED


def test_a_timer_that_cannot_be_rendered_waits_for_an_operator() -> None:
    """It failed; a retry renders it again, a skip ends the compensation."""
    run = failing(RENDERED | {"input_template": b'"{{undo.output.no}}"'})
    assert run.state.status == s.EXECUTION_COMPENSATING
    assert run.kinds[-1] == "task_failed n0:undo"
    run.steer("n0:undo", "RETRY")
    assert run.kinds[-1] == "task_failed n0:undo"
    assert run.kinds.count("task_failed n0:undo") == 2
    run.steer("n0:undo", "SKIP")
    assert run.state.status == s.EXECUTION_FAILED


@pytest.mark.parametrize("limit", [0, 10])
def test_a_signal_undoes_when_it_comes(limit: int) -> None:
    """With and without a limit of its wait."""
    run = failing(SIGNAL | {"timeout_ms": limit})
    assert run.state.status == s.EXECUTION_COMPENSATING
    signal(run, "another")
    assert run.state.status == s.EXECUTION_COMPENSATING
    run.do(Signal("returned", payload_pb2.Payload(data=b"1"), "r-2", ""))
    assert run.state.status == s.EXECUTION_FAILED
    assert run.replayed().status == s.EXECUTION_FAILED


def test_a_signal_that_does_not_come_in_time_waits_for_an_operator() -> None:
    """A retry waits again."""
    run = failing(SIGNAL | {"timeout_ms": 10})
    run.do(TimersDue(), after_us=LATER_US)
    assert run.kinds[-1] == "task_failed n0:undo"
    run.steer("n0:undo", "RETRY")
    signal(run, "returned")
    assert run.state.status == s.EXECUTION_FAILED


def test_items_of_a_map_are_undone_by_timers() -> None:
    """Each item has a timer of its own, one after another."""
    body = node("i", undo=_undo("i", TIMER))
    run = Run(plan(each("m", [1, 2], body), node("last", "m")))
    run.serve()
    for item in ("m[0]/i", "m[1]/i"):
        run.complete(item)
    run.serve()
    run.fail("last")
    for _ in range(2):
        assert run.state.status == s.EXECUTION_COMPENSATING
        run.do(TimersDue(), after_us=LATER_US)
    assert run.state.status == s.EXECUTION_FAILED
