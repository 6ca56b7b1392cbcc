"""The events of a saga in its stream `saga-<id>`, made of the events of its execution.

Each has an id made of its sequence in the execution, so that any number of processes, also
after crashes, store each event once and in order.
"""

from collections.abc import Iterator, Sequence

from flowmesh.contract.json_value import Json
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.client.handle import Handle
from flowmesh.sdk.values.event_streams import NewEvent
from flowmesh.sdk.values.events import Event

UNDO = ":undo"


class Recorder:
    """Writes the events of one saga."""

    def __init__(
        self, client: Client, saga_id: str, execution: Handle, undone: Sequence[str]
    ) -> None:
        self.stream = f"saga-{saga_id}"
        self._store = client.event_store
        self._execution = execution
        # Steps with a compensation.
        self._undone = frozenset(undone)

    async def run(self) -> None:
        """Write the events up to the last one of the execution."""
        left: set[str] = set()
        async for event in self._execution.events():
            for type, data in self._translated(event, left):
                id = f"{self._execution.id}:{event.sequence}:{type}"
                await self._store.append(self.stream, NewEvent(type, data, id=id))

    def _translated(self, event: Event, left: set[str]) -> Iterator[tuple[str, dict[str, Json]]]:
        """Yield saga events; `left` are the completed steps that are not undone."""
        step = event.node.removesuffix(UNDO)
        undo = step != event.node
        failure = event.data.get("error")
        match event.type:
            case "WorkflowStarted":
                yield "SagaStarted", {"saga": event.workflow_id, "executionId": event.execution_id}
            case "TaskCompleted" if undo:
                left.discard(step)
                yield "StepCompensated", {"step": step}
            case "TaskCompleted":
                if step in self._undone:
                    left.add(step)
                yield "StepSucceeded", {"step": step, "output": event.data.get("output")}
            case "TaskRetrying" if undo:
                yield "CompensationRetried", {"step": step, "error": failure}
            case "TaskFailed" if undo:
                yield "CompensationFailed", {"step": step, "error": failure}
            case "TaskFailed":
                yield "StepFailed", {"step": step, "error": failure}
            case "CompensationStarted":
                yield "SagaCompensating", {"error": failure}
            case "WorkflowCompleted":
                yield "SagaCompleted", {}
            case "WorkflowFailed" | "WorkflowCanceled" | "WorkflowTerminated":
                if left:
                    yield "SagaFailed", {"notCompensated": sorted(left), "error": failure}
                else:
                    yield "SagaCompensated", {"error": failure}
