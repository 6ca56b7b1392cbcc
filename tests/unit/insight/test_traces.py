"""Traces: times, critical path and bottleneck of an execution."""

import time
from typing import Any

from flowmesh.api.common.v1 import failure_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.insight.traces import TREE_DEPTH_MAX, Trace, trace_of
from tests.unit.engine.factories import each, node, plan

BEGUN_US = 1_700_000_000_000_000
MS = 1_000


def event(at_ms: int, **body: Any) -> pb.HistoryEvent:
    return pb.HistoryEvent(at_us=BEGUN_US + at_ms * MS, **body)


def ran(node_id: str, ready: int, started: int, ended: int, attempt: int = 1) -> list[Any]:
    """An attempt whose start was written down with its end."""
    started_us = BEGUN_US + started * MS
    return [
        event(ready, task_scheduled=pb.TaskScheduled(node=node_id, attempt=attempt)),
        event(
            ended,
            task_started=pb.TaskStarted(
                node=node_id, attempt=attempt, worker_id="w", delivery=1, started_at_us=started_us
            ),
        ),
        event(ended, task_completed=pb.TaskCompleted(node=node_id, attempt=attempt)),
    ]


def trace(nodes: list[dict[str, Any]], events: list[Any], ended_ms: int = 100) -> Trace:
    began = event(0, workflow_started=pb.WorkflowStarted())
    done = event(ended_ms, workflow_completed=pb.WorkflowCompleted())
    return trace_of("exec-1", plan(*nodes), [began, *events, done], now_us=BEGUN_US + 10**9)


DIAMOND = [node("a"), node("b", "a"), node("c", "a"), node("d", "b", "c")]


def test_a_diamond_shows_waits_runs_and_the_critical_path() -> None:
    """Each task says when it was ready, what it waited for and which dependency released it."""
    events = [
        *ran("a", 0, 1, 10),
        *ran("b", 10, 12, 20),
        *ran("c", 10, 15, 60),
        *ran("d", 60, 61, 90),
    ]
    found = trace(DIAMOND, events)
    last = found.tasks[-1]
    assert (last.ready_ms, last.started_ms, last.ended_ms) == (60, 61, 90)
    assert (last.wait_ms, last.run_ms, last.released_by, last.order) == (1, 29, "c", 4)
    assert found.critical_path == ["a", "c", "d"]
    assert (found.slowest, found.longest_wait) == ("c", "c")
    assert found.resolution_order == ["a", "b", "c", "d"]
    assert [branch.id for branch in found.tree[0].children] == ["b", "c"]
    assert [branch.id for branch in found.tree[0].children[1].children] == ["d"]


def test_planned_and_actual_groups_differ_under_a_limit() -> None:
    """Tasks that could run together but did not are separate groups in time."""
    together = [
        *ran("a", 0, 0, 10),
        *ran("b", 10, 12, 20),
        *ran("c", 10, 15, 60),
        *ran("d", 60, 61, 62),
    ]
    one_by_one = [
        *ran("a", 0, 0, 10),
        *ran("b", 10, 10, 20),
        *ran("c", 10, 20, 30),
        *ran("d", 30, 30, 30),
    ]
    found = trace(DIAMOND, together).groups
    assert found.planned == [["a"], ["b", "c"], ["d"]] == found.actual
    found = trace(DIAMOND, one_by_one).groups
    assert (found.planned_width, found.actual_width) == (2, 1)
    assert found.actual == [["a"], ["b"], ["c"], ["d"]]


def test_every_attempt_is_shown_with_its_error() -> None:
    """Attempts keep their own waits; the time between two is neither waiting nor running."""
    named: dict[str, Any] = {"class": "ServerError"}
    failed = pb.TaskRetrying(
        node="a", attempt=1, failure=failure_pb2.Failure(**named, message="503")
    )
    started = pb.TaskStarted(node="a", attempt=1, delivery=2, started_at_us=BEGUN_US + 2 * MS)
    events = [
        event(0, task_scheduled=pb.TaskScheduled(node="a", attempt=1)),
        event(5, task_started=started),
        event(5, task_retrying=failed),
        *ran("a", 50, 51, 55, attempt=2),
    ]
    task = trace([node("a")], events).tasks[0]
    assert [each.attempt for each in task.attempts] == [1, 2]
    assert task.attempts[0].deliveries == 2
    assert getattr(task.attempts[0].error, "class_", "") == "ServerError"
    assert (task.wait_ms, task.run_ms) == (3, 7)


