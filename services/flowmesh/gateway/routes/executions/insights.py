"""What histories tell: states of the past, traces, comparisons, explanations."""

from flowmesh.api.history.v1 import insight_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.operation_docs import TEST, Answer, Endpoint, Operation, Route
from flowmesh.gateway.http.parameters import NODE, NUMBER, Query, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.insight.bottlenecks import Bottlenecks
from flowmesh.insight.causes import Diagnosis, Explanation
from flowmesh.insight.reports import Comparison, Watch
from flowmesh.insight.traces import Trace

EXECUTIONS_MAX = 1_000


async def state_at(backends: Backends, request: Request, at: str) -> Response:
    """The state after the event, or at the time, that `at` names."""
    call = pb.GetStateAtRequest(
        namespace=request.namespace, execution_id=request.param("executionId")
    )
    if at.isdigit():
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
        "Where the time of an execution went",
        Answer(200, "Waits and their reasons, runs, groups, the critical path.", Trace),
    ),
    _get(
        f"{_EXECUTION}/compare/{{otherId}}",
        compare_executions,
        "What differs between two executions",
        Answer(200, "Both sides, each task, and where they first part.", Comparison),
    ),
    _get(
        f"{_EXECUTION}/watch",
        watch_variable,
        "One value along the chain of tasks",
        Answer(200, "Who set it, who read it, what it was after each.", Watch),
        Query("path", "As templates write it: `tasks.charge.output.amount`.", NODE, required=True),
    ),
    _get(
        f"{_EXECUTION}/explain",
        explain_execution,
        "Why an execution waits now",
        Answer(200, "Causes with remedies, the innermost ones.", Explanation),
        Query("task", "Only why this task waits."),
    ),
    _get(
        f"{_WORKFLOW}/bottlenecks",
        get_bottlenecks,
        "Where the time of the last executions of a workflow went",
        Answer(200, "Percentiles by task, and the tasks ranked by what they cost.", Bottlenecks),
        Query("executions", "Of how many at most; 100 without it.", whole(EXECUTIONS_MAX)),
    ),
    _get(
        f"{_WORKFLOW}/explain",
        explain_workflow,
        "What would keep executions of a workflow from ending",
        Answer(200, "Tasks that no worker takes, limits that do not fit.", Diagnosis),
        Query("version", "The newest without it.", NUMBER),
    ),
)
