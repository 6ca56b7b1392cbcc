"""API keys of projects."""

from flowmesh.api.identity.v1 import key_service_pb2 as pb
from flowmesh.gateway.bodies import identity_answers as answers
from flowmesh.gateway.bodies import identity_requests as bodies
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Body
from flowmesh.gateway.routes.common import PAGING
from flowmesh.gateway.routes.rpc_route import rpc_route

_KEYS = "/api/v1/projects/{projectId}/api-keys"
_KEY = "/api/v1/api-keys/{keyId}"
ROUTES = (
    rpc_route(
        "POST",
        _KEYS,
        pb.CreateApiKeyRequest,
        part="key",
        secret=True,
        tag=ADMINISTER,
        summary="Create an API key; its secret is shown once",
        body=Body(bodies.CreateApiKeyRequest),
        answers=(Answer(201, "The key with its secret.", answers.CreatedApiKey),),
    ),
    rpc_route(
        "GET",
        _KEYS,
        pb.ListApiKeysRequest,
        tag=ADMINISTER,
        summary="List the API keys of a project, newest first",
        query=PAGING,
        answers=(Answer(200, "Keys without secrets.", answers.ApiKeyList),),
    ),
    rpc_route(
        "GET",
        _KEY,
        pb.GetApiKeyRequest,
        part="key",
        tag=ADMINISTER,
        summary="Get an API key",
        answers=(Answer(200, "Found, without its secret.", answers.ApiKeyValue),),
    ),
    rpc_route(
        "PATCH",
        _KEY,
        pb.UpdateApiKeyRequest,
        part="key",
        tag=ADMINISTER,
        summary="Change the name, the networks or the expiry of an API key",
        body=Body(bodies.UpdateApiKeyRequest),
        answers=(Answer(200, "The changed key.", answers.ApiKeyValue),),
    ),
    rpc_route(
        "POST",
        f"{_KEY}:rotate",
        pb.RotateApiKeyRequest,
        part="key",
        secret=True,
        tag=ADMINISTER,
        summary="Replace the secret of an API key; the former one is valid for an overlap",
        body=Body(bodies.RotateApiKeyRequest, required=False),
        answers=(Answer(200, "The key with its new secret.", answers.CreatedApiKey),),
    ),
    rpc_route(
        "DELETE",
        _KEY,
        pb.DeleteApiKeyRequest,
        tag=ADMINISTER,
        summary="Delete an API key; it is refused everywhere within a second",
        answers=(Answer(204, "Deleted."),),
    ),
)
