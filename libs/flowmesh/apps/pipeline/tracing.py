"""The seam of tracing: spans around runs and steps, where an application has a tracer."""

from contextlib import AbstractContextManager
from typing import Any, Protocol

from flowmesh.apps.messaging.messages import Receive
from flowmesh.apps.pipeline.run import StepCall
from flowmesh.apps.wiring.ports import Port


class Tracing(Protocol):
    """Opens spans around the work of pipelines."""

    def pipeline(self, name: str) -> AbstractContextManager[Any]:
        """Return the span of a run."""

    def step(self, pipeline: str, name: str, kind: str, call: StepCall) -> StepCall:
        """Return the step within a span."""

    def receiver(self, receive: Receive) -> Receive:
        """Return the receiver within a span."""


TRACING: Port[Tracing] = Port("Tracing")
