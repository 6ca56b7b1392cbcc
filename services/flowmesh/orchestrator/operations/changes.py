"""Commands on running executions: cancel, pause, resume, terminate, signal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import Asked, Cancel, Pause, Resume, Signal, Terminate
from flowmesh.engine.state.state import EXECUTION_CONTINUED
from flowmesh.errors import FlowmeshError
from flowmesh.orchestrator.model.commands import Answer, PendingCommand, compensate_choice
from flowmesh.orchestrator.model.ids import NewId
from flowmesh.orchestrator.model.payload_checks import check_inline
from flowmesh.orchestrator.model.request_checks import REQUEST_ID_MAX, TEXT_MAX, check_text
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.operations.owner_router import OwnerRouter, partition_of_execution
from flowmesh.orchestrator.operations.runs import Runs
from flowmesh.orchestrator.ownership.peers import FORWARDED
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.rpc import namespace_of, valid_id

# Time for the next run to start after the end of the one before it.
NEXT_RUN_S = 5.0


class ExecutionChanges:
    """Applies each command once, at the owner of its execution."""

    def __init__(
        self,
        *,
        router: OwnerRouter,
        reader: ExecutionReader,
        payloads: Payloads,
        runs: Runs,
        new_id: NewId,
    ) -> None:
        self._router = router
        self._reader = reader
        self._payloads = payloads
        self._runs = runs
        self._new_id = new_id

    async def cancel(self, request: pb.CancelExecutionRequest, *, forwarded: bool) -> None:
        command = Cancel(
            request.reason, request.request_id, request.actor, compensate_choice(request)
        )
        await self._steer(request, command, "CancelExecution", forwarded)

    async def pause(self, request: pb.PauseExecutionRequest, *, forwarded: bool) -> None:
        command = Pause(request.reason, request.request_id, request.actor)
        await self._steer(request, command, "PauseExecution", forwarded)

    async def resume(self, request: pb.ResumeExecutionRequest, *, forwarded: bool) -> None:
        command = Resume(request.reason, request.request_id, request.actor)
        await self._steer(request, command, "ResumeExecution", forwarded)

    async def terminate(self, request: pb.TerminateExecutionRequest, *, forwarded: bool) -> None:
        command = Terminate(
            request.reason, request.request_id, request.actor, compensate_choice(request)
        )
        await self._steer(request, command, "TerminateExecution", forwarded)

    async def _steer(self, request: Any, command: Asked, rpc: str, forwarded: bool) -> None:
        check_text(request.reason, "reason", TEXT_MAX)

        def call(stub: Any) -> Awaitable[Any]:
            answer: Awaitable[Any] = getattr(stub, rpc)(request, metadata=FORWARDED)
            return answer

        await self.change(request, command, call, forwarded)

    async def signal(
        self, request: pb.SignalExecutionRequest, *, forwarded: bool, keyed: bool = False
    ) -> pb.SignalExecutionResponse:
        """Send a signal. One for an execution that continues as new goes to its last run."""
        if not (forwarded or keyed):
            valid_id(request.name, "name")
        check_inline(request.payload, "payload")
        await self._payloads.require(namespace_of(request), request.payload)
        while True:
            try:
                return await self._signal(request, forwarded=forwarded)
            except FlowmeshError as error:
                last = "" if forwarded or keyed else await self._last_run(request, error)
                if last in ("", request.execution_id):
                    raise
                request.execution_id = last

    async def _last_run(self, request: pb.SignalExecutionRequest, error: FlowmeshError) -> str:
        """Return the last run of an ended execution; empty if it does not continue."""
        namespace = namespace_of(request)
        if error.reason != "EXECUTION_ENDED":
            return ""
        state = await self._reader.state(namespace, request.execution_id)
        if state.status != EXECUTION_CONTINUED:
            return ""
        until = asyncio.get_running_loop().time() + NEXT_RUN_S
        return await self._runs.last(namespace, request.execution_id, until)

    async def _signal(
        self, request: pb.SignalExecutionRequest, *, forwarded: bool
    ) -> pb.SignalExecutionResponse:
        command = Signal(request.name, request.payload, request.request_id, request.actor)
        sequence = await self.change(
            request,
            command,
            lambda stub: stub.SignalExecution(request, metadata=FORWARDED),
            forwarded,
        )
        if isinstance(sequence, pb.SignalExecutionResponse):
            return sequence
        return pb.SignalExecutionResponse(sequence=sequence)

    async def change(
        self,
        request: Any,
        command: Asked,
        call: Callable[[Any], Awaitable[Any]],
        forwarded: bool,
        stub_at: Callable[[str], Any] | None = None,
    ) -> Any:
        """Apply a command once, at the owner of its execution; `call` calls another owner.

        A command without request id gets one, because it may be repeated after a lost response.
        """
        namespace = namespace_of(request)
        check_text(request.request_id, "request_id", REQUEST_ID_MAX)
        check_text(request.actor, "actor", TEXT_MAX)
        execution_id = request.execution_id
        await self._reader.state(namespace, execution_id)
        partition = partition_of_execution(execution_id)
        if not request.request_id:
            request.request_id = command.request_id = self._new_id(partition)
        stub_at = stub_at or self._router.stub_at

        async def local() -> Answer:
            pending = PendingCommand(execution_id, partition, command)
            return await self._router.submit_and_wait(pending)

        async def remote(address: str) -> Any:
            return await self._router.peers.call(address, call(stub_at(address)))

        return await self._router.at_owner(partition, local, remote, forwarded=forwarded)
