"""Event streams: every event once, in order, over breaks; and the history page by page."""

from typing import Any

import grpc

from flowmesh.api.event.v1 import event_service_pb2 as event_pb
from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.sdk import Client
from tests.unit.sdk.stand_ins import StandIn, failure, payload

STARTED = pb.HistoryEvent(
    sequence=1,
    at_us=1_700_000_000_000_000,
    workflow_started=pb.WorkflowStarted(workflow_id="order", version=1, input=payload({"n": 1})),
)
SCHEDULED = pb.HistoryEvent(sequence=2, task_scheduled=pb.TaskScheduled(node="a", attempt=1))
RETRYING = pb.HistoryEvent(
    sequence=3,
    task_retrying=pb.TaskRetrying(node="a", attempt=1, failure=failure("ServerError", "503")),
)
DONE = pb.HistoryEvent(sequence=4, task_completed=pb.TaskCompleted(node="a", attempt=2))
ENDED = pb.HistoryEvent(
    sequence=5, workflow_completed=pb.WorkflowCompleted(output=payload({"ok": True}))
)
ALL = [STARTED, SCHEDULED, RETRYING, DONE, ENDED]


async def test_events_come_in_order_to_the_last_one(client: Client, server: StandIn) -> None:
    """Each with its REST name, node, attempt and data; the iterator ends by itself."""
    server.events.streams = [ALL]
    events = [event async for event in client.handle("exec-1").events()]
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    assert [event.type for event in events][::2] == [
        "WorkflowStarted",
        "TaskRetrying",
        "WorkflowCompleted",
    ]
    assert events[2].data["error"] == {"class": "ServerError", "message": "503"}
    assert (events[3].node, events[3].attempt) == ("a", 2)
    assert events[-1].data == {"output": {"ok": True}}


async def test_a_broken_stream_resumes_where_it_was(client: Client, server: StandIn) -> None:
    """The next stream is asked from the last sequence, and what it repeats is dropped."""
    server.events.streams = [ALL[:2], ALL[1:3], ALL[3:]]
    events = [event async for event in client.handle("exec-1").events()]
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    assert [request.after for request in server.events.requests] == [0, 2, 3]


async def test_a_gap_is_asked_for_again(client: Client, server: StandIn) -> None:
    """An event that skips a sequence is not passed on before what is missing."""
    server.events.streams = [[STARTED, DONE], ALL[1:]]
    events = [event async for event in client.handle("exec-1").events()]
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]


async def test_events_resume_behind_a_sequence(client: Client, server: StandIn) -> None:
    """`after` is what the caller knows already."""
    server.events.streams = [ALL[3:]]
    events = [event async for event in client.handle("exec-1").events(after=3)]
    assert [event.sequence for event in events] == [4, 5]


async def test_history_is_read_over_pages(client: Client, server: StandIn) -> None:
    """All stored events, in order, with the workflow's id."""
    server.histories.events = ALL
    events = [event async for event in client.history("exec-1")]
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    assert events[-1].workflow_id == "order"


async def test_what_is_derived_comes_once() -> None:
    """A new stream begins before the event that it was derived from."""
    seen_by_server: list[int] = []

    async def watch(request: Any, context: Any) -> Any:
        seen_by_server.append(request.after)
        for sequence in (1, 3, 3, 4):
            if sequence > request.after:
                scheduled = pb.TaskScheduled(node=f"n{sequence}")
                event = event_pb.LifecycleEvent(
                    execution_id="exec-1",
                    event=pb.HistoryEvent(sequence=sequence, task_scheduled=scheduled),
                )
                event.signal_flow.from_node = f"n{sequence - 1}"
                yield event_pb.WatchExecutionResponse(event=event)
                if len(seen_by_server) == 1 and sequence == 3:
                    await context.abort(grpc.StatusCode.UNAVAILABLE, "restart")
        last = event_pb.LifecycleEvent(execution_id="exec-1", event=ENDED)
        yield event_pb.WatchExecutionResponse(event=last)

    server = StandIn()
    server.events.WatchExecution = watch  # type: ignore[method-assign]
    async with server.serving(), await Client.connect(server.address) as client:
        events = client.handle("exec-1").events(types=["SignalFlow"])
        assert [event.sequence async for event in events] == [1, 3, 3, 4, 5]
    assert seen_by_server == [0, 2]
