"""Nodes whose child is an existing execution: join requests, and reports of the outcome."""

from typing import Any

import pytest

from flowmesh.api.common.v1 import link_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import Cancel, ChildBegan, ChildDone, Ended, Join, Terminate, TimersDue
from flowmesh.engine.children.joins import JOINED_MAX
from flowmesh.engine.state import state as s
from tests.unit.engine.factories import Run, again, child, json, node, plan

COMPLETED = execution_pb2.EXECUTION_STATUS_COMPLETED
CANCELED = execution_pb2.EXECUTION_STATUS_CANCELED


def joining(**fields: Any) -> Run:
    """An execution whose child is another's."""
    run = Run(plan(child("pay", **fields)))
    run.do(ChildBegan("pay", 1, "exec-o", 3, joined=True))
    return run


def joins(run: Run) -> list[pb.JoinRequested]:
    """Return the execution that the last command requested a join of, and the requesting node."""
    return [message.join for message in run.last.messages if message.HasField("join")]


def test_a_node_asks_the_execution_that_it_joined_for_its_end() -> None:
    """It waits for it, and completes with its output like with that of a child."""
    run = joining()
    (asked,) = joins(run)
    assert (asked.execution_id, asked.by_id) == ("exec-o", "exec-1")
    assert (asked.by_node, asked.by_attempt) == ("pay", 1)
    assert run.state.wake_at_us == s.FAR_US
    run.do(ChildDone("pay", 1, "exec-o", COMPLETED, output=json(b"7")))
    assert run.state.node("pay").output.data == b"7"  # type: ignore[union-attr]
    assert run.kinds[-1] == "workflow_completed"


def test_a_node_that_does_not_wait_completes_with_the_one_that_is_there() -> None:
    """And asks nothing."""
    run = joining(detached=True)
    output = run.state.node("pay").output  # type: ignore[union-attr]
    assert output is not None
    assert output.data == b'{"executionId":"exec-o","version":3}'
    assert not joins(run)


@pytest.mark.parametrize("command", [Cancel(), Terminate()])
def test_what_is_joined_is_not_stopped(command: Cancel | Terminate) -> None:
    """It is not a child: others wait for it too."""
    run = joining()
    run.do(command)
    assert run.state.ended
    assert not run.last.messages


def test_a_node_waits_so_long_for_what_it_joined() -> None:
    """Its timeout ends the wait as for a child; the joined execution continues."""
    run = joining(timeout_ms=1_000)
    run.do(TimersDue(), after_us=1_000_000)
    failure = run.state.node("pay").failure  # type: ignore[union-attr]
    assert getattr(failure, "class") == "Timeout"
    assert not run.last.messages


def test_an_end_that_is_no_success_fails_the_node() -> None:
    """As that of a child does."""
    run = joining()
    run.do(ChildDone("pay", 1, "exec-o", CANCELED))
    failure = run.state.node("pay").failure  # type: ignore[union-attr]
    assert getattr(failure, "class") == "ChildFailed"


def test_a_joined_caller_gets_the_end_like_the_parent() -> None:
    """Once each, however often it asked; the question goes out once more, for who answers it."""
    link = link_pb2.Link(parent_id="exec-0", parent_node="pay", parent_attempt=1, depth=1)
    run = Run(plan(node("a")), link=link)
    for by in ("exec-2", "exec-3", "exec-2"):
        assert run.do(Join(by, "pay", 1))
    assert [kind.split()[0] for kind in run.kinds].count("execution_joined") == 2
    assert run.replayed().joined_by == run.state.joined_by
    run.complete("a")
    (outcome,) = [each.outcome for each in run.last.messages if each.HasField("outcome")]
    assert outcome.parent_id == "exec-0"
    assert [(each.execution_id, each.by_id) for each in joins(run)] == [
        ("exec-1", "exec-2"),
        ("exec-1", "exec-3"),
    ]
    with pytest.raises(Ended):
        run.do(Join("exec-4", "pay", 1))


def test_a_joined_caller_is_notified_when_it_continues_as_new() -> None:
    """So that the next run is asked."""
    run = Run(plan(node("a"), again("next", "a")))
    run.do(Join("exec-2", "pay", 1))
    run.complete("a")
    assert [each.by_id for each in joins(run)] == ["exec-2"]


def test_an_execution_is_joined_by_so_many() -> None:
    """Nothing follows from one more; it has to ask again."""
    run = Run(plan(node("a")))
    for number in range(JOINED_MAX):
        run.do(Join(f"exec-{number}", "pay", 1))
    assert not run.do(Join("exec-late", "pay", 1))
    assert len(run.state.joined_by) == JOINED_MAX


# --- children of other projects ---


def elsewhere() -> Run:
    """An execution whose child is in another project."""
    return Run(plan(child("pay", project="bank", credential="secret://bank")))


def test_each_message_about_a_child_of_another_project_names_it() -> None:
    """The start, the request for its end, and the stop, which knows its id."""
    run = elsewhere()
    (start,) = run.last.messages
    assert start.start.request.namespace == "bank"
    run.do(ChildBegan("pay", 1, "exec-o", 3))
    (join,) = run.last.messages
    assert (join.join.execution_id, join.join.by_id) == ("exec-o", "exec-1")
    run.do(Cancel())
    (stop,) = run.last.messages
    assert stop.stop.execution_id == "exec-o"
    for message in (start, join, stop):
        assert (message.project.namespace, message.project.credential) == ("bank", "secret://bank")


def test_a_child_of_another_project_that_answers_with_an_existing_one_is_not_stopped() -> None:
    """It is awaited there all the same."""
    run = elsewhere()
    run.do(ChildBegan("pay", 1, "exec-o", 3, joined=True))
    assert run.last.messages[0].project.namespace == "bank"
    run.do(Cancel())
    assert not run.last.messages
