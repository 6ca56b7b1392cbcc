"""Encryption at rest of projects: its state, and its keys."""

from typing import Literal

from msgspec import UNSET, UnsetType

from flowmesh.api.identity.v1 import encryption_service_pb2 as pb
from flowmesh.api.identity.v1 import tenant_service_pb2 as tenants_pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.answers import Answer as Value
from flowmesh.gateway.bodies.answers import Instant
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Operation, Route
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.views import instant

_STATES: dict[int, Literal["off", "required", "destroyed"]] = {
    pb.ENCRYPTION_STATE_OFF: "off",
    pb.ENCRYPTION_STATE_REQUIRED: "required",
    pb.ENCRYPTION_STATE_DESTROYED: "destroyed",
}


class EncryptionValue(Value, kw_only=True):
    """Encryption at rest of a project."""

    encryption: Literal["off", "required", "destroyed"]
    keys: int
    key_created_at: Instant | UnsetType = UNSET
    wrapping_keys: list[str] | UnsetType = UNSET


async def get_encryption(backends: Backends, request: Request) -> Response:
    wanted = pb.GetEncryptionRequest(namespace=await _namespace(backends, request))
    return _answer((await backends.encryption.GetEncryption(wanted)).encryption)


async def require_encryption(backends: Backends, request: Request) -> Response:
    wanted = pb.RequireEncryptionRequest(namespace=await _namespace(backends, request))
    return _answer((await backends.encryption.RequireEncryption(wanted)).encryption)


async def rotate_key(backends: Backends, request: Request) -> Response:
    wanted = pb.RotateDataKeyRequest(namespace=await _namespace(backends, request))
    return _answer((await backends.encryption.RotateDataKey(wanted)).encryption)


async def destroy_keys(backends: Backends, request: Request) -> Response:
    wanted = pb.DestroyDataKeysRequest(namespace=await _namespace(backends, request))
    return _answer((await backends.encryption.DestroyDataKeys(wanted)).encryption)


async def _namespace(backends: Backends, request: Request) -> str:
    wanted = tenants_pb.GetProjectRequest(project_id=request.param("projectId"))
    return str((await backends.tenants.GetProject(wanted)).project.namespace)


def _answer(found: pb.Encryption) -> Response:
    value = EncryptionValue(encryption=_STATES[found.state], keys=found.keys)
    if found.key_created_at_us:
        value.key_created_at = instant(found.key_created_at_us)
        value.wrapping_keys = list(found.wrapping_keys)
    return json_response(value)


def _operation(summary: str) -> Operation:
    return Operation(
        tag=ADMINISTER, summary=summary, answers=(Answer(200, "The state.", EncryptionValue),)
    )


_ENCRYPTION = "/api/v1/projects/{projectId}/encryption"
ROUTES = (
    Route("GET", _ENCRYPTION, get_encryption, _operation("Get the encryption of a project")),
    Route("PUT", _ENCRYPTION, require_encryption, _operation("Encrypt the values of a project")),
    Route(
        "POST",
        f"{_ENCRYPTION}:rotate",
        rotate_key,
        _operation("Encrypt new values of a project with a new key"),
    ),
    Route(
        "POST",
        f"{_ENCRYPTION}:destroy",
        destroy_keys,
        _operation("Destroy the keys of a project, and so its encrypted values"),
    ),
)
