"""Admission webhook of Kubernetes: the checks of definitions in its message format.

The target of a ValidatingWebhookConfiguration; a proxy must provide the required TLS.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import orjson
from msgspec import Meta

from flowmesh.api.definition.v1 import definition_pb2, definition_service_pb2
from flowmesh.definitions.admission import definition_of, verdict
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.http.operation_docs import TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import JSON, Request, Response
from flowmesh.gateway.routes.common import json_response


class AdmissionRequest(msgspec.Struct, kw_only=True):
    """The resource to be stored; absent for a deletion."""

    uid: Annotated[str, Meta(max_length=256)]
    object: Annotated[dict[str, Any] | None, Meta(description="The resource.")] = None


class AdmissionReview(msgspec.Struct, kw_only=True):
    """`admission.k8s.io/v1` AdmissionReview; other members are ignored."""

    request: AdmissionRequest


class AdmissionCause(answers.Answer, kw_only=True):
    """A problem of the resource."""

    reason: str
    field: str
    message: str


class AdmissionDetails(answers.Answer, kw_only=True):
    """The problems, which `kubectl` prints instead of the message."""

    causes: list[AdmissionCause]


class AdmissionStatus(answers.Answer, kw_only=True):
    """The reason of a rejection."""

    code: int
    reason: str
    message: str
    details: AdmissionDetails


class AdmissionResponse(answers.Answer, kw_only=True):
    """The verdict on a resource."""

    uid: str
    allowed: bool
    status: AdmissionStatus | msgspec.UnsetType = msgspec.UNSET
    warnings: list[str] | msgspec.UnsetType = msgspec.UNSET


class AdmissionAnswer(answers.Answer, kw_only=True):
    """An AdmissionReview with its response."""

    api_version: str = "admission.k8s.io/v1"
    kind: str = "AdmissionReview"
    response: AdmissionResponse


async def review(backends: Backends, request: Request) -> Response:
    asked = (await request.envelope(AdmissionReview)).request
    problems: Sequence[definition_pb2.Problem] = ()
    if asked.object is not None:
        checked = await backends.definitions.ValidateWorkflow(
            definition_service_pb2.ValidateWorkflowRequest(
                namespace=request.namespace,
                source=orjson.dumps(definition_of(asked.object)),
                content_type=JSON,
            )
        )
        problems = checked.problems
    response = msgspec.convert(verdict(asked.uid, problems), AdmissionResponse)
    return json_response(AdmissionAnswer(response=response))


ROUTES = (
    Route(
        "POST",
        "/api/v1/admission:review",
        review,
        Operation(
            tag=TEST,
            summary="Validate a Workflow or WorkflowTask for Kubernetes",
            description="For a ValidatingWebhookConfiguration. Nothing is stored.",
            body=Body(AdmissionReview),
            answers=(Answer(200, "The verdict.", AdmissionAnswer),),
            errors=(413, 415),
        ),
    ),
)
