"""The SignalR hub, over its protocol and with the client of Microsoft."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowmesh.gateway.hub.methods import TARGETS
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.clients.programs import signalr
from tests.features.closed import Caller, Closed
from tests.features.events.test_event_streams import chain
from tests.features.steps import step

PATIENCE_S = 20
HUB = "/hubs/executions"
END = "\x1e"


class Hub:
    """A connection that speaks the JSON hub protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self._records: list[dict[str, Any]] = []

    async def send(self, *records: Any) -> None:
        await self.socket.send_str("".join(json.dumps(each) + END for each in records))

    async def record(self) -> dict[str, Any]:
        """Return the next record but pings; an empty one at the end."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._records:
                message = await self.socket.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    return {}
                found = [json.loads(each) for each in message.data.split(END) if each]
                self._records = [each for each in found if each.get("type") != 6]
        return self._records.pop(0)

    async def call(self, target: str, *arguments: Any) -> dict[str, Any]:
        """Return the completion of a call; events that come before it are kept."""
        await self.send(
            {"type": 1, "invocationId": "1", "target": target, "arguments": list(arguments)}
        )
        events = []
        while (found := await self.record()).get("type") == 1:
            events.append(found)
        self._records = [*events, *self._records]
        return found

    async def events(self, until: str) -> list[dict[str, Any]]:
        """Return the invocations up to a target."""
        found: list[dict[str, Any]] = []
        while not found or found[-1]["target"] != until:
            found.append(await self.record())
            assert found[-1].get("type") == 1, found[-1]
        return found


@asynccontextmanager
async def hub(suite: Suite, query: str = "", *, shake: bool = True) -> AsyncIterator[Hub]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{suite.http_url}{HUB}{query}") as socket,
    ):
        connected = Hub(socket)
        if shake:
            await connected.send({"protocol": "json", "version": 1})
            assert await connected.record() == {}
        yield connected


@pytest.mark.feature("S0-86", "S0-87", "S0-92")
async def test_a_subscriber_gets_the_events_of_its_execution_only(
    suite: Suite, world: World
) -> None:
    """Of two running executions, from the first event to the last, with the flows of data."""
    world.hold("a")
    workflow = await suite.define(chain(world, "a", "b"))
    mine, other = await suite.begin(workflow), await suite.begin(workflow)
    async with hub(suite) as client:
        done = await client.call("Subscribe", mine)
        assert done["result"] == {"executionId": mine, "ended": False}
        world.release("a")
        found = await client.events("WorkflowCompleted")
    await suite.wait(other)

    assert {each["arguments"][0]["executionId"] for each in found} == {mine}
    targets = [each["target"] for each in found]
    assert targets[0] == "WorkflowStarted"
    assert [each for each in targets if each == "TaskCompleted"] == ["TaskCompleted"] * 2
    (flow,) = [each["arguments"][0] for each in found if each["target"] == "SignalFlow"]
    assert flow["data"] == {"from": "a", "to": "b"}


@pytest.mark.feature("S0-86")
async def test_a_client_resumes_after_the_event_that_it_knows(suite: Suite, world: World) -> None:
    """Only later events come, and none after the last."""
    execution = (await suite.run(chain(world, "a", "b")))["executionId"]
    async with hub(suite) as client:
        await client.call("Subscribe", execution)
        whole = [each["arguments"][0] for each in await client.events("WorkflowCompleted")]
        known = next(each["sequence"] for each in whole if each["type"] == "TaskCompleted")
        await client.call("Subscribe", execution, known)
        rest = [each["arguments"][0] for each in await client.events("WorkflowCompleted")]
        done = await client.call("Subscribe", execution, whole[-1]["sequence"])
    assert rest == [each for each in whole if each["sequence"] > known]
    assert done["result"]["ended"]


async def test_wrong_calls_are_rejected_and_the_connection_stays(suite: Suite) -> None:
    """Each with a reason; then a right call works."""
    async with hub(suite) as client:
        for target, arguments, reason in (
            ("Steal", [], "ROUTE_NOT_FOUND"),
            ("Subscribe", [], "REQUEST_INVALID"),
            ("Subscribe", ["no such execution"], "ID_INVALID"),
            ("Subscribe", ["no-such-execution"], "EXECUTION_NOT_FOUND"),
            ("Subscribe", ["x", -1], "REQUEST_INVALID"),
            ("Subscribe", ["x", {"types": ["Nothing"]}], "REQUEST_INVALID"),
            ("SubscribeAll", [{"cursor": "x"}], "CURSOR_INVALID"),
            ("Unsubscribe", [7], "REQUEST_INVALID"),
        ):
            done = await client.call(target, *arguments)
            assert done["error"].startswith(reason), (target, arguments, done)
        await client.send({"type": 4, "invocationId": "2", "target": "Subscribe", "arguments": []})
        assert "no stream" in (await client.record())["error"]
        assert (await client.call("Unsubscribe", "x"))["result"] == {"active": False}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"protocol":"messagepack","version":1}' + END, "json"),
        ('{"protocol":"json","version":2}' + END, "version"),
        ("no json" + END, "handshake"),
        ("[" * 100_000 + END, "32 KiB"),
        ("x" * 1_000_000, "32 KiB"),
    ],
)
async def test_other_protocols_are_refused_in_the_handshake(
    suite: Suite, text: str, problem: str
) -> None:
    """With an error that names what is spoken; then the connection ends."""
    async with hub(suite, shake=False) as client:
        await client.socket.send_str(text)
        assert problem in (await client.record())["error"]


async def test_records_are_split_joined_and_bounded(suite: Suite, world: World) -> None:
    """A record over two messages, two in one; a flood ends the connection with words."""
    execution = (await suite.run(chain(world, "a")))["executionId"]
    async with hub(suite, shake=False) as client:
        call = {"type": 1, "invocationId": "1", "target": "Subscribe", "arguments": [execution]}
        text = json.dumps({"protocol": "json", "version": 1}) + END + json.dumps(call) + END
        await client.socket.send_str(text[:60])
        await client.socket.send_str(text[60:])
        assert await client.record() == {}
        assert (await client.call("Unsubscribe"))["result"]
        await client.send(*[{"type": 6}] * 10_000)
        while (found := await client.record()).get("type") != 7:
            assert found
        assert "records a second" in found["error"]


@pytest.mark.long
async def test_a_connection_has_a_hundred_subscriptions(suite: Suite, world: World) -> None:
    """The next one is refused, until one of them ends."""
    world.hold("a")
    workflow = await suite.define(chain(world, "a"))
    executions = [await suite.begin(workflow) for _ in range(101)]
    async with hub(suite) as client:
        for each in executions[:100]:
            assert "result" in await client.call("Subscribe", each, {"types": ["TaskFailed"]})
        done = await client.call("Subscribe", executions[100])
        assert done["error"].startswith("SUBSCRIPTIONS_FULL")
        assert (await client.call("Unsubscribe", executions[0]))["result"] == {"active": True}
        assert "result" in await client.call("Subscribe", executions[100])
    world.release("a")
    for each in executions:
        await suite.wait(each)


async def test_other_transports_and_other_sites_are_refused(suite: Suite) -> None:
    """Negotiation offers WebSockets; a GET gets 426, a page of another origin 403."""
    answer = await suite.request("POST", f"{HUB}/negotiate?negotiateVersion=1", None)
    assert answer.json["negotiateVersion"] == 1
    assert answer.json["connectionToken"]
    transports = [each["transport"] for each in answer.json["availableTransports"]]
    assert transports == ["WebSockets"]
    assert "connectionToken" not in (await suite.request("POST", f"{HUB}/negotiate", None)).json
    stream = {"Accept": "text/event-stream"}
    assert (await suite.request("GET", f"{HUB}?id=x", headers=stream)).status == 426
    foreign = {"Origin": "http://evil.example"}
    answer = await suite.request("POST", f"{HUB}/negotiate", None, headers=foreign)
    assert answer.status == 403
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(f"{suite.http_url}{HUB}", headers=foreign)
    assert refused.value.status == 403


@pytest.mark.long
@pytest.mark.feature("S0-86", "S0-87", "S0-92", "S0-97")
async def test_the_client_of_microsoft_follows_an_execution(suite: Suite, world: World) -> None:
    """It gets each event once and pushed, also across a subscription to all of a workflow."""
    world.hold("a")
    workflow = await suite.define(chain(world, "a", "b"))
    mine, other = await suite.begin(workflow), await suite.begin(workflow)
    async with (
        signalr(suite.http_url, targets=TARGETS) as client,
        signalr(suite.http_url, targets=TARGETS) as watcher,
    ):
        await client.until("connected")
        await watcher.until("connected")
        assert (await client.call("Subscribe", mine))["result"]["executionId"] == mine
        assert (await watcher.call("SubscribeAll", {"workflow": workflow}))["kind"] == "result"
        assert "ROUTE_NOT_FOUND" in (await client.call("Steal"))["error"]
        world.release("a")
        await client.until_type("WorkflowCompleted")
        await watcher.until_type("WorkflowCompleted", 2)

    assert {each["executionId"] for each in client.events()} == {mine}
    sequences = [each["sequence"] for each in client.events() if each["type"] != "SignalFlow"]
    assert sequences == sorted(set(sequences))
    assert [each["data"] for each in client.events() if each["type"] == "SignalFlow"] == [
        {"from": "a", "to": "b"}
    ]
    assert {each["executionId"] for each in watcher.events()} == {mine, other}


@pytest.mark.long
@pytest.mark.feature("S0-86")
@pytest.mark.parametrize("transport", ["ServerSentEvents", "LongPolling"])
async def test_the_client_of_microsoft_hears_of_other_transports(
    suite: Suite, transport: str
) -> None:
    """Asked for one that the hub does not offer, it fails at once and names what there is."""
    async with signalr(suite.http_url, transport=transport) as client:
        (refused,) = await client.until("refused")
    assert "any of the available transports" in refused["error"]
    assert "WebSockets" in refused["error"]


async def begun(closed: Closed, slug: str, world: World) -> tuple[str, Caller, str]:
    """A project, a viewer of it, and a running execution in it."""
    project = await closed.project(slug)
    namespace = {"flowmesh_namespace": project.namespace}
    steps = [
        step("a", "http.request", {"url": world.url(slug), "method": "POST"}),
    ]
    status, made = await closed.owner.rest(
        "POST", "/workflows", {"id": slug, "name": slug, "steps": steps}, **namespace
    )
    assert status in (200, 201), made
    status, started = await closed.owner.rest(
        "POST", "/executions/start", {"workflowId": slug}, **namespace
    )
    assert status == 200, started
    viewer = await closed.key(project.id, "viewer")
    return project.namespace, viewer, started["executionId"]


@pytest.mark.long
@pytest.mark.feature("S0-86", "S0-87")
async def test_tokens_open_the_hub_of_their_project_only(closed: Closed, world: World) -> None:
    """With the key in a header or the token in the query; none of another project's events."""
    world.hold("north")
    world.hold("south")
    north, north_key, mine = await begun(closed, "north", world)
    south, south_key, other = await begun(closed, "south", world)
    url = closed.suite.http_url
    here, there = {"Flowmesh-Namespace": north}, {"Flowmesh-Namespace": south}
    async with (
        signalr(url, targets=TARGETS, token=north_key.credential, headers=here) as client,
        signalr(url, targets=TARGETS, token=south_key.credential, headers=here) as thief,
        signalr(url, targets=TARGETS, token=south_key.credential, headers=there) as neighbour,
    ):
        for each in (client, thief, neighbour):
            await each.until("connected")
        assert (await client.call("Subscribe", mine))["kind"] == "result"
        for each in (thief, neighbour):
            assert (await each.call("Subscribe", mine))["kind"] == "rejected"
        assert (await thief.call("SubscribeAll"))["kind"] == "rejected"
        assert (await client.call("Subscribe", other))["kind"] == "rejected"
        assert (await neighbour.call("SubscribeAll"))["kind"] == "result"
        world.release("north")
        await client.until_type("WorkflowCompleted")
        world.release("south")
        await neighbour.until_type("WorkflowCompleted")
    assert {each["executionId"] for each in client.events()} == {mine}
    assert {each["executionId"] for each in neighbour.events()} == {other}
    assert thief.events() == []


