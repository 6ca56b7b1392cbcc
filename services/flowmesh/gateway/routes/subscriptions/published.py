"""Published events: CloudEvents in every content mode of HTTP."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.event.v1 import trigger_service_pb2 as pb
from flowmesh.errors import Invalid, TooLarge
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import trigger_answers as answers
from flowmesh.gateway.bodies.envelopes import Envelope
from flowmesh.gateway.http.errors import error_value
from flowmesh.gateway.http.instants import us_of
from flowmesh.gateway.http.operation_docs import EXECUTE, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import JSON, Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.gateway.routes.subscriptions.cloud_events import (
    BATCH,
    STRUCTURED,
    batched_events,
    binary_event,
    is_binary,
    structured_event,
)
from flowmesh.jsontext import dump_json, parse_json
from flowmesh.standards.extensions import extensions_of


class PublishRequest(Envelope, frozen=True, kw_only=True):
    """An event with the attributes of CloudEvents 1.0."""

    type: str
    id: str = ""
    source: str = ""
    subject: str = ""
    time: str = ""
    data: Annotated[Any, Meta(description="Any JSON value.")] = None
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Literal["application/json"] = "application/json"
    extensions: Annotated[
        dict[str, str | int | bool],
        Meta(description="Extension attributes; names are lower-case letters and digits."),
    ] = msgspec.field(default_factory=dict)


async def publish_event(backends: Backends, request: Request) -> Response:
    if is_binary(dict(request.headers())):
        event = binary_event(request.headers(), await request.body())
    elif request.media_type == STRUCTURED:
        event = structured_event(parse_json(await request.body()))
    elif request.media_type == BATCH:
        return await _publish_batch(backends, request)
    else:
        event = _event_of(await request.envelope(PublishRequest))
    published = await _publish(backends, request, event)
    return json_response(published, HTTPStatus.ACCEPTED if published.created else HTTPStatus.OK)


async def _publish_batch(backends: Backends, request: Request) -> Response:
    """Publish the events in order. One that is refused does not prevent the others."""
    outcomes = []
    for event in batched_events(parse_json(await request.body())):
        outcome = answers.BatchedValue(id=event.id, created=False, triggers=0)
        try:
            published = await _publish(backends, request, event)
            outcome.created, outcome.triggers = published.created, published.triggers
        except (Invalid, TooLarge) as error:
            outcome.error = error_value(error)
        outcomes.append(outcome)
    return json_response(answers.PublishedBatch(events=outcomes), HTTPStatus.ACCEPTED)


async def _publish(backends: Backends, request: Request, event: pb.Event) -> answers.PublishedValue:
    response = await backends.triggers.PublishEvent(
        pb.PublishEventRequest(namespace=request.namespace, event=event)
    )
    return answers.PublishedValue(
        id=response.event_id, created=response.created, triggers=response.triggers
    )


def _event_of(envelope: PublishRequest) -> pb.Event:
    return pb.Event(
        id=envelope.id,
        source=envelope.source,
        type=envelope.type,
        subject=envelope.subject,
        time_us=us_of("time", envelope.time) if envelope.time else 0,
        data=payload_pb2.Payload(data=dump_json(envelope.data)),
        extensions=extensions_of(envelope.extensions),
    )


ROUTES = (
    Route(
        "POST",
        "/api/v1/events",
        publish_event,
        Operation(
            tag=EXECUTE,
            summary="Publish an event, which may fire triggers and resume executions",
            description=(
                "JSON with the members below, or CloudEvents 1.0: structured as"
                " `application/cloudevents+json`, binary with `ce-*` headers, or up to 100 events"
                " as `application/cloudevents-batch+json`."
            ),
            body=Body(
                PublishRequest,
                media_types=(JSON,),
                example={"type": "order.paid", "data": {"orderId": "order-123"}},
            ),
            answers=(
                Answer(
                    202,
                    "The event is stored; of a batch, the outcome of each event.",
                    answers.PublishedValue,
                    other=answers.PublishedBatch,
                ),
                Answer(200, "The event was already published.", answers.PublishedValue),
            ),
            errors=(413, 415),
        ),
    ),
)
