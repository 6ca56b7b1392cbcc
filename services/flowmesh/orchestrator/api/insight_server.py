"""Translates InsightService messages; contains no logic."""

from typing import Any

from flowmesh.api.history.v1 import insight_service_pb2 as pb
from flowmesh.api.history.v1 import insight_service_pb2_grpc as pb_grpc
from flowmesh.orchestrator.insight.insights import Insights
from flowmesh.orchestrator.ownership.peers import was_forwarded


class InsightServer(pb_grpc.InsightServiceServicer):
    """Reports on histories and explanations of executions."""

    def __init__(self, *, insights: Insights) -> None:
        self._insights = insights

    async def GetStateAt(
        self, request: pb.GetStateAtRequest, context: Any
    ) -> pb.GetStateAtResponse:
        return pb.GetStateAtResponse(report=await self._insights.state_at(request))

    async def RenderInputs(
        self, request: pb.RenderInputsRequest, context: Any
    ) -> pb.RenderInputsResponse:
        return pb.RenderInputsResponse(report=await self._insights.inputs(request))

    async def AnalyzeTrace(
        self, request: pb.AnalyzeTraceRequest, context: Any
    ) -> pb.AnalyzeTraceResponse:
        return pb.AnalyzeTraceResponse(report=await self._insights.trace(request))

    async def CompareExecutions(
        self, request: pb.CompareExecutionsRequest, context: Any
    ) -> pb.CompareExecutionsResponse:
        return pb.CompareExecutionsResponse(report=await self._insights.compare(request))

    async def WatchVariable(
        self, request: pb.WatchVariableRequest, context: Any
    ) -> pb.WatchVariableResponse:
        return pb.WatchVariableResponse(report=await self._insights.watch(request))

    async def RankBottlenecks(
        self, request: pb.RankBottlenecksRequest, context: Any
    ) -> pb.RankBottlenecksResponse:
        return pb.RankBottlenecksResponse(report=await self._insights.bottlenecks(request))

    async def ExplainExecution(
        self, request: pb.ExplainExecutionRequest, context: Any
    ) -> pb.ExplainExecutionResponse:
        report = await self._insights.explain(request, forwarded=was_forwarded(context))
        return pb.ExplainExecutionResponse(report=report)

    async def ExplainWorkflow(
        self, request: pb.ExplainWorkflowRequest, context: Any
    ) -> pb.ExplainWorkflowResponse:
        return pb.ExplainWorkflowResponse(report=await self._insights.diagnose(request))