def test_timers_run_and_steps_without_a_worker_do_not_wait() -> None:
    """A timer runs from its start; a step that no worker gets is over when it is ready."""
    events = [
        event(0, timer_started=pb.TimerStarted(node="nap")),
        event(40, timer_fired=pb.TimerFired(node="nap")),
        event(40, task_completed=pb.TaskCompleted(node="nap", attempt=1)),
        event(40, task_completed=pb.TaskCompleted(node="noop", attempt=1)),
    ]
    nodes = [
        node("nap", kind=plan_pb2.NODE_KIND_TIMER),
        node("noop", "nap", kind=plan_pb2.NODE_KIND_NOOP),
    ]
    nap, noop = trace(nodes, events).tasks
    assert (nap.wait_ms, nap.run_ms) == (0, 40)
    assert (noop.ready_ms, noop.wait_ms, noop.run_ms) == (40, 0, 0)


def test_a_long_chain_is_not_a_deep_tree() -> None:
    """Readers of JSON have a limit of depth, chains have none."""
    nodes, events = [node("n0")], ran("n0", 0, 0, 1)
    for number in range(1, 200):
        nodes.append(node(f"n{number}", f"n{number - 1}"))
        events += ran(f"n{number}", number, number, number + 1)
    found = trace(nodes, events, ended_ms=200)
    depth, count, level = 0, 0, found.tree
    while level:
        depth, count = depth + 1, count + len(level)
        level = [child for branch in level for child in branch.children]
    assert (depth, count) == (TREE_DEPTH_MAX, 200)
    assert len(found.critical_path) == 200


def test_nothing_yet_is_a_trace_too() -> None:
    """An execution whose history has no task event has an empty tree."""
    found = trace([node("a")], [])
    assert (found.tree, found.critical_path, found.resolution_order) == ([], [], [])
    assert found.tasks[0].wait_ms == 0


def test_many_tasks_that_wait_for_many_are_traced_at_once() -> None:
    """The waits of each node are computed a few times, not once per successor."""
    names = [f"n{number}" for number in range(1_500)]
    joins = [f"join{number}" for number in range(100)]
    events = [each for name in names for each in ran(name, 0, 1, 10)]
    events += [each for name in joins for each in ran(name, 10, 11, 100)]
    nodes = [*map(node, names), *(node(name, *names) for name in joins)]
    begun_s = time.monotonic()
    found = trace(nodes, events)
    assert time.monotonic() - begun_s < 10  # some 0.5 s; it were 40
    assert {task.slack_ms for task in found.tasks} == {0}


def test_a_trace_of_many_items_has_the_failed_and_the_slowest() -> None:
    """With the items of the critical path; the others are counted."""
    nodes = [each("m", "[1]", node("a"), node("b", "a"))]
    events = [event(0, map_started=pb.MapStarted(node="m"))]
    for item in range(40):
        slow = 30 if item == 7 else 0
        events += [
            *ran(f"m[{item}]/a", item, item, item + 1 + slow),
            *ran(f"m[{item}]/b", item + 1 + slow, item + 1 + slow, item + 2 + slow),
        ]
    failure = failure_pb2.Failure(message="no")
    failed = pb.TaskFailed(node="m[3]/b", attempt=1, failure=failure)
    events[events.index(event(5, task_completed=pb.TaskCompleted(node="m[3]/b", attempt=1)))] = (
        event(5, task_failed=failed)
    )
    ends = pb.TaskCompleted(node="m", attempt=1)
    events = [
        event(0, task_scheduled=pb.TaskScheduled(node="m", attempt=1)),
        *events,
        event(45, task_completed=ends),
    ]
    began = event(0, workflow_started=pb.WorkflowStarted())
    of = plan(*nodes)
    found = trace_of("exec-1", of, [began, *events], now_us=BEGUN_US + 50 * MS, tasks_max=5)
    named = ["m[0]/a", "m[3]/b", "m[7]/a", "m[39]/a", "m[39]/b"]
    assert {task.id for task in found.tasks} == {"m", *named}
    assert (found.omitted, found.counts["failed"], found.counts["success"]) == (75, 1, 80)
    assert (found.slowest, found.longest_wait) == ("m[7]/a", "m[0]/a")
    whole = trace_of("exec-1", of, [began, *events], now_us=BEGUN_US + 50 * MS)
    slack = {task.id: task.slack_ms for task in whole.tasks}
    assert {task.id: task.slack_ms for task in found.tasks}.items() <= slack.items()
