"""Routes that are one call."""

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from google.protobuf.message import Message

from flowmesh.api.broker.v1 import broker_service_pb2 as broker_pb
from flowmesh.api.broker.v1 import topology_pb2
from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies.envelopes import Envelope
from flowmesh.gateway.bodies.limit_answers import LimitAnswer
from flowmesh.gateway.http.operation_docs import TEST, Answer, Body
from flowmesh.gateway.http.parameters import Query
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.messages import queues
from flowmesh.gateway.routes.rpc_route import rpc_route


class _Body(Envelope, frozen=True):
    nowhere: str = ""


class _Answer(msgspec.Struct):
    nowhere: str


@pytest.mark.parametrize(
    "wrong",
    [
        {"query": (Query("nowhere", "Leads to no field."),)},
        {"body": Body(_Body)},
        {"answers": (Answer(200, "Comes from no field.", _Answer),)},
        {"path": "/api/v1/limits/{nowhere}"},
    ],
)
def test_a_row_with_an_unknown_name_is_an_error_at_import(wrong: dict[str, object]) -> None:
    """A parameter, a member of the body or a field of the answer that leads nowhere."""
    row: dict[str, Any] = {
        "path": "/api/v1/limits",
        "tag": TEST,
        "summary": "Set a limit",
        "answers": (Answer(200, "Set.", LimitAnswer),),
    }
    row |= wrong
    with pytest.raises(TypeError, match="nowhere"):
        rpc_route("PUT", row.pop("path"), pb.SetLimitRequest, **row)


class _Topology:
    """The broker, which remembers what it is asked, and has created what it declares."""

    def __init__(self) -> None:
        self.asked: list[Message] = []

    async def DeclareQueue(
        self, request: broker_pb.DeclareQueueRequest
    ) -> broker_pb.DeclareQueueResponse:
        self.asked.append(request)
        return broker_pb.DeclareQueueResponse(created=len(self.asked) == 1)


async def test_a_row_binds_the_request_and_shows_the_reply() -> None:
    """Namespace, path and body become the message; the status says whether it was created."""
    broker = _Topology()
    backends = cast("Backends", SimpleNamespace(broker=broker))
    [declare] = [route for route in queues.ROUTES if route.method == "PUT"]

    async def body() -> dict[str, object]:
        return {"type": "http.request", "body": b'{"durable": false, "onExpiry": "dead_letter"}'}

    headers = [(b"flowmesh-namespace", b"shop"), (b"content-type", b"application/json")]
    answers = [
        await declare.endpoint(backends, Request({"headers": headers}, {"queue": "paid"}, body))
        for _ in range(2)
    ]
    shown = [(each.status, each.body) for each in cast("list[Response]", answers)]
    assert shown == [(201, b'{"created":true}'), (200, b'{"created":false}')]
    queue = topology_pb2.Queue(
        queue="paid",
        transient=True,
        on_expiry=topology_pb2.ON_EXPIRY_DEAD_LETTER,
        retry=topology_pb2.MessageRetry(),
    )
    wanted = broker_pb.DeclareQueueRequest(namespace="shop", queue=queue)
    assert broker.asked == [wanted, wanted]
