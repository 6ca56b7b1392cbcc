"""The client's calls that look into histories: states of the past, comparisons, explanations."""

from datetime import datetime
from typing import Any

from flowmesh.api.history.v1 import insight_service_pb2 as pb
from flowmesh.api.history.v1 import insight_service_pb2_grpc as rpc
from flowmesh.insight.bottlenecks import Bottlenecks
from flowmesh.insight.causes import Diagnosis, Explanation
from flowmesh.insight.parts import decode
from flowmesh.insight.reports import Comparison, NodeInputs, Watch
from flowmesh.insight.states import StateAt
from flowmesh.insight.traces import Trace
from flowmesh.sdk.client.connection import Connection


class InsightCalls(Connection):
    """Executions, seen through their histories."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.insights = rpc.InsightServiceStub(self.caller.channel)

    async def state_at(self, execution_id: str, at: int | datetime = 0) -> StateAt:
        """The execution as it was after an event, by its sequence, or at a time."""
        request = pb.GetStateAtRequest(namespace=self.namespace, execution_id=execution_id)
        if isinstance(at, int):
            request.sequence = at
        else:
            request.at_us = int(at.timestamp() * 1_000_000)
        response = await self.caller.call(self.insights.GetStateAt, request)
        return decode(response.report, StateAt)

    async def trace(self, execution_id: str) -> Trace:
        """Where the time of an execution went."""
        request = pb.AnalyzeTraceRequest(namespace=self.namespace, execution_id=execution_id)
        response = await self.caller.call(self.insights.AnalyzeTrace, request)
        return decode(response.report, Trace)

    async def compare(self, execution_id: str, other_id: str) -> Comparison:
        """What differs between two executions."""
        request = pb.CompareExecutionsRequest(
            namespace=self.namespace, execution_id=execution_id, other_execution_id=other_id
        )
        response = await self.caller.call(self.insights.CompareExecutions, request)
        return decode(response.report, Comparison)

    async def watch_variable(self, execution_id: str, path: str) -> Watch:
        """A value along the chain of tasks; `path` as templates write it."""
        request = pb.WatchVariableRequest(
            namespace=self.namespace, execution_id=execution_id, path=path
        )
        response = await self.caller.call(self.insights.WatchVariable, request)
        return decode(response.report, Watch)

    async def node_inputs(self, execution_id: str, *nodes: str) -> NodeInputs:
        """What some tasks got as their input in their last attempt, or all of them."""
        request = pb.RenderInputsRequest(
            namespace=self.namespace, execution_id=execution_id, nodes=nodes
        )
        response = await self.caller.call(self.insights.RenderInputs, request)
        return decode(response.report, NodeInputs)

    async def explain(self, execution_id: str, task_id: str = "") -> Explanation:
        """Why an execution, or one task of it, waits now, and what helps."""
        request = pb.ExplainExecutionRequest(
            namespace=self.namespace, execution_id=execution_id, node=task_id
        )
        response = await self.caller.call(self.insights.ExplainExecution, request)
        return decode(response.report, Explanation)

    async def explain_workflow(self, workflow_id: str, *, version: int = 0) -> Diagnosis:
        """What would keep executions of a workflow from ending."""
        request = pb.ExplainWorkflowRequest(
            namespace=self.namespace, workflow_id=workflow_id, version=version
        )
        response = await self.caller.call(self.insights.ExplainWorkflow, request)
        return decode(response.report, Diagnosis)

    async def bottlenecks(self, workflow_id: str, *, executions: int = 0) -> Bottlenecks:
        """Where the time of the last executions of a workflow went."""
        request = pb.RankBottlenecksRequest(
            namespace=self.namespace, workflow_id=workflow_id, execution_count_max=executions
        )
        response = await self.caller.call(self.insights.RankBottlenecks, request)
        return decode(response.report, Bottlenecks)
