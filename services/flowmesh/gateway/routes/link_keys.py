"""Signing keys of approval links."""

from http import HTTPStatus

from flowmesh.api.execution.v1 import control_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import control_answers as answers
from flowmesh.gateway.bodies.envelopes import RotateKeyRequest
from flowmesh.gateway.bodies.views import instant_or_unset
from flowmesh.gateway.http.ids import checked_text
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import (
    ACTOR,
    IDEMPOTENCY_KEY,
    actor_of,
    json_response,
    request_id_of,
)
from flowmesh.views import instant


async def list_link_keys(backends: Backends, _request: Request) -> Response:
    found = await backends.control.ListLinkKeys(pb.ListLinkKeysRequest())
    return json_response(answers.LinkKeyList(keys=[_key(each) for each in found.keys]))


async def rotate_link_key(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(RotateKeyRequest)
    made = await backends.control.RotateLinkKey(
        pb.RotateLinkKeyRequest(
            revoke=envelope.revoke,
            reason=checked_text("reason", envelope.reason),
            request_id=request_id_of(request, envelope.request_id),
            actor=actor_of(request),
        )
    )
    rotated = answers.LinkKeyRotated(key=_key(made.key), revoked=made.revoked)
    return json_response(rotated, HTTPStatus.CREATED)


def _key(key: pb.LinkKey) -> answers.LinkKeyValue:
    return answers.LinkKeyValue(
        id=key.id,
        created_at=instant(key.created_at_us),
        actor=key.actor,
        reason=key.reason,
        good_until=instant_or_unset(key.good_until_us),
    )


ROUTES = (
    Route(
        "GET",
        "/api/v1/link-keys",
        list_link_keys,
        Operation(
            tag=TEST,
            summary="List the signing keys of approval links",
            answers=(Answer(200, "Keys without their secrets.", answers.LinkKeyList),),
        ),
    ),
    Route(
        "POST",
        "/api/v1/link-keys:rotate",
        rotate_link_key,
        Operation(
            tag=MANAGE,
            summary="Rotate the signing key of approval links",
            description="Links of older keys stay valid until they expire, unless revoked.",
            body=Body(RotateKeyRequest, required=False),
            headers=(IDEMPOTENCY_KEY, ACTOR),
            answers=(Answer(201, "All instances use the new key.", answers.LinkKeyRotated),),
            errors=(400, 413, 415),
        ),
    ),
)
