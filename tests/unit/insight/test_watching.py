"""One value along the chain of tasks."""

import time
from typing import Any

import orjson
import pytest
from msgspec import UNSET

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.engine import Signal
from flowmesh.insight.inputs import Stored
from flowmesh.insight.reports import Watch
from flowmesh.insight.watching import PathInvalid, watch
from tests.unit.engine.factories import Run, each, json, machine, node, plan, signal, state

TEMPLATE = plan_pb2.INPUT_MODE_TEMPLATE


def reads(template: Any) -> dict[str, Any]:
    return {"input_mode": TEMPLATE, "input_template": orjson.dumps(template)}


def watched(run: Run, path: str) -> Watch:
    return watch("exec-1", run.state.plan, run.events, path, Stored())


def told(report: Watch) -> list[tuple[str, str, Any]]:
    return [
        (each.action, each.task_id or "", None if each.value is UNSET else each.value)
        for each in report.steps
    ]


def test_a_watch_lists_writers_readers_and_values() -> None:
    """After every task, also of those that have nothing to do with it."""
    run = Run(
        plan(
            node("price"),
            node("other", "price"),
            node("pay", "other", **reads("{{tasks.price.output.total}}")),
        )
    )
    run.complete("price", b'{"total":7}')
    run.complete("other")
    run.complete("pay")
    report = watched(run, "tasks.price.output.total")
    assert told(report) == [
        ("set", "price", 7),
        ("pass", "other", 7),
        ("read", "pay", 7),
        ("pass", "pay", 7),
    ]
    assert report.readers == ["pay"]
    assert [each.changed for each in report.steps] == [True, False, False, False]


def test_the_input_is_set_at_the_start() -> None:
    """And read by nodes that refer to it, to a part of it, or to a value that contains it."""
    run = Run(
        plan(
            node("part", **reads("{{input.order.id}}")),
            node("whole", **reads("{{input}}")),
            node("none", **reads("{{input.other}}")),
        ),
        b'{"order":{"id":3},"other":1}',
    )
    report = watched(run, "input.order")
    assert told(report)[0] == ("set", "", {"id": 3})
    assert report.readers == ["part", "whole"]


def test_the_context_is_the_input_until_a_task_puts_out_the_member() -> None:
    """Step workflows share one context: a task's output takes the member's place."""
    made = plan(node("n"), node("after", "n", input_mode=plan_pb2.INPUT_MODE_CONTEXT))
    run = Run(made, b'{"n":1}')
    run.complete("n", b"2")
    report = watched(run, "context.n")
    assert told(report) == [("set", "", 1), ("set", "n", 2), ("read", "after", 2)]


def test_state_machines_and_signals_have_values_too() -> None:
    """The value that states share moves with each of them; of signals the last one counts."""
    run = Run(plan(machine("loop", {"n": 0}, state("a", "b"), state("b")), signal("s", name="go")))
    run.serve()
    run.complete("loop[0]/a", b'{"n":1}')
    run.complete("loop[1]/b", b'{"n":2}')
    report = watched(run, "states.loop.n")
    assert [(action, value) for action, _, value in told(report) if action == "set"] == [
        ("set", 0),
        ("set", 1),
        ("set", 2),
    ]
    assert report.readers == ["loop/a", "loop/b"]
    run.do(Signal("go", json(b'{"by":"ada"}')))
    assert ("set", "", "ada") in told(watched(run, "signals.go.by"))


def test_readers_in_a_map_are_listed_item_by_item() -> None:
    """Each item reads it when it begins."""
    run = Run(plan(each("m", [1, 2], node("x", **reads("{{input.k}}")))), b'{"k":5}')
    run.serve()
    report = watched(run, "input.k")
    assert told(report)[1:] == [("read", "m[0]/x", 5), ("read", "m[1]/x", 5)]
    assert report.readers == ["m/x"]


@pytest.mark.parametrize("path", ["", "tasks", "what.ever", "input.[", "context", "item.x"])
def test_what_is_no_path_is_refused(path: str) -> None:
    """With what would be right."""
    with pytest.raises(PathInvalid):
        watched(Run(plan(node("a"))), path)


def test_a_large_value_that_many_read_is_measured_while_it_is_shown() -> None:
    """Beyond what a report shows it does not matter how large a value is."""
    names = [f"n{number}" for number in range(2_000)]
    run = Run(
        plan(*(node(name, **reads("{{input.o}}")) for name in names)),
        b'{"o":[1%s]}' % (b",1" * 100_000),
    )
    begun_s = time.monotonic()
    report = watched(run, "input")
    assert time.monotonic() - begun_s < 4  # some 0.1 s; it were 11
    assert report.truncated
    assert len(report.readers) == len(names)
    assert [each.value is UNSET for each in report.steps[:1] + report.steps[-1:]] == [False, True]


def test_signals_are_looked_at_once() -> None:
    """And not all of them again behind every event; what is erased is not shown any more."""
    events = list(Run(plan(node("a"))).events)

    def happened(**body: Any) -> None:
        last = events[-1]
        events.append(pb.HistoryEvent(sequence=last.sequence + 1, at_us=last.at_us + 1, **body))

    for number in range(10_000):
        payload = payload_pb2.Payload(data=b"%d" % number)
        name = "go" if number < 2 else "stay"
        happened(signal_received=pb.SignalReceived(name=name, payload=payload))
    for _ in range(20_000):
        happened(workflow_paused=pb.WorkflowPaused())
        happened(workflow_resumed=pb.WorkflowResumed())
    happened(payloads_erased=pb.PayloadsErased())
    begun_s = time.monotonic()
    report = watch("exec-1", plan(node("a")), events, "signals.go", Stored())
    assert time.monotonic() - begun_s < 5  # some 0.3 s; it were 20
    assert [value for _, _, value in told(report)] == [0, 1, None]
