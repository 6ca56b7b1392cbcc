"""The client's calls about executions: start, find, read, watch."""

import asyncio
import math
from collections.abc import AsyncIterator, Collection, Mapping
from typing import TYPE_CHECKING, Any

import grpc

from flowmesh.api.event.v1 import event_service_pb2 as event_pb
from flowmesh.api.event.v1 import event_service_pb2_grpc as event_rpc
from flowmesh.api.execution.v1 import control_service_pb2 as control_pb
from flowmesh.api.execution.v1 import control_service_pb2_grpc as control_rpc
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as rpc
from flowmesh.api.history.v1 import history_service_pb2 as history_pb
from flowmesh.api.history.v1 import history_service_pb2_grpc as history_rpc
from flowmesh.api.history.v1.history_event_pb2 import HistoryEvent
from flowmesh.sdk import limits
from flowmesh.sdk.client.connection import Connection
from flowmesh.sdk.client.handle import Handle
from flowmesh.sdk.client.node_control import PendingApproval
from flowmesh.sdk.client.session import Session
from flowmesh.sdk.client.version_calls import Version, version_fields
from flowmesh.sdk.events import Event, event_of, history_event_of
from flowmesh.sdk.executions import (
    Execution,
    Status,
    StoredValue,
    execution_of,
    moment,
    number_of,
    value_of,
)
from flowmesh.sdk.histories import History
from flowmesh.sdk.payloads import Json
from flowmesh.sdk.reconnect import Reconnect

if TYPE_CHECKING:
    from datetime import datetime


