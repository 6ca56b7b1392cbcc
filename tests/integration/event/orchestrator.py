"""A minimal orchestrator for tests: histories and an outbox in memory.

It uses the real contracts and the real bus, and loses messages on demand.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import (
    execution_pb2,
    execution_service_pb2,
    execution_service_pb2_grpc,
)
from flowmesh.api.history.v1 import (
    history_event_pb2,
    history_service_pb2,
    history_service_pb2_grpc,
)
from flowmesh.errors import NotFound, Unavailable
from flowmesh.rpc import namespace_of
from flowmesh.runtime import Runtime

Event = history_event_pb2.HistoryEvent
PAGE = 3
RECONNECT_S = 20

ENDS = {
    "workflow_completed": execution_pb2.EXECUTION_STATUS_COMPLETED,
    "workflow_failed": execution_pb2.EXECUTION_STATUS_FAILED,
    "workflow_canceled": execution_pb2.EXECUTION_STATUS_CANCELED,
}


def payload(text: str) -> payload_pb2.Payload:
    return payload_pb2.Payload(data=text.encode())


def started(workflow_id: str = "orders") -> Event:
    body = history_event_pb2.WorkflowStarted(workflow_id=workflow_id, input=payload("{}"))
    return Event(workflow_started=body)


def scheduled(node: str) -> Event:
    return Event(task_scheduled=history_event_pb2.TaskScheduled(node=node, attempt=1))


def completed(node: str, output: str = "1") -> Event:
    body = history_event_pb2.TaskCompleted(node=node, attempt=1, output=payload(output))
    return Event(task_completed=body)


def ended(output: str = "true") -> Event:
    return Event(workflow_completed=history_event_pb2.WorkflowCompleted(output=payload(output)))


@dataclass
class Book:
    """The committed events by execution, and by position of an incarnation."""

    histories: dict[tuple[str, str], list[Event]] = field(default_factory=dict)
    outbox: dict[int, list[history_service_pb2.EventBatch]] = field(default_factory=dict)
    reported: dict[int, int] = field(default_factory=dict)
    outbox_reads: int = 0


class Owner:
    """An incarnation that commits and publishes."""

    def __init__(self, runtime: Runtime, book: Book, incarnation: int) -> None:
        self._runtime = runtime
        self._book = book
        self.incarnation = incarnation
        self.position = 0

    async def commit(
        self,
        execution_id: str,
        *events: Event,
        namespace: str = "default",
        workflow_id: str = "orders",
        callbacks: plan_pb2.Callbacks | None = None,
        after: dict[int, int] | None = None,
        lose: bool = False,
    ) -> history_service_pb2.EventBatch:
        """Append the events in one commit; a lost commit is never published."""
        history = self._book.histories.setdefault((namespace, execution_id), [])
        first = len(history) + 1
        now_us = self._runtime.clock.now_us()
        for sequence, event in enumerate(events, start=first):
            stored = Event()
            stored.CopyFrom(event)
            stored.sequence, stored.at_us = sequence, now_us
            history.append(stored)
        self.position += 1
        batch = history_service_pb2.EventBatch(
            incarnation=self.incarnation, position=self.position, last_part=True
        )
        for former, position in (after or {}).items():
            batch.after.add(incarnation=former, position=position)
        batch.rows.add(
            namespace=namespace,
            execution_id=execution_id,
            workflow_id=workflow_id,
            first_sequence=first,
            events=history_event_pb2.HistoryEvents(events=history[first - 1 :]).SerializeToString(),
            callbacks=callbacks,
        )
        self._book.outbox.setdefault(self.incarnation, []).append(batch)
        if not lose:
            await self.publish(batch)
        return batch

    async def publish(self, batch: history_service_pb2.EventBatch) -> None:
        prefix = self._runtime.settings.bus_prefix
        subject = f"{prefix}.events.{batch.incarnation}"
        await self._runtime.bus.publish(subject, batch.SerializeToString())

    async def until_connected(self) -> None:
        """Return when the bus accepts messages, also after a restart of its server."""
        async with asyncio.timeout(RECONNECT_S):
            while True:
                try:
                    await self._runtime.bus.flush()
                except Unavailable:
                    await self._runtime.bus.until_connected()
                else:
                    return

    async def publish_bytes(self, data: bytes) -> None:
        prefix = self._runtime.settings.bus_prefix
        await self._runtime.bus.publish(f"{prefix}.events.{self.incarnation}", data)


class _History(history_service_pb2_grpc.HistoryServiceServicer):
    def __init__(self, book: Book) -> None:
        self._book = book

    async def ListHistoryEvents(
        self, request: history_service_pb2.ListHistoryEventsRequest, context: object
    ) -> history_service_pb2.ListHistoryEventsResponse:
        history = _history(self._book, namespace_of(request), request.execution_id)
        page = history[request.after : request.after + min(PAGE, request.page_size)]
        read = request.after + len(page)
        return history_service_pb2.ListHistoryEventsResponse(
            events=page,
            next_after=read if read < len(history) else 0,
            ended=bool(page) and page[-1].WhichOneof("event") in ENDS,
        )


class _Outbox(history_service_pb2_grpc.OutboxServiceServicer):
    def __init__(self, book: Book) -> None:
        self._book = book

    async def ReadOutbox(
        self, request: history_service_pb2.ReadOutboxRequest, context: object
    ) -> history_service_pb2.ReadOutboxResponse:
        self._book.outbox_reads += 1
        batches = self._book.outbox.get(request.incarnation, [])
        return history_service_pb2.ReadOutboxResponse(
            batches=[b for b in batches if b.position > request.after][
                : request.position_count_max
            ],
            last_position=batches[-1].position if batches else 0,
        )

    async def ReportPositions(
        self, request: history_service_pb2.ReportPositionsRequest, context: object
    ) -> history_service_pb2.ReportPositionsResponse:
        for position in request.positions:
            self._book.reported[position.incarnation] = position.position
        return history_service_pb2.ReportPositionsResponse()


class _Executions(execution_service_pb2_grpc.ExecutionServiceServicer):
    def __init__(self, book: Book) -> None:
        self._book = book

    async def GetExecution(
        self, request: execution_service_pb2.GetExecutionRequest, context: object
    ) -> execution_service_pb2.GetExecutionResponse:
        history = _history(self._book, namespace_of(request), request.execution_id)
        last = history[-1]
        status = ENDS.get(last.WhichOneof("event") or "", execution_pb2.EXECUTION_STATUS_RUNNING)
        return execution_service_pb2.GetExecutionResponse(
            execution=execution_pb2.Execution(
                execution_id=request.execution_id,
                workflow_id=history[0].workflow_started.workflow_id,
                status=status,
                started_at_us=history[0].at_us,
                last_sequence=last.sequence,
                input=payload('{"amount": 3}'),
                nodes=[
                    execution_pb2.Node(id="a"),
                    execution_pb2.Node(id="b"),
                    execution_pb2.Node(id="c", dependencies=["a", "b"]),
                ],
            )
        )


def _history(book: Book, namespace: str, execution_id: str) -> Sequence[Event]:
    history = book.histories.get((namespace, execution_id))
    if history is None:
        raise NotFound("EXECUTION_NOT_FOUND", f"no execution {execution_id}")
    return history


def serve(runtime: Runtime, book: Book) -> None:
    """Serve the three services on the runtime."""
    add_history = history_service_pb2_grpc.add_HistoryServiceServicer_to_server
    add_outbox = history_service_pb2_grpc.add_OutboxServiceServicer_to_server
    add_executions = execution_service_pb2_grpc.add_ExecutionServiceServicer_to_server
    runtime.serve(_History(book), add_history)
    runtime.serve(_Outbox(book), add_outbox)
    # The methods of the service that the event service calls.
    runtime.serve(_Executions(book), add_executions)  # type: ignore[abstract]
