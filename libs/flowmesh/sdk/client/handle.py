"""A started execution: wait for it, watch it, change its course."""

import asyncio
import math
from collections.abc import AsyncIterator, Collection
from typing import TYPE_CHECKING

import grpc

from flowmesh import errors
from flowmesh.api.event.v1 import event_service_pb2 as event_pb
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.sdk import limits
from flowmesh.sdk.client.node_control import Steered
from flowmesh.sdk.events import Event, event_of
from flowmesh.sdk.executions import Execution, NodeStatus, Status, StoredValue, execution_of
from flowmesh.sdk.failures import ExecutionFailed
from flowmesh.sdk.payloads import Json
from flowmesh.sdk.reconnect import Reconnect

if TYPE_CHECKING:
    from flowmesh.sdk.client.execution_calls import ExecutionCalls


class Handle(Steered):
    """One execution by its id. Cheap to make; holds nothing open."""

    def __init__(
        self,
        client: "ExecutionCalls",
        execution_id: str,
        *,
        created: bool = True,
        ended: execution_pb2.Execution | None = None,
    ) -> None:
        self._client = client
        self.id = execution_id
        # False: an earlier call with the same request_id started it.
        self.created = created
        self._ended = ended

    def __repr__(self) -> str:
        return f"Handle({self.id!r})"

    async def wait(self, timeout: float | None = None) -> Execution:
        """The execution once it has ended, however it ended; Timeout after `timeout` seconds."""
        if self._ended is None:
            self._ended = await self._wait(timeout)
        return execution_of(self._ended)

    async def result(self, timeout: float | None = None) -> Json:
        """The output once it has completed; ExecutionFailed if it ended in another way."""
        if self._ended is None:
            self._ended = await self._wait(timeout)
        execution = execution_of(self._ended)
        if execution.status is not Status.COMPLETED:
            raise ExecutionFailed(self.id, execution.status, execution.failure)
        if execution.erasure is not None:
            text = f"the values of {self.id} were erased on request"
            raise errors.WrongState("PAYLOAD_ERASED", text)
        return await self._client.payloads.unpack(self._ended.output)

    async def _wait(self, timeout: float | None) -> execution_pb2.Execution:
        loop = asyncio.get_running_loop()
        until = math.inf if timeout is None else loop.time() + timeout
        while True:
            left_s = max(until - loop.time(), 0.001)
            left_ms = int(min(left_s * 1000, limits.WAIT_POLL_MS))
            response = await self._client.caller.call(
                self._client.executions.WaitExecution,
                pb.WaitExecutionRequest(
                    namespace=self._client.namespace, execution_id=self.id, timeout_ms=left_ms
                ),
                timeout_s=left_ms / 1000 + limits.CALL_TIMEOUT_S,
                within_s=left_s,
            )
            if response.ended:
                return response.execution
            if loop.time() >= until:
                raise errors.Timeout(
                    "SYNC_TIMEOUT", f"execution {self.id} still runs after {timeout} s"
                )

    async def describe(self) -> Execution:
        """The execution with all its nodes, as last committed."""
        return await self._client.get_execution(self.id)

    async def outputs(self) -> dict[str, Json]:
        """What its completed nodes put out so far, by their ids; large values are fetched."""
        execution = await self.describe()
        return {
            node.id: await self._whole(node.output)
            for node in execution.nodes
            if node.status is NodeStatus.COMPLETED
        }

    async def _whole(self, value: Json | StoredValue) -> Json:
        if isinstance(value, StoredValue):
            return await self._client.payloads.fetch(value.digest)
        return value

    async def status(self) -> Status:
        return (await self.describe()).status

    async def signal(self, name: str, payload: Json = None, *, request_id: str = "") -> int:
        """Stores a signal in the history; answers its sequence."""
        request = pb.SignalExecutionRequest(
            namespace=self._client.namespace,
            execution_id=self.id,
            name=name,
            payload=await self._client.payloads.pack(payload),
            request_id=request_id or self._client.new_id(),
        )
        response = await self._client.caller.call(self._client.executions.SignalExecution, request)
        return response.sequence

    async def cancel(
        self, reason: str = "", *, compensate: bool | None = None, request_id: str = ""
    ) -> None:
        """Ends it as canceled: open tasks are told, no further one starts.

        `compensate` says whether what was done is undone first; None is as the workflow says.
        """
        request = pb.CancelExecutionRequest(
            namespace=self._client.namespace,
            execution_id=self.id,
            reason=reason,
            request_id=request_id or self._client.new_id(),
            actor=self._client.actor,
            compensate=compensate,
        )
        await self._client.caller.call(self._client.executions.CancelExecution, request)

    async def pause(self, reason: str = "", *, request_id: str = "") -> None:
        """Lets nothing of it begin any more; what workers have goes on.

        Raises WrongState where it is paused already, or has ended.
        """
        request = pb.PauseExecutionRequest(
            namespace=self._client.namespace,
            execution_id=self.id,
            reason=reason,
            request_id=request_id or self._client.new_id(),
            actor=self._client.actor,
        )
        await self._client.caller.call(self._client.executions.PauseExecution, request)

    async def resume(self, reason: str = "", *, request_id: str = "") -> None:
        """Lets it go on with everything that waited; raises WrongState where it is not paused."""
        request = pb.ResumeExecutionRequest(
            namespace=self._client.namespace,
            execution_id=self.id,
            reason=reason,
            request_id=request_id or self._client.new_id(),
            actor=self._client.actor,
        )
        await self._client.caller.call(self._client.executions.ResumeExecution, request)

    async def terminate(
        self, reason: str = "", *, compensate: bool | None = None, request_id: str = ""
    ) -> None:
        """Ends it as terminated; what was done is undone only where the workflow or the call says
        so.
        """
        request = pb.TerminateExecutionRequest(
            namespace=self._client.namespace,
            execution_id=self.id,
            reason=reason,
            request_id=request_id or self._client.new_id(),
            actor=self._client.actor,
            compensate=compensate,
        )
        await self._client.caller.call(self._client.executions.TerminateExecution, request)

    async def events(self, *, after: int = 0, types: Collection[str] = ()) -> AsyncIterator[Event]:
        """Its events behind sequence `after`, to the last one; without gap or repeat.

        A broken stream is opened again behind the last event seen.
        """
        reconnect = Reconnect(asyncio.get_running_loop().time)
        known = after
        # What was derived from one event and has been seen: a new stream begins before it.
        derived_from = derived_seen = 0
        while True:
            derived_again = derived_seen
            request = event_pb.WatchExecutionRequest(
                namespace=self._client.namespace,
                execution_id=self.id,
                after=known,
                types=sorted(types),
            )
            stream = self._client.event_service.WatchExecution(request)
            reconnect.opening()
            silent = True
            try:
                async for message in stream:
                    reconnect.connected()
                    silent = False
                    event = event_of(message.event)
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
                        break  # something is missing: ask again from the last one known
                    known = event.sequence
                    yield event
                    if event.last:
                        return
                if silent and (await self.status()).ended:
                    return  # `after` is behind its last event
            except grpc.aio.AioRpcError as error:
                reconnect.broken(error)
            finally:
                stream.cancel()
            reconnect.ended()
            if reconnect.hopeless:
                raise reconnect.error()
            await reconnect.pause()
