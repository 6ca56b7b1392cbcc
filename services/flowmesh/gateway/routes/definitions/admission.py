"""Admission webhook of Kubernetes: the checks of definitions in its message format.

The target of a ValidatingWebhookConfiguration; a proxy must provide the required TLS.
"""

from typing import Annotated, Any

import msgspec
import orjson
from msgspec import Meta

from flowmesh.api.definition.v1 import definition_pb2, definition_service_pb2
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.http.operation_docs import TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import JSON, Request, Response
from flowmesh.gateway.routes.common import json_response

# Metadata of definitions; Kubernetes adds further members.
_METADATA = frozenset({"annotations", "labels", "name", "namespace"})
_OF_A_DEFINITION = frozenset({"apiVersion", "kind", "metadata", "spec"})


class AdmissionRequest(msgspec.Struct, kw_only=True):
    """The resource to be stored; absent for a deletion."""

    uid: Annotated[str, Meta(max_length=256)]
    object: Annotated[dict[str, Any] | None, Meta(description="The resource.")] = None


class AdmissionReview(msgspec.Struct, kw_only=True):
    """`admission.k8s.io/v1` AdmissionReview; other members are ignored."""

    request: AdmissionRequest


class AdmissionStatus(answers.Answer, kw_only=True):
    """The reason of a rejection."""

    code: int
    reason: str
    message: str


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
    verdict = AdmissionResponse(uid=asked.uid, allowed=True)
    if asked.object is not None:
        checked = await backends.definitions.ValidateWorkflow(
            definition_service_pb2.ValidateWorkflowRequest(
                namespace=request.namespace,
                source=orjson.dumps(_definition(asked.object)),
                content_type=JSON,
            )
        )
        messages = {True: list[str](), False: list[str]()}
        for problem in checked.problems:
            error = problem.severity == definition_pb2.SEVERITY_ERROR
            messages[error].append(f"{problem.path}: {problem.message} [{problem.code}]")
        if messages[True]:
            verdict.allowed = False
            message = "\n".join(messages[True])
            verdict.status = AdmissionStatus(code=422, reason="Invalid", message=message)
        if messages[False]:
            verdict.warnings = messages[False]
    return json_response(AdmissionAnswer(response=verdict))


def _definition(resource: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in resource.items() if key in _OF_A_DEFINITION}
    metadata = kept.get("metadata")
    if isinstance(metadata, dict):
        kept["metadata"] = {key: value for key, value in metadata.items() if key in _METADATA}
    return kept


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
