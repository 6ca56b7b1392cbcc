"""Spans of ended executions, and log lines for state changes that need attention."""

from collections.abc import Callable
from typing import Any

from flowmesh.engine import HISTORY_EVENTS_MAX, State, Transition
from flowmesh.engine.state.state import EXECUTION_COMPLETED, EXECUTION_FAILED
from flowmesh.telemetry import Spans, trace
from flowmesh.telemetry.context import named_traceparent, span_id_of

SPAN = "execution"


class ExecutionTelemetry:
    """Records spans and log lines of executions.

    An execution that completes without a trace costs two comparisons. With `transitions` each event
    is logged after its commit.
    """

    def __init__(self, *, spans: Spans, log: Any, transitions: bool) -> None:
        self._spans = spans
        self._log = log
        self.transitions = transitions

    def committed(self, state: State, transition: Transition) -> None:
        """Log each event of a transition, without its values."""
        with trace(state.traceparent):
            log = self._log.bind(**_about(state))
            for event in transition.history.events:
                body = getattr(event, event.WhichOneof("event") or "")
                fields = {name: getattr(body, name, None) for name in ("node", "attempt")}
                log.info(
                    "transition",
                    type=body.DESCRIPTOR.name,
                    sequence=event.sequence,
                    **{name: value for name, value in fields.items() if value},
                )

    @property
    def traceparent_of(self) -> Callable[[State], str] | None:
        """A function that returns an execution's span as the parent of its tasks; None if off."""
        return _execution_traceparent if self._spans.enabled else None

    def ended(self, state: State) -> None:
        """Record the span and a failure; called once, after the commit of the last event."""
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
        """Log that a history has passed the warning length; called once, after that commit."""
        self._warn("history_long", state, events=state.sequence, events_max=HISTORY_EVENTS_MAX)

    def _failed(self, state: State) -> None:
        """Log the class of a failure; its message may contain user data."""
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
