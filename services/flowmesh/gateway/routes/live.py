"""Snapshots of lists and counts over a WebSocket, sent when they change.

A page that shows a busy namespace reads one small message per interval instead of every event.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import msgspec

from flowmesh.errors import FlowmeshError
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import answers
from flowmesh.gateway.http.errors import error_value
from flowmesh.gateway.http.operation_docs import TEST, Answer, Operation, SocketRoute
from flowmesh.gateway.http.parameters import OPTIONAL_ID, Query, one_of, whole
from flowmesh.gateway.http.requests import Head, Response
from flowmesh.gateway.http.sockets import Socket
from flowmesh.gateway.http.streams import each_or_beat
from flowmesh.gateway.routes.directory import list_services
from flowmesh.gateway.routes.executions.control import list_approvals
from flowmesh.gateway.routes.executions.searches import count_executions
from flowmesh.gateway.routes.limits import list_limits, list_queues, list_workers
from flowmesh.views import instant

Read = Callable[[Backends, Head], Awaitable[Response]]

EVERY_MS = 1_000
EVERY_MS_LEAST = 250
EVERY_MS_MOST = 60_000
# Each topic is the answer of a list of the REST API, with its query.
TOPICS: Mapping[str, tuple[Read, Mapping[str, list[str]]]] = {
    "counts": (count_executions, {"groupBy": ["status"]}),
    "queues": (list_queues, {}),
    "workers": (list_workers, {}),
    "services": (list_services, {"pageSize": ["200"]}),
    "approvals": (list_approvals, {"pageSize": ["100"]}),
    "limits": (list_limits, {}),
}


class ListSnapshot(answers.Answer, kw_only=True):
    """The answer of a list after a change, or the error of reading it."""

    topic: str
    at: answers.Instant
    value: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    error: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class _Part(Head):
    """The head of one read on behalf of a socket."""

    def __init__(self, socket: Socket, query: Mapping[str, list[str]]) -> None:
        super().__init__({"headers": ()}, {}, query)
        self._namespace = socket.namespace

    @property
    def namespace(self) -> str:
        return self._namespace


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
    read, query = TOPICS[topic]
    try:
        response = await read(backends, _Part(socket, query))
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
