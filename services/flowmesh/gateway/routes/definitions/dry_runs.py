"""Dry runs: simulated executions without calls of other services."""

from typing import Any

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.dryrun.report import Report
from flowmesh.dryrun.results import TestResults
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.envelopes import (
    DryRunRequest,
    DryRunSourceRequest,
    TestSourceRequest,
    version_choice,
)
from flowmesh.gateway.http.ids import checked_id
from flowmesh.gateway.http.operation_docs import TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import JSON, Request, Response
from flowmesh.gateway.routes.common import DEFINITION_BODY
from flowmesh.jsontext import dump_json


async def dry_run_workflow(backends: Backends, request: Request) -> Response:
    name = request.param("name")
    call = _call_of(request, await request.envelope(DryRunRequest))
    call.workflow_id = name
    return await _answer(backends, call)


async def dry_run_source(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(DryRunSourceRequest)
    call = _call_of(request, envelope)
    _name_source(call, envelope)
    return await _answer(backends, call)


async def test_source(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(TestSourceRequest)
    call = pb.DryRunWorkflowRequest(namespace=request.namespace, tests=_text(envelope.tests))
    _name_source(call, envelope)
    return await _answer(backends, call)


def _name_source(
    call: pb.DryRunWorkflowRequest, envelope: DryRunSourceRequest | TestSourceRequest
) -> None:
    if envelope.workflow:
        call.workflow_id = checked_id("workflow", envelope.workflow)
    call.source = _text(envelope.definition)
    if not isinstance(envelope.definition, str):
        call.content_type = JSON


def _text(value: dict[str, Any] | str) -> bytes:
    return value.encode() if isinstance(value, str) else dump_json(value)


def _call_of(request: Request, envelope: DryRunRequest) -> pb.DryRunWorkflowRequest:
    return pb.DryRunWorkflowRequest(
        namespace=request.namespace,
        input=dump_json(envelope.input),
        mocks=dump_json(envelope.mocks),
        signals=dump_json(envelope.signals),
        **version_choice(envelope.version),
    )


async def _answer(backends: Backends, call: pb.DryRunWorkflowRequest) -> Response:
    response = await backends.definitions.DryRunWorkflow(call)
    return Response(200, response.report)


def _operation(summary: str, shape: type[DryRunRequest], example: Any) -> Operation:
    return Operation(
        tag=TEST,
        summary=summary,
        description="The engine runs the workflow on a virtual clock. Nothing is stored or called.",
        body=Body(shape, example=example),
        answers=(Answer(200, "The report of the simulated execution.", Report),),
        errors=(404, 413, 415, 504),
    )


_WORKFLOWS = "/api/v1/workflows"
_TESTED = {
    "definition": DEFINITION_BODY.example,
    "tests": {"tests": [{"name": "it completes", "expect": {"status": "completed"}}]},
}
ROUTES = (
    Route(
        "POST",
        f"{_WORKFLOWS}:dryRun",
        dry_run_source,
        _operation(
            "Dry-run a definition in the request",
            DryRunSourceRequest,
            {"definition": DEFINITION_BODY.example},
        ),
    ),
    Route(
        "POST",
        f"{_WORKFLOWS}:test",
        test_source,
        Operation(
            tag=TEST,
            summary="Run tests of a definition in the request",
            description="Each test is a dry run with expectations. Nothing is stored or called.",
            body=Body(TestSourceRequest, example=_TESTED),
            answers=(Answer(200, "The results of the tests, and their coverage.", TestResults),),
            errors=(404, 413, 415, 504),
        ),
    ),
    Route(
        "POST",
        f"{_WORKFLOWS}/{{name}}:dryRun",
        dry_run_workflow,
        _operation("Dry-run a stored workflow", DryRunRequest, {"input": {"orderId": "order-123"}}),
    ),
)
