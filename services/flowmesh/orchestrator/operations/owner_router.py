"""Calls that run at the owner of a partition, in this process or in another one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.errors import Unavailable
from flowmesh.orchestrator.commit.inbox import Inbox
from flowmesh.orchestrator.model.commands import Answer, PendingCommand
from flowmesh.orchestrator.model.errors import Moved, execution_not_found, partition_unavailable
from flowmesh.orchestrator.model.ids import partition_of
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.ownership.peers import Peers

FORWARD_FOR_MS = 8_000
"""Time for which a call looks for the owner of a partition that changes hands."""

FORWARD_PAUSE_S = 0.05
RETRIED_REASONS = frozenset({"PARTITION_UNAVAILABLE", "SERVICE_UNAVAILABLE", "DRAINING"})

M = TypeVar("M")
if TYPE_CHECKING:
    Stub = pb_grpc.ExecutionServiceAsyncStub


class OwnerRouter:
    """Finds the owner of a partition, and submits commands if that is this process."""

    def __init__(
        self,
        *,
        ownership: Ownership,
        inbox: Inbox,
        peers: Peers,
        stub_at: Callable[[str], Stub],
    ) -> None:
        self._ownership = ownership
        self._inbox = inbox
        self.peers = peers
        self.stub_at = stub_at

    async def submit_and_wait(self, command: PendingCommand) -> Answer:
        """Submit a command without a reply of its own; return its answer after the commit."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def reply(answer: Answer | Exception) -> None:
            if future.done():
                return
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

        command.reply = reply
        self._inbox.submit(command)
        return await future

    async def at_owner(
        self,
        partition: int,
        local: Callable[[], Awaitable[M]],
        remote: Callable[[str], Awaitable[M]],
        *,
        forwarded: bool,
        until: float | None = None,
    ) -> M:
        """Run a call at the owner of a partition; retry while the owner changes."""
        ownership = self._ownership
        loop = asyncio.get_running_loop()
        limit = until or loop.time() + FORWARD_FOR_MS / 1000
        while True:
            try:
                if partition in ownership.epochs:
                    return await local()
                if forwarded:
                    raise partition_unavailable(partition)
                address = ownership.owner_address(partition)
                if address is not None:
                    return await remote(address)
            except Moved:
                if forwarded:
                    raise partition_unavailable(partition) from None
            except Unavailable as error:
                if forwarded or error.reason not in RETRIED_REASONS:
                    raise
            if loop.time() >= limit:
                raise partition_unavailable(partition)
            await asyncio.sleep(FORWARD_PAUSE_S)


def partition_of_execution(execution_id: str) -> int:
    """Return the partition in an execution id. Raises EXECUTION_NOT_FOUND if it has none."""
    partition = partition_of(execution_id)
    if partition is None:
        raise execution_not_found(execution_id)
    return partition
