"""What all orchestrators have counted, put together."""

import asyncio

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import FlowmeshError
from flowmesh.orchestrator.dispatch.stats import merged
from flowmesh.orchestrator.operations.executions import Executions
from flowmesh.orchestrator.owner import Orchestrator
from flowmesh.orchestrator.ownership.peers import FORWARDED
from flowmesh.rpc import namespace_of

STATS_TIMEOUT_S = 1.0
"""An orchestrator that does not say in time what it counted is named as unreachable."""


async def stats_of_all(
    request: pb.GetStatsRequest, core: Orchestrator, executions: Executions, *, forwarded: bool
) -> pb.GetStatsResponse:
    """Of every live orchestrator; of this one alone where another asks."""
    peers = [] if forwarded else core.ownership.peers()
    mine = core.stats.messages(
        namespace_of(request), request.workflow_id, samples=forwarded or bool(peers)
    )
    if not peers:
        return pb.GetStatsResponse(workflows=mine)
    asked = (
        executions.stub_at(peer).GetStats(request, metadata=FORWARDED, timeout=STATS_TIMEOUT_S)
        for peer in peers
    )
    answers = await asyncio.gather(*asked, return_exceptions=True)
    response = pb.GetStatsResponse()
    parts = list(mine)
    for peer, answer in zip(peers, answers, strict=True):
        if isinstance(answer, FlowmeshError):
            response.unreachable.append(peer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            parts.extend(answer.workflows)
    response.workflows.extend(merged(parts))
    return response
