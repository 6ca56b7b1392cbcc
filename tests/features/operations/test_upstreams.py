"""What is called and fails: circuit breakers, and budgets of retries."""

import asyncio

import pytest

from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.natives import applied, http_task, workflow
from tests.features.tenants.test_limits import eventually, own


@pytest.mark.long
@pytest.mark.feature("S1-188", "S4-60")
async def test_a_failing_upstream_is_left_alone_and_tried_again(suite: Suite, world: World) -> None:
    """Closed, open, half open, closed; while it is open attempts fail at once, and it is seen."""
    name = own("broken")
    await applied(
        suite,
        http_task(f"{name}-task", world.url("api"), retry={"maxAttempts": 1}),
        workflow(name, {"id": "call", "taskRef": f"{name}-task", "input": {}}),
    )
    world.answers("api", status=503)

    async def fails() -> str:
        answer = await suite.post(f"/workflows/{name}/execute", {"input": {}})
        return str(answer.json["error"]["class"])

    upstream = world.url("api").split("/")[2]
    classes = [await fails() for _ in range(20)]
    assert set(classes) == {"ServerError"}
    assert await fails() == "CIRCUIT_OPEN"
    calls = len(world.calls("api"))
    assert await fails() == "CIRCUIT_OPEN"
    assert len(world.calls("api")) == calls

    async def seen() -> list[str]:
        listed = (await suite.get("/api/v1/breakers")).json["breakers"]
        return [each["state"] for each in listed if each["upstream"] == upstream]

    await eventually(seen, ["open"])
    by_command = await command(suite, "breakers")
    assert any(line.startswith(upstream) for line in by_command.lines), by_command.out

    world.answers("api", status=200)
    # The next call after the pause tries; a policy that retries waits for exactly that.
    patient = own("patient")
    await applied(
        suite,
        http_task(f"{patient}-task", world.url("api"), retry={"maxAttempts": 3}),
        workflow(patient, {"id": "call", "taskRef": f"{patient}-task", "input": {}}),
    )
    world.hold("api")
    path = f"/workflows/{patient}/execute"
    trying = asyncio.create_task(suite.post(path, {"input": {}}))
    await world.called("api", calls + 1)
    # While one call tries the upstream no other leaves.
    assert await fails() == "CIRCUIT_OPEN"
    assert len(world.calls("api")) == calls + 1
    await eventually(seen, ["half_open"])
    world.release("api")
    answer = await trying
    assert answer.json["status"] == "completed", answer.text
    await eventually(seen, [])


@pytest.mark.long
@pytest.mark.feature("S4-60")
async def test_retries_of_an_upstream_have_a_budget(suite: Suite, world: World) -> None:
    """Ten a minute are always made, whatever workflow asks; then a failed attempt is the last."""
    upstream = world.url("budget").split("/")[2]
    wrong = await command(suite, "limits", "set", "queue", "a", "--retries", "0.1")
    assert (wrong.code, "LIMIT_INVALID" in wrong.err) == (1, True)
    await command(suite, "limits", "set", "upstream", upstream, "--retries", "0.001")
    world.answers("budget", status=429)
    names = [own("one"), own("other")]
    retry = {"maxAttempts": 4, "initialDelay": "1ms", "maxDelay": "1ms"}
    for name in names:
        task = http_task(f"{name}-task", world.url("budget"), retry=retry)
        await applied(
            suite, task, workflow(name, {"id": "call", "taskRef": f"{name}-task", "input": {}})
        )
    for name in names * 4:
        await suite.post(f"/workflows/{name}/execute", {"input": {}})
    assert len(world.calls("budget")) == 8 + 10
    listed = (await suite.get("/api/v1/limits")).json["limits"]
    assert [each["retries"] for each in listed if each["subject"] == upstream] == [0.001]
    await command(suite, "limits", "rm", "upstream", upstream)
