"""Statistics of all orchestrators, merged."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import execution_service_pb2_grpc as pb_grpc
from flowmesh.errors import FlowmeshError
from flowmesh.orchestrator.dispatch.statistics.workflow_stats import Stats, merged
from flowmesh.orchestrator.ownership.ownership import Ownership
from flowmesh.orchestrator.ownership.peers import FORWARDED
from flowmesh.rpc import namespace_of

STATS_TIMEOUT_S = 1.0
"""Time after which an orchestrator is reported as unreachable."""

if TYPE_CHECKING:
    Stub = pb_grpc.ExecutionServiceAsyncStub


class ClusterStats:
    """Statistics of this orchestrator and of every other live one."""

    def __init__(
        self, *, stats: Stats, ownership: Ownership, stub_at: "Callable[[str], Stub]"
    ) -> None:
        self._stats = stats
        self._ownership = ownership
        self._stub_at = stub_at

    async def get(self, request: pb.GetStatsRequest, *, forwarded: bool) -> pb.GetStatsResponse:
        """Return the statistics of this orchestrator if another one asks, else of all."""
        peers = [] if forwarded else self._ownership.peers()
        own = self._stats.messages(
            namespace_of(request), request.workflow_id, samples=forwarded or bool(peers)
        )
        if not peers:
            return pb.GetStatsResponse(workflows=own)
        calls = (
            self._stub_at(peer).GetStats(request, metadata=FORWARDED, timeout=STATS_TIMEOUT_S)
            for peer in peers
        )
        answers = await asyncio.gather(*calls, return_exceptions=True)
        response = pb.GetStatsResponse()
        parts = list(own)
        for peer, answer in zip(peers, answers, strict=True):
            if isinstance(answer, FlowmeshError):
                response.unreachable.append(peer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                parts.extend(answer.workflows)
        response.workflows.extend(merged(parts))
        return response
