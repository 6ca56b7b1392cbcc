"""Secrets of projects: names and versions, never values."""

from http import HTTPStatus
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from flowmesh.api.identity.v1 import secret_service_pb2 as pb
from flowmesh.api.identity.v1 import tenant_service_pb2 as tenants_pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.answers import Answer as Value
from flowmesh.gateway.bodies.answers import Instant
from flowmesh.gateway.bodies.envelopes import Envelope
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import TEXT
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import PAGING, json_response
from flowmesh.records import reader


class SecretRequest(Envelope, frozen=True, kw_only=True):
    """The value of a secret."""

    value: Annotated[str, Meta(description="Text of at most 64 KiB.")]


class SecretValue(Value, kw_only=True):
    """The newest version of a secret."""

    name: str
    version: int
    created_at: Instant
    created_by: str


class SecretList(Value, kw_only=True):
    """Secrets by name."""

    secrets: list[SecretValue]
    next_page_token: str | UnsetType = UNSET


async def list_secrets(backends: Backends, request: Request) -> Response:
    found = await backends.secrets.ListSecrets(
        pb.ListSecretsRequest(
            namespace=await _namespace(backends, request),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    return json_response(_secrets(found))


async def put_secret(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(SecretRequest)
    stored = await backends.secrets.PutSecret(
        pb.PutSecretRequest(
            namespace=await _namespace(backends, request),
            name=request.param("secret"),
            value=envelope.value.encode(),
        )
    )
    status = HTTPStatus.CREATED if stored.secret.version == 1 else HTTPStatus.OK
    return json_response(_secret(stored.secret), status)


async def delete_secret(backends: Backends, request: Request) -> Response:
    await backends.secrets.DeleteSecret(
        pb.DeleteSecretRequest(
            namespace=await _namespace(backends, request), name=request.param("secret")
        )
    )
    return Response(HTTPStatus.NO_CONTENT)


async def _namespace(backends: Backends, request: Request) -> str:
    wanted = tenants_pb.GetProjectRequest(project_id=request.param("projectId"))
    return str((await backends.tenants.GetProject(wanted)).project.namespace)


_secret = reader(SecretValue, pb.Secret)
_secrets = reader(SecretList, pb.ListSecretsResponse)

_SECRETS = "/api/v1/projects/{projectId}/secrets"
_SECRET = f"{_SECRETS}/{{secret}}"
ROUTES = (
    Route(
        "GET",
        _SECRETS,
        list_secrets,
        Operation(
            tag=ADMINISTER,
            summary="List the secrets of a project",
            query=PAGING,
            answers=(Answer(200, "Names and newest versions, without values.", SecretList),),
        ),
    ),
    Route(
        "PUT",
        _SECRET,
        put_secret,
        Operation(
            tag=ADMINISTER,
            summary="Store a new version of a secret",
            path={"secret": TEXT},
            body=Body(SecretRequest, example={"value": "s3cr3t"}),
            answers=(
                Answer(200, "The new version.", SecretValue),
                Answer(201, "The first version.", SecretValue),
            ),
            errors=(400, 413, 415),
        ),
    ),
    Route(
        "DELETE",
        _SECRET,
        delete_secret,
        Operation(
            tag=ADMINISTER,
            summary="Delete a secret with all its versions",
            path={"secret": TEXT},
            answers=(Answer(204, "The secret is deleted."),),
        ),
    ),
)
