"""The step-JSON routes. Their spellings and literals are fixed by existing clients."""

from http import HTTPStatus

from flowmesh.api.definition.v1 import definition_service_pb2 as definition_pb
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers, step_answers
from flowmesh.gateway.bodies.envelopes import StartStepsRequest, StopRequest, version_choice
from flowmesh.gateway.bodies.payloads import payload_of, resolve_references
from flowmesh.gateway.bodies.views import problems, read_members
from flowmesh.gateway.http.ids import checked_id
from flowmesh.gateway.http.limits import STEP_LIST_PAGE_SIZE
from flowmesh.gateway.http.operation_docs import (
    EXECUTE,
    MANAGE,
    TEST,
    Answer,
    Body,
    Operation,
    Route,
)
from flowmesh.gateway.http.parameters import FLAG, OPTIONAL_ID, Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    DEFINITION_BODY,
    IDEMPOTENCY_KEY,
    PAGING,
    PERMISSIONS,
    STATUSES,
    actor_of,
    cancel,
    json_response,
    permissions_of,
    request_id_of,
    statuses_of,
)
from flowmesh.views import execution_view, raw_json, visualize_view


async def register_workflow(backends: Backends, request: Request) -> Response:
    source, content_type = await request.definition()
    response = await backends.definitions.RegisterWorkflow(
        definition_pb.RegisterWorkflowRequest(
            namespace=request.namespace,
            source=source,
            content_type=content_type,
            request_id=request_id_of(request),
            actor=actor_of(request),
        )
    )
    answer = answers.RegisteredWorkflow(
        id=response.workflow_id,
        version=response.version,
        digest=response.digest,
        created=response.created,
        warnings=problems(response.warnings),
    )
    return json_response(answer, HTTPStatus.CREATED if response.created else HTTPStatus.OK)


async def list_definitions(backends: Backends, request: Request) -> Response:
    response = await backends.definitions.ListWorkflows(
        definition_pb.ListWorkflowsRequest(
            namespace=request.namespace,
            page_size=request.whole("pageSize", default=STEP_LIST_PAGE_SIZE),
            page_token=request.text("pageToken"),
        )
    )
    return json_response(
        {
            "workflows": [raw_json(workflow.definition) for workflow in response.workflows],
            "nextPageToken": response.next_page_token,
        }
    )


async def get_definition(backends: Backends, request: Request) -> Response:
    response = await backends.definitions.GetWorkflow(
        definition_pb.GetWorkflowRequest(
            namespace=request.namespace, workflow_id=request.param("workflowId")
        )
    )
    return json_response(raw_json(response.workflow.definition))


async def start_steps(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(StartStepsRequest)
    namespace = request.namespace
    start = pb.StartExecutionRequest(
        namespace=namespace,
        workflow_id=checked_id("workflowId", envelope.workflow_id),
        **version_choice(envelope.version),
        actor=actor_of(request),
        request_id=request_id_of(request, envelope.request_id),
        input=await payload_of(backends, namespace, "context", envelope.context),
        labels=envelope.labels,
        permissions=permissions_of(request),
    )
    response = await backends.executions.StartExecution(start)
    return json_response(answers.Started(execution_id=response.execution_id))


async def list_step_executions(backends: Backends, request: Request) -> Response:
    response = await backends.executions.ListExecutions(
        pb.ListExecutionsRequest(
            namespace=request.namespace,
            workflow_id=request.text("workflowId"),
            statuses=statuses_of(request),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
            with_nodes=True,
        )
    )
    return json_response(
        {
            "executions": [
                execution_view(execution, read=read_members) for execution in response.executions
            ],
            "nextPageToken": response.next_page_token,
        }
    )


async def get_step_execution(backends: Backends, request: Request) -> Response:
    response = await backends.executions.GetExecution(
        pb.GetExecutionRequest(
            namespace=request.namespace, execution_id=request.param("executionId")
        )
    )
    execution = await resolve_references(backends, response.execution)
    return json_response(execution_view(execution, read=read_members))


async def visualize(backends: Backends, request: Request) -> Response:
    response = await backends.executions.GetExecution(
        pb.GetExecutionRequest(
            namespace=request.namespace, execution_id=request.param("executionId")
        )
    )
    return json_response(
        visualize_view(
            response.execution, now_us=backends.clock.now_us(), all_steps=request.flag("all")
        )
    )


ROUTES = (
    Route(
        "POST",
        "/workflows",
        register_workflow,
        Operation(
            tag=MANAGE,
            summary="Register a workflow",
            description="For unchanged content the existing version is returned.",
            body=DEFINITION_BODY,
            headers=(IDEMPOTENCY_KEY,),
            answers=(
                Answer(201, "A new version.", answers.RegisteredWorkflow),
                Answer(200, "The content was already stored.", answers.RegisteredWorkflow),
            ),
            errors=(413, 415),
        ),
    ),
    Route(
        "GET",
        "/workflows",
        list_definitions,
        Operation(
            tag=MANAGE,
            summary="List definitions",
            query=PAGING,
            answers=(Answer(200, "Definitions as they were posted.", answers.DefinitionList),),
        ),
    ),
    Route(
        "GET",
        "/workflows/{workflowId}",
        get_definition,
        Operation(
            tag=MANAGE,
            summary="Get a definition as it was posted",
            answers=(Answer(200, "The newest version.", dict),),
            errors=(404,),
        ),
    ),
    Route(
        "POST",
        "/executions/start",
        start_steps,
        Operation(
            tag=EXECUTE,
            summary="Start an execution",
            body=Body(
                StartStepsRequest,
                example={"workflowId": "hello", "context": {"orderId": "order-123"}},
            ),
            headers=(IDEMPOTENCY_KEY, PERMISSIONS),
            answers=(Answer(200, "The execution is stored and runs.", answers.Started),),
            errors=(404, 409, 413, 415, 429),
        ),
    ),
    Route(
        "GET",
        "/executions",
        list_step_executions,
        Operation(
            tag=TEST,
            summary="List executions, newest first",
            query=(
                Query("workflowId", "Only executions of this workflow.", OPTIONAL_ID),
                STATUSES,
                *PAGING,
            ),
            answers=(
                Answer(200, "Executions without their steps.", step_answers.StepExecutionList),
            ),
        ),
    ),
    Route(
        "GET",
        "/executions/{executionId}",
        get_step_execution,
        Operation(
            tag=TEST,
            summary="Get the state of an execution",
            answers=(Answer(200, "The committed state.", step_answers.StepExecution),),
            errors=(404,),
        ),
    ),
    Route(
        "GET",
        "/executions/{executionId}/visualize",
        visualize,
        Operation(
            tag=TEST,
            summary="Visualize an execution",
            query=(Query("all", "Include steps that have not started.", FLAG),),
            answers=(Answer(200, "Started steps.", step_answers.Picture),),
            errors=(404,),
        ),
    ),
    Route(
        "POST",
        "/executions/{executionId}/cancel",
        cancel,
        Operation(
            tag=EXECUTE,
            summary="Cancel an execution",
            body=Body(StopRequest, required=False),
            headers=(IDEMPOTENCY_KEY,),
            answers=(Answer(202, "The execution is canceled.", answers.Stopped),),
            errors=(404, 409, 413, 415, 429),
        ),
    ),
)
