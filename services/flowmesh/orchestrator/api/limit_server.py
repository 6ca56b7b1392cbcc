"""Translates messages about limits, dispatch stops and permits; contains no logic."""

from typing import Any

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.api.execution.v1 import limits_service_pb2_grpc as pb_grpc
from flowmesh.orchestrator.limits.permit_client import PermitClient
from flowmesh.orchestrator.limits.rule_loader import RuleLoader
from flowmesh.orchestrator.operations.dead_letters import DeadLetters
from flowmesh.orchestrator.operations.limit_operations import Limits
from flowmesh.orchestrator.ownership.peers import was_forwarded


class LimitServer(pb_grpc.LimitServiceServicer):
    """Limits, dispatch stops, queues and breakers."""

    def __init__(self, *, limits: Limits, dead_letters: DeadLetters) -> None:
        self._limits = limits
        self._dead_letters = dead_letters

    async def SetLimit(self, request: pb.SetLimitRequest, context: Any) -> pb.SetLimitResponse:
        return await self._limits.set(request)

    async def DeleteLimit(
        self, request: pb.DeleteLimitRequest, context: Any
    ) -> pb.DeleteLimitResponse:
        return await self._limits.delete(request)

    async def ListLimits(
        self, request: pb.ListLimitsRequest, context: Any
    ) -> pb.ListLimitsResponse:
        return await self._limits.listed(request, forwarded=was_forwarded(context))

    async def StopDispatch(
        self, request: pb.StopDispatchRequest, context: Any
    ) -> pb.StopDispatchResponse:
        return await self._limits.stop(request)

    async def StartDispatch(
        self, request: pb.StartDispatchRequest, context: Any
    ) -> pb.StartDispatchResponse:
        return await self._limits.start(request)

    async def ListLimitChanges(
        self, request: pb.ListLimitChangesRequest, context: Any
    ) -> pb.ListLimitChangesResponse:
        return await self._limits.changes(request)

    async def ListQueues(
        self, request: pb.ListQueuesRequest, context: Any
    ) -> pb.ListQueuesResponse:
        return await self._limits.queues(request, forwarded=was_forwarded(context))

    async def ListDeadLetters(
        self, request: pb.ListDeadLettersRequest, context: Any
    ) -> pb.ListDeadLettersResponse:
        return await self._dead_letters.page(request)

    async def DiscardDeadLetters(
        self, request: pb.DiscardDeadLettersRequest, context: Any
    ) -> pb.DiscardDeadLettersResponse:
        return await self._dead_letters.discard(request)

    async def ListWorkers(
        self, request: pb.ListWorkersRequest, context: Any
    ) -> pb.ListWorkersResponse:
        return await self._limits.workers(request, forwarded=was_forwarded(context))

    async def ListBreakers(
        self, request: pb.ListBreakersRequest, context: Any
    ) -> pb.ListBreakersResponse:
        return self._limits.breakers()


class PermitServer(pb_grpc.PermitServiceServicer):
    """Permits, between orchestrators."""

    def __init__(self, *, permits: PermitClient, rules: RuleLoader) -> None:
        self._permits = permits
        self._rules = rules

    async def ReloadLimits(
        self, request: pb.ReloadLimitsRequest, context: Any
    ) -> pb.ReloadLimitsResponse:
        await self._rules.load()
        return pb.ReloadLimitsResponse()

    async def AskPermits(
        self, request: pb.AskPermitsRequest, context: Any
    ) -> pb.AskPermitsResponse:
        return pb.AskPermitsResponse(granted=self._permits.grantor.requested(request))

    async def GrantPermits(
        self, request: pb.GrantPermitsRequest, context: Any
    ) -> pb.GrantPermitsResponse:
        self._permits.granted(request)
        return pb.GrantPermitsResponse()

    async def ReleasePermits(
        self, request: pb.ReleasePermitsRequest, context: Any
    ) -> pb.ReleasePermitsResponse:
        self._permits.grantor.released(request)
        return pb.ReleasePermitsResponse()

    async def ReportPermits(
        self, request: pb.ReportPermitsRequest, context: Any
    ) -> pb.ReportPermitsResponse:
        if request.HasField("report"):
            self._permits.grantor.reported(request)
        else:
            self._permits.sync_peers()
        return pb.ReportPermitsResponse(report=self._permits.report())
