"""A handle of an execution: wait for it, watch it, signal, control and rerun it."""

import asyncio
import math
from collections.abc import AsyncIterator, Collection, Mapping
from datetime import UTC, datetime, timedelta

import grpc

from flowmesh import errors
from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.event.v1 import event_service_pb2 as event_pb
from flowmesh.api.execution.v1 import control_service_pb2 as control_pb
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.contract.json_value import Json
from flowmesh.records import value_from
from flowmesh.sdk.client.alias import Alias
from flowmesh.sdk.client.approvals import ApprovalLink, Decisions
from flowmesh.sdk.client.node_control import NodeControl
from flowmesh.sdk.client.reruns import RerunNode, RerunPlan
from flowmesh.sdk.client.stubs import ExecutionStubs
from flowmesh.sdk.transport.connection import Connection
from flowmesh.sdk.transport.reconnect import Reconnect
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.events import Event, event_of
from flowmesh.sdk.values.executions import Execution, NodeStatus, Status, StoredValue
from flowmesh.sdk.values.failures import ExecutionFailed
from flowmesh.sdk.values.payloads import UNSET


class Handle:
    """One execution by its id. Cheap to create; holds no connection open."""

    # Earlier names of the methods of `nodes`.
    retry_node = Alias(NodeControl.retry, of="nodes")
    skip_node = Alias(NodeControl.skip, of="nodes")
    complete_node = Alias(NodeControl.complete, of="nodes")
    override_output = Alias(NodeControl.override_output, of="nodes")
    continue_node = Alias(NodeControl.continue_, of="nodes")
    fail_node = Alias(NodeControl.fail, of="nodes")
    set_breakpoints = Alias(NodeControl.set_breakpoints, of="nodes")

    def __init__(
        self,
        connection: Connection,
        stubs: ExecutionStubs,
        execution_id: str,
        *,
        created: bool = True,
        ended: execution_pb2.Execution | None = None,
    ) -> None:
        self._connection = connection
        self._stubs = stubs
        self.id = execution_id
        # False if an earlier call with the same request_id started it.
        self.created = created
        self.nodes = NodeControl(connection, stubs, execution_id)
        self._ended = ended

    def __repr__(self) -> str:
        return f"Handle({self.id!r})"

    async def wait(self, timeout: float | None = None) -> Execution:
        """Wait for the end and return the execution; raise Timeout after `timeout` seconds."""
        if self._ended is None:
            self._ended = await self._wait(timeout)
        return value_from(Execution, self._ended)

    async def result(self, timeout: float | None = None) -> Json:
        """Wait for the end and return the output; raise ExecutionFailed if it did not complete."""
        if self._ended is None:
            self._ended = await self._wait(timeout)
        execution = value_from(Execution, self._ended)
        if execution.status is not Status.COMPLETED:
            raise ExecutionFailed(self.id, execution.status, execution.failure)
        if execution.erasure is not None:
            text = f"the values of {self.id} were erased on request"
            raise errors.WrongState("PAYLOAD_ERASED", text)
        return await self._connection.payloads.unpack(self._ended.output)

    async def _wait(self, timeout: float | None) -> execution_pb2.Execution:
        loop = asyncio.get_running_loop()
        until = math.inf if timeout is None else loop.time() + timeout
        while True:
            left_s = max(until - loop.time(), 0.001)
            left_ms = int(min(left_s * 1000, limits.WAIT_POLL_MS))
            response = await self._connection.caller.call(
                self._stubs.executions.WaitExecution,
                pb.WaitExecutionRequest(
                    namespace=self._connection.namespace, execution_id=self.id, timeout_ms=left_ms
                ),
                timeout_s=left_ms / 1000 + limits.CALL_TIMEOUT_S,
                within_s=left_s,
            )
            if response.ended:
                return response.execution
            if loop.time() >= until:
                raise errors.Timeout(
                    "SYNC_TIMEOUT", f"execution {self.id} is still running after {timeout} s"
                )

    async def describe(self, *, ended_items: bool = False, node: str = "") -> Execution:
        """Return the last committed state, with all nodes and those of items in progress.

        With `ended_items`, also the nodes of ended items, up to 12,000 nodes in total; with `node`,
        only that node, such as `each[3]/charge`.
        """
        request = pb.GetExecutionRequest(execution_id=self.id, ended_items=ended_items, node=node)
        response = await self._connection.call(self._stubs.executions.GetExecution, request)
        return value_from(Execution, response.execution)

    async def outputs(self) -> dict[str, Json]:
        """Return the outputs of its completed nodes by node id; large values are fetched."""
        execution = await self.describe()
        return {
            node.id: await self._resolved(node.output)
            for node in execution.nodes
            if node.status is NodeStatus.COMPLETED
        }

    async def _resolved(self, value: Json | StoredValue) -> Json:
        if isinstance(value, StoredValue):
            return await self._connection.payloads.fetch(value.digest)
        return value

    async def status(self) -> Status:
        """Return the last committed status."""
        return (await self.describe()).status

    async def signal(self, name: str, payload: Json = None, *, request_id: str = "") -> int:
        """Send a signal; return the sequence of its event in the history."""
        request = pb.SignalExecutionRequest(
            execution_id=self.id,
            name=name,
            payload=await self._connection.payloads.pack(payload),
            request_id=request_id or self._connection.new_id(),
        )
        response = await self._connection.call(self._stubs.executions.SignalExecution, request)
        return response.sequence

    async def cancel(
        self, reason: str = "", *, compensate: bool | None = None, request_id: str = ""
    ) -> None:
        """Cancel the execution: running tasks are canceled and no further task starts.

        `compensate` decides whether completed nodes are compensated first; None follows the
        workflow.
        """
        request = pb.CancelExecutionRequest(
            execution_id=self.id, reason=reason, compensate=compensate
        )
        await self._connection.change(self._stubs.executions.CancelExecution, request, request_id)

    async def pause(self, reason: str = "", *, request_id: str = "") -> None:
        """Pause the execution: no new task starts; running tasks continue.

        Raises WrongState if it is paused already or has ended.
        """
        request = pb.PauseExecutionRequest(execution_id=self.id, reason=reason)
        await self._connection.change(self._stubs.executions.PauseExecution, request, request_id)

    async def resume(self, reason: str = "", *, request_id: str = "") -> None:
        """Resume a paused execution; raises WrongState if it is not paused."""
        request = pb.ResumeExecutionRequest(execution_id=self.id, reason=reason)
        await self._connection.change(self._stubs.executions.ResumeExecution, request, request_id)

    async def terminate(
        self, reason: str = "", *, compensate: bool | None = None, request_id: str = ""
    ) -> None:
        """Terminate the execution; completed nodes are compensated only if the workflow or
        `compensate` requires it.
        """
        request = pb.TerminateExecutionRequest(
            execution_id=self.id, reason=reason, compensate=compensate
        )
        await self._connection.change(
            self._stubs.executions.TerminateExecution, request, request_id
        )

    async def events(self, *, after: int = 0, types: Collection[str] = ()) -> AsyncIterator[Event]:
        """Watch its events with a sequence above `after` up to the last, without gap or repeat.

        A broken stream is reopened after the last event received.
        """
        reconnect = Reconnect(self._connection.caller, asyncio.get_running_loop().time)
        known = after
        # Events derived from one event that were received: a new stream starts before that event.
        derived_from = derived_seen = 0
        while True:
            derived_again = derived_seen
            request = event_pb.WatchExecutionRequest(
                namespace=self._connection.namespace,
                execution_id=self.id,
                after=known,
                types=sorted(types),
            )
            stream = None
            silent = True
            try:
                await reconnect.opening()
                stream = self._stubs.events.WatchExecution(request)
                async for message in stream:
                    reconnect.connected()
                    silent = False
                    event = event_of(self._connection.payloads.opened(message.event))
                    if event.derived:
                        if event.sequence == derived_from and derived_again:
                            derived_again -= 1
                            continue
                        if event.sequence != derived_from:
                            derived_from, derived_seen = event.sequence, 0
                        derived_seen += 1
                        known = max(known, event.sequence - 1)
                        yield event
                        continue
                    if event.sequence <= known:
                        continue
                    if not types and event.sequence > known + 1:
                        break  # events are missing: watch again from the last known one
                    known = event.sequence
                    yield event
                    if event.last:
                        return
                if silent and (await self.status()).ended:
                    return  # `after` is its last event or a later one
            except grpc.aio.AioRpcError as error:
                await reconnect.broken(error)
            finally:
                if stream is not None:
                    stream.cancel()
            reconnect.ended()
            if reconnect.hopeless:
                raise reconnect.error()
            await reconnect.pause()

    async def decide(
        self,
        node: str,
        *,
        by: str,
        approved: bool = True,
        comment: str = "",
        form: Json = UNSET,
        request_id: str = "",
    ) -> str:
        """Approve or reject an approval as the assignee `by`.

        Returns `approved` or `rejected` once it is decided, else an empty text. Raises Invalid if
        the form does not match its schema.
        """
        request = control_pb.DecideApprovalRequest(
            execution_id=self.id,
            node=node,
            by=by,
            approved=approved,
            comment=comment,
            form=await self._connection.payloads.pack_given(form),
        )
        response = await self._connection.change(
            self._stubs.control.DecideApproval, request, request_id
        )
        return response.outcome

    async def approval_link(
        self, node: str, *, by: str, decision: Decisions = "any", valid: timedelta | None = None
    ) -> ApprovalLink:
        """Create a link by which the assignee `by` decides.

        `decision` restricts it to `approve` or `reject`. It is valid for `valid`, at most until
        the deadline of the approval, or 7 days without one.
        """
        scopes = {
            "any": 0,
            "approve": control_pb.LINK_SCOPE_APPROVE,
            "reject": control_pb.LINK_SCOPE_REJECT,
        }
        request = control_pb.CreateApprovalLinkRequest(
            execution_id=self.id,
            node=node,
            by=by,
            scope=control_pb.LinkScope.ValueType(scopes[decision]),
            valid_ms=int(valid.total_seconds() * 1_000) if valid else 0,
        )
        created = await self._connection.call(self._stubs.control.CreateApprovalLink, request)
        expires = datetime.fromtimestamp(created.expires_at_us / 1_000_000, UTC)
        return ApprovalLink(created.url, created.token, expires)

    async def set_variable(
        self, name: str, value: Json, *, reason: str = "", request_id: str = ""
    ) -> int:
        """Set a variable of the workflow; attempts that become ready later use the new value.

        Returns the sequence of the event. Raises NotFound for an undeclared variable and Invalid
        for a value that does not match its schema.
        """
        request = control_pb.SetVariableRequest(
            execution_id=self.id,
            name=name,
            value=payload_pb2.Payload(data=self._connection.payloads.encode(value)),
            reason=reason,
        )
        response = await self._connection.change(
            self._stubs.control.SetVariable, request, request_id
        )
        return response.sequence

    async def plan_rerun(
        self,
        from_nodes: Collection[str] = (),
        *,
        from_failed: bool = False,
        newest_version: bool = False,
    ) -> RerunPlan:
        """Return the nodes that `rerun` would run again and those whose results it would reuse."""
        request = control_pb.PlanRerunRequest(
            execution_id=self.id,
            from_nodes=sorted(from_nodes),
            from_failed=from_failed,
            newest_version=newest_version,
        )
        response = await self._connection.call(self._stubs.control.PlanRerun, request)
        nodes = tuple(
            RerunNode(node.node, node.task_type, node.reused, node.reason, node.repeats_effect)
            for node in response.nodes
        )
        return RerunPlan(response.workflow_version, nodes, response.repeated_effects)

    async def rerun(
        self,
        from_nodes: Collection[str] = (),
        *,
        from_failed: bool = False,
        input: Json = UNSET,
        node_inputs: Mapping[str, Json] | None = None,
        newest_version: bool = False,
        reason: str = "",
        request_id: str = "",
    ) -> "Handle":
        """Start a new execution that runs these nodes and their successors again.

        The results of all other nodes are reused; without nodes, all nodes run again.
        `from_failed` selects the nodes that failed, were canceled or have no result. Raises
        WrongState if the execution has not ended, or if `from_failed` selects no node.
        """
        request = control_pb.RerunExecutionRequest(
            execution_id=self.id,
            from_nodes=sorted(from_nodes),
            from_failed=from_failed,
            input=await self._connection.payloads.pack_given(input),
            node_inputs={
                node: await self._connection.payloads.pack(value)
                for node, value in (node_inputs or {}).items()
            },
            newest_version=newest_version,
            reason=reason,
        )
        response = await self._connection.change(
            self._stubs.control.RerunExecution, request, request_id
        )
        return Handle(self._connection, self._stubs, response.execution_id)
