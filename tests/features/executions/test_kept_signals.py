"""Signals with a key and a time to live: kept until an execution waits for them."""

import uuid
from pathlib import Path

import aiohttp
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.errors import NotFound
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.natives import applied, workflow

PATIENCE_S = 30
WEEK_MS = 604_800_000


def waiting(name: str, *steps: str) -> Json:
    """A workflow that waits for `paid` of its order, once for each step in turn."""
    tasks: list[Json] = []
    for step in steps:
        wait = {"event": "paid", "correlate": "{{input.order}}"}
        before = {"dependsOn": [tasks[-1]["id"]]} if tasks else {}
        tasks.append({"id": step, "wait": wait, **before})
    return workflow(name, *tasks)


def signal(key: str, payload: Json = None, **said: Json) -> Json:
    return {"name": "paid", "key": key, "payload": payload, "ttlMs": 60_000, **said}


async def sent(suite: Suite, key: str, payload: Json = None, **said: Json) -> Json:
    answer = await suite.post("/api/v1/signals", signal(key, payload, **said))
    assert answer.status == 202, answer.text
    return answer.json


async def received(suite: Suite, execution_id: str) -> list[Json]:
    """The signals in the history of an execution."""
    answer = await suite.get(f"/api/v1/executions/{execution_id}/history")
    return [each for each in answer.json["events"] if each["type"] == "SignalReceived"]


async def down(suite: Suite) -> bool:
    try:
        await suite.get("/healthz")
    except aiohttp.ClientError:
        return True
    return False


def new_key() -> str:
    return uuid.uuid4().hex


async def test_a_signal_that_came_before_its_wait_is_received_once(suite: Suite) -> None:
    """By one execution; the next one that waits gets nothing."""
    await applied(suite, waiting("kept-once", "paid"))
    key = new_key()
    kept = await sent(suite, key, {"amount": 5})
    assert kept["executions"] == []
    assert kept["expiresAt"].endswith("Z")
    first = await suite.begin("kept-once", {"order": key})
    shown = await suite.wait(first)
    assert shown["stepResults"]["paid"]["result"] == {"amount": 5}
    assert len(await received(suite, first)) == 1
    second = await suite.begin("kept-once", {"order": key})
    refused = await suite.post("/api/v1/signals", signal(new_key(), ttlMs=0))
    assert (refused.status, refused.json["error"]["reason"]) == (404, "WAIT_NOT_FOUND")
    await sent(suite, key, {"amount": 6})
    shown = await suite.wait(second)
    assert shown["stepResults"]["paid"]["result"] == {"amount": 6}


async def test_kept_signals_are_received_in_their_order(suite: Suite) -> None:
    """Each wait of an execution gets the next one."""
    await applied(suite, waiting("kept-in-order", "one", "two", "three"))
    key = new_key()
    for number in (1, 2, 3):
        await sent(suite, key, number)
    shown = await suite.wait(await suite.begin("kept-in-order", {"order": key}))
    results = [shown["stepResults"][step]["result"] for step in ("one", "two", "three")]
    assert results == [1, 2, 3]


async def test_an_expired_signal_is_not_received(suite: Suite) -> None:
    """The execution gets the one that was sent after it."""
    await applied(suite, waiting("kept-expired", "paid"))
    key = new_key()
    await sent(suite, key, "old", ttlMs=1)
    first = await suite.begin("kept-expired", {"order": key})
    await sent(suite, key, "new")
    shown = await suite.wait(first)
    assert shown["stepResults"]["paid"]["result"] == "new"


async def test_a_repeated_request_keeps_its_signal_once(suite: Suite) -> None:
    """Before and after the delivery; with other content it is refused."""
    await applied(suite, waiting("kept-again", "one", "two"))
    key, request = new_key(), new_key()
    kept = await sent(suite, key, 1, requestId=request)
    assert await sent(suite, key, 1, requestId=request) == kept
    assert await sent(suite, key, 1, requestId=request, ttlMs=0) == kept
    other = await suite.post("/api/v1/signals", signal(new_key(), requestId=request))
    assert (other.status, other.json["error"]["reason"]) == (409, "REQUEST_ID_REUSED")
    execution_id = await suite.begin("kept-again", {"order": key})

    async def one() -> bool:
        return len(await received(suite, execution_id)) == 1

    await until("the signal", one, within_s=PATIENCE_S)
    again = await sent(suite, key, 1, requestId=request)
    (receiver,) = again["executions"]
    assert receiver["executionId"] == execution_id
    await sent(suite, key, 2)
    shown = await suite.wait(execution_id)
    assert [shown["stepResults"][step]["result"] for step in ("one", "two")] == [1, 2]


@pytest.mark.long
async def test_a_time_to_live_is_at_most_a_week(suite: Suite) -> None:
    """Of all ways to send a signal."""
    for ttl in (-1, WEEK_MS + 1, "1s"):
        answer = await suite.post("/api/v1/signals", signal(new_key(), ttlMs=ttl))
        assert answer.status == 400, answer.text
    async with Client(suite.grpc_address) as client:
        assert await client.signal_by_key("paid", new_key(), ttl=WEEK_MS / 1_000) == {}
        with pytest.raises(NotFound):
            await client.signal_by_key("paid", new_key())
    key = new_key()
    done = await command(suite, "signal-by-key", "paid", key, "--ttl", "60")
    assert (done.code, done.out) == (0, "paid is kept for 60 s\n")
    refused = await command(suite, "signal-by-key", "paid", key, "--ttl", "604801")
    assert "ttl_ms is from 0 to 604,800,000" in refused.err, refused.err


@pytest.mark.long
@pytest.mark.parametrize("point", ["", "orchestrator.kept_signal_sent"])
async def test_a_kept_signal_survives_kill_9(tmp_path: Path, point: str) -> None:
    """Killed before the wait, or between the delivery and the end of its row: received once."""
    armed = tmp_path / "points"
    armed.write_text(f"{point}=kill9" if point else "")
    suite = Suite(tmp_path / "data", environment={"FLOWMESH_FAILPOINTS": f"@{armed}"})
    async with suite:
        await applied(suite, waiting("kept-killed", "one", "two"))
        key = new_key()
        await sent(suite, key, 1)
        execution_id = ""
        if point:
            execution_id = await suite.begin("kept-killed", {"order": key})
            await until("the end of the process", lambda: down(suite), within_s=PATIENCE_S)
        await suite.kill()
        armed.write_text("")
        await suite.start()
        if not execution_id:
            execution_id = await suite.begin("kept-killed", {"order": key})

        async def one() -> bool:
            return len(await received(suite, execution_id)) == 1

        await until("the signal", one, within_s=PATIENCE_S)
        await sent(suite, key, 2)
        shown = await suite.wait(execution_id)
        assert [shown["stepResults"][step]["result"] for step in ("one", "two")] == [1, 2]
