"""The views of `trace` and `watch` for constructed executions."""

import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console

from flowmesh.cli import output
from flowmesh.cli.executions import tree
from flowmesh.cli.executions.board import Board
from flowmesh.cli.executions.histories import trace_lines
from flowmesh.cli.executions.shapes import ENDED_LINES_MAX, node_line, shown_nodes
from flowmesh.cli.executions.watching import draw
from flowmesh.insight.parallelism import TraceGroups
from flowmesh.insight.parts import ErrorPart
from flowmesh.insight.traces import AttemptTrace, TaskTrace, Trace
from flowmesh.sdk import Event, Execution, Failure, Items, Node, NodeStatus, Status

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(milliseconds: float) -> datetime:
    return START + timedelta(milliseconds=milliseconds)


def node(
    node_id: str,
    begin: float,
    end: float,
    *before: str,
    status: NodeStatus = NodeStatus.COMPLETED,
    failure: Failure | None = None,
) -> Node:
    return Node(
        id=node_id,
        name=node_id,
        status=status,
        attempts=1,
        dependencies=before,
        task_type="t",
        worker_id="w",
        scheduled_at=at(begin),
        started_at=at(begin + 1),
        ended_at=at(end),
        due_at=None,
        output=None,
        failure=failure,
        metadata=None,
    )


def execution(*nodes: Node, status: Status = Status.COMPLETED) -> Execution:
    return Execution(
        id="exec-1",
        namespace="default",
        workflow_id="order",
        workflow_name="Order",
        workflow_version=2,
        status=status,
        started_at=START,
        ended_at=at(100),
        input=None,
        output=None,
        failure=None,
        last_sequence=9,
        request_id="r",
        nodes=nodes,
    )


def event(
    kind: str, milliseconds: float, node_id: str = "", attempt: int = 0, **data: Any
) -> Event:
    return Event(kind, 1, "exec-1", "order", node_id, attempt, at(milliseconds), data)


ORDER = execution(
    node("validate", 0, 10),
    node("charge", 10, 90, "validate"),
    node("mail", 10, 30, "validate"),
    node("ship", 90, 100, "charge", "mail"),
)
EVENTS = [
    event("TaskScheduled", 10, "charge", 1),
    event("TaskStarted", 12, "charge", 1),
    event("TaskRetrying", 40, "charge", 1, error={"class": "ServerError", "message": "503"}),
    event("TaskScheduled", 60, "charge", 2),
    event("TaskStarted", 61, "charge", 2, delivery=2),
    event("TaskCompleted", 90, "charge", 2),
]


def task(
    task_id: str, begin: float, end: float, *before: str, attempts: Sequence[AttemptTrace] = ()
) -> TaskTrace:
    return TaskTrace(
        id=task_id,
        name=task_id,
        type="t",
        status="success",
        dependencies=list(before),
        ready_ms=float(begin),
        ended_ms=float(end),
        wait_ms=0.0,
        run_ms=0.0,
        critical=False,
        waits=[],
        attempts=list(attempts),
    )


def test_a_trace_shows_each_task_below_its_dependency() -> None:
    """The parent is the dependency that ended last; attempts have their own times."""
    error = ErrorPart(class_="ServerError", message="503")
    first, second = (
        AttemptTrace(attempt=1, ready_ms=10.0, wait_ms=2.0, run_ms=28.0, deliveries=1, error=error),
        AttemptTrace(attempt=2, ready_ms=60.0, wait_ms=1.0, run_ms=29.0, deliveries=2),
    )
    tasks = [
        task("validate", 0, 10),
        task("charge", 10, 90, "validate", attempts=[first, second]),
        task("mail", 10, 30, "validate"),
        task("ship", 90, 100, "charge", "mail"),
    ]
    report = Trace(
        execution_id="exec-1",
        workflow="order",
        version=2,
        status="completed",
        duration_ms=100.0,
        tasks=tasks,
        tree=[],
        resolution_order=[],
        groups=TraceGroups(planned=[], actual=[], planned_width=0, actual_width=0),
        critical_path=[],
        counts={"success": 4},
        omitted=0,
        truncated=False,
    )
    assert list(trace_lines(report, ORDER, at(100))) == [
        "✔ order v2  completed  100 ms  exec-1",
        "└─ ✔ validate  10 ms  at +0 ms",
        "   ├─ ✔ charge  80 ms  at +10 ms",
        "   │  │  attempt 1: at +10 ms, waited 2 ms, ran 28 ms  ServerError: 503",
        "   │  │  attempt 2: at +60 ms, waited 1 ms, ran 29 ms, delivered 2 times",
        "   │  └─ ✔ ship  10 ms  at +90 ms",
        "   └─ ✔ mail  20 ms  at +10 ms",
    ]


