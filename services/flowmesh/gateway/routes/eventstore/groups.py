"""Routes about groups of consumers of events."""

from http import HTTPStatus

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
from flowmesh.views import instant

PARKED_MAX = 500


async def list_event_groups(backends: Backends, request: Request) -> Response:
    response = await backends.event_groups.ListEventGroups(
        pb.ListEventGroupsRequest(namespace=request.namespace)
    )
    found = [answers.group_value(each) for each in response.groups]
    return json_response(answers.EventGroupList(groups=found))


async def put_event_group(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.EventGroupRequest)
    response = await backends.event_groups.PutEventGroup(
        pb.PutEventGroupRequest(
            namespace=request.namespace, group=envelope.message(request.param("group"))
        )
    )
    status = HTTPStatus.CREATED if response.created else HTTPStatus.OK
    return json_response(answers.group_value(response.group), status)


async def delete_event_group(backends: Backends, request: Request) -> Response:
    await backends.event_groups.DeleteEventGroup(
        pb.DeleteEventGroupRequest(namespace=request.namespace, event_group=request.param("group"))
    )
    return json_response(answers.StoredValue(stored=True))


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
    return json_response(
        answers.EventDeliveryList(
            deliveries=[
                answers.EventDeliveryValue(
                    event=answers.event_value(each.event),
                    attempt=each.attempt,
                    lease_until=instant(each.lease_until_us),
                )
                for each in response.deliveries
            ]
        )
    )


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


async def list_parked_events(backends: Backends, request: Request) -> Response:
    response = await backends.event_groups.ListParkedEvents(
        pb.ListParkedEventsRequest(
            namespace=request.namespace,
            event_group=request.param("group"),
            after=request.whole("after"),
            max=request.whole("count"),
        )
    )
    return json_response(
        answers.ParkedEventList(
            events=[
                answers.ParkedEventValue(
                    event=answers.event_value(each.event),
                    attempts=each.attempts,
                    error=each.error,
                )
                for each in response.events
            ]
        )
    )


async def replay_parked_events(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.ReplayParkedRequest)
    response = await backends.event_groups.ReplayParkedEvents(
        pb.ReplayParkedEventsRequest(
            namespace=request.namespace,
            event_group=request.param("group"),
            positions=envelope.positions,
        )
    )
    return json_response(answers.ReplayedEvents(replayed=response.replayed))


GROUPS = "/api/v1/event-groups"
GROUP = f"{GROUPS}/{{group}}"

ROUTES = (
    Route(
        "GET",
        GROUPS,
        list_event_groups,
        Operation(
            tag=MANAGE,
            summary="List groups of consumers of events",
            answers=(Answer(200, "Sorted by name.", answers.EventGroupList),),
        ),
    ),
    Route(
        "PUT",
        GROUP,
        put_event_group,
        Operation(
            tag=MANAGE,
            summary="Create a group of consumers of events, or change its settings",
            body=Body(bodies.EventGroupRequest, required=False, example={"leaseMs": 30_000}),
            answers=(
                Answer(201, "It was created.", answers.EventGroupValue),
                Answer(200, "It existed, and has these settings.", answers.EventGroupValue),
            ),
            errors=(409, 413, 415),
        ),
    ),
    Route(
        "DELETE",
        GROUP,
        delete_event_group,
        Operation(
            tag=MANAGE,
            summary="Delete a group of consumers of events",
            answers=(Answer(200, "It is deleted.", answers.StoredValue),),
            errors=(404,),
        ),
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
    Route(
        "GET",
        f"{GROUP}/parked",
        list_parked_events,
        Operation(
            tag=TEST,
            summary="List the parked events of a group",
            query=(
                Query("after", "Position after which the page begins.", whole()),
                Query("count", "Maximum number of events.", whole(PARKED_MAX)),
            ),
            answers=(Answer(200, "Sorted by position.", answers.ParkedEventList),),
            errors=(404,),
        ),
    ),
    Route(
        "POST",
        f"{GROUP}:replay",
        replay_parked_events,
        Operation(
            tag=MANAGE,
            summary="Deliver parked events again",
            body=Body(bodies.ReplayParkedRequest, required=False),
            answers=(Answer(200, "They are delivered again.", answers.ReplayedEvents),),
            errors=(404, 413, 415),
        ),
    ),
)
