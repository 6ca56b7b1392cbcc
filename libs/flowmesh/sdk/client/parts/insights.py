"""Calls that analyze histories: past states, traces, comparisons, explanations."""

from datetime import datetime

from flowmesh.api.history.v1 import insight_service_pb2 as pb
from flowmesh.api.history.v1 import insight_service_pb2_grpc as rpc
from flowmesh.insight.bottlenecks import Bottlenecks
from flowmesh.insight.causes import Diagnosis, Explanation
from flowmesh.insight.parts import decode
from flowmesh.insight.reports import Comparison, NodeInputs, Watch
from flowmesh.insight.states import StateAt
from flowmesh.insight.traces import Trace
from flowmesh.sdk.transport.connection import Connection


class InsightCalls:
    """Analyses of executions from their histories."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = rpc.InsightServiceStub(connection.caller.channel)

    async def state_at(self, execution_id: str, at: int | datetime = 0) -> StateAt:
        """Return the state of an execution after an event (by sequence) or at a time."""
        request = pb.GetStateAtRequest(execution_id=execution_id)
        if isinstance(at, int):
            request.sequence = at
        else:
            request.at_us = int(at.timestamp() * 1_000_000)
        response = await self._connection.call(self._stub.GetStateAt, request)
        return decode(response.report, StateAt)

    async def trace(self, execution_id: str, *, limit: int = 0) -> Trace:
        """Return the breakdown of an execution's time.

        It has up to `limit` tasks (default 200, at most 10,000) inside maps, groups and state
        machines, failed and slowest first; `omitted` counts the others.
        """
        request = pb.AnalyzeTraceRequest(execution_id=execution_id, task_count_max=limit)
        response = await self._connection.call(self._stub.AnalyzeTrace, request)
        return decode(response.report, Trace)

    async def compare(self, execution_id: str, other_id: str) -> Comparison:
        """Compare two executions."""
        request = pb.CompareExecutionsRequest(
            execution_id=execution_id, other_execution_id=other_id
        )
        response = await self._connection.call(self._stub.CompareExecutions, request)
        return decode(response.report, Comparison)

    async def watch_variable(self, execution_id: str, path: str) -> Watch:
        """Return the values of a variable over the run; `path` has the form used in templates."""
        request = pb.WatchVariableRequest(execution_id=execution_id, path=path)
        response = await self._connection.call(self._stub.WatchVariable, request)
        return decode(response.report, Watch)

    async def node_inputs(self, execution_id: str, *nodes: str) -> NodeInputs:
        """Return the inputs of the last attempts of these nodes, or of all."""
        request = pb.RenderInputsRequest(execution_id=execution_id, nodes=nodes)
        response = await self._connection.call(self._stub.RenderInputs, request)
        return decode(response.report, NodeInputs)

    async def explain(self, execution_id: str, task_id: str = "") -> Explanation:
        """Explain the current wait of an execution or of one of its tasks, with remedies."""
        request = pb.ExplainExecutionRequest(execution_id=execution_id, node=task_id)
        response = await self._connection.call(self._stub.ExplainExecution, request)
        return decode(response.report, Explanation)

    async def explain_workflow(self, workflow_id: str, *, version: int = 0) -> Diagnosis:
        """Report conditions that would keep executions of a workflow from ending."""
        request = pb.ExplainWorkflowRequest(workflow_id=workflow_id, version=version)
        response = await self._connection.call(self._stub.ExplainWorkflow, request)
        return decode(response.report, Diagnosis)

    async def bottlenecks(self, workflow_id: str, *, executions: int = 0) -> Bottlenecks:
        """Rank the nodes of a workflow by their time in its last executions."""
        request = pb.RankBottlenecksRequest(workflow_id=workflow_id, execution_count_max=executions)
        response = await self._connection.call(self._stub.RankBottlenecks, request)
        return decode(response.report, Bottlenecks)
