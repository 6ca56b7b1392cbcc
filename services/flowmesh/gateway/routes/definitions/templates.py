"""Templates, and their instantiation as workflows."""

from http import HTTPStatus
from operator import not_
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from flowmesh.api.definition.v1 import template_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.envelopes import InstantiateRequest
from flowmesh.gateway.http.ids import checked_id
from flowmesh.gateway.http.operation_docs import MANAGE, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import NUMBER, Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    CHANGE_ACTOR,
    IDEMPOTENCY_KEY,
    PAGING,
    actor_of,
    json_response,
    request_id_of,
)
from flowmesh.gateway.routes.definitions.resources import delete, read
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import Source, reader


class TemplateAnswer(answers.Answer, kw_only=True):
    """A template; `parameters` is a JSON Schema. Bundled templates have the version 0."""

    name: str
    version: int
    bundled: Annotated[bool, Source("version", not_)]
    digest: str
    description: str
    parameters: answers.Json
    created_at: answers.Instant | UnsetType = UNSET
    labels: dict[str, str]
    definition: answers.Json | UnsetType = UNSET


class TemplateList(answers.Answer, kw_only=True):
    """Newest versions, sorted by name."""

    templates: list[TemplateAnswer]
    next_page_token: str


class InstantiatedAnswer(answers.Answer, kw_only=True):
    """The YAML of an instantiated template, and the applied resources."""

    resources: list[answers.AppliedResource]
    warnings: list[answers.ProblemValue] | UnsetType = UNSET
    source: Annotated[str, Source(read=bytes.decode)]


async def instantiate_template(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(InstantiateRequest)
    response = await backends.templates.InstantiateTemplate(
        pb.InstantiateTemplateRequest(
            namespace=request.namespace,
            name=request.param("name"),
            version=envelope.version,
            target=checked_id("name", envelope.name),
            parameters=msgspec.json.encode(envelope.parameters),
            dry_run=envelope.dry_run,
            request_id=request_id_of(request, envelope.request_id),
            actor=actor_of(request),
            reason=envelope.reason,
        )
    )
    created = any(resource.created for resource in response.resources)
    return json_response(_instantiated(response), HTTPStatus.CREATED if created else HTTPStatus.OK)


_instantiated = reader(InstantiatedAnswer, pb.InstantiateTemplateResponse)
_VERSION = Query("version", "The version (default: the newest).", NUMBER)
_TEMPLATES = "/api/v1/templates"
_TEMPLATE = f"{_TEMPLATES}/{{name}}"
_INSTANTIATE = Operation(
    tag=MANAGE,
    summary="Make a workflow from a template",
    description="The resources are applied atomically.",
    body=Body(InstantiateRequest),
    headers=(IDEMPOTENCY_KEY, CHANGE_ACTOR),
    answers=(
        Answer(201, "A new version of at least one resource.", InstantiatedAnswer),
        Answer(200, "Unchanged, or a dry run.", InstantiatedAnswer),
    ),
    errors=(404, 413, 415),
)
ROUTES = (
    rpc_route(
        "GET",
        _TEMPLATES,
        pb.ListTemplatesRequest,
        read("List templates", TemplateList, *PAGING, errors=()),
    ),
    rpc_route(
        "GET",
        _TEMPLATE,
        pb.GetTemplateRequest,
        read("Get a template", TemplateAnswer, _VERSION),
        part="template",
    ),
    rpc_route(
        "DELETE",
        _TEMPLATE,
        pb.DeleteTemplateRequest,
        delete("Delete a template with all versions"),
    ),
    Route("POST", f"{_TEMPLATE}:instantiate", instantiate_template, _INSTANTIATE),
)
