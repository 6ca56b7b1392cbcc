"""Nodes that start an execution, continue as new, or wait for a keyed signal."""

import hashlib

import orjson
import pytest

from flowmesh.api.common.v1 import link_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import (
    Cancel,
    ChildBegan,
    ChildDone,
    Ended,
    Rendered,
    Signal,
    Terminate,
    TimersDue,
    signal_with_key,
)
from flowmesh.engine.children.begin import DEPTH_MAX
from flowmesh.engine.state import state as s
from tests.unit.engine.factories import Run, again, child, failed, group, json, node, plan, signal

COMPLETED = execution_pb2.EXECUTION_STATUS_COMPLETED
FAILED = execution_pb2.EXECUTION_STATUS_FAILED
CANCELED = execution_pb2.EXECUTION_STATUS_CANCELED


def told(run: Run) -> list[pb.ExecutionMessage]:
    """Return the messages of the last command to other executions."""
    return run.last.messages


def ends(run: Run, output: bytes = b"null", *, attempt: int = 1, of: str = "pay") -> bool:
    return run.do(ChildDone(of, attempt, "exec-c", COMPLETED, output=json(output)))


def fails(run: Run, class_: str = "ServerError", *, attempt: int = 1) -> bool:
    return run.do(ChildDone("pay", attempt, "exec-c", FAILED, failure=failed(class_)))


# --- starting ---


def test_a_child_is_asked_for_with_its_input_and_where_it_comes_from() -> None:
    """The request names the version that is wanted, the input and the parent, under one id."""
    run = Run(plan(child("pay", workflow="payment")), b'{"n":1}')
    (message,) = told(run)
    request = message.start.request
    assert (request.workflow_id, request.input.data) == ("payment", b'{"n":1}')
    assert (request.link.parent_id, request.link.parent_node) == ("exec-1", "pay")
    assert request.link.depth == 1
    assert request.request_id == "exec-1/pay/1"
    assert run.kinds[1:] == ["task_scheduled pay", "child_requested pay"]


def test_a_node_completes_with_the_output_of_its_child() -> None:
    """The node ends with the child, and its successors begin."""
    run = Run(plan(child("pay"), node("then", "pay")))
    run.do(ChildBegan("pay", 1, "exec-c", 3))
    assert run.state.node("pay").child.version == 3  # type: ignore[union-attr]
    ends(run, b'{"paid":true}')
    assert run.state.node("pay").output.data == b'{"paid":true}'  # type: ignore[union-attr]
    assert run.dispatched == ["then"]
    assert "child_ended pay" in run.kinds


def test_an_end_that_arrives_before_the_start_counts() -> None:
    """The answer to the start may be lost: the child's end says where it ran; later is stale."""
    run = Run(plan(child("pay")))
    assert ends(run)
    assert run.state.node("pay").child.execution_id == "exec-c"  # type: ignore[union-attr]
    assert run.state.status == s.EXECUTION_COMPLETED
    assert not run.do(ChildBegan("pay", 1, "exec-c", 3))


def test_a_repeated_message_counts_once() -> None:
    """Messages come at least once; the second time nothing follows."""
    run = Run(plan(child("pay"), node("then", "pay")))
    assert run.do(ChildBegan("pay", 1, "exec-c", 3))
    assert not run.do(ChildBegan("pay", 1, "exec-c", 3))
    assert ends(run)
    assert not ends(run)
    assert not run.do(ChildDone("then", 1, "exec-c", COMPLETED))


def test_a_detached_child_completes_its_node_when_it_has_started() -> None:
    """The node returns the id and the version; the child reports no outcome."""
    run = Run(plan(child("pay", detached=True)))
    assert told(run)[0].start.request.link.detached
    run.do(ChildBegan("pay", 1, "exec-c", 2))
    node = run.state.node("pay")
    assert node is not None
    assert node.output is not None
    assert orjson.loads(node.output.data) == {"executionId": "exec-c", "version": 2}
    assert run.state.status == s.EXECUTION_COMPLETED


