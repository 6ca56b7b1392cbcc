"""Proposals for a workflow that ran: their gain, their rehearsal, and that nothing changes."""

import asyncio
import contextlib
import secrets
from typing import Any

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, TaskContext, Worker
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.natives import applied, resource, workflow

RUNS = 22
TOOK_S = 0.2


def flow(name: str) -> tuple[Json, ...]:
    """Two slow tasks in a needless order, and one that fails at times."""
    kinds = (resource("WorkflowTask", f"{kind}-{name}", type=kind) for kind in ("slow", "flaky"))
    tasks = (
        {"id": "first", "taskRef": f"slow-{name}", "input": {"rate": "EUR"}},
        {
            "id": "second",
            "taskRef": f"slow-{name}",
            "input": {"rate": "USD"},
            "dependsOn": ["first"],
        },
        {"id": "flaky", "taskRef": f"flaky-{name}", "input": {"n": "{{input.n}}"}},
    )
    queued = [{**each, "queue": name} for each in tasks]
    output = {"one": "{{tasks.first.output}}", "two": "{{tasks.second.output}}"}
    return (*kinds, workflow(name, *queued, output=output))


@pytest.mark.long
@pytest.mark.feature("S0-158")
async def test_proposals_have_a_gain_and_are_rehearsed(suite: Suite) -> None:
    """Order, timeout and retries follow from the runs; the stored version stays."""
    name = f"optimized-{secrets.token_hex(4)}"
    await applied(suite, *flow(name))
    failed: set[int] = set()

    async def slow(value: Any, _context: TaskContext) -> Any:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), TOOK_S)
        return {"of": value["rate"]}

    async def flaky(value: Any, _context: TaskContext) -> Any:
        if value["n"] % 2 and value["n"] not in failed:
            failed.add(value["n"])
            raise ConnectionError("not now")
        return value["n"]

    async with Client(suite.grpc_address) as client:
        async with Worker(client, {"slow": slow, "flaky": flaky}, queues=[name]):
            handles = [await client.start(name, {"n": number}) for number in range(RUNS)]
            await asyncio.gather(*(handle.result() for handle in handles))
        before = await client.workflows.get(name)
        report = await client.workflows.optimize(name)
        after = await client.workflows.get(name)
    assert (before.version, before.digest) == (after.version, after.digest)
    found = {(each.kind, each.task): each for each in report.proposals}
    assert found["parallel", "second"].gain_ms >= TOOK_S * 1_000 / 2
    assert {("timeout", "first"), ("retry", "flaky")} <= found.keys()
    assert report.verified, report.replays
    assert all(each.same and each.after_ms < each.before_ms for each in report.replays)
    assert "-    dependsOn:" in report.diff
    assert ("cache", "first") not in found, "tasks of workers are not cached"
    answer = await suite.request("GET", f"/api/v1/workflows/{name}/optimize")
    assert answer.json["diff"] == report.diff
    answer = await suite.request("GET", f"/api/v1/workflows/{name}/optimize?executions=1001")
    assert (answer.status, answer.json["error"]["reason"]) == (400, "REQUEST_INVALID")
    shown = await command(suite, "workflow", "optimize", name)
    assert "run second beside first" in shown.out
    assert "rehearsed" in shown.out
    proposed = await suite.request("POST", "/api/v1/workflows:validate", report.source)
    assert proposed.status == 200, proposed.text
