"""Insight into histories: past states, traces, comparisons, explanations."""

from collections.abc import Mapping

from google.protobuf.message import Message

from flowmesh.api.definition.v1 import definition_service_pb2 as definition_pb
from flowmesh.api.history.v1 import insight_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import TEST, Answer, Operation, Route
from flowmesh.gateway.http.parameters import NODE, NUMBER, Query, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.insight.bottlenecks import Bottlenecks
from flowmesh.insight.causes import Diagnosis, Explanation
from flowmesh.insight.optimizing.report import Optimization
from flowmesh.insight.reports import Comparison, Watch
from flowmesh.insight.traces import TASKS_SHOWN_MAX, Trace
from flowmesh.jsontext.integers import is_whole

EXECUTIONS_MAX = 1_000
_NAMES: Mapping[str, str] = {}


async def state_at(backends: Backends, request: Request, at: str) -> Response:
    """Return the state after the event, or at the time, of `at`."""
    call = pb.GetStateAtRequest(
        namespace=request.namespace, execution_id=request.param("executionId")
    )
    if is_whole(at):
        call.sequence = request.whole("at")
    else:
        call.at_us = request.instant_us("at")
    return Response(200, (await backends.insights.GetStateAt(call)).report)


def _get(
    path: str,
    message: type[Message],
    summary: str,
    answer: Answer,
    *query: Query,
    name: str = "",
    names: Mapping[str, str] = _NAMES,
) -> Route:
    operation = Operation(
        tag=TEST, summary=summary, query=query, answers=(answer,), errors=(404, 413)
    )
    return rpc_route("GET", path, message, operation, name=name, names=names, report=True)


_EXECUTION = "/api/v1/executions/{executionId}"
_WORKFLOW = "/api/v1/workflows/{name}"
ROUTES = (
    _get(
        f"{_EXECUTION}/trace",
        pb.AnalyzeTraceRequest,
        "Trace the time of an execution",
        Answer(200, "Waits with reasons, runs, groups, the critical path.", Trace),
        Query(
            "limit",
            "Maximum number of tasks inside others: failed and slowest first (default: 200).",
            whole(TASKS_SHOWN_MAX),
        ),
        name="get_trace",
        names={"limit": "task_count_max"},
    ),
    _get(
        f"{_EXECUTION}/compare/{{otherId}}",
        pb.CompareExecutionsRequest,
        "Compare two executions",
        Answer(200, "Both executions, each task, and the first difference.", Comparison),
        names={"otherId": "other_execution_id"},
    ),
    _get(
        f"{_EXECUTION}/watch",
        pb.WatchVariableRequest,
        "Trace a value along the tasks",
        Answer(200, "The tasks that set and read it, and its value after each.", Watch),
        Query(
            "path",
            "A path as in templates, such as `tasks.charge.output.amount`.",
            NODE,
            required=True,
        ),
    ),
    _get(
        f"{_EXECUTION}/explain",
        pb.ExplainExecutionRequest,
        "Explain why an execution waits",
        Answer(200, "The innermost causes with remedies.", Explanation),
        Query("task", "Explain only this task."),
        names={"task": "node"},
    ),
    _get(
        f"{_WORKFLOW}/bottlenecks",
        pb.RankBottlenecksRequest,
        "Find the bottlenecks of a workflow",
        Answer(200, "Percentiles by task, and the tasks ranked by cost.", Bottlenecks),
        Query("executions", "Maximum number of executions (default: 100).", whole(EXECUTIONS_MAX)),
        name="get_bottlenecks",
        names={"name": "workflow_id", "executions": "execution_count_max"},
    ),
    _get(
        f"{_WORKFLOW}/optimize",
        definition_pb.OptimizeWorkflowRequest,
        "Propose changes of a workflow from its durations, rehearsed; changes nothing",
        Answer(200, "Proposals, replays, and the diff of the definition.", Optimization),
        Query("executions", "Maximum number of executions (default: 100).", whole(EXECUTIONS_MAX)),
        names={"name": "workflow_id", "executions": "execution_count_max"},
    ),
    _get(
        f"{_WORKFLOW}/explain",
        pb.ExplainWorkflowRequest,
        "Diagnose what would block executions of a workflow",
        Answer(200, "Tasks without workers, unsuitable limits.", Diagnosis),
        Query("version", "The version (default: the newest).", NUMBER),
        names={"name": "workflow_id"},
    ),
)
