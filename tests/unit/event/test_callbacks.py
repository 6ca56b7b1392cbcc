"""Callbacks that follow from events, and their bodies."""

from collections.abc import Iterable
from typing import Any

import pytest

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.event.callbacks import Callback, callbacks_of
from flowmesh.event.delivery.sender import callback_body, signed_headers
from flowmesh.event.store import Due

NAMED: dict[str, Any] = {"class": "ServerError"}
FAILURE = failure_pb2.Failure(**NAMED, message="500", node="ship")
ALL = plan_pb2.Callbacks(
    on_complete_url="http://a/complete",
    on_failure_url="http://a/failure",
    on_step_url="http://b:81/step",
)


def event(sequence: int = 1, **body: Any) -> pb.HistoryEvent:
    return pb.HistoryEvent(sequence=sequence, at_us=1_000_000, **body)


TASK_COMPLETED = event(task_completed=pb.TaskCompleted(node="ship"))
TASK_FAILED = event(task_failed=pb.TaskFailed(node="ship", failure=FAILURE))
COMPLETED = event(workflow_completed=pb.WorkflowCompleted(output=payload_pb2.Payload(data=b"[1]")))
FAILED = event(workflow_failed=pb.WorkflowFailed(failure=FAILURE))


def derived(
    events: Iterable[pb.HistoryEvent], callbacks: plan_pb2.Callbacks = ALL
) -> list[Callback]:
    row = history_service_pb2.EventRow(
        namespace="default",
        execution_id="exec-1",
        workflow_id="orders",
        events=pb.HistoryEvents(events=events).SerializeToString(),
        callbacks=callbacks,
    )
    return list(callbacks_of(row))


def due(happened: pb.HistoryEvent, *, kind: str = "onStep", secret: str = "") -> Due:
    return Due(
        1, "dlv_1", "default", "exec-1", "orders", kind, "http://a/", "a", secret,
        happened.SerializeToString(), 0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("happened", "kind", "host"),
    [
        (TASK_COMPLETED, "onStep", "b:81"),
        (TASK_FAILED, "onStep", "b:81"),
        (COMPLETED, "onComplete", "a"),
        (FAILED, "onFailure", "a"),
    ],
)
def test_ends_of_steps_and_workflows_have_callbacks(
    happened: pb.HistoryEvent, kind: str, host: str
) -> None:
    """Each to the URL in the plan."""
    (callback,) = derived([happened])
    assert (callback.kind, callback.host) == (kind, host)


def test_other_events_have_no_callback() -> None:
    """A waiting, retried or skipped step has not finished; canceled workflows have no callback."""
    others = [
        event(workflow_started=pb.WorkflowStarted()),
        event(task_scheduled=pb.TaskScheduled()),
        event(task_retrying=pb.TaskRetrying()),
        event(task_skipped=pb.TaskSkipped()),
        event(workflow_canceled=pb.WorkflowCanceled()),
    ]
    assert derived(others) == []


def test_only_hooks_that_are_set_are_called() -> None:
    """A plan with only onFailure gets no callback of a success."""
    only_failure = plan_pb2.Callbacks(on_failure_url="http://a/")
    assert derived([TASK_COMPLETED, COMPLETED], only_failure) == []
    assert len(derived([FAILED], only_failure)) == 1
    assert derived([FAILED], plan_pb2.Callbacks(secret="x")) == []


def test_the_id_depends_on_the_event_alone() -> None:
    """Repeated derivation returns the same id; another event has another id."""
    first, again = derived([COMPLETED]), derived([COMPLETED])
    assert first[0].id == again[0].id
    other = event(2, task_completed=pb.TaskCompleted(node="ship"))
    assert len({each.id for each in derived([TASK_COMPLETED, other, COMPLETED])}) == 3


def test_text_that_the_database_cannot_store_does_not_block_the_rest() -> None:
    """A NUL in a URL causes a failing delivery, a malformed URL one without a host."""
    hooks = plan_pb2.Callbacks(on_complete_url="http://[a\0", secret="\0")
    (callback,) = derived([COMPLETED], hooks)
    assert "\0" not in callback.url + callback.secret
    assert callback.host == ""


def test_the_body_describes_the_event() -> None:
    """Status, step, result or error, and the ids if the execution cannot be read."""
    assert callback_body(due(TASK_FAILED), None) == {
        "event": "onStep",
        "executionId": "exec-1",
        "workflowId": "orders",
        "status": "failed",
        "timestamp": "1970-01-01T00:00:01.000000Z",
        "stepId": "ship",
        "error": {"class": "ServerError", "message": "500", "stepId": "ship"},
        "execution": {"executionId": "exec-1", "workflowId": "orders"},
    }
    assert callback_body(due(COMPLETED, kind="onComplete"), None)["result"] == [1]
    failed = callback_body(due(FAILED, kind="onFailure"), None)
    assert (failed["status"], failed["error"]["stepId"]) == ("failed", "ship")


def test_integers_of_any_size_are_exact() -> None:
    """In a result and in the execution."""
    large = payload_pb2.Payload(data=b"100000000000000000000001")
    ended = event(workflow_completed=pb.WorkflowCompleted(output=large))
    execution = execution_pb2.Execution(execution_id="exec-1", input=large)
    body = callback_body(due(ended, kind="onComplete"), execution)
    assert body["result"] == body["execution"]["context"]["input"] == 10**23 + 1


@pytest.mark.parametrize("result", [b"1e999", b"1" * 5_000, b"[" * 2_000 + b"]" * 2_000])
def test_a_malformed_result_is_sent_as_text(result: bytes) -> None:
    """The callback is sent anyway."""
    output = payload_pb2.Payload(data=result)
    ended = event(workflow_completed=pb.WorkflowCompleted(output=output))
    assert callback_body(due(ended, kind="onComplete"), None)["result"] == result.decode()


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """With a secret; without one, only id and time are sent."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signed_headers(due(COMPLETED).id, secret, b"{}", 1_700_000_000)
    expected = signed_headers(due(COMPLETED).id, "", b"{}", 1_700_000_000)
    assert headers["webhook-signature"].startswith("v1,")
    assert headers.items() >= expected.items()
    assert "webhook-signature" not in expected
