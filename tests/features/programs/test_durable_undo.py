"""What was done is undone by a durable handler, which calls tasks and waits as any handler does."""

from collections.abc import AsyncIterator

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client, DurableContext, Handle, Retry, Worker
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.natives import applied, resource, workflow

WITHIN_S = 30.0


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with await Client.connect(suite.grpc_address) as connected:
        yield connected


class Shop:
    """A worker that charges, fails to ship, and refunds by a durable handler."""

    def __init__(self, client: Client, name: str) -> None:
        self.name = name
        self.refunded: list[Json] = []
        self.fails = 0
        self.worker = Worker(client, slots=4)
        self.worker.task(f"{name}-charge")(self.charge)
        self.worker.task(f"{name}-ship")(self.ship)
        self.worker.task(f"{name}-transfer")(self.transfer)

    async def charge(self, given: Json) -> Json:
        return {"paid": given}

    async def ship(self, _given: Json) -> Json:
        raise RuntimeError("no parcel")

    async def transfer(self, given: Json) -> Json:
        self.refunded.append(given)
        if len(self.refunded) <= self.fails:
            raise RuntimeError("not yet")
        return given

    def resources(self, *tasks: Json, **spec: Json) -> list[Json]:
        kinds = ("charge", "ship", "refund")
        types = [f"{self.name}-{kind}" for kind in kinds]
        retry = {"maxAttempts": 1}
        return [
            *(resource("WorkflowTask", each, type=each, retry=retry) for each in types),
            workflow(self.name, *tasks, **spec),
        ]

    def charged(self, amount: Json = "{{input.n}}", node_id: str = "charge") -> Json:
        undo = {"taskRef": f"{self.name}-refund", "input": {"back": "{{undo.output.paid}}"}}
        return {"id": node_id, "taskRef": f"{self.name}-charge", "input": amount, "undo": undo}

    def shipped(self) -> Json:
        return {"id": "ship", "taskRef": f"{self.name}-ship", "dependsOn": ["charge"]}


async def ended(suite: Suite, handle: Handle) -> Json:
    await suite.wait(handle.id)
    return (await suite.get(f"/api/v1/executions/{handle.id}")).json


@pytest.mark.long
async def test_a_durable_handler_undoes_with_tasks_of_its_own(suite: Suite, client: Client) -> None:
    """It sleeps away from its worker, calls a task that fails once, and then the undo is done."""
    shop = Shop(client, "refunds")
    shop.fails = 1

    @shop.worker.durable("refunds-refund")
    async def refund(ctx: DurableContext, given: Json) -> Json:
        noted = await ctx.step("note", lambda: given["back"])
        await ctx.sleep(1.2)
        return await ctx.call("refunds-transfer", noted, retry=Retry(initial="10ms"))

    await applied(suite, *shop.resources(shop.charged(), shop.shipped()))
    async with shop.worker:
        handle = await client.start("refunds", {"n": 30})
        found = await ended(suite, handle)
    assert found["status"] == "failed"
    assert found["compensation"] == "compensated", found
    assert shop.refunded == [30, 30]
    types = [event["type"] for event in await suite.events(handle.id)]
    assert types.count("TaskSuspended") >= 1
    assert types.index("CompensationStarted") < types.index("JournalAppended")
    state = (await suite.get(f"/api/v1/executions/{handle.id}/state")).json
    assert state["status"] == "failed", state
    seen = await command(suite, "trace", handle.id)
    assert "charge:undo" in seen.out, seen.out


async def test_an_undo_waits_for_a_signal_and_does_several_things_at_once(
    suite: Suite, client: Client
) -> None:
    """In the body of a map, for each item that was done."""
    shop = Shop(client, "recalls")

    @shop.worker.durable("recalls-refund")
    async def refund(ctx: DurableContext, given: Json) -> Json:
        calls = [ctx.call("recalls-transfer", [given["back"], part]) for part in "ab"]
        done = [await each for each in calls]
        return [done, await ctx.wait_signal("recalled")]

    each = {"id": "each", "map": {"items": [1, 2], "tasks": [shop.charged("{{item}}")]}}
    ship = {**shop.shipped(), "dependsOn": ["each"]}
    await applied(suite, *shop.resources(each, ship))
    async with shop.worker:
        handle = await client.start("recalls", {})
        for n in range(2):
            await handle.signal("recalled", n)
        found = await ended(suite, handle)
    assert found["compensation"] == "compensated", found
    assert sorted(map(str, shop.refunded)) == ["[1, 'a']", "[1, 'b']", "[2, 'a']", "[2, 'b']"]


async def test_a_failed_undo_waits_for_a_decision(suite: Suite, client: Client) -> None:
    """Tried again it goes on behind what it has done, with what it calls."""
    shop = Shop(client, "disputes")
    noted: list[Json] = []
    open_: list[bool] = []

    @shop.worker.durable("disputes-refund")
    async def refund(ctx: DurableContext, given: Json) -> Json:
        await ctx.step("note", lambda: noted.append(given["back"]))
        if not open_:
            raise RuntimeError("the bank is closed")
        return await ctx.call("disputes-transfer", given["back"])

    await applied(suite, *shop.resources(shop.charged(), shop.shipped()))
    path = "/api/v1/executions"
    async with shop.worker:
        handle = await client.start("disputes", {"n": 3})

        async def stuck() -> bool:
            found = (await suite.get(f"{path}/{handle.id}")).json
            return bool(found.get("compensation") == "failed")

        await until("the undo failed", stuck, within_s=WITHIN_S)
        open_.append(True)
        retried = await suite.post(f"{path}/{handle.id}/nodes/charge:undo:retry", {})
        assert retried.status == 202, retried.text
        found = await ended(suite, handle)
    assert found["compensation"] == "compensated", found
    assert (noted, shop.refunded) == ([3], [3])


async def test_a_terminate_ends_an_undo_with_what_it_called(suite: Suite, client: Client) -> None:
    """Nothing of it goes on, and what it leaves is told as not undone."""
    shop = Shop(client, "endless")

    @shop.worker.durable("endless-refund")
    async def refund(ctx: DurableContext, given: Json) -> Json:
        return await ctx.call("endless-nobody", given["back"])

    await applied(suite, *shop.resources(shop.charged(), shop.shipped()))
    path = "/api/v1/executions"
    async with shop.worker:
        handle = await client.start("endless", {"n": 3})

        async def called() -> bool:
            found = (await suite.get(f"{path}/{handle.id}")).json
            return any(name.endswith("/endless-nobody") for name in found["tasks"])

        await until("the undo has called", called, within_s=WITHIN_S)
        explained = await command(suite, "explain", handle.id)
        assert "endless-nobody" in explained.out, explained.out
        await suite.post(f"{path}/{handle.id}:terminate", {})
        found = await ended(suite, handle)
    assert (found["status"], found["compensation"]) == ("canceled", "failed"), found
