"""The seam of tracing: spans around runs and steps, where an application has a tracer."""

from contextlib import AbstractContextManager
from typing import Any, Protocol

from flowmesh.apps.pipeline.run import StepCall


class Tracing(Protocol):
    """Opens spans around the work of pipelines."""

    def pipeline(self, name: str) -> AbstractContextManager[Any]:
        """Return the span of a run."""

    def step(self, pipeline: str, name: str, kind: str, call: StepCall) -> StepCall:
        """Return the step within a span."""
