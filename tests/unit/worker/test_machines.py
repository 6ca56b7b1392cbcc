"""Tasks of the two open standards, one at a time, with values that they do not expect."""

import asyncio
from collections.abc import Mapping

import orjson
import pytest

from flowmesh.api.definition.v1.plan_pb2 import TaskSpec
from flowmesh.api.worker.v1.task_pb2 import Task
from flowmesh.contract.json_value import Json
from flowmesh.egress import Response
from flowmesh.engine.decisions.delays import DELAY_MS_MAX
from flowmesh.executors.base import Attempt, Executor, Step
from flowmesh.executors.code.jq import jq_of
from flowmesh.executors.code.jsonata import jsonata_of
from flowmesh.executors.failures import TaskFailure
from flowmesh.executors.serverless import task as serverless
from flowmesh.executors.serverless.calls import Calls
from flowmesh.executors.serverless.factory import task_executor
from flowmesh.executors.serverless.openapi import Documents
from flowmesh.executors.states import task as states
from flowmesh.executors.states.running import Tools
from flowmesh.sandbox import Sandbox
from flowmesh.standards.intrinsics import Randomness

JSON = {"content-type": "application/json"}


class Answering:
    """A sender that has one answer for everybody."""

    def __init__(self, status: int, body: bytes) -> None:
        self._response = Response(status, JSON, body, "")

    async def send(
        self,
        _method: str,
        _url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        timeout_ms: int,
        response_bytes_max: int,
    ) -> Response:
        return self._response


def now_us() -> int:
    return 0


async def ran(executor: Executor, config: dict[str, Json], data: Json) -> Json:
    step = executor(TaskSpec(), config)
    assert isinstance(step, Step)
    value = orjson.dumps({"state": {"data": data}})
    return orjson.loads((await step.run(Attempt(Task(), value, 5_000))).data)


async def of_states(config: dict[str, Json], data: Json, sender: Answering | None = None) -> Json:
    randomness = Randomness(lambda: "id", lambda: 0.5)
    async with Sandbox(children_max=1) as sandbox:
        fill = jsonata_of(sandbox)
        tools = Tools(sender or Answering(200, b""), now_us, randomness, fill)
        return await ran(states.state_executor(tools), {"name": "S", **config}, data)


async def of_serverless(
    config: dict[str, Json], data: Json, sender: Answering | None = None
) -> Json:
    async with Sandbox(children_max=1) as sandbox:
        egress = sender or Answering(200, b"")
        calls = Calls(egress, sandbox, now_us, Documents(egress, now_us))
        tools = serverless.Tools(jq_of(sandbox), calls, None, now_us, lambda: 0.5)
        executor = task_executor(tools)
        return await ran(executor, {"name": "s", "at": "/do/0/s", **config}, data)


HTTP = {"op": "http", "method": "GET", "request": {"value": {"uri": "http://a.example/"}}}


@pytest.mark.parametrize("answer", ["raw", "content", "response"])
async def test_an_error_is_no_answer_in_any_form(answer: str) -> None:
    """Who follows redirects fails by what is no redirect."""
    config = {**HTTP, "answer": answer, "redirect": True}
    assert await of_serverless(config, None, Answering(302, b"1"))
    with pytest.raises(TaskFailure) as failed:
        await of_serverless(config, None, Answering(503, b"1"))
    assert failed.value.details["problem"]["status"] == 503


async def test_no_number_of_an_answer_is_rounded() -> None:
    """Neither standard goes on with another number than was answered."""
    sender = Answering(200, b"18446744073709551616")
    with pytest.raises(TaskFailure, match="answer is an integer"):
        await of_serverless({**HTTP, "answer": "content"}, None, sender)
    with pytest.raises(TaskFailure, match="answer is an integer"):
        await of_states({"op": "http"}, {"ApiEndpoint": "http://a.example/"}, sender)


async def test_an_error_that_is_raised_has_a_type() -> None:
    """One that is computed and comes to nothing fails as what it is."""
    config = {"op": "raise", "error": {"jq": "{type: .type, status: 400}"}}
    with pytest.raises(TaskFailure, match="the type of the error must be a text") as failed:
        await of_serverless(config, {"type": None})
    assert failed.value.class_.endswith("/validation")


@pytest.mark.parametrize("seconds", [1e306, 2**63, 1e18])
async def test_a_wait_beyond_all_timers_fails_its_state(seconds: float) -> None:
    """With an error of the language; the longest is that of the timers of the engine."""
    with pytest.raises(TaskFailure, match="more than 366 days") as failed:
        await of_states({"op": "wait", "seconds_path": "$.s"}, {"s": seconds})
    assert failed.value.class_ == "States.Runtime"
    longest = await of_states({"op": "wait", "seconds_path": "$.s"}, {"s": DELAY_MS_MAX / 1_000})
    assert longest["wait"] == states.WAIT_MS_MAX == DELAY_MS_MAX


async def test_the_items_of_a_map_are_made_while_others_work() -> None:
    """However many they are."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    beside = asyncio.create_task(others())
    config = {"op": "items", "items_path": "$", "selector": {"n.$": "$$.Map.Item.Index"}}
    made = await of_states(config, [0] * 5_000)
    beside.cancel()
    assert made["items"][-1]["data"] == {"n": 4_999}
    assert turns >= 10
