"""Ended executions are rebuilt from their histories, which are the source of truth."""

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from flowmesh.sdk import Client, Execution
from flowmesh.testing.suite import Suite
from tests.features.commands import command

PATIENCE_S = 20
FLOW = {
    "apiVersion": "workflow.io/v1",
    "kind": "Workflow",
    "metadata": {"name": "rebuilt"},
    "spec": {
        "tasks": [
            {"id": "check", "taskRef": "noop"},
            {"id": "hold", "wait": {"event": "go"}, "condition": "input.kind == 'held'"},
            {
                "id": "bad",
                "taskRef": "delay",
                "input": {"duration": "not a duration, {{input.item}}"},
                "condition": "input.kind == 'bad'",
            },
        ],
        "output": {"item": "{{input.item}}"},
    },
}


@pytest.fixture(scope="module")
async def apart(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite whose tables this test empties."""
    async with Suite(tmp_path_factory.mktemp("rebuilt") / "data") as running:
        yield running


async def ended(client: Client, count: int) -> list[str]:
    """Completed executions with labels, a failed one and a canceled one."""
    ids = []
    for number in range(count):
        input = {"item": number, "kind": "good" if number else "bad"}
        handle = await client.start("rebuilt", input, labels={"number": str(number)})
        await handle.wait(PATIENCE_S)
        ids.append(handle.id)
    running = await client.start("rebuilt", {"item": -1, "kind": "held"})
    await running.cancel()
    await running.wait(PATIENCE_S)
    return [*ids, running.id]


async def seen(client: Client) -> dict[str, Execution]:
    return {each.id: await client.get_execution(each.id) async for each in client.list_executions()}


@pytest.mark.long
@pytest.mark.feature("S1-173", "S4-29")
async def test_dropped_rows_are_rebuilt_from_histories(apart: Suite) -> None:
    """Deleted and forged rows are found by a verification, and a rebuild gives the same state."""
    async with Client(apart.grpc_address) as client:
        await client.register(json.dumps(FLOW))
        ids = await ended(client, 20)
        open_one = await client.start("rebuilt", {"item": 0, "kind": "held"})
        before = await seen(client)
        statuses = {each.status for each in before.values()}
        assert statuses >= {"completed", "failed", "canceled", "running"}
        found = await client.archive.rebuild(verify=True)
        assert (found.checked, found.differences) == (len(ids), {})

        dropped, forged = ids[:15], ids[15]
        connection = await asyncpg.connect(str(apart.about["postgres"]))
        await connection.execute("set search_path to orchestrator")
        for table, column in (("executions", "id"), ("search_values", "execution_id")):
            await connection.execute(f"delete from {table} where {column} = any($1)", dropped)
        await connection.execute("update executions set status = 5 where id = $1", forged)
        await connection.close()

        told = await command(apart, "rebuild", "--verify", "--json")
        assert told.code == 1, told.err
        differences = json.loads(told.out)["differences"]
        assert differences.keys() == {*dropped, forged}
        assert differences[forged] == ["status"]
        assert differences[dropped[0]] == ["row", "search"]
        told = await command(apart, "rebuild")
        assert told.code == 0, told.err
        assert "16 were corrected" in told.out
        told = await command(apart, "rebuild", "--verify")
        assert (told.code, told.out.split(", ")[1].strip()) == (0, "0 differ from their histories")

        assert await seen(client) == before
        label = [each.id async for each in client.list_executions(filter='label.number = "3"')]
        assert label == [ids[3]]
        await open_one.cancel()
        assert (await open_one.wait(PATIENCE_S)).status == "canceled"
