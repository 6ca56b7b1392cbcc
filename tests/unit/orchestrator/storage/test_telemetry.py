"""Spans and log lines of ended executions."""

from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from flowmesh.engine import State
from flowmesh.orchestrator.model.telemetry import SPAN, ExecutionTelemetry
from flowmesh.telemetry import Spans
from tests.unit.engine.factories import Run, node, plan

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class RecordedSpans(Spans):
    """Keeps what is recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.recorded: list[tuple[str, dict[str, Any]]] = []

    def record(self, name: str, **values: Any) -> None:
        self.recorded.append((name, values))


def told(state: State) -> tuple[RecordedSpans, list[Any]]:
    spans = RecordedSpans()
    with capture_logs() as lines:
        ExecutionTelemetry(spans=spans, log=structlog.get_logger(), transitions=False).ended(state)
    return spans, lines


def ended(traceparent: str = "", failure: str = "") -> State:
    run = Run(plan(node("pay")))
    run.state.traceparent = traceparent
    if failure:
        run.fail("pay", failure)
    else:
        run.complete("pay")
    assert run.state.ended
    return run.state


def test_a_failed_execution_is_one_line_with_its_ids() -> None:
    """Execution, workflow, node and class; not the message, which may hold what users sent."""
    _, lines = told(ended(failure="ClientError"))
    assert lines == [
        {
            "event": "execution_failed",
            "log_level": "warning",
            "execution_id": "exec-1",
            "workflow_id": "w",
            "namespace": "default",
            "node": "pay",
            "failure": "ClientError",
        }
    ]


@pytest.mark.parametrize(("failure", "failed"), [("", False), ("ClientError", True)])
def test_a_traced_execution_is_a_span(failure: str, failed: bool) -> None:
    """From its start to its end under the trace of its start."""
    state = ended(TRACEPARENT, failure)
    spans, _ = told(state)
    ((name, span),) = spans.recorded
    assert (name, span["parent"], span["failed"]) == (SPAN, TRACEPARENT, failed)
    assert (span["start_us"], span["end_us"]) == (state.started_at_us, state.ended_at_us)


def test_an_untraced_completion_is_not_recorded() -> None:
    """Nothing is recorded and nothing logged."""
    spans, lines = told(ended())
    assert (spans.recorded, lines) == ([], [])
