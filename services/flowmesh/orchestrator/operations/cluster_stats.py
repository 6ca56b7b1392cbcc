"""Statistics of all orchestrators: those that are stored, and what each has not stored yet."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.errors import FlowmeshError
from flowmesh.orchestrator.dispatch.statistics.workflow_stats import Stats, merged, to_store
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.ownership.peers import FORWARDED
from flowmesh.orchestrator.storage.stores.stats_store import StatsStore
from flowmesh.rpc import namespace_of
from flowmesh.runtime import Loop

STATS_TIMEOUT_S = 1.0
"""Time after which an orchestrator is reported as unreachable."""

if TYPE_CHECKING:
    Stub = pb_grpc.ExecutionServiceAsyncStub


class ClusterStats:
    """Statistics of this orchestrator, of every other one that runs, and of all that ran."""

    def __init__(
        self,
        *,
        stats: Stats,
        store: StatsStore,
        ownership: Ownership,
        stub_at: "Callable[[str], Stub]",
    ) -> None:
        self._stats = stats
        self._store = store
        self._ownership = ownership
        self._stub_at = stub_at

    async def get(self, request: pb.GetStatsRequest, *, forwarded: bool) -> pb.GetStatsResponse:
        """Return what this orchestrator has not stored if another one asks, else all."""
        asked = namespace_of(request), request.workflow_id
        if forwarded:
            return pb.GetStatsResponse(workflows=self._stats.messages(*asked))
        peers = self._ownership.peers()
        calls = (
            self._stub_at(peer).GetStats(request, metadata=FORWARDED, timeout=STATS_TIMEOUT_S)
            for peer in peers
        )
        answers = await asyncio.gather(*calls, return_exceptions=True)
        response = pb.GetStatsResponse()
        parts = [*await self._store.stored(*asked), *self._stats.messages(*asked)]
        for peer, answer in zip(peers, answers, strict=True):
            if isinstance(answer, FlowmeshError):
                response.unreachable.append(peer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                parts.extend(answer.workflows)
        response.workflows.extend(merged(parts))
        return response


class StatsLoop(Loop):
    """Stores the statistics of this process; a crash loses those of the last seconds."""

    interval_ms = 3_000

    def __init__(self, *, stats: Stats, store: StatsStore) -> None:
        self._stats = stats
        self._store = store

    async def run_once(self) -> int:
        """Return the number of workflows whose statistics were stored."""
        parts = self._stats.to_store()
        if parts:
            await self._store.add(parts, to_store)
            self._stats.stored(parts)
        return len(parts)
