"""Instances of services, transform operations, stored payloads."""

import re
from http import HTTPStatus

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.bodies.operation_answers import OperationList
from flowmesh.gateway.bodies.payloads import get_payload, put_payload
from flowmesh.gateway.http.ids import invalid_field
from flowmesh.gateway.http.limits import PAYLOAD_BYTES_MAX
from flowmesh.gateway.http.operation_docs import MANAGE, TEST, Answer, Body, Operation, Route
from flowmesh.gateway.http.parameters import Query, listed
from flowmesh.gateway.http.requests import JSON, Request, Response
from flowmesh.gateway.routes.common import PAGING, json_response
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.transforms import OPERATIONS

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}")
_STATUSES = {
    name.removeprefix("INSTANCE_STATUS_"): number for name, number in pb.InstanceStatus.items()[1:]
}
_STATUS = listed(tuple(_STATUSES), str.upper)


async def list_operations(_backends: Backends, _request: Request) -> Response:
    described = [operation.describe() for operation in OPERATIONS.values()]
    return json_response({"operations": described})


async def store_payload(backends: Backends, request: Request) -> Response:
    encoding = request.media_type or JSON
    if not _MEDIA_TYPE.fullmatch(encoding):
        raise invalid_field("Content-Type", "must be a media type such as application/json")
    pieces = request.pieces(PAYLOAD_BYTES_MAX, "PAYLOAD_TOO_LARGE")
    payload = await put_payload(backends, request.namespace, encoding, pieces)
    reference = answers.PayloadReferenceValue(
        digest=payload.reference.digest,
        size_bytes=payload.reference.size_bytes,
        encoding=payload.encoding or encoding,
    )
    return json_response(answers.StoredPayload(payload=reference), HTTPStatus.CREATED)


async def read_payload(backends: Backends, request: Request) -> Response:
    encoding, data = await get_payload(backends, request.namespace, request.param("digest"))
    # The type was chosen by the uploader; a browser must not render the content as a page.
    headers = (
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", b"sandbox; default-src 'none'"),
    )
    return Response(HTTPStatus.OK, data, encoding, headers)


_FILTERS = (
    Query("name", "Only instances of this service."),
    Query("type", "Only this type; `core` is the type of the services of Flowmesh."),
    Query("status", "Only these statuses, separated by commas.", _STATUS, repeated=True),
    Query("capability", "Only instances with all of these capabilities.", repeated=True),
    *PAGING,
)
ROUTES = (
    rpc_route(
        "GET",
        "/api/v1/services",
        pb.ListInstancesRequest,
        name="list_services",
        names={"capability": "capabilities", "status": "statuses"},
        tag=MANAGE,
        summary="List instances of services",
        query=_FILTERS,
        answers=(Answer(200, "Sorted by name and id.", answers.ServiceList),),
    ),
    rpc_route(
        "GET",
        "/api/v1/services/{id}",
        pb.GetInstanceRequest,
        name="get_service",
        part="instance",
        tag=MANAGE,
        summary="Get an instance of a service",
        answers=(Answer(200, "Found.", answers.ServiceValue),),
        errors=(404,),
    ),
    Route(
        "GET",
        "/api/v1/transform/operations",
        list_operations,
        Operation(
            tag=MANAGE,
            summary="List the operations of transform pipelines",
            answers=(Answer(200, "All operations.", OperationList),),
        ),
    ),
    Route(
        "PUT",
        "/api/v1/payloads",
        store_payload,
        Operation(
            tag=MANAGE,
            summary="Store a large value",
            description="Up to 64 MiB. The returned reference can be used in place of an input.",
            body=Body(None, media_types=(JSON, "application/octet-stream"), required=False),
            answers=(Answer(201, "The reference of the value.", answers.StoredPayload),),
            errors=(413, 415),
        ),
    ),
    Route(
        "GET",
        "/api/v1/payloads/{digest}",
        read_payload,
        Operation(
            tag=TEST,
            summary="Get a stored value",
            answers=(Answer(200, "The bytes, with their stored media type.", None, "*/*"),),
            errors=(404,),
        ),
    ),
)
