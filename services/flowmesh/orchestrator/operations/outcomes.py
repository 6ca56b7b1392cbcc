"""Waiting for the end of an execution, at any owner."""

from __future__ import annotations

import asyncio

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import State
from flowmesh.engine.state.state import EXECUTION_CONTINUED
from flowmesh.errors import Unavailable
from flowmesh.orchestrator.commit.waiters import Waiters
from flowmesh.orchestrator.model.messages import execution_message
from flowmesh.orchestrator.operations.execution_reader import ExecutionReader
from flowmesh.orchestrator.operations.owner_router import OwnerRouter, partition_of_execution
from flowmesh.orchestrator.operations.runs import Runs
from flowmesh.rpc import namespace_of

WAIT_DEFAULT_MS = 30_000
WAIT_MAX_MS = 300_000


class Outcomes:
    """Waits for the end of executions, and of the last run if one continued as new."""

    def __init__(
        self, *, waiters: Waiters, router: OwnerRouter, reader: ExecutionReader, runs: Runs
    ) -> None:
        self._waiters = waiters
        self._router = router
        self._reader = reader
        self._runs = runs

    async def wait(
        self, request: pb.WaitExecutionRequest, *, forwarded: bool, just_started: bool = False
    ) -> pb.WaitExecutionResponse:
        """Wait for the end of the last run, at most for the time in the request; see `outcome`."""
        namespace, execution_id = namespace_of(request), request.execution_id
        timeout_ms = min(request.timeout_ms or WAIT_DEFAULT_MS, WAIT_MAX_MS)
        until = asyncio.get_running_loop().time() + timeout_ms / 1000
        while True:
            watch = pb.SessionWatch(
                namespace=namespace,
                execution_id=execution_id,
                want_execution=True,
                without_nodes=request.without_nodes,
            )
            ended = await self.outcome(
                watch, timeout_ms, forwarded=forwarded, just_started=just_started
            )
            if ended is None or ended.status != EXECUTION_CONTINUED:
                break
            execution_id = await self._runs.last(namespace, execution_id, until)
            timeout_ms = max(1, int((until - asyncio.get_running_loop().time()) * 1000))
            just_started = False
        if ended is None:
            return pb.WaitExecutionResponse()
        if isinstance(ended, pb.SessionResult):
            if ended.HasField("execution"):
                return pb.WaitExecutionResponse(ended=True, execution=ended.execution)
            # An owner of an older version does not send it.
            ended = await self._reader.state(namespace, execution_id)
        execution = execution_message(ended, nodes=not request.without_nodes)
        return pb.WaitExecutionResponse(ended=True, execution=execution)

    async def outcome(
        self,
        watch: pb.SessionWatch,
        timeout_ms: int,
        *,
        forwarded: bool,
        just_started: bool = False,
    ) -> State | pb.SessionResult | None:
        """Return the end of an execution from its owner; None if it did not end in time.

        The call moves with the partition to a new owner. Unless the execution has
        `just_started`, it may have ended long ago or not exist, so its rows are read first.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_ms / 1000
        namespace, execution_id = watch.namespace, watch.execution_id
        if not just_started and not self._reader.runs_here(namespace, execution_id):
            state = await self._reader.state(namespace, execution_id)
            if state.ended:
                return state

        async def local() -> State | pb.SessionResult | None:
            future = self._waiters.future(execution_id)
            timer = loop.call_at(until, _expire, future)
            try:
                if not self._reader.runs_here(namespace, execution_id):
                    state = await self._reader.state(namespace, execution_id)
                    if state.ended:
                        return state
                return await future
            except TimeoutError:
                return None
            finally:
                timer.cancel()
                future.cancel()

        async def remote(address: str) -> State | pb.SessionResult | None:
            try:
                async with asyncio.timeout_at(until):
                    return await self._router.peers.at(address).outcome(watch)
            except TimeoutError:
                return None

        partition = partition_of_execution(execution_id)
        try:
            return await self._router.at_owner(
                partition, local, remote, forwarded=forwarded, until=until
            )
        except Unavailable:
            if loop.time() >= until:
                return None
            raise


def _expire(future: asyncio.Future[State]) -> None:
    if not future.done():
        future.set_exception(TimeoutError())
