"""Routes about groups of consumers of events."""

from flowmesh.api.eventstore.v1 import event_group_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.limits import CALL_SLACK_S
from flowmesh.gateway.http.operation_docs import (
    EXECUTE,
    MANAGE,
    TEST,
    Answer,
    Body,
    Operation,
    Route,
)
from flowmesh.gateway.http.parameters import Query, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.gateway.routes.eventstore import answers
from flowmesh.gateway.routes.eventstore import requests as bodies
from flowmesh.gateway.routes.rpc_route import rpc_route
from flowmesh.records import reader

PARKED_MAX = 500


_deliveries = reader(answers.EventDeliveryList, pb.ReceiveEventsResponse)


async def receive_events(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.ReceiveEventsRequest)
    response = await backends.event_groups.ReceiveEvents(
        pb.ReceiveEventsRequest(
            namespace=request.namespace,
            event_group=request.param("group"),
            max=envelope.count,
            wait_ms=envelope.wait_ms,
        ),
        timeout=envelope.wait_ms / 1_000 + CALL_SLACK_S,
    )
    return json_response(_deliveries(response))


async def settle_events(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.SettleEventsRequest)
    response = await backends.event_groups.SettleEvents(
        pb.SettleEventsRequest(
            namespace=request.namespace,
            event_group=request.param("group"),
            settlements=[each.message() for each in envelope.settlements],
        )
    )
    return json_response(answers.SettledEvents(stale=list(response.stale)))


GROUPS = "/api/v1/event-groups"
GROUP = f"{GROUPS}/{{group}}"

ROUTES = (
    rpc_route(
        "GET",
        GROUPS,
        pb.ListEventGroupsRequest,
        tag=MANAGE,
        summary="List groups of consumers of events",
        answers=(Answer(200, "Sorted by name.", answers.EventGroupList),),
    ),
    rpc_route(
        "PUT",
        GROUP,
        pb.PutEventGroupRequest,
        names={"group": "group.event_group"},
        into="group",
        part="group",
        tag=MANAGE,
        summary="Create a group of consumers of events, or change its settings",
        body=Body(bodies.EventGroupRequest, required=False, example={"leaseMs": 30_000}),
        answers=(
            Answer(201, "It was created.", answers.EventGroupValue),
            Answer(200, "It existed, and has these settings.", answers.EventGroupValue),
        ),
        errors=(409, 413, 415),
    ),
    rpc_route(
        "DELETE",
        GROUP,
        pb.DeleteEventGroupRequest,
        names={"group": "event_group"},
        given={"stored": True},
        tag=MANAGE,
        summary="Delete a group of consumers of events",
        answers=(Answer(200, "It is deleted.", answers.StoredValue),),
        errors=(404,),
    ),
    Route(
        "POST",
        f"{GROUP}:receive",
        receive_events,
        Operation(
            tag=EXECUTE,
            summary="Receive events for a group",
            body=Body(bodies.ReceiveEventsRequest, required=False, example={"count": 10}),
            answers=(Answer(200, "Deliveries by position.", answers.EventDeliveryList),),
            errors=(404, 413, 415),
        ),
    ),
    Route(
        "POST",
        f"{GROUP}:settle",
        settle_events,
        Operation(
            tag=EXECUTE,
            summary="Acknowledge deliveries of a group, or return them",
            body=Body(
                bodies.SettleEventsRequest,
                example={"settlements": [{"position": 1, "attempt": 1}]},
            ),
            answers=(Answer(200, "All but the stale ones are settled.", answers.SettledEvents),),
            errors=(404, 413, 415),
        ),
    ),
    rpc_route(
        "GET",
        f"{GROUP}/parked",
        pb.ListParkedEventsRequest,
        names={"group": "event_group", "count": "max"},
        tag=TEST,
        summary="List the parked events of a group",
        query=(
            Query("after", "Position after which the page begins.", whole()),
            Query("count", "Maximum number of events.", whole(PARKED_MAX)),
        ),
        answers=(Answer(200, "Sorted by position.", answers.ParkedEventList),),
        errors=(404,),
    ),
    rpc_route(
        "POST",
        f"{GROUP}:replay",
        pb.ReplayParkedEventsRequest,
        names={"group": "event_group"},
        tag=MANAGE,
        summary="Deliver parked events again",
        body=Body(bodies.ReplayParkedRequest, required=False),
        answers=(Answer(200, "They are delivered again.", answers.ReplayedEvents),),
        errors=(404, 413, 415),
    ),
)
