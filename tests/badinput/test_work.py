"""Hostile values on their way through running workflows."""

import asyncio
import gzip
import json
import time
from typing import Any

import psutil
import pytest

from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.badinput.bench import Bench
from tests.badinput.probes import native, noop
from tests.features.steps import http, step, workflow

MIB = 2**20
# 20 ms on a machine of its own; what else runs here, and the collector, take their part.
STALL_S = 0.5
BOMBS = (
    "9**9**9 > 1",
    "input.a.all(x, input.a.all(y, input.a.all(z, x + y + z > 0)))",
    "(" * 20_000 + "true" + ")" * 20_000,
    "'a'.repeat(1000000000) == ''",
    " + ".join(["1"] * 5_000) + " > 0",
)
SECRET = "canary-5d41402abc4b2a76"


@pytest.mark.parametrize("bomb", BOMBS)
async def test_expression_bombs_are_refused_when_saved(bench: Bench, bomb: str) -> None:
    """In conditions of both dialects, at once."""
    begun = time.monotonic()
    found = await bench.validated(native(noop(condition=bomb)))
    assert found in ("EXPRESSION_TOO_COMPLEX", "EXPRESSION_INVALID", "DEFINITION_INVALID")
    assert time.monotonic() - begun < 1


async def test_expensive_expressions_do_not_block_other_requests(
    victim: Suite, bench: Bench
) -> None:
    """What is accepted runs in bounded time; meanwhile others are answered."""
    name = await bench.registered(native(noop(condition="input.o == input.o")))
    data = {"o": {f"k{number}": number for number in range(12_000)}}
    dear = [await victim.begin(name, data) for _ in range(10)]
    waits = [asyncio.create_task(victim.wait(each)) for each in dear]
    longest = 0.0
    while not all(each.done() for each in waits):
        begun = time.monotonic()
        assert (await victim.get("/livez")).status == 200
        longest = max(longest, time.monotonic() - begun)
    assert {(await each)["status"] for each in waits} == {"completed"}
    assert longest < STALL_S


async def test_data_is_never_evaluated_again(victim: Suite, world: World) -> None:
    """Nor what a step answered, when the next one uses it."""
    hostile = {"a": "{{context.secret}}", "b": ["${7*7}", "{{input}}", "<%= 1 %>"], "{{c}}": "#{1}"}
    world.answers("first", json=hostile)
    url = {"url": world.url("second"), "method": "POST"}
    second = step("second", "http.request", {**url, "body": {"got": "{{context.first}}"}}, "first")
    third = step(
        "third",
        "http.request",
        {**url, "url": world.url("third"), "body": "{{context.second}}"},
        "second",
    )
    world.answers("second", make=lambda call: call.json["got"])
    ended = await victim.run(workflow(http(world, "first"), second, third), {"secret": SECRET})
    assert ended["status"] == "completed", ended
    assert world.calls("second")[0].json == {"got": hostile}
    assert world.calls("third")[0].json == hostile
    assert SECRET not in world.calls("third")[0].text


async def test_patterns_match_in_linear_time(victim: Suite, bench: Bench) -> None:
    """One that would never end elsewhere, over a text of 200 KB."""
    schema = {"properties": {"t": {"type": "string", "pattern": "^(a+)+$"}}}
    name = await bench.registered({"steps": [{"id": "a"}], "inputSchema": schema})
    begun = time.monotonic()
    body = {"workflowId": name, "context": {"t": "a" * 200_000 + "!"}}
    refused = await victim.post("/executions/start", body)
    assert refused.json["error"]["reason"] == "INPUT_INVALID"
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize("bad", ["a\r\nX-Admin: 1", "a\nb", "a\0b", "a\r\n folded"])
async def test_headers_are_not_injected_by_data(victim: Suite, world: World, bad: str) -> None:
    """The step fails before anything is sent."""
    params = {"url": world.url("call"), "method": "GET", "headers": {"X-Name": "{{context.name}}"}}
    ended = await victim.run(workflow(step("a", "http.request", params)), {"name": bad})
    assert ended["stepResults"]["a"]["error"]["class"] == "ValidationError"
    assert world.calls() == []


@pytest.mark.parametrize("name", ["Host", "Connection", "a b", "a:b", "a\r\nb", "é", ""])
async def test_headers_of_the_connection_are_not_set(
    victim: Suite, world: World, name: str
) -> None:
    """Nor names that are none: refused when saved or when the step runs."""
    params = {"url": world.url("call"), "method": "GET", "headers": {name: "x"}}
    definition = workflow(step("a", "http.request", params))
    answer = await victim.post("/workflows", definition)
    if answer.status < 300:
        ended = await victim.wait(await victim.begin(definition["id"]))
        assert ended["stepResults"]["a"]["error"]["class"] == "ValidationError"
        assert world.calls() == []


async def test_compressed_bombs_do_not_fill_the_memory(victim: Suite, world: World) -> None:
    """200 MiB in one: the step fails early, and so behind a redirect."""
    inner = gzip.compress(bytes(200 * MIB), 1)
    world.answers("bomb", body=inner, headers={"Content-Encoding": "gzip"})
    world.answers("hop", status=307, headers={"Location": world.url("bomb")})
    process = psutil.Process(victim.pid)
    before = process.memory_info().rss
    for route in ("bomb", "hop"):
        ended = await victim.run(workflow(http(world, route, retryPolicy={"maxAttempts": 1})))
        assert ended["stepResults"][route]["error"]["class"] == "ValidationError"
    assert process.memory_info().rss - before < 64 * MIB


async def test_secrets_of_data_stay_in_it(victim: Suite, world: World) -> None:
    """Inputs, headers, answers and signals are in no log, no metric and no refusal."""
    world.answers("call", json={"token": SECRET}, headers={"X-Token": SECRET})
    world.answers("bad", status=500, text=f"\x1b[31m{SECRET}\nlevel=error")
    headers: dict[str, Any] = {"Authorization": f"Bearer {SECRET}"}
    params = {"url": world.url("call"), "method": "POST", "headers": headers}
    steps = (
        step("call", "http.request", params),
        step("bad", "http.request", {"url": world.url("bad"), "method": "GET"}, "call"),
        step("code", "function", {"code": f"throw new Error({SECRET!r})"}, "call"),
    )
    ended = await victim.run(workflow(*steps), {"password": SECRET})
    assert ended["status"] == "failed"
    refused = await victim.post("/executions/start", {"workflowId": 7, "context": {"x": SECRET}})
    assert SECRET not in refused.text
    assert SECRET not in (await victim.get("/metrics")).text
    assert SECRET not in victim.log.read_text()
    metrics = (await victim.get("/metrics")).text
    assert json.dumps(ended["executionId"])[1:-1] not in metrics
