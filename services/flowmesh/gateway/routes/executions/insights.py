"""Insight into histories: past states, traces, comparisons, explanations."""

from flowmesh.api.history.v1 import insight_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import TEST, Answer, Endpoint, Operation, Route
from flowmesh.gateway.http.parameters import NODE, NUMBER, Query, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.insight.bottlenecks import Bottlenecks
from flowmesh.insight.causes import Diagnosis, Explanation
from flowmesh.insight.reports import Comparison, Watch
from flowmesh.insight.traces import Trace
from flowmesh.jsontext.integers import is_whole

EXECUTIONS_MAX = 1_000


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


async def get_trace(backends: Backends, request: Request) -> Response:
    response = await backends.insights.AnalyzeTrace(
        pb.AnalyzeTraceRequest(
            namespace=request.namespace, execution_id=request.param("executionId")
        )
    )
    return Response(200, response.report)


async def compare_executions(backends: Backends, request: Request) -> Response:
    response = await backends.insights.CompareExecutions(
        pb.CompareExecutionsRequest(
            namespace=request.namespace,
            execution_id=request.param("executionId"),
            other_execution_id=request.param("otherId"),
        )
    )
    return Response(200, response.report)


async def watch_variable(backends: Backends, request: Request) -> Response:
    response = await backends.insights.WatchVariable(
        pb.WatchVariableRequest(
            namespace=request.namespace,
            execution_id=request.param("executionId"),
            path=request.text("path"),
        )
    )
    return Response(200, response.report)


async def explain_execution(backends: Backends, request: Request) -> Response:
    response = await backends.insights.ExplainExecution(
        pb.ExplainExecutionRequest(
            namespace=request.namespace,
            execution_id=request.param("executionId"),
            node=request.text("task"),
        )
    )
    return Response(200, response.report)


async def explain_workflow(backends: Backends, request: Request) -> Response:
    response = await backends.insights.ExplainWorkflow(
        pb.ExplainWorkflowRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            version=request.whole("version"),
        )
    )
    return Response(200, response.report)


async def get_bottlenecks(backends: Backends, request: Request) -> Response:
    response = await backends.insights.RankBottlenecks(
        pb.RankBottlenecksRequest(
            namespace=request.namespace,
            workflow_id=request.param("name"),
            execution_count_max=request.whole("executions"),
        )
    )
    return Response(200, response.report)


def _get(path: str, endpoint: Endpoint, summary: str, answer: Answer, *query: Query) -> Route:
    operation = Operation(
        tag=TEST, summary=summary, query=query, answers=(answer,), errors=(404, 413)
    )
    return Route("GET", path, endpoint, operation)


_EXECUTION = "/api/v1/executions/{executionId}"
_WORKFLOW = "/api/v1/workflows/{name}"
ROUTES = (
    _get(
        f"{_EXECUTION}/trace",
        get_trace,
        "Trace the time of an execution",
        Answer(200, "Waits with reasons, runs, groups, the critical path.", Trace),
    ),
    _get(
        f"{_EXECUTION}/compare/{{otherId}}",
        compare_executions,
        "Compare two executions",
        Answer(200, "Both executions, each task, and the first difference.", Comparison),
    ),
    _get(
        f"{_EXECUTION}/watch",
        watch_variable,
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
        explain_execution,
        "Explain why an execution waits",
        Answer(200, "The innermost causes with remedies.", Explanation),
        Query("task", "Explain only this task."),
    ),
    _get(
        f"{_WORKFLOW}/bottlenecks",
        get_bottlenecks,
        "Find the bottlenecks of a workflow",
        Answer(200, "Percentiles by task, and the tasks ranked by cost.", Bottlenecks),
        Query("executions", "Maximum number of executions (default: 100).", whole(EXECUTIONS_MAX)),
    ),
    _get(
        f"{_WORKFLOW}/explain",
        explain_workflow,
        "Diagnose what would block executions of a workflow",
        Answer(200, "Tasks without workers, unsuitable limits.", Diagnosis),
        Query("version", "The version (default: the newest).", NUMBER),
    ),
)
