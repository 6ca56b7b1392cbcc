"""Snapshots of lists and counts over a WebSocket, sent when they change.

A page that shows a busy namespace reads one small message per interval instead of every event.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import msgspec

from flowmesh.errors import FlowmeshError
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.http.errors import error_value
from flowmesh.gateway.http.operation_docs import TEST, Answer, Operation, SocketRoute
from flowmesh.gateway.http.parameters import OPTIONAL_ID, Query, one_of, whole
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.http.sockets import Socket
from flowmesh.gateway.http.streams import each_or_beat
from flowmesh.gateway.routes import directory, limits
from flowmesh.gateway.routes.executions import control, searches
from flowmesh.views import instant

EVERY_MS = 1_000
EVERY_MS_LEAST = 250
EVERY_MS_MOST = 60_000
# Each topic is the answer of a list of the REST API, with its query.
TOPICS: Mapping[str, tuple[str, Mapping[str, list[str]]]] = {
    "counts": ("/api/v1/executions:count", {"groupBy": ["status"]}),
    "queues": ("/api/v1/queues", {}),
    "workers": ("/api/v1/workers", {}),
    "services": ("/api/v1/services", {"pageSize": ["200"]}),
    "approvals": ("/api/v1/approvals", {"pageSize": ["100"]}),
    "limits": ("/api/v1/limits", {}),
}
_LISTS = {
    route.path: route.endpoint
    for area in (control, directory, limits, searches)
    for route in area.ROUTES
    if route.method == "GET"
}


class ListSnapshot(answers.Answer, kw_only=True):
    """The answer of a list after a change, or the error of reading it."""

    topic: str
    at: answers.Instant
    value: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    error: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class _Part(Request):
    """One read on behalf of a socket, without a body."""

    def __init__(self, socket: Socket, query: Mapping[str, list[str]]) -> None:
        super().__init__({"headers": ()}, {}, _no_body, query)
        self._namespace = socket.namespace

    @property
    def namespace(self) -> str:
        return self._namespace


async def _no_body() -> dict[str, Any]:
    return {"type": "http.disconnect"}


async def live_socket(backends: Backends, socket: Socket) -> None:
    topics = list(dict.fromkeys(socket.texts("topics"))) or list(TOPICS)
    every_s = socket.whole("everyMs", default=EVERY_MS) / 1_000
    await socket.accept()
    changes = _changes(backends, socket, topics, every_s)
    async for snapshot in each_or_beat(socket, changes):
        if snapshot is not None:
            await socket.send_json(snapshot)


async def _changes(
    backends: Backends, socket: Socket, topics: list[str], every_s: float
) -> AsyncIterator[dict[str, Any]]:
    sent: dict[str, bytes] = {}
    while True:
        for topic in topics:
            snapshot, seen = await _read(backends, socket, topic)
            if sent.get(topic) != seen:
                sent[topic] = seen
                yield {"topic": topic, "at": instant(backends.clock.now_us())} | snapshot
        await asyncio.sleep(every_s)


async def _read(backends: Backends, socket: Socket, topic: str) -> tuple[dict[str, Any], bytes]:
    """Return the value or the error of a topic, and the bytes that tell a change."""
    path, query = TOPICS[topic]
    try:
        response = cast("Response", await _LISTS[path](backends, _Part(socket, query)))
    except FlowmeshError as error:
        return {"error": error_value(error)}, error.reason.encode()
    return {"value": msgspec.Raw(response.body)}, response.body


SOCKETS = (
    SocketRoute(
        "/api/v1/live/ws",
        live_socket,
        Operation(
            tag=TEST,
            summary="Follow counts, queues, services, approvals and limits over a WebSocket",
            description="One JSON text message per changed topic and interval.",
            query=(
                Query("topics", "The topics (default: all).", one_of(*TOPICS), repeated=True),
                Query(
                    "everyMs",
                    "The interval of reading in milliseconds.",
                    whole(EVERY_MS_MOST, least=EVERY_MS_LEAST, default=EVERY_MS),
                ),
                Query(
                    "namespace", "The namespace, for clients that cannot set headers.", OPTIONAL_ID
                ),
            ),
            answers=(Answer(101, "A WebSocket.", ListSnapshot),),
        ),
    ),
)