async def test_a_hub_token_in_the_query_is_checked(closed: Closed) -> None:
    """An access token opens the hub; none, a wrong one, an API key, and other paths do not."""
    project = await closed.project("queried")
    key = await closed.key(project.id, "viewer")
    base = closed.suite.http_url
    for path, token, status in (
        (HUB, closed.owner.credential, 101),
        (HUB, "", 401),
        (HUB, "eyJ.wrong.token", 401),
        (HUB, key.credential, 400),
        ("/api/v1/events/ws", closed.owner.credential, 400),
    ):
        query = f"?access_token={token}" if token else ""
        async with aiohttp.ClientSession() as session:
            try:
                async with session.ws_connect(f"{base}{path}{query}"):
                    found = 101
            except aiohttp.WSServerHandshakeError as refused:
                found = refused.status
        assert found == status, path
    answer = await closed.caller("").rest("POST", f"{HUB}/negotiate")
    assert answer[0] == 401


@pytest.mark.long
@pytest.mark.feature("S0-86", "S0-96")
async def test_the_client_reconnects_after_kill_nine(tmp_path: Path, world: World) -> None:
    """And resumes after the last sequence it knows: no event is missing, none repeated."""
    world.hold("b")
    with socket.socket() as one, socket.socket() as two:
        for each in (one, two):
            each.bind(("127.0.0.1", 0))
        ports = (one.getsockname()[1], two.getsockname()[1])
    async with Suite(tmp_path / "data", ports=ports) as suite:
        execution = await suite.begin(await suite.define(chain(world, "a", "b")))
        async with signalr(suite.http_url, targets=[*TARGETS, "Event"]) as client:
            await client.until("connected")
            await client.call("Subscribe", execution, {"other": True})
            await client.until_type("TaskCompleted")
            await suite.kill()
            await suite.start()
            await client.until("reconnected", within_s=60)
            known = max(each["sequence"] for each in client.events())
            await client.call("Subscribe", execution, {"other": True, "after": known})
            world.release("b")
            await client.until_type("WorkflowCompleted")
        whole = [each["sequence"] for each in await suite.events(execution)]
    flowless = [each for each in client.events() if each["type"] != "SignalFlow"]
    assert [each["sequence"] for each in flowless] == whole
