"""Virtual streams: histories of executions, and change logs of definitions."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Protocol

import orjson

from flowmesh.api.definition.v1 import version_pb2, version_service_pb2
from flowmesh.api.event.v1 import event_service_pb2
from flowmesh.api.eventstore.v1 import stored_event_pb2 as pb
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.errors import WrongState
from flowmesh.eventstore import limits
from flowmesh.eventstore.checks import stream_missing
from flowmesh.views import event_type, event_view
from flowmesh.views.masking import masked_message

_ACTION = "CHANGE_ACTION_"


class ExecutionEvents(Protocol):
    """The events of executions, stored and live."""

    def events(
        self, namespace: str, execution_id: str, *, after: int
    ) -> AsyncGenerator[event_service_pb2.LifecycleEvent, None]:
        """Yield the events after a sequence up to the end of the execution."""


class VirtualStreams:
    """Reads histories and change logs as streams of events."""

    def __init__(self, *, histories: Any, versions: Any, executions: ExecutionEvents) -> None:
        self._histories = histories
        self._versions = versions
        self._executions = executions

    async def read(
        self, namespace: str, kind: str, name: str, version: int, count: int
    ) -> tuple[list[pb.StoredEvent], int]:
        """Return events from a version on, and the version of the next page or 0."""
        if kind == "definition":
            found = await self._changes(namespace, name)
            later = [each for each in found if each.version >= version]
            return later[:count], later[count].version if len(later) > count else 0
        page = await self._histories.ListHistoryEvents(
            history_service_pb2.ListHistoryEventsRequest(
                namespace=namespace, execution_id=name, after=max(version - 1, 0), page_size=count
            )
        )
        events = [
            _history_event(
                event_service_pb2.LifecycleEvent(namespace=namespace, execution_id=name, event=each)
            )
            for each in page.events
        ]
        return events, page.next_after + 1 if page.next_after else 0

    async def follow(
        self, namespace: str, kind: str, name: str, after: int
    ) -> AsyncIterator[pb.StoredEvent]:
        """Yield the events of an execution after a version; end with its last event."""
        if kind == "definition":
            raise WrongState(
                "STREAM_VIRTUAL", "the change log of a definition is read, not subscribed to"
            )
        events = self._executions.events(namespace, name, after=after)
        async with aclosing(events):
            async for event in events:
                yield _history_event(event)

    async def _changes(self, namespace: str, name: str) -> list[pb.StoredEvent]:
        request = version_service_pb2.ListChangesRequest(
            namespace=namespace, name=name, page_size=limits.PAGE_MAX
        )
        changes: list[version_pb2.Change] = []
        while len(changes) < limits.CHANGES_MAX:
            response = await self._versions.ListChanges(request)
            changes += response.changes
            if not response.next_page_token:
                break
            request.page_token = response.next_page_token
        if not changes:
            raise stream_missing(f"definition/{name}")
        changes.sort(key=lambda each: each.number)
        return [_change_event(name, each) for each in changes]


def _history_event(event: event_service_pb2.LifecycleEvent) -> pb.StoredEvent:
    return pb.StoredEvent(
        stream=f"execution/{event.execution_id}",
        version=event.event.sequence,
        event_id=f"{event.execution_id}:{event.event.sequence}",
        type=event_type(event.event) or "Unknown",
        data=orjson.dumps(event_view(masked_message(event))),
        metadata=b"{}",
        at_us=event.event.at_us,
    )


def _change_event(name: str, change: version_pb2.Change) -> pb.StoredEvent:
    action = version_pb2.ChangeAction.Name(change.action).removeprefix(_ACTION)
    data = {
        "version": change.version,
        "previousVersion": change.previous_version,
        "label": change.label,
        "actor": change.actor,
        "reason": change.reason,
    }
    return pb.StoredEvent(
        stream=f"definition/{name}",
        version=change.number,
        event_id=f"{name}:{change.number}",
        type="".join(word.capitalize() for word in ("DEFINITION_" + action).split("_")),
        data=orjson.dumps(data),
        metadata=b"{}",
        at_us=change.changed_at.ToMicroseconds(),
    )
