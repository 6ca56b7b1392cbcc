"""Durable pipelines: runs of applications that are executions of a suite."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.apps import Answer, RunningApp, running, written
from tests.features.durable_cases import (
    CASES,
    COUNT,
    document,
    requests,
    route,
    step,
)

Json = Any
NOW: Json = {"wait": "0s"}


@pytest.fixture
def attached(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A suite whose address is in the environment."""
    monkeypatch.setenv("FLOWMESH_ADDRESS", suite.grpc_address)
    return suite


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with await Client.connect(suite.grpc_address) as connected:
        yield connected


def durable(path: str, *steps: Json, method: str = "POST", **rules: Json) -> Json:
    return route(path, {"durable": True, "steps": list(steps), **rules}, method)


def name_of(request: pytest.FixtureRequest) -> str:
    """The name of an application of one test."""
    return str(request.node.name).replace("_", "-")[-38:].strip("-")


async def rows(found: RunningApp) -> int:
    answer = await found.call("GET", "/count")
    return int(answer.body["n"])


COUNTED = route(
    "/count",
    [COUNT, step("answer", "json_response", body={"n": '{{ index .steps.count.rows 0 "n" }}'})],
    "GET",
)


def shown(answer: Answer) -> Json:
    """An answer without what differs between two runs of anything."""
    body = answer.body if not isinstance(answer.body, bytes) else answer.body.decode()
    if isinstance(body, dict):
        body = {k: v for k, v in body.items() if k != "lastUpdate"}
    return answer.status, answer.headers.get("Content-Type"), answer.headers.get("X-Found"), body


async def answers(folder: Path, side: str, world: World) -> list[Json]:
    """Return the answers of all cases by an application of one side."""
    text = document(durable=side == "durable")
    where = folder / side
    where.mkdir()
    environment = {"WORLD": world.address, "SIDE": side}
    for _ in range(CASES):
        world.answers(f"{side}-flaky", status=503, times=2)
        world.answers(f"{side}-flaky", json={"ok": side != ""}, times=1)
    world.answers(f"{side}-price", make=lambda call: {"price": call.json["n"]})
    world.answers(f"{side}-broken", status=503)
    world.answers(f"{side}-slow", delay_ms=300)
    async with running(written(where, text), environment=environment) as found:
        return [shown(await found.call("POST", path, body)) for path, body in requests()]


@pytest.mark.feature("S1-46", "S1-49", "S1-51", "S1-54", "S1-55", "S1-85")
async def test_inline_and_durable_runs_answer_the_same(
    tmp_path: Path, attached: Suite, world: World
) -> None:
    """200 requests to 21 pipelines with all kinds of steps, rules and failures."""
    inline = await answers(tmp_path, "inline", world)
    durably = await answers(tmp_path, "durable", world)
    assert len(inline) == CASES
    statuses = Counter(status for status, *_ in inline)
    assert {200, 201, 203, 404, 409, 422, 502, 504} <= set(statuses)
    for number, (one, other) in enumerate(zip(inline, durably, strict=True)):
        text = json.dumps(other).replace("durable-", "inline-")
        assert text == json.dumps(one), (number, list(requests())[number])
    assert len(world.calls("inline-flaky")) == len(world.calls("durable-flaky")) > 10
