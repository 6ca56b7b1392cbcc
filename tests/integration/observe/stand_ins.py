"""Stand-ins of the other services, and batches of signals."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from flowmesh.api.history.v1 import history_event_pb2 as history
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.insight.traces import Trace, trace_of
from flowmesh.plan import Plan


def stub(**answers: Callable[[Any], object]) -> Any:
    """Return a stub that answers each method by a function of the request."""

    def method(answer: Callable[[Any], object]) -> Callable[[Any], Any]:
        async def called(request: Any) -> object:
            return answer(request)

        return called

    return SimpleNamespace(**{name: method(answer) for name, answer in answers.items()})


def batch(at_us: int, metrics: Mapping[str, Mapping[str, float]]) -> pb.RecordSignalsRequest:
    """Return the increases of counters in a minute, by metric and labels."""
    made = pb.RecordSignalsRequest(service="orchestrator", instance_id="orc-1", at_us=at_us)
    for metric, amounts in metrics.items():
        made.metrics.add(metric=metric, labels=amounts.keys(), values=amounts.values())
    return made


def ran(
    task: str, begun_us: int, *, ready_ms: int, started_ms: int, ended_ms: int
) -> list[history.HistoryEvent]:
    """Return the events of a completed attempt."""
    return [
        history.HistoryEvent(
            at_us=begun_us + ready_ms * 1_000,
            task_scheduled=history.TaskScheduled(node=task, attempt=1),
        ),
        history.HistoryEvent(
            at_us=begun_us + started_ms * 1_000,
            task_started=history.TaskStarted(
                node=task,
                attempt=1,
                worker_id="worker-1",
                delivery=1,
                started_at_us=begun_us + started_ms * 1_000,
            ),
        ),
        history.HistoryEvent(
            at_us=begun_us + ended_ms * 1_000,
            task_completed=history.TaskCompleted(node=task, attempt=1),
        ),
    ]


def traced(
    execution_id: str, plan: Plan, begun_us: int, *tasks: list[history.HistoryEvent], ended_ms: int
) -> Trace:
    """Return the trace of a completed execution."""
    begun = history.HistoryEvent(at_us=begun_us, workflow_started=history.WorkflowStarted())
    ended = history.HistoryEvent(
        at_us=begun_us + ended_ms * 1_000, workflow_completed=history.WorkflowCompleted()
    )
    events = [begun, *(event for task in tasks for event in task), ended]
    return trace_of(execution_id, plan, events, now_us=begun_us + 10**9)
