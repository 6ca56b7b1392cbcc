"""Running an execution again that has ended: over REST, the CLI and the SDK."""

import asyncio
import json

import pytest

from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features.commands import command
from tests.features.executions.test_control import WITHIN_S, ended, started
from tests.features.natives import refusal


@pytest.mark.feature("S1-176")
async def test_an_execution_is_replayed_as_a_linked_new_one(suite: Suite, world: World) -> None:
    """The same input and version; asked twice with one key there is one."""
    _, execution = await started(suite, world, {"id": "a", "to": "again"})
    await ended(suite, execution, "completed")
    path = f"/api/v1/executions/{execution}:rerun"
    answers = [await suite.post(path, {"requestId": f"again-{execution}"}) for _ in range(2)]
    assert [answer.status for answer in answers] == [202, 202], answers[0].text
    new = answers[0].json["executionId"]
    assert answers[1].json["executionId"] == new != execution
    found = await ended(suite, new, "completed")
    assert found["origin"] == {"executionId": execution, "fromNodes": []}
    assert found["input"] == {"order": 7}
    assert len(world.calls("again")) == 2


@pytest.mark.long
async def test_replay_is_another_name_of_rerun(suite: Suite, world: World) -> None:
    """Over REST and in the command, with the same options."""
    _, execution = await started(suite, world, {"id": "a", "to": "twice"})
    await ended(suite, execution, "completed")
    answer = await suite.post(f"/api/v1/executions/{execution}:replay", {"fromNodes": ["a"]})
    assert (answer.status, answer.json["rerunOf"]) == (202, execution), answer.text
    ran = await command(suite, "replay", execution, "--from", "a", "--json")
    assert (ran.code, ran.json["rerunOf"]) == (0, execution), ran.err


@pytest.mark.long
async def test_a_retry_of_what_has_ended_names_the_rerun_that_does_it(
    suite: Suite, world: World
) -> None:
    """The route and the command in the message work as they are written."""
    world.answers("pay", status=400, times=1)
    _, execution = await started(suite, world, {"id": "pay", "to": "pay"})
    await ended(suite, execution, "failed")
    refused = await suite.post(f"/api/v1/executions/{execution}/nodes/pay:retry")
    assert refusal(refused) == (409, "EXECUTION_ENDED")
    message = refused.json["error"]["message"]
    path, _, body = message.partition("POST ")[2].partition(" or ")[0].partition(" ")
    told = message.split("`")[1].split()
    assert told == ["flowmesh", "rerun", execution, "--from", "pay"]

    again = await suite.post(path, json.loads(body))
    assert again.status == 202, again.text
    await ended(suite, again.json["executionId"], "completed")
    ran = await command(suite, *told[1:])
    assert ran.code == 0, ran.err


@pytest.mark.long
async def test_a_rerun_reuses_what_is_before_and_says_first_what_happens_again(
    suite: Suite, world: World
) -> None:
    """The plan names the effects; only the nodes from the one named on run."""
    world.answers("ship", status=400, times=1)
    _, execution = await started(
        suite, world,
        {"id": "charge", "to": "money"},
        {"id": "pack", "to": "pack", "dependsOn": ["charge"]},
        {"id": "ship", "to": "ship", "dependsOn": ["pack"],
         "input": {"paid": "{{tasks.charge.output.route}}"}},
    )  # fmt: skip
    await ended(suite, execution, "failed")
    planned = await command(suite, "rerun", execution, "--from", "pack", "--dry-run", "--json")
    assert planned.code == 0, planned.err
    told = {node["node"]: (node["reused"], node["repeatsEffect"]) for node in planned.json["nodes"]}
    assert told == {"charge": (True, False), "pack": (False, True), "ship": (False, False)}
    assert planned.json["repeatedEffects"] == 1
    ran = await command(
        suite, "rerun", execution, "--from", "pack", "--set", 'pack={"of":"edited"}', "--json"
    )
    assert ran.code == 0, ran.err
    await ended(suite, ran.json["executionId"], "completed")
    assert len(world.calls("money")) == 1
    assert world.calls("pack")[-1].json == {"of": "edited"}
    assert world.calls("ship")[-1].json == {"paid": "money"}
    unknown = await suite.post(f"/api/v1/executions/{execution}:rerun", {"fromNodes": ["nobody"]})
    assert refusal(unknown) == (404, "NODE_NOT_FOUND"), unknown.text


@pytest.mark.long
@pytest.mark.feature("S1-176")
async def test_a_rerun_starts_from_the_failed_nodes(suite: Suite, world: World) -> None:
    """Over REST, the SDK and the command; refused where nothing failed, or with named tasks."""
    world.answers("ship", status=400)
    _, execution = await started(
        suite, world,
        {"id": "charge", "to": "card"},
        {"id": "ship", "to": "ship", "dependsOn": ["charge"]},
        {"id": "tell", "to": "tell", "dependsOn": ["ship"]},
    )  # fmt: skip
    await ended(suite, execution, "failed")
    path = f"/api/v1/executions/{execution}:rerun"
    planned = await suite.post(path, {"fromFailed": True, "dryRun": True})
    assert planned.status == 200, planned.text
    expected = {"charge": True, "ship": False, "tell": False}
    assert {node["node"]: node["reused"] for node in planned.json["nodes"]} == expected
    again = await suite.post(path, {"fromFailed": True})
    assert again.status == 202, again.text
    found = await ended(suite, again.json["executionId"], "failed")
    assert found["origin"] == {"executionId": execution, "fromNodes": ["ship"]}

    both = await command(suite, "rerun", execution, "--from", "charge", "--from-failed")
    assert (both.code, "cannot be combined" in both.err) == (2, True), both.err
    told = await command(suite, "rerun", execution, "--from-failed", "--dry-run", "--json")
    assert {node["node"]: node["reused"] for node in told.json["nodes"]} == expected, told.err
    assert told.json["executionId"] is None
    world.answers("ship", status=200)
    ran = await command(suite, "rerun", execution, "--from-failed", "--json")
    assert ran.code == 0, ran.err
    await ended(suite, ran.json["executionId"], "completed")
    async with Client(suite.grpc_address) as client:
        handle = client.handle(execution)
        plan = await handle.plan_rerun(from_failed=True)
        assert {node.id: node.reused for node in plan.nodes} == expected
        await (await handle.rerun(from_failed=True)).result(WITHIN_S)
    await asyncio.to_thread(_rerun_blocking, suite, execution, expected)
    assert len(world.calls("card")) == 1
    assert len(world.calls("ship")) == 5

    fine = f"/api/v1/executions/{ran.json['executionId']}:rerun"
    assert refusal(await suite.post(fine, {"fromFailed": True})) == (409, "NOTHING_FAILED")
    refused = await suite.post(path, {"fromFailed": "yes"})
    assert refusal(refused) == (400, "REQUEST_INVALID"), refused.text


def _rerun_blocking(suite: Suite, execution: str, expected: dict[str, bool]) -> None:
    with Client.sync(suite.grpc_address) as client:
        handle = client.handle(execution)
        plan = handle.plan_rerun(from_failed=True)
        assert {node.id: node.reused for node in plan.nodes} == expected
        handle.rerun(from_failed=True).result(WITHIN_S)
