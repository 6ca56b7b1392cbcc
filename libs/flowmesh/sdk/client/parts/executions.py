"""Calls about executions: read, search, count, signal and watch them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypeAlias

import grpc

from flowmesh.api.common.v1 import search_pb2
from flowmesh.api.event.v1 import event_service_pb2 as event_pb
from flowmesh.api.execution.v1 import control_service_pb2 as control_pb
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import search_service_pb2 as search_service_pb
from flowmesh.api.execution.v1 import search_service_pb2_grpc as search_rpc
from flowmesh.api.history.v1 import history_service_pb2 as history_pb
from flowmesh.api.history.v1 import history_service_pb2_grpc as history_rpc
from flowmesh.api.history.v1.history_event_pb2 import HistoryEvent
from flowmesh.contract.json_value import Json
from flowmesh.records import Source, value_from, values_from
from flowmesh.sdk.client.approvals import PendingApproval
from flowmesh.sdk.client.handle import Handle
from flowmesh.sdk.client.stubs import ExecutionStubs
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.transport.reconnect import Reconnect
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.events import Event, event_of, history_event_of
from flowmesh.sdk.values.executions import (
    Execution,
    Status,
    StoredValue,
    micros_of,
    number_of,
)
from flowmesh.sdk.values.histories import History
from flowmesh.sdk.values.messages import Ttl, milliseconds

_log = logging.getLogger("flowmesh.sdk")

SearchValue: TypeAlias = str | float | bool | datetime
"""The value of a search attribute: text, a number, a flag or a time, as declared."""


@dataclass(frozen=True, slots=True)
class Group:
    """The count of executions with these values, in the order of the requested names."""

    values: tuple[str, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Count:
    """The count of executions that a filter matches, with the largest groups.

    `warnings` has a sentence for each name of the filter or a group that no execution has.
    """

    count: int
    groups: tuple[Group, ...]
    capped: Annotated[bool, Source("groups_capped")]
    warnings: tuple[str, ...] = ()


class ExecutionCalls:
    """Executions of the client's namespace."""

    def __init__(self, connection: Connection, stubs: ExecutionStubs) -> None:
        self._connection = connection
        self._stubs = stubs
        self._histories = history_rpc.HistoryServiceStub(connection.caller.channel)
        self._searches = search_rpc.SearchServiceStub(connection.caller.channel)

    async def get(
        self, execution_id: str, *, ended_items: bool = False, node: str = ""
    ) -> Execution:
        """Return the last committed state of an execution, with its nodes.

        `ended_items` and `node` select nodes as in `Handle.describe`.
        """
        handle = Handle(self._connection, self._stubs, execution_id)
        return await handle.describe(ended_items=ended_items, node=node)

    async def list(
        self,
        *,
        workflow_id: str = "",
        statuses: Collection[Status | str] = (),
        started_after: datetime | None = None,
        started_before: datetime | None = None,
        page_size: int = limits.PAGE_SIZE,
        filter: str = "",
        order_by: str = "",
        with_search: bool = False,
        on_warning: Callable[[str], object] | None = None,
    ) -> AsyncIterator[Execution]:
        """Iterate over executions, without their nodes, inputs and outputs.

        Newest first by default; docs/search.md documents `filter` and `order_by`. `on_warning`
        receives a sentence for each name in them that no execution has; the log by default.
        `with_search` adds labels and search attributes, whose times and flags are texts there.
        """
        request = pb.ListExecutionsRequest(
            workflow_id=workflow_id,
            statuses=[number_of(status) for status in statuses],
            started_after_us=_micros(started_after),
            started_before_us=_micros(started_before),
            page_size=page_size,
            filter=filter,
            order_by=order_by,
            with_search=with_search,
        )
        async for item in self._connection.pages(
            self._stubs.executions.ListExecutions, request, "executions", on_warning or _log.warning
        ):
            yield value_from(Execution, item)

    async def count(self, filter: str = "", *, group_by: Sequence[str] = ()) -> Count:
        """Count the executions that a filter matches, in groups by at most three names."""
        request = search_service_pb.CountExecutionsRequest(filter=filter, group_by=group_by)
        response = await self._connection.call(self._searches.CountExecutions, request)
        groups = values_from(Group, response.groups if group_by else ())
        return value_from(Count, response, groups=groups)

    async def set_search_attributes(
        self,
        execution_id: str,
        values: Mapping[str, SearchValue | None],
        *,
        request_id: str = "",
    ) -> int:
        """Set declared search attributes and remove those that are None.

        Returns the sequence of the event.
        """
        request = search_service_pb.SetSearchAttributesRequest(
            execution_id=execution_id,
            values=[_search_value(n, value) for n, value in values.items() if value is not None],
            removed=[name for name, value in values.items() if value is None],
        )
        response = await self._connection.change(
            self._searches.SetSearchAttributes, request, request_id
        )
        return int(response.sequence)

    async def signal_by_key(
        self,
        name: str,
        key: str,
        payload: Json = None,
        *,
        ttl: Ttl = None,
        request_id: str = "",
    ) -> dict[str, int]:
        """Send a signal to every execution that waits for it with this key.

        Returns the sequence of the event by execution id. If no execution waits for it, raises
        NotFound WAIT_NOT_FOUND; with `ttl` (seconds or a timedelta) it is kept as long for the
        first execution that does, and nothing is returned.
        """
        request = pb.SignalByKeyRequest(
            name=name,
            key=key,
            payload=await self._connection.payloads.pack(payload),
            request_id=request_id or self._connection.new_id(),
            ttl_ms=milliseconds("ttl", ttl),
        )
        response = await self._connection.call(self._stubs.executions.SignalByKey, request)
        return {each.execution_id: each.sequence for each in response.executions}

    async def approvals(self, assignee: str = "") -> AsyncIterator[PendingApproval]:
        """Iterate over pending approvals, oldest first: all, or those `assignee` can decide."""
        request = control_pb.ListApprovalsRequest(assignee=assignee)
        async for each in self._connection.pages(
            self._stubs.control.ListApprovals, request, "approvals"
        ):
            yield value_from(PendingApproval, each)

    async def download_history(self, execution_id: str) -> History:
        """Return the stored events, for replay tests with `flowmesh.sdk.testing`."""
        events: list[HistoryEvent] = []
        while True:
            request = history_pb.ListHistoryEventsRequest(
                execution_id=execution_id, after=events[-1].sequence if events else 0
            )
            response = await self._connection.call(self._histories.ListHistoryEvents, request)
            events.extend(response.events)
            if not response.next_after:
                break
        return History(execution_id, events[0].workflow_started.workflow_id, tuple(events))

    async def history(
        self, execution_id: str, *, after: int = 0, workflow_id: str = ""
    ) -> AsyncIterator[Event]:
        """Iterate over the stored events with a sequence above `after`."""
        while True:
            request = history_pb.ListHistoryEventsRequest(execution_id=execution_id, after=after)
            response = await self._connection.call(self._histories.ListHistoryEvents, request)
            for event in response.events:
                if event.HasField("workflow_started"):
                    workflow_id = event.workflow_started.workflow_id
                yield history_event_of(event, execution_id, workflow_id)
            if not response.next_after:
                return
            after = response.next_after

    async def events(
        self, *, workflow_id: str = "", types: Collection[str] = (), cursor: str = ""
    ) -> AsyncIterator[Event]:
        """Watch events of all executions, from now or after `cursor`, without end.

        A broken stream is reopened after the last event. Raises Gone CURSOR_EXPIRED if the suite
        no longer holds the next events.
        """
        reconnect = Reconnect(self._connection.caller, asyncio.get_running_loop().time)
        while True:
            request = event_pb.WatchEventsRequest(
                namespace=self._connection.namespace,
                workflow_id=workflow_id,
                types=sorted(types),
                cursor=cursor,
            )
            stream = None
            try:
                await reconnect.opening()
                stream = self._stubs.events.WatchEvents(request)
                async for message in stream:
                    reconnect.connected()
                    cursor = message.cursor or cursor
                    if message.HasField("event"):
                        yield event_of(self._connection.payloads.opened(message.event), cursor)
            except grpc.aio.AioRpcError as error:
                await reconnect.broken(error)
            finally:
                if stream is not None:
                    stream.cancel()
            if reconnect.hopeless:
                raise reconnect.error()
            await reconnect.pause()

    async def stats(self, workflow_id: str = "") -> tuple[execution_pb2.WorkflowStats, ...]:
        """Return counters and latencies of the process that responds."""
        request = pb.GetStatsRequest(workflow_id=workflow_id)
        response = await self._connection.call(self._stubs.executions.GetStats, request)
        return tuple(response.workflows)

    async def fetch(self, value: StoredValue) -> Json:
        """Fetch the value behind a reference."""
        return await self._connection.payloads.fetch(value.digest)


def _search_value(name: str, value: SearchValue) -> search_pb2.SearchValue:
    if isinstance(value, bool):
        return search_pb2.SearchValue(name=name, flag=value)
    if isinstance(value, datetime):
        return search_pb2.SearchValue(name=name, time_us=micros_of(value))
    if isinstance(value, str):
        return search_pb2.SearchValue(name=name, text=value)
    return search_pb2.SearchValue(name=name, number=value)


def _micros(at: datetime | None) -> int:
    return int(at.timestamp() * 1_000_000) if at else 0
