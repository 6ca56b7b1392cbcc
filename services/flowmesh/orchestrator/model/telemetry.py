"""What is told of an execution: a span when it has ended, lines of log where one should look."""

from collections.abc import Callable
from typing import Any

from flowmesh.engine import HISTORY_EVENTS_MAX, State, Transition
from flowmesh.engine.state.state import EXECUTION_COMPLETED, EXECUTION_FAILED
from flowmesh.telemetry import Spans, trace
from flowmesh.telemetry.context import named_traceparent, span_id_of

SPAN = "execution"


class ExecutionTelemetry:
    """Spans and log lines of executions. One that completes untraced costs two comparisons.

    With `transitions` each event is a line, after its commit.
    """

    def __init__(self, *, spans: Spans, log: Any, transitions: bool) -> None:
        self._spans = spans
        self._log = log
        self.transitions = transitions

    def committed(self, state: State, transition: Transition) -> None:
        """A line for each event, without the values in it."""
        with trace(state.traceparent):
            log = self._log.bind(**_about(state))
            for event in transition.history.events:
                body = getattr(event, event.WhichOneof("event") or "")
                said = {name: getattr(body, name, None) for name in ("node", "attempt")}
                log.info(
                    "transition",
                    type=body.DESCRIPTOR.name,
                    sequence=event.sequence,
                    **{name: value for name, value in said.items() if value},
                )

    @property
    def traceparent_of(self) -> Callable[[State], str] | None:
        """The parent of what an execution does: its span, where spans are recorded."""
        return _execution_traceparent if self._spans.enabled else None

    def ended(self, state: State) -> None:
        """Called once, after the commit of its last event."""
        if state.traceparent:
            self._spans.record(
                SPAN,
                parent=state.traceparent,
                start_us=state.started_at_us,
                end_us=state.ended_at_us,
                attributes={
                    "flowmesh.execution_id": state.execution_id,
                    "flowmesh.workflow_id": state.plan.workflow_id,
                },
                failed=state.status != EXECUTION_COMPLETED,
                span_id=span_id_of(state.execution_id),
            )
        if state.status == EXECUTION_FAILED:
            self._failed(state)

    def history_long(self, state: State) -> None:
        """Called once, after the commit in which its history passed the length of a warning."""
        self._warn("history_long", state, events=state.sequence, events_max=HISTORY_EVENTS_MAX)

    def _failed(self, state: State) -> None:
        """The class of the failure but not its message, which may hold what users sent."""
        failure = state.failure
        self._warn(
            "execution_failed",
            state,
            node=failure.node if failure is not None else "",
            failure=getattr(failure, "class", ""),
        )

    def _warn(self, event: str, state: State, **about: object) -> None:
        with trace(state.traceparent):
            self._log.warning(event, **_about(state), **about)


def _execution_traceparent(state: State) -> str:
    traceparent = state.traceparent
    return named_traceparent(traceparent, state.execution_id) if traceparent else ""


def _about(state: State) -> dict[str, str]:
    return {
        "execution_id": state.execution_id,
        "workflow_id": state.plan.workflow_id,
        "namespace": state.plan.namespace,
    }
