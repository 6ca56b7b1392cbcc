"""What the console reads: outlines, series, summaries, sessions, sockets with a namespace."""

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest

from flowmesh.gateway.http.limits import STEP_S_MAX
from flowmesh.testing.suite import Suite
from tests.features.closed import OWNER, PASSWORD, Closed
from tests.features.natives import apply, workflow

SECRET = "the value of the order"
PATIENCE_S = 20.0


async def ran(suite: Suite, name: str, **headers: str) -> str:
    """Register and run a workflow of one task; return its execution."""
    await apply(suite, workflow(name, SHOUT), **headers)
    path = f"/api/v1/workflows/{name}/execute"
    answer = await suite.post(path, {"input": {"order": SECRET}}, headers=headers)
    assert answer.json["status"] == "completed", answer.text
    return str(answer.json["executionId"])


SHOUT = {
    "id": "shout",
    "taskRef": "transform",
    "input": {"source": "{{input.order}}", "pipeline": [{"operation": "uppercase"}]},
}


async def test_an_outline_has_sizes_in_place_of_values(suite: Suite) -> None:
    """In the history and in both streams; types, tasks and times are those of the events."""
    execution_id = await ran(suite, "console-outline")
    path = f"/api/v1/executions/{execution_id}"
    full = (await suite.get(f"{path}/history")).json["events"]
    outline = await suite.get(f"{path}/history?view=outline")
    assert SECRET in json.dumps(full)
    assert SECRET not in outline.text
    assert SECRET.upper() not in outline.text
    shown = ("type", "sequence", "taskId", "attempt", "timestamp")
    events = outline.json["events"]
    assert [[event.get(name) for name in shown] for event in events] == [
        [event.get(name) for name in shown] for event in full
    ]
    size = len(json.dumps({"order": SECRET}, separators=(",", ":")))
    assert events[0]["data"]["input"] == {"bytes": size}
    streamed = []
    async with suite.websocket(f"{path}/events/ws?view=outline") as socket:
        async for message in socket:
            event = json.loads(message.data)
            if event["type"] != "SignalFlow":
                streamed.append(event)
    assert streamed == events
    assert (await suite.get(f"{path}/history?view=short")).status == 400


async def test_a_socket_takes_its_namespace_from_the_query(suite: Suite) -> None:
    """A browser cannot set headers; another namespace has no such execution."""
    execution_id = await ran(suite, "console-space", **{"flowmesh-namespace": "console-ns"})
    path = f"/api/v1/executions/{execution_id}/events/ws"
    async with suite.websocket(f"{path}?namespace=console-ns") as socket:
        message = await socket.receive()
        assert json.loads(message.data)["type"] == "WorkflowStarted"
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with suite.websocket(path):
            pass
    assert refused.value.status == 404


async def test_a_series_counts_by_steps_of_time(suite: Suite) -> None:
    """Points by time and status, with percentiles; together they are the count."""
    for _ in range(3):
        await ran(suite, "console-series")
    query = "filter=workflow%20%3D%20console-series&stepS=60&groupBy=status&durations=true"
    answer = await suite.get(f"/api/v1/executions:series?{query}")
    assert answer.status == 200, answer.text
    points = answer.json["points"]
    assert sum(point["count"] for point in points) == 3
    assert {point["values"]["status"] for point in points} == {"completed"}
    for point in points:
        assert point["at"].endswith(":00.000000Z")
        assert 0 < point["p50Ms"] <= point["p95Ms"] <= point["p99Ms"]
    assert points == sorted(points, key=lambda point: point["at"])
    beyond = f"stepS={STEP_S_MAX + 1}"
    for bad in (beyond, "stepS=0", "stepS=x", "groupBy=colour", "filter=status%20%3D"):
        refused = await suite.get(f"/api/v1/executions:series?{bad}")
        assert refused.status == 400, bad


