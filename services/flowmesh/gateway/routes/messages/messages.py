"""Routes that publish, receive and settle messages."""

from flowmesh.api.broker.v1 import message_pb2
from flowmesh.api.broker.v1 import message_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.limits import CALL_SLACK_S
from flowmesh.gateway.http.operation_docs import EXECUTE, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import json_response
from flowmesh.gateway.routes.messages import answers
from flowmesh.gateway.routes.messages import requests as bodies
from flowmesh.gateway.routes.messages.exchanges import EXCHANGE
from flowmesh.gateway.routes.messages.queues import QUEUE
from flowmesh.records import reader
from flowmesh.views import instant

_outcomes = reader(answers.OutcomeList, pb.PublishResponse)
_settled = reader(answers.SettledList, pb.SettleResponse)


async def publish_to_exchange(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.PublishMessagesRequest)
    namespace = request.namespace
    messages = [await each.message(backends, namespace) for each in envelope.messages]
    return await _publish(
        backends, request, messages, exchange=request.param("exchange"), given=envelope
    )


async def publish_to_queue(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.PublishMessagesRequest)
    queue = request.param("queue")
    namespace = request.namespace
    messages = [await each.message(backends, namespace, queue) for each in envelope.messages]
    return await _publish(backends, request, messages, exchange="", given=envelope)


async def _publish(
    backends: Backends,
    request: Request,
    messages: list[message_pb2.Message],
    *,
    exchange: str,
    given: bodies.PublishMessagesRequest,
) -> Response:
    response = await backends.messages.Publish(
        pb.PublishRequest(
            namespace=request.namespace,
            exchange=exchange,
            messages=messages,
            mandatory=given.mandatory or not exchange,
        )
    )
    return json_response(_outcomes(response))


async def receive_messages(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.ReceiveMessagesRequest)
    response = await backends.messages.Receive(
        pb.ReceiveRequest(
            namespace=request.namespace,
            queue=request.param("queue"),
            group=envelope.group,
            max=envelope.count,
            wait_ms=envelope.wait_ms,
        ),
        timeout=envelope.wait_ms / 1_000 + CALL_SLACK_S,
    )
    found = []
    for each in response.deliveries:
        value = answers.message_value(each.message, each.sequence)
        value.attempt, value.receipt = each.attempt, each.receipt
        value.visible_until = instant(each.visible_until_us)
        found.append(value)
    return json_response(answers.ReceivedMessages(messages=found))


async def settle_messages(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.SettleMessagesRequest)
    settlements = [pb.Settlement(receipt=each, ack=True) for each in envelope.acks]
    for each in envelope.nacks:
        nack = pb.Nack(reject=each.reject, error=each.error)
        if each.delay_ms is not None:
            nack.delay_ms = each.delay_ms
        settlements.append(pb.Settlement(receipt=each.receipt, nack=nack))
    settlements += [pb.Settlement(receipt=each, extend=True) for each in envelope.extends]
    response = await backends.messages.Settle(
        pb.SettleRequest(
            namespace=request.namespace,
            queue=request.param("queue"),
            settlements=settlements,
        )
    )
    return json_response(_settled(response))


_PUBLISH = Body(
    bodies.PublishMessagesRequest,
    example={"messages": [{"routingKey": "data.raw", "body": {"data": "process_this"}}]},
)
_OUTCOMES = Answer(200, "Stored in all queues, but for those with a reason.", answers.OutcomeList)

ROUTES = (
    Route(
        "POST",
        f"{EXCHANGE}:publish",
        publish_to_exchange,
        Operation(
            tag=EXECUTE,
            summary="Publish messages to an exchange",
            body=_PUBLISH,
            answers=(_OUTCOMES,),
            errors=(404, 413, 415),
        ),
    ),
    Route(
        "POST",
        f"{QUEUE}:publish",
        publish_to_queue,
        Operation(
            tag=EXECUTE,
            summary="Publish messages to a queue",
            body=_PUBLISH,
            answers=(_OUTCOMES,),
            errors=(413, 415),
        ),
    ),
    Route(
        "POST",
        f"{QUEUE}:receive",
        receive_messages,
        Operation(
            tag=EXECUTE,
            summary="Receive messages of a queue or stream",
            body=Body(bodies.ReceiveMessagesRequest, required=False),
            answers=(Answer(200, "Messages to settle by receipt.", answers.ReceivedMessages),),
            errors=(404, 413, 415),
        ),
    ),
    Route(
        "POST",
        f"{QUEUE}:settle",
        settle_messages,
        Operation(
            tag=EXECUTE,
            summary="Acknowledge, return, reject or extend received messages",
            body=Body(bodies.SettleMessagesRequest),
            answers=(Answer(200, "Outcomes, in order.", answers.SettledList),),
            errors=(404, 413, 415),
        ),
    ),
)
