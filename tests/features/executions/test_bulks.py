"""What failed is tried again, or run again, in bulk."""

from typing import Any

import pytest

from flowmesh.errors import Invalid
from flowmesh.sdk import Client
from flowmesh.sdk.client.parts.bulks import Bulk
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.natives import applied, http_task, refusal, workflow

ONCE = {"maxAttempts": 1}
COUNT = 5


async def ran(client: Client, bulk: Bulk) -> Bulk:
    """The bulk once it has ended."""

    async def ended() -> bool:
        return (await client.get_bulk(bulk.id)).status == "completed"

    await until("the bulk has ended", ended, within_s=10)
    return await client.get_bulk(bulk.id)


async def counted(client: Client, text: str, count: int) -> None:
    async def there() -> bool:
        return (await client.count_executions(text)).count == count

    await until(f"{count} executions are {text}", there, within_s=20)


async def failing(suite: Suite, world: World, name: str, **more: Any) -> None:
    """A workflow of two steps, the second of which answers 400."""
    world.answers(f"{name}-second", status=400)
    steps = [
        {"id": each, "taskRef": f"{name}-{each}", "input": {"of": each}}
        for each in ("first", "second")
    ]
    tasks = [http_task(f"{name}-{step['id']}", world.url(f"{name}-{step['id']}"), retry=ONCE)
             for step in steps]  # fmt: skip
    await applied(
        suite, *tasks, workflow(name, steps[0], steps[1] | {"dependsOn": ["first"]} | more)
    )


async def test_what_failed_is_tried_again_in_bulk(suite: Suite, world: World) -> None:
    """Once in each execution; where nothing failed it is skipped, and begun twice it is one."""
    name = "bulk-retry"
    await failing(suite, world, name, onFailure="HOLD")
    text = f'workflow = "{name}"'
    async with Client(suite.grpc_address) as client:
        ids = [(await client.start(name, {})).id for _ in range(COUNT)]

        async def held() -> bool:
            found = [(await suite.get(f"/api/v1/executions/{each}")).json for each in ids]
            return all(one["tasks"]["second"].get("held") for one in found)

        await until("the second steps have failed", held, within_s=20)
        await client.handle(ids[0]).cancel()
        world.answers(f"{name}-second", status=200)
        assert (await client.preview_bulk(text))[0] == COUNT
        begun = [
            await client.start_bulk("retry", text, reason="mended", request_id="retry-once")
            for _ in range(2)
        ]
        assert begun[0].id == begun[1].id
        done = await ran(client, begun[0])
        assert (done.applied, done.skipped, done.failed) == (COUNT - 1, 1, 0)
        await counted(client, f"{text} AND status = completed", COUNT - 1)
        events = [event async for event in client.history(ids[1])]
        (steered,) = (event for event in events if event.type == "NodeSteered")
        told = steered.data
        assert (steered.node, told["action"], told["reason"]) == ("second", "RETRY", "mended")
        assert told["requestId"] == f"{done.id}.{ids[1]}"


async def test_what_a_webhook_started_is_run_again_in_bulk(suite: Suite, world: World) -> None:
    """With the inputs of its calls, which are not kept; what was started otherwise is not."""
    name = "bulk-hook"
    hook = {"id": "hook", "webhook": {"path": name, "input": {"n": "{{payload.n}}"}}}
    task = http_task(f"{name}-to", world.url(name), retry=ONCE)
    step = {"id": "to", "taskRef": f"{name}-to", "input": {"n": "{{input.n}}"}}
    await applied(suite, task, workflow(name, step, triggers=[hook]))
    world.answers(name, status=400)
    text = f'workflow = "{name}" AND requestId ^= "trg_"'
    async with Client(suite.grpc_address) as client:

        async def armed() -> bool:
            return (await suite.post(f"/api/v1/hooks/default/{name}", {"n": 0})).status < 300

        await until("the trigger is there", armed, within_s=10)
        for number in range(1, COUNT):
            called = await suite.post(f"/api/v1/hooks/default/{name}", {"n": number})
            assert called.status < 300, called.text
        await client.start(name, {"n": 100})
        await counted(client, f'workflow = "{name}" AND status = failed', COUNT + 1)
        since = {"from": "2026-01-01T00:00:00Z", "to": "2036-01-01T00:00:00Z"}
        query = "&".join(f"{key}={value}" for key, value in since.items())
        kept = await suite.get(f"/api/v1/workflows/{name}/triggers/hook/causes?{query}")
        assert refusal(kept) == (409, "TRIGGER_KEEPS_NOTHING"), kept.text
        assert "bulk start rerun" in kept.text
        world.answers(name, status=200)
        done = await ran(client, await client.start_bulk("rerun", text))
        assert (done.applied, done.skipped, done.failed) == (COUNT, 0, 0)
        await counted(client, f'workflow = "{name}" AND status = completed', COUNT)
        calls = [call.json["n"] for call in world.calls(name)]
        assert sorted(calls) == sorted([*range(COUNT), *range(COUNT), 100])


@pytest.mark.long
async def test_what_failed_is_run_again_in_bulk(suite: Suite, world: World) -> None:
    """From the failed nodes, or all of it, as linked new executions; what runs is skipped."""
    name = "bulk-rerun"
    await failing(suite, world, name)
    text = f'workflow = "{name}"'
    async with Client(suite.grpc_address) as client:
        ids = [(await client.start(name, {"n": number})).id for number in range(COUNT)]
        await counted(client, f"{text} AND status = failed", COUNT)
        world.answers(f"{name}-second", status=200)
        told = await command(
            suite, "bulk", "start", "rerun", text, "--from-failed", "--yes", "--json"
        )
        assert (told.code, told.json["applied"]) == (0, COUNT), told.err
        await counted(client, f"{text} AND status = completed", COUNT)
        assert len(world.calls(f"{name}-first")) == COUNT
        again = [
            one async for one in client.list_executions(filter=f"{text} AND status = completed")
        ]
        found = (await suite.get(f"/api/v1/executions/{again[-1].id}")).json
        assert found["origin"] == {"executionId": ids[0], "fromNodes": ["second"]}

        bulk = await suite.post("/api/v1/bulk", {"filter": text, "action": "rerun"})
        done = await ran(client, await client.get_bulk(bulk.json["bulkId"]))
        assert (done.applied, done.skipped) == (2 * COUNT, 0)
        await counted(client, f"{text} AND status = completed", 3 * COUNT)
        assert len(world.calls(f"{name}-first")) == 3 * COUNT
        fine = await client.start_bulk("rerun", f"{text} AND status = completed", from_failed=True)
        done = await ran(client, fine)
        assert (done.applied, done.skipped, done.failed) == (0, 3 * COUNT, 0)
        with pytest.raises(Invalid, match="are for rerun, not for pause"):
            await client.start_bulk("pause", text, from_failed=True)
