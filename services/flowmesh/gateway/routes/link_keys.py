"""Signing keys of approval links."""

from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.gateway.bodies import control_answers as answers
from flowmesh.gateway.bodies.envelopes import RotateKeyRequest
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Body
from flowmesh.gateway.routes.common import (
    ACTOR,
    IDEMPOTENCY_KEY,
)
from flowmesh.gateway.routes.rpc_route import rpc_route

ROUTES = (
    rpc_route(
        "GET",
        "/api/v1/link-keys",
        pb.ListLinkKeysRequest,
        tag=TEST,
        summary="List the signing keys of approval links",
        answers=(Answer(200, "Keys without their secrets.", answers.LinkKeyList),),
    ),
    rpc_route(
        "POST",
        "/api/v1/link-keys:rotate",
        pb.RotateLinkKeyRequest,
        tag=MANAGE,
        summary="Rotate the signing key of approval links",
        description="Links of older keys stay valid until they expire, unless revoked.",
        body=Body(RotateKeyRequest, required=False),
        headers=(IDEMPOTENCY_KEY, ACTOR),
        answers=(Answer(201, "All instances use the new key.", answers.LinkKeyRotated),),
        errors=(400, 413, 415),
    ),
)