def test_a_node_without_its_dependencies_is_a_root() -> None:
    """Nothing is lost from the tree."""
    parent_of = tree.parents({"a": ["gone"], "b": ["a"]}, {})
    assert parent_of == {"a": "", "b": "a"}
    assert tree.preorder(parent_of) == ["a", "b"]


def test_a_board_follows_its_events() -> None:
    """Status, attempts and progress are those of the events so far."""
    board = Board(ORDER)
    board.apply(event("WorkflowStarted", 0))
    assert (board.ended, board.status) == (0, "running")
    board.apply(event("TaskScheduled", 0, "validate", 1))
    board.apply(event("TaskCompleted", 10, "validate", 1))
    for known in EVENTS[:4]:
        board.apply(known)
    assert board.ended == 1
    assert (board.rows["charge"].status, board.rows["charge"].attempt) == ("running", 2)
    board.apply(event("TaskFailed", 80, "charge", 2, error={"class": "E", "message": "m"}))
    board.apply(event("TaskSkipped", 80, "ship"))
    board.apply(event("WorkflowFailed", 81, error={"class": "E", "message": "m"}))
    assert (board.status, board.ended) == ("failed", 3)
    assert board.took_ms(at(500)) == 81


def test_the_live_view_has_progress_and_the_tree() -> None:
    """Headline, bar with counts, one line per node."""
    board = Board(ORDER)
    board.apply(event("WorkflowStarted", 0))
    board.apply(event("TaskCompleted", 10, "validate", 1))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(draw(board, at(50)))
    text = console.export_text()
    assert "order v2  running  50 ms  exec-1" in text
    assert "1/4 tasks  25 %" in text
    assert "└─ ✔ validate" in text
    assert "   ├─ · charge" in text


def test_durations_have_a_suitable_unit() -> None:
    """From milliseconds to hours."""
    shown = [output.duration(ms) for ms in (None, 0.4, 999, 1_500, 61_000, 7_380_000)]
    assert shown == ["-", "0 ms", "999 ms", "1.5 s", "1 min 01 s", "2 h 03 min"]


def test_a_running_container_shows_its_progress() -> None:
    """A node that the engine runs does not wait for a worker."""

    def shown(task_type: str, items: Items | None = None) -> str:
        running = node("each", 0, 0, status=NodeStatus.RUNNING)
        of = replace(running, ended_at=None, worker_id="", task_type=task_type, items=items)
        return node_line(of, at(14_200)).removeprefix("▶ each  running  ")

    assert shown("map", Items(10, 2, 3, 0)) == "3 of 10 items done, 2 running"
    assert shown("map", Items(10, 2, 3, 1)) == "4 of 10 items done, 1 failed, 2 running"
    assert [shown(each) for each in ("map", "group", "states")] == ["for 14.2 s"] * 3
    assert shown("subworkflow") == "waits for its child execution"


def test_ended_tasks_of_items_are_truncated() -> None:
    """Running and failed tasks are always shown, with the number of omitted ones."""
    items = [node(f"each[{n}]/a", 0, 1) for n in range(ENDED_LINES_MAX + 5)]
    failed = node("each[900]/a", 0, 1, status=NodeStatus.FAILED)
    nodes, omitted = shown_nodes([node("each", 0, 1), *items, failed, node("after", 1, 2)])
    assert (len(nodes), omitted) == (ENDED_LINES_MAX + 3, 5)
    assert [each.id for each in nodes[-2:]] == ["each[900]/a", "after"]


def test_a_running_task_shows_its_wait() -> None:
    """A missing worker, its worker, the next attempt, or a timer."""

    def shown(**changes: Any) -> str:
        running = node("pay", 0, 0, status=NodeStatus.RUNNING)
        return node_line(replace(running, ended_at=None, **changes), at(14_200))

    due = at(17_200)
    failure = Failure("ServerError", "answered 503")
    assert shown(worker_id="") == "▶ pay  running  waits 14.2 s for a worker that serves t"
    assert shown(worker_id="w-7") == "▶ pay  running  for 14.2 s at w-7"
    assert shown(due_at=due) == "▶ pay  running  due in 3.0 s"
    assert shown(due_at=due, failure=failure).endswith("answered 503  next attempt in 3.0 s")
    assert shown(worker_id="", scheduled_at=at(14_100)) == "▶ pay  running  for 100 ms"