def test_a_child_that_cannot_be_started_fails_its_node() -> None:
    """The failure says why; it is that of an attempt, so a policy may try again."""
    run = Run(plan(child("pay")))
    run.do(ChildBegan("pay", 1, failure=failed("ChildFailed")))
    assert run.state.status == s.EXECUTION_FAILED
    assert run.state.failure.node == "pay"  # type: ignore[union-attr]


def test_a_workflow_may_be_named_by_a_template() -> None:
    """The rendered value is in the history, and in the message of a failure."""
    run = Run(plan(child("pay", names=b'{"workflow":"pay-{{input.kind}}"}')), b'{"kind":"card"}')
    assert told(run)[0].start.request.workflow_id == "pay-card"
    fails(run)
    assert run.state.failure.message.startswith("pay-card failed")  # type: ignore[union-attr]
    assert run.replayed().node("pay").child.workflow_id == "pay-card"  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [b"null", b'""', b"[]", b"true"])
def test_what_is_no_name_fails_the_node(kind: bytes) -> None:
    """The failure names the expected form, and no request is sent."""
    run = Run(plan(child("pay", names=b'{"workflow":"{{input.kind}}"}')), b'{"kind":%b}' % kind)
    assert not told(run)
    assert run.state.failure is not None
    assert "workflow of pay: expected a text" in run.state.failure.message


def test_a_detached_child_may_have_an_id() -> None:
    """The request has that id, with every sender and repeat."""
    run = Run(plan(child("pay", detached=True, names=b'{"id":"{{input.order}}"}')), b'{"order":7}')
    assert told(run)[0].start.request.request_id == "7"


# --- failing ---


def test_a_failed_child_fails_its_node_with_the_cause() -> None:
    """The class is ChildFailed; the details hold the child and its own failure."""
    run = Run(plan(child("pay", workflow="payment")))
    fails(run)
    failure = run.state.failure
    assert failure is not None
    assert getattr(failure, "class") == "ChildFailed"
    assert failure.message == "payment failed (exec-c): it broke"
    details = orjson.loads(failure.details)
    assert details["executionId"] == "exec-c"
    assert details["cause"]["class"] == "ServerError"


def test_the_retry_policy_of_the_node_starts_a_new_child() -> None:
    """Each attempt is a child of its own; what the first says is stale then."""
    retry = {"max_attempts": 2, "initial_delay_ms": 10, "retry_on": ["ChildFailed"]}
    run = Run(plan(child("pay", retry=retry)))
    fails(run)
    assert run.state.wake_at_us == run.now + 10_000
    run.do(TimersDue(), after_us=10_000)
    (message,) = told(run)
    assert message.start.request.request_id == "exec-1/pay/2"
    assert not ends(run)
    assert ends(run, attempt=2)
    assert run.state.status == s.EXECUTION_COMPLETED


def test_a_workflow_that_starts_itself_ends_at_a_depth() -> None:
    """The limit fails the node with a class that no parent retries."""
    deep = link_pb2.Link(parent_id="exec-0", parent_node="a", parent_attempt=1, depth=DEPTH_MAX)
    retry = {"max_attempts": 3, "retry_on": ["*"]}
    run = Run(plan(child("pay", retry=retry)), link=deep)
    assert getattr(run.state.failure, "class") == "DepthLimit"
    above = Run(plan(child("pay", retry=retry)))
    fails(above, "DepthLimit")
    assert getattr(above.state.failure, "class") == "DepthLimit"


def test_a_child_that_takes_too_long_is_stopped() -> None:
    """The limit of the node ends the attempt as Timeout, and the child."""
    run = Run(plan(child("pay", timeout_ms=500)))
    run.do(ChildBegan("pay", 1, "exec-c", 1))
    run.do(TimersDue(), after_us=500_000)
    (message,) = told(run)
    assert message.stop.request_id == "exec-1/pay/1"
    assert getattr(run.state.failure, "class") == "Timeout"


# --- ends ---


