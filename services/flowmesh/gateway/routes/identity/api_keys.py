"""API keys of projects."""

from http import HTTPStatus

from flowmesh.api.identity.v1 import key_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import identity_answers as answers
from flowmesh.gateway.bodies import identity_requests as bodies
from flowmesh.gateway.http.instants import us_of
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import PAGING, json_response, secret_response


async def create_api_key(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.CreateApiKeyRequest)
    expires = envelope.expires_at
    made = await backends.api_keys.CreateApiKey(
        pb.CreateApiKeyRequest(
            project_id=request.param("projectId"),
            name=envelope.name,
            role=envelope.role,
            queues=envelope.queues,
            task_types=envelope.task_types,
            networks=envelope.networks,
            permissions=envelope.permissions,
            expires_at_us=us_of("expiresAt", expires) if expires else 0,
        )
    )
    return secret_response(answers.created_key(made.key, made.secret), HTTPStatus.CREATED)


async def list_api_keys(backends: Backends, request: Request) -> Response:
    found = await backends.api_keys.ListApiKeys(
        pb.ListApiKeysRequest(
            project_id=request.param("projectId"),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    keys = [answers.key_value(each) for each in found.keys]
    return json_response(answers.ApiKeyList(keys=keys, next_page_token=found.next_page_token))


async def get_api_key(backends: Backends, request: Request) -> Response:
    found = await backends.api_keys.GetApiKey(pb.GetApiKeyRequest(key_id=request.param("keyId")))
    return json_response(answers.key_value(found.key))


async def update_api_key(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.UpdateApiKeyRequest)
    networks, expires = envelope.networks, envelope.expires_at
    changed = await backends.api_keys.UpdateApiKey(
        pb.UpdateApiKeyRequest(
            key_id=request.param("keyId"),
            name=envelope.name,
            networks=None if networks is None else pb.UpdateApiKeyRequest.Networks(values=networks),
            expires_at_us=us_of("expiresAt", expires) if expires else 0,
        )
    )
    return json_response(answers.key_value(changed.key))


async def rotate_api_key(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.RotateApiKeyRequest)
    made = await backends.api_keys.RotateApiKey(
        pb.RotateApiKeyRequest(
            key_id=request.param("keyId"), overlap_seconds=envelope.overlap_seconds
        )
    )
    return secret_response(answers.created_key(made.key, made.secret))


async def delete_api_key(backends: Backends, request: Request) -> Response:
    await backends.api_keys.DeleteApiKey(pb.DeleteApiKeyRequest(key_id=request.param("keyId")))
    return Response(HTTPStatus.NO_CONTENT)


_KEYS = "/api/v1/projects/{projectId}/api-keys"
_KEY = "/api/v1/api-keys/{keyId}"
ROUTES = (
    Route(
        "POST",
        _KEYS,
        create_api_key,
        Operation(
            tag=ADMINISTER,
            summary="Create an API key; its secret is shown once",
            body=Body(bodies.CreateApiKeyRequest),
            answers=(Answer(201, "The key with its secret.", answers.CreatedApiKey),),
        ),
    ),
    Route(
        "GET",
        _KEYS,
        list_api_keys,
        Operation(
            tag=ADMINISTER,
            summary="List the API keys of a project, newest first",
            query=PAGING,
            answers=(Answer(200, "Keys without secrets.", answers.ApiKeyList),),
        ),
    ),
    Route(
        "GET",
        _KEY,
        get_api_key,
        Operation(
            tag=ADMINISTER,
            summary="Get an API key",
            answers=(Answer(200, "Found, without its secret.", answers.ApiKeyValue),),
        ),
    ),
    Route(
        "PATCH",
        _KEY,
        update_api_key,
        Operation(
            tag=ADMINISTER,
            summary="Change the name, the networks or the expiry of an API key",
            body=Body(bodies.UpdateApiKeyRequest),
            answers=(Answer(200, "The changed key.", answers.ApiKeyValue),),
        ),
    ),
    Route(
        "POST",
        f"{_KEY}:rotate",
        rotate_api_key,
        Operation(
            tag=ADMINISTER,
            summary="Replace the secret of an API key; the former one is valid for an overlap",
            body=Body(bodies.RotateApiKeyRequest, required=False),
            answers=(Answer(200, "The key with its new secret.", answers.CreatedApiKey),),
        ),
    ),
    Route(
        "DELETE",
        _KEY,
        delete_api_key,
        Operation(
            tag=ADMINISTER,
            summary="Delete an API key; it is refused everywhere within a second",
            answers=(Answer(204, "Deleted."),),
        ),
    ),
)