async def test_summaries_tell_the_last_executions_of_each_workflow(suite: Suite) -> None:
    """Newest first, with the counts of the week; workflows without executions are there too."""
    ids = [await ran(suite, "console-summary") for _ in range(2)]
    idle = "console-summary-idle"
    described = workflow(idle, SHOUT, description="Shouts a name." + " " * 400)
    described["metadata"]["labels"] = {"owner": "front-office"}
    await apply(suite, described)
    query = "view=summary&filter=id:console-summary*"
    answer = await suite.get(f"/api/v1/workflows?{query}")
    assert answer.status == 200, answer.text
    busy, other = answer.json["workflows"]
    assert [each["executionId"] for each in busy["recent"]] == ids[::-1]
    assert (busy["executions"], busy["triggers"]) == ({"completed": 2}, 0)
    assert busy["p95Ms"] > 0
    assert (other["name"], other["recent"], other["executions"]) == (idle, [], {})
    assert "p95Ms" not in other
    assert other["description"] == "Shouts a name.".ljust(300)
    assert (other["labels"], "description" in busy) == ({"owner": "front-office"}, False)
    first = await suite.get(f"/api/v1/workflows?{query}&pageSize=1")
    token = first.json["nextPageToken"]
    rest = await suite.get(f"/api/v1/workflows?{query}&pageSize=1&pageToken={token}")
    assert [each["name"] for each in rest.json["workflows"]] == [idle]


async def test_a_snapshot_is_sent_when_its_list_has_changed(suite: Suite) -> None:
    """Each topic once at first, then only after a change, as the list of REST answers it."""
    space = {"flowmesh-namespace": "console-live"}
    path = "/api/v1/live/ws?namespace=console-live&everyMs=250"
    async with (
        asyncio.timeout(PATIENCE_S),
        suite.websocket(f"{path}&topics=counts,queues,approvals") as socket,
    ):
        first = [json.loads((await socket.receive()).data) for _ in range(3)]
        assert [each["topic"] for each in first] == ["counts", "queues", "approvals"]
        assert first[0]["value"]["count"] == 0
        await ran(suite, "console-live", **space)
        changed = first[0]
        while not changed["value"]["count"] or "running" in str(changed["value"]["groups"]):
            changed = json.loads((await socket.receive()).data)
            assert changed["topic"] == "counts"
        listed = await suite.get("/api/v1/executions:count?groupBy=status", headers=space)
        assert changed["value"] == listed.json
    for bad in ("topics=galaxy", "everyMs=1", "everyMs=x"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with suite.websocket(f"{path}&{bad}"):
                pass
        assert refused.value.status == 400


async def test_the_console_has_a_slash_at_its_end_too(suite: Suite) -> None:
    """The same page under both addresses."""
    accept = {"Accept": "text/html"}
    pages = [await suite.get(path, headers=accept) for path in ("/console", "/console/")]
    assert [page.status for page in pages] == [200, 200]
    assert pages[0].body == pages[1].body


async def test_the_session_of_an_open_installation_names_nobody(suite: Suite) -> None:
    """With the version and the time of the server."""
    session = (await suite.get("/api/v1/console/session")).json
    assert set(session) == {"auth", "version", "time"}
    assert session["auth"] == "open"
    page = await suite.get("/executions", headers={"Accept": "text/html"})
    assert "connect-src 'self';" in page.headers["Content-Security-Policy"]


@pytest.mark.long
async def test_a_page_may_call_the_codec_server_of_the_installation(tmp_path: Path) -> None:
    """The session names it, with the place of the namespace; no other origin is admitted."""
    address = "https://codec.example:8443/of/{namespace}"
    environment = {"FLOWMESH_CODEC_SERVER": address}
    async with Suite(tmp_path / "data", environment=environment) as suite:
        session = (await suite.get("/api/v1/console/session")).json
        assert session["codecServer"] == address
        page = await suite.get("/executions", headers={"Accept": "text/html"})
        allowed = "connect-src 'self' https://codec.example:8443;"
        assert allowed in page.headers["Content-Security-Policy"]


async def test_the_session_of_a_closed_installation_is_that_of_the_caller(closed: Closed) -> None:
    """Pages are public and hold no data; the session asks for a credential."""
    page = await closed.suite.get("/executions", headers={"Accept": "text/html"})
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    listed = await closed.suite.get("/executions")
    assert listed.status == 401
    assert (await closed.suite.get("/api/v1/console/session")).status == 401
    login = {"email": OWNER, "password": PASSWORD}
    opened = (await closed.suite.post("/api/v1/auth/login", login)).json
    bearer = {"Authorization": f"Bearer {opened['accessToken']}"}
    session = (await closed.suite.get("/api/v1/console/session", headers=bearer)).json
    assert (session["auth"], session["me"]["user"]["email"]) == ("closed", OWNER)
