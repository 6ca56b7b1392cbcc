"""The events of an execution: its history, then live events, without gap or repeat."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

from flowmesh.api.event.v1 import event_service_pb2 as pb
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
from flowmesh.errors import Overloaded
from flowmesh.event.live.fanout import Fanout, Feed
from flowmesh.event.live.selection import ALL, Selection, is_end
from flowmesh.event.metrics import EventMetrics
from flowmesh.event.subscriptions.flows import Flows

PAGE_EVENTS: Final = 500

_OPEN: Final = frozenset(
    {
        execution_pb2.EXECUTION_STATUS_UNSPECIFIED,
        execution_pb2.EXECUTION_STATUS_PENDING,
        execution_pb2.EXECUTION_STATUS_RUNNING,
        execution_pb2.EXECUTION_STATUS_PAUSED,
    }
)


class ExecutionWatch:
    """Streams the events of one execution."""

    def __init__(
        self,
        *,
        fanout: Fanout,
        history: "history_service_pb2_grpc.HistoryServiceAsyncStub",
        executions: "execution_service_pb2_grpc.ExecutionServiceAsyncStub",
        flows: Flows,
        metrics: EventMetrics,
    ) -> None:
        self._fanout = fanout
        self._history = history
        self._executions = executions
        self._flows = flows
        self._metrics = metrics

    async def events(
        self, namespace: str, execution_id: str, *, after: int, selection: Selection = ALL
    ) -> AsyncGenerator[pb.LifecycleEvent, None]:
        """Yield the selected events after `after`, and the last one; then end."""
        reading = _Reading(namespace, execution_id, known=after)
        # Follow before reading: later commits arrive in the feed.
        with self._fanout.follow_execution(namespace, execution_id) as feed:
            if after > 0 and await self._ended_before(reading):
                return
            async for event in self._all(reading, feed):
                message = reading.message(event)
                if selection.wants_itself(event):
                    yield message
                if selection.derives(event):
                    async for flow in self._flows.of(message):
                        yield flow

    async def _ended_before(self, reading: "_Reading") -> bool:
        """Return whether the subscriber already knows the last event."""
        first = await self._page(reading, after=0, page_size=1)
        for event in first.events:
            reading.workflow_id = event.workflow_started.workflow_id
        known = await self._page(reading, after=reading.known - 1, page_size=1)
        if known.events:
            return is_end(known.events[0])
        # The sequence of the subscriber is unknown: only the end can follow.
        request = execution_service_pb2.GetExecutionRequest(
            namespace=reading.namespace, execution_id=reading.execution_id
        )
        execution = (await self._executions.GetExecution(request)).execution
        return execution.status not in _OPEN

    async def _page(
        self, reading: "_Reading", *, after: int, page_size: int
    ) -> history_service_pb2.ListHistoryEventsResponse:
        return await self._history.ListHistoryEvents(
            history_service_pb2.ListHistoryEventsRequest(
                namespace=reading.namespace,
                execution_id=reading.execution_id,
                after=after,
                page_size=page_size,
            )
        )

    async def _all(
        self, reading: "_Reading", feed: Feed
    ) -> AsyncIterator[history_event_pb2.HistoryEvent]:
        while not reading.ended:
            # Pending rows are committed, so the history read next contains them.
            feed.backlog.clear()
            async for event in self._stored(reading):
                yield event
            if feed.backlog.overflowed:
                continue
            async for event in self._live(reading, feed):
                yield event

    async def _stored(self, reading: "_Reading") -> AsyncIterator[history_event_pb2.HistoryEvent]:
        """Yield the history after the known event, up to its current end."""
        after = reading.known
        while not reading.ended:
            page = await self._page(reading, after=after, page_size=PAGE_EVENTS)
            for event in page.events:
                reading.accept(event)
                yield event
            after = page.next_after
            if not after:
                return

    async def _live(
        self, reading: "_Reading", feed: Feed
    ) -> AsyncIterator[history_event_pb2.HistoryEvent]:
        """Yield live events until the end or a gap, which the history fills."""
        while not reading.ended:
            try:
                rows = await feed.backlog.take()
            except Overloaded:
                self._metrics.slow.inc()
                raise
            for row in rows:
                for event in row.events:
                    if event.sequence > reading.known + 1:
                        return
                    if event.sequence == reading.known + 1:
                        reading.workflow_id = row.workflow_id
                        reading.accept(event)
                        yield event
                    elif is_end(event):
                        reading.ended = True


class _Reading:
    """The progress of a subscriber."""

    def __init__(self, namespace: str, execution_id: str, *, known: int) -> None:
        self.namespace = namespace
        self.execution_id = execution_id
        self.workflow_id = ""
        self.known = known
        self.ended = False

    def accept(self, event: history_event_pb2.HistoryEvent) -> None:
        self.known = event.sequence
        self.ended = is_end(event)
        if event.WhichOneof("event") == "workflow_started":
            self.workflow_id = event.workflow_started.workflow_id

    def message(self, event: history_event_pb2.HistoryEvent) -> pb.LifecycleEvent:
        return pb.LifecycleEvent(
            namespace=self.namespace,
            execution_id=self.execution_id,
            workflow_id=self.workflow_id,
            event=event,
        )