@pytest.mark.parametrize(
    ("policy", "terminated"),
    [
        (plan_pb2.ON_CANCEL_CANCEL, False),
        (plan_pb2.ON_CANCEL_TERMINATE, True),
        (plan_pb2.ON_CANCEL_ABANDON, None),
    ],
)
def test_an_end_of_the_parent_stops_its_child_by_policy(
    policy: plan_pb2.OnCancel.ValueType, terminated: bool | None
) -> None:
    """Canceled, terminated or let alone, whichever way the parent was stopped."""
    for command in (Cancel(), Terminate()):
        run = Run(plan(child("pay", on_cancel=policy)))
        run.do(command)
        stops = [message.stop.terminate for message in told(run)]
        assert stops == ([] if terminated is None else [terminated])


def test_a_child_that_loses_a_race_is_stopped() -> None:
    """Every cancellation of the node cancels the child, as in a failed group."""
    run = Run(plan(group("first", child("pay"), node("quick"), race=True)))
    run.do(ChildBegan("first[0]/pay", 1, "exec-c", 1))
    run.complete("first[0]/quick")
    assert [message.stop.request_id for message in told(run)] == ["exec-1/first[0]/pay/1"]


def test_a_child_tells_its_parent_how_it_ended() -> None:
    """Output or failure, once; a detached execution reports nothing."""
    link = link_pb2.Link(parent_id="exec-0", parent_node="pay", parent_attempt=2, depth=1)
    run = Run(plan(node("first"), node("a", "first")), link=link)
    assert not told(run)
    run.complete("first")
    assert not told(run)
    run.complete("a", b'"done"')
    (message,) = told(run)
    assert (message.outcome.parent_id, message.outcome.node) == ("exec-0", "pay")
    assert (message.outcome.attempt, message.outcome.output.data) == (2, b'"done"')
    link.detached = True
    alone = Run(plan(node("a")), link=link)
    alone.complete("a")
    assert not told(alone)


def test_an_execution_that_waits_for_a_child_alone_sleeps() -> None:
    """It is not stranded: nothing but the child wakes it."""
    run = Run(plan(child("pay")))
    assert run.state.wake_at_us == s.FAR_US
    assert run.replayed().wake_at_us == s.FAR_US


def test_long_names_make_short_request_ids() -> None:
    """A request id has at most 256 characters, however deep the node stands."""
    name = "n" * 128
    run = Run(plan(group(name, group(name + "x", child(name + "y")))))
    (message,) = told(run)
    path = f"exec-1/{name}[0]/{name}x[0]/{name}y/1"
    digest = hashlib.blake2b(path.encode(), digest_size=16).hexdigest()
    assert message.start.request.request_id == f"exec-1/{digest}"


# --- continuing as new ---


def test_an_execution_continues_as_a_new_one() -> None:
    """It ends with the input of the next, which knows the run before it and the first one."""
    run = Run(plan(node("a"), again("next", "a", given={"page": 2})))
    run.complete("a")
    assert run.kinds[-2:] == ["task_completed next", "workflow_continued"]
    assert run.state.status == s.EXECUTION_CONTINUED
    (message,) = told(run)
    request = message.start.request
    assert (request.workflow_id, request.input.data) == ("w", b'{"page":2}')
    assert request.request_id == "exec-1/next"
    assert (request.link.continued_from, request.link.first_run) == ("exec-1", "exec-1")


def test_the_end_of_a_later_run_may_come_before_the_beginning() -> None:
    """The last run tells which one was started, and that is what the node has started."""
    link = link_pb2.Link(parent_id="p", parent_node="pay", parent_attempt=1, first_run="exec-0")
    last = Run(plan(node("a")), link=link)
    last.complete("a")
    (message,) = told(last)
    assert message.outcome.first_run == "exec-0"
    run = Run(plan(child("pay")))
    run.do(ChildDone("pay", 1, "exec-1", COMPLETED, json(b"1"), first_run="exec-0"))
    bodies = [event.child_started for event in run.events if event.HasField("child_started")]
    assert [each.execution_id for each in bodies] == ["exec-0"]
    assert not run.do(ChildBegan("pay", 1, "exec-0", 1))


