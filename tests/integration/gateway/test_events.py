"""Events over Server-Sent Events and WebSockets, with resumption."""

import asyncio
import json
from typing import Any

import aiohttp

from flowmesh.api.history.v1 import history_event_pb2 as pb
from flowmesh.gateway.http import streams
from tests.integration.gateway.conftest import Rest


def parsed(text: str) -> list[dict[str, str]]:
    """Return the events of an ended stream, without comments and retry hints."""
    events = []
    for block in text.split("\n\n"):
        lines = [line.split(": ", 1) for line in block.split("\n") if line and line[0] != ":"]
        event = {key: value for key, value in lines if key != "retry"}
        if event:
            events.append(event)
    return events


async def finished(rest: Rest) -> str:
    await rest.register("slow")
    execution_id = await rest.start("slow")
    await rest.executions.append(execution_id, task_started=pb.TaskStarted(node="a", attempt=1))
    await rest.call("POST", f"/executions/{execution_id}/cancel")
    return execution_id


async def test_events_start_with_the_first_and_end_after_the_last(rest: Rest) -> None:
    """A subscriber without a cursor gets all events, with the sequence as id."""
    execution_id = await finished(rest)
    url = f"{rest.url}/api/v1/executions/{execution_id}/events"
    async with rest.http.get(url) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        events = parsed(await response.text())
    assert [event["id"] for event in events] == ["1", "2", "3"]
    assert [event["event"] for event in events] == [
        "WorkflowStarted",
        "TaskStarted",
        "WorkflowCanceled",
    ]
    data = json.loads(events[1]["data"])
    assert (data["executionId"], data["taskId"], data["sequence"]) == (execution_id, "a", 2)


async def test_a_subscriber_resumes_after_its_last_event_id(rest: Rest) -> None:
    """By header or by query; 204 stops the reconnection of a browser after the last event."""
    execution_id = await finished(rest)
    url = f"{rest.url}/api/v1/executions/{execution_id}/events"
    async with rest.http.get(url, headers={"Last-Event-ID": "1"}) as response:
        assert [event["id"] for event in parsed(await response.text())] == ["2", "3"]
    async with rest.http.get(url, params={"after": "2"}) as response:
        assert [event["id"] for event in parsed(await response.text())] == ["3"]
    async with rest.http.get(url, params={"after": "3"}) as response:
        assert (response.status, parsed(await response.text())) == (200, [])
    async with rest.http.get(url, headers={"Last-Event-ID": "3"}) as response:
        assert response.status == 204
    status, answer = await rest.call("GET", url.removeprefix(rest.url), params={"after": "-1"})
    assert (status, answer["error"]["details"][0]["field"]) == (400, "after")


async def test_a_reconnecting_browser_resumes(rest: Rest) -> None:
    """Its URL has the initial place; the header has the last event."""
    execution_id = await finished(rest)
    url = f"{rest.url}/api/v1/executions/{execution_id}/events?after=1"
    async with rest.http.get(url, headers={"Last-Event-ID": "2"}) as response:
        assert [event["id"] for event in parsed(await response.text())] == ["3"]
    async with rest.http.get(url, headers={"Last-Event-ID": "3"}) as response:
        assert response.status == 204
    url = f"{rest.url}/api/v1/events?after=old"
    async with rest.http.get(url, headers={"Last-Event-ID": "newer"}) as response:
        assert response.status == 200


async def test_events_arrive_while_the_execution_runs(rest: Rest) -> None:
    """Events are sent at once; a disconnect ends the subscription."""
    await rest.register("slow")
    execution_id = await rest.start("slow")
    response = await rest.http.get(f"{rest.url}/api/v1/executions/{execution_id}/events")
    lines = response.content
    while (await lines.readline()) != b"id: 1\n":
        pass
    await rest.executions.append(execution_id, task_started=pb.TaskStarted(node="a"))
    while (await lines.readline()) != b"id: 2\n":
        pass
    assert rest.events.watchers == 1
    response.close()
    await rest.events.nobody.wait()
    assert rest.events.watchers == 0


async def test_an_unknown_execution_is_404_on_both_ways(rest: Rest) -> None:
    """Neither a stream nor a WebSocket opens for an unknown execution."""
    path = "/api/v1/executions/exec-none/events"
    status, answer = await rest.call("GET", path)
    assert (status, answer["error"]["reason"]) == (404, "EXECUTION_NOT_FOUND")
    try:
        await rest.http.ws_connect(rest.url + path + "/ws")
        refused = 0
    except aiohttp.WSServerHandshakeError as error:
        refused = error.status
    assert refused == 404


async def test_a_websocket_carries_an_event_a_message_and_closes(rest: Rest) -> None:
    """The socket closes normally after the last event."""
    execution_id = await finished(rest)
    url = f"{rest.url}/api/v1/executions/{execution_id}/events/ws?after=1"
    async with rest.http.ws_connect(url) as socket:
        events = [json.loads(message.data) async for message in socket]
        assert [event["sequence"] for event in events] == [2, 3]
        assert socket.close_code == aiohttp.WSCloseCode.OK


async def test_a_websocket_that_closes_ends_the_subscription(rest: Rest) -> None:
    """Client messages are discarded; a disconnect ends the subscription."""
    await rest.register("slow")
    execution_id = await rest.start("slow")
    url = f"{rest.url}/api/v1/executions/{execution_id}/events/ws"
    async with rest.http.ws_connect(url) as socket:
        await socket.send_str("events are one way")
        assert (await socket.receive_json())["type"] == "WorkflowStarted"
    await rest.events.nobody.wait()
    assert rest.events.watchers == 0


async def test_events_of_the_namespace_carry_cursors(rest: Rest) -> None:
    """A stream that ends early reports the error, and an expired cursor is 410."""
    execution_id = await finished(rest)
    async with rest.http.get(f"{rest.url}/api/v1/events?type=TaskStarted") as response:
        events = parsed(await response.text())
    assert [event.get("id") for event in events] == [
        *(f"{execution_id}/{n}" for n in (1, 2, 3)),
        None,
    ]
    assert events[-1]["event"] == "StreamError"
    assert json.loads(events[-1]["data"])["error"]["reason"] == "SLOW_CONSUMER"
    status, answer = await rest.call("GET", "/api/v1/events", headers={"Last-Event-ID": "old"})
    assert (status, answer["error"]["reason"]) == (410, "CURSOR_EXPIRED")
    async with rest.http.ws_connect(f"{rest.url}/api/v1/events/ws") as socket:
        events = [json.loads(message.data) async for message in socket]
        assert [event["cursor"] for event in events][-1] == f"{execution_id}/3"
        assert socket.close_code == aiohttp.WSCloseCode.TRY_AGAIN_LATER


async def test_heartbeats_are_sent_during_silence() -> None:
    """A heartbeat follows each silence, and no item is lost."""
    items: asyncio.Queue[int] = asyncio.Queue()

    async def each() -> Any:
        while True:
            yield await items.get()

    class Client:
        async def gone(self) -> None:
            await asyncio.Event().wait()

    beats = streams.each_or_beat(Client(), each(), beat_s=0.01)
    assert [await anext(beats), await anext(beats)] == [None, None]
    await items.put(7)
    found = await anext(beats)
    assert found == 7
    await beats.aclose()