class ExecutionCalls(Connection):
    """Executions: start them, and see how they are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.executions = rpc.ExecutionServiceStub(self.caller.channel)
        self.control = control_rpc.ControlServiceStub(self.caller.channel)
        self.histories = history_rpc.HistoryServiceStub(self.caller.channel)
        self.event_service = event_rpc.EventServiceStub(self.caller.channel)

    def session(self) -> Session:
        """One stream for many starts and their results."""
        return Session(
            caller=self.caller,
            payloads=self.payloads,
            namespace=self.namespace,
            new_id=self.new_id,
        )

    async def signal_by_key(
        self, name: str, key: str, payload: Json = None, *, request_id: str = ""
    ) -> dict[str, int]:
        """Sends a signal to every execution that waits for it with this key: `sequence` by id.

        Raises NotFound WAIT_NOT_FOUND where nobody does.
        """
        request = pb.SignalByKeyRequest(
            namespace=self.namespace,
            name=name,
            key=key,
            payload=await self.payloads.pack(payload),
            request_id=request_id or self.new_id(),
        )
        response = await self.caller.call(self.executions.SignalByKey, request)
        return {one.execution_id: one.sequence for one in response.executions}

    async def start(
        self,
        workflow_id: str,
        input: Json = None,
        *,
        request_id: str = "",
        version: Version = 0,
        wait: float = 0,
        stop_everywhere: bool = False,
        breakpoints: Collection[str] = (),
        labels: Mapping[str, str] | None = None,
        permissions: Collection[str] = (),
    ) -> Handle:
        """Starts one execution; it survives any crash once this returns.

        Again with the same `request_id` answers the same execution. With `wait` (seconds) the
        call itself waits for the end, at most so long; the handle then knows the result. It stops
        before every node, or before those of `breakpoints`, until they are let go on. Tasks that
        declare permissions run only where they are all among `permissions`.
        """
        stops: dict[str, Any] = {
            "stop_everywhere": stop_everywhere,
            "breakpoints": sorted(breakpoints),
            "labels": labels,
            "permissions": sorted(permissions),
        }
        return await self._begin(workflow_id, input, request_id, version, wait, nodes=True, **stops)

    async def approvals(self, assignee: str = "") -> AsyncIterator[PendingApproval]:
        """What waits for people, the oldest first: all of it, or what one of them can decide."""
        request = control_pb.ListApprovalsRequest(namespace=self.namespace, assignee=assignee)
        async for one in self.pages(self.control.ListApprovals, request, "approvals"):
            yield PendingApproval(
                execution_id=one.execution_id,
                workflow_id=one.workflow_id,
                node=one.node,
                name=one.name,
                asked_at=moment(one.asked_at_us),
                assignees=tuple(one.approval.assignees),
                needed=one.approval.needed,
                due_at=moment(one.approval.due_at_us),
                details=value_of(one.approval.details),
            )

    async def _begin(
        self,
        workflow_id: str,
        input: Json,
        request_id: str,
        version: Version,
        wait: float,
        *,
        nodes: bool,
        within_s: float = math.inf,
        **stops: Any,
    ) -> Handle:
        request = pb.StartExecutionRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            **version_fields(version),
            actor=self.actor,
            input=await self.payloads.pack(input),
            request_id=request_id or self.new_id(),
            wait_ms=int(wait * 1000),
            without_nodes=not nodes,
            **stops,
        )
        response = await self.caller.call(
            self.executions.StartExecution,
            request,
            timeout_s=wait + limits.CALL_TIMEOUT_S,
            within_s=within_s,
        )
        return Handle(
            self,
            response.execution_id,
            created=response.created,
            ended=response.execution if response.HasField("execution") else None,
        )

    async def run(
        self,
        workflow_id: str,
        input: Json = None,
        *,
        request_id: str = "",
        version: Version = 0,
        timeout: float = limits.RUN_TIMEOUT_S,
    ) -> Json:
        """Starts, waits for the end and returns the output.

        Raises ExecutionFailed if it ended in another way, Timeout if it still runs.
        """
        until = asyncio.get_running_loop().time() + timeout
        wait = min(timeout, limits.RUN_TIMEOUT_S)
        handle = await self._begin(
            workflow_id, input, request_id, version, wait, nodes=False, within_s=timeout
        )
        return await handle.result(max(0.0, until - asyncio.get_running_loop().time()))

    def handle(self, execution_id: str) -> Handle:
        """An execution that was started elsewhere; asks nothing yet."""
        return Handle(self, execution_id)

    async def get_execution(
        self, execution_id: str, *, ended_items: bool = False, node: str = ""
    ) -> Execution:
        """State of one execution as last committed, with its nodes and those of items in progress.

        With `ended_items` also the nodes of items that have ended, up to 12,000 nodes in all; with
        `node` that node only, such as `each[3]/charge`, whether or not it has ended.
        """
        request = pb.GetExecutionRequest(
            namespace=self.namespace,
            execution_id=execution_id,
            ended_items=ended_items,
            node=node,
        )
        response = await self.caller.call(self.executions.GetExecution, request)
        return execution_of(response.execution)

    async def list_executions(
        self,
        *,
        workflow_id: str = "",
        statuses: Collection[Status | str] = (),
        started_after: "datetime | None" = None,
        started_before: "datetime | None" = None,
        page_size: int = limits.PAGE_SIZE,
        filter: str = "",
        order_by: str = "",
    ) -> AsyncIterator[Execution]:
        """Executions of the namespace without nodes, input and output.

        Newest first unless `order_by` says otherwise; docs/search.md has the grammar of `filter`.
        """
        request = pb.ListExecutionsRequest(
            namespace=self.namespace,
            workflow_id=workflow_id,
            statuses=[number_of(status) for status in statuses],
            started_after_us=_micros(started_after),
            started_before_us=_micros(started_before),
            page_size=page_size,
            filter=filter,
            order_by=order_by,
        )
        async for item in self.pages(self.executions.ListExecutions, request, "executions"):
            yield execution_of(item)

    async def download_history(self, execution_id: str) -> History:
        """All events that are stored now, as the tests of `flowmesh.sdk.testing` replay them."""
        events: list[HistoryEvent] = []
        while True:
            request = history_pb.ListHistoryEventsRequest(
                namespace=self.namespace,
                execution_id=execution_id,
                after=events[-1].sequence if events else 0,
            )
            response = await self.caller.call(self.histories.ListHistoryEvents, request)
            events.extend(response.events)
            if not response.next_after:
                break
        return History(execution_id, events[0].workflow_started.workflow_id, tuple(events))

    async def history(
        self, execution_id: str, *, after: int = 0, workflow_id: str = ""
    ) -> AsyncIterator[Event]:
        """The events that are stored now, from behind sequence `after`."""
        while True:
            request = history_pb.ListHistoryEventsRequest(
                namespace=self.namespace, execution_id=execution_id, after=after
            )
            response = await self.caller.call(self.histories.ListHistoryEvents, request)
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
        """Events of all executions, from now or from behind `cursor` on, without end.

        A broken stream is opened again behind the last event; Gone (`CURSOR_EXPIRED`) when the
        suite no longer holds what follows it.
        """
        reconnect = Reconnect(asyncio.get_running_loop().time)
        while True:
            request = event_pb.WatchEventsRequest(
                namespace=self.namespace,
                workflow_id=workflow_id,
                types=sorted(types),
                cursor=cursor,
            )
            stream = self.event_service.WatchEvents(request)
            try:
                async for message in stream:
                    reconnect.connected()
                    cursor = message.cursor or cursor
                    if message.HasField("event"):
                        yield event_of(message.event, cursor)
            except grpc.aio.AioRpcError as error:
                reconnect.broken(error)
            finally:
                stream.cancel()
            if reconnect.hopeless:
                raise reconnect.error()
            await reconnect.pause()

    async def stats(self, workflow_id: str = "") -> tuple[execution_pb2.WorkflowStats, ...]:
        """Counters and latencies of the answering process."""
        request = pb.GetStatsRequest(namespace=self.namespace, workflow_id=workflow_id)
        response = await self.caller.call(self.executions.GetStats, request)
        return tuple(response.workflows)

    async def fetch(self, value: StoredValue) -> Json:
        """The value behind a reference."""
        return await self.payloads.fetch(value.digest)


def _micros(at: "datetime | None") -> int:
    return int(at.timestamp() * 1_000_000) if at else 0