def test_what_else_runs_is_canceled_and_nothing_begins_after() -> None:
    """Nodes at workers are canceled, ready nodes do not begin."""
    run = Run(plan(node("busy"), node("a"), again("next", "a"), node("late", "a")))
    run.complete("a")
    assert run.last.cancel == [("busy", 1)]
    assert run.kinds[-1] == "workflow_continued"
    with pytest.raises(Ended):
        run.do(Cancel())


def test_unconsumed_signals_move_to_the_next_run() -> None:
    """A signal is not lost because it came just before the end of a run."""
    run = Run(plan(signal("one", name="go"), again("next", "one")))
    run.do(Signal("other", json(b"1")))
    run.do(Signal("go", json(b"2")))
    (message,) = told(run)
    assert [one.name for one in message.start.request.signals] == ["other"]


def test_the_last_run_tells_the_parent() -> None:
    """The child of a parent is the chain: a run that continues leaves the end to the next."""
    link = link_pb2.Link(parent_id="exec-0", parent_node="pay", parent_attempt=1, depth=1)
    run = Run(plan(again("next")), link=link)
    (message,) = told(run)
    assert message.WhichOneof("command") == "start"
    assert message.start.request.link.parent_id == "exec-0"


# --- waits ---


def waits(**fields: object) -> dict[str, object]:
    return signal("paid", name="paid", **fields)


def keyed(**fields: object) -> dict[str, object]:
    return waits(input_template=b'"{{input.order}}"', **fields)


def test_a_wait_with_a_key_takes_the_signal_of_that_key() -> None:
    """Signals of the same name with another key, or without one, do not match."""
    run = Run(plan(keyed()), b'{"order": 7}')
    assert run.kinds[1:] == ["task_scheduled paid", "wait_keyed paid"]
    run.do(Signal("paid", json(b"1")))
    run.do(Signal(signal_with_key("paid", "8"), json(b"2")))
    assert run.state.status == s.EXECUTION_RUNNING
    run.do(Signal(signal_with_key("paid", "7"), json(b"3")))
    assert run.state.output.data == b"3"  # type: ignore[union-attr]


def test_a_key_that_is_no_text_fails_the_wait() -> None:
    """A list, nothing, or a text that is too long is no key."""
    for order in (b"[1]", b"null", b'""', b'"%b"' % (b"x" * 257), b"true"):
        run = Run(plan(keyed()), b'{"order": %b}' % order)
        assert getattr(run.state.failure, "class") == "ValidationError"


def test_a_wait_over_its_limit_fails_as_timeout() -> None:
    """With a key and without one; the signal after it changes nothing."""
    for one in (waits(timeout_ms=50), keyed(timeout_ms=50)):
        run = Run(plan(one), b'{"order": 7}')
        assert run.state.wake_at_us == run.now + 50_000
        run.do(TimersDue(), after_us=50_000)
        assert getattr(run.state.failure, "class") == "Timeout"


def test_a_wait_may_end_with_a_value_instead() -> None:
    """`on_timeout` is the output then, and no signal has been had."""
    run = Run(plan(waits(timeout_ms=50, on_timeout=b'"late"'), signal("next", "paid", name="paid")))
    run.do(TimersDue(), after_us=50_000)
    assert run.state.node("paid").output.data == b'"late"'  # type: ignore[union-attr]
    run.do(Signal("paid", json(b"1")))
    assert run.state.node("next").output.data == b"1"  # type: ignore[union-attr]


def test_a_signal_in_time_stops_the_clock() -> None:
    """The timer of an ended wait wakes no node."""
    run = Run(plan(waits(timeout_ms=50), node("then", "paid")))
    run.do(Signal("paid", json(b"1")))
    assert run.state.wake_at_us == 0


def test_what_was_rendered_late_is_stale() -> None:
    """A value for a node that has continued changes nothing."""
    run = Run(plan(child("pay")))
    assert not run.do(Rendered("pay", 1, json(b"1")))
    assert not run.do(Rendered("pay", 2, json(b"1")))
