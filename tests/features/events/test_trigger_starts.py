"""What triggers do where a start policy says when executions begin: nothing is lost silently."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flowmesh.sdk import Client, Trigger, Worker
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.events.test_triggers import known, named
from tests.features.graphs import edge, graph, node
from tests.features.natives import execute
from tests.features.tenants.test_limits import PATIENCE_S, Floor, own, run_by

EVERY_SECOND = {"expression": "* * * * * *", "input": {"customer": "a"}}
KEY = "{{input.customer}}"


async def shows(client: Client, workflow: str, wanted: Callable[[Trigger], object]) -> Trigger:
    """The one trigger of a workflow, once it is as wanted."""
    found: list[Trigger] = []

    async def seen() -> object:
        found[:] = [each async for each in client.triggers(workflow)]
        return wanted(found[0])

    await until(f"the trigger of {workflow} is as wanted", seen, within_s=PATIENCE_S)
    return found[0]


async def by_event(suite: Suite, prefix: str, **start: Any) -> str:
    """A workflow that events of a type of its own name start."""
    name = own(prefix)
    event = {"type": name, "input": "{{event.data}}"}
    await run_by(suite, name, start=start, triggers=[{"id": "in", "event": event}])
    await known(suite, name)
    return name


async def publish(suite: Suite, name: str, number: int) -> None:
    event = {"type": name, "source": "/shop", "id": named("e")}
    answer = await suite.post("/api/v1/events", event | {"data": {"customer": "a", "n": number}})
    assert (answer.status, answer.json["triggers"]) == (202, 1), answer.text


async def counted(suite: Suite, outcome: str) -> float:
    """Firings of all triggers that came to this."""
    lines = (await suite.get("/metrics")).text.splitlines()
    name = f'flowmesh_event_firings_total{{outcome="{outcome}"}}'
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.mark.long
async def test_an_instant_that_is_refused_is_shown_and_counted(suite: Suite) -> None:
    """With the reason and who runs, in the record of the trigger; the next one is tried anew."""
    floor, name = Floor(), own("nightly")
    trigger = {"id": "in", "cron": EVERY_SECOND}
    start = {"key": KEY, "concurrency": 1, "onConflict": "REJECT"}
    before = await counted(suite, "refused")
    await run_by(suite, name, start=start, triggers=[trigger])
    async with Client(suite.grpc_address) as client, Worker(client, {name: floor}, slots=9):
        await floor.until(1)
        shown = await shows(client, name, lambda one: one.refused and one.last_error)
        assert shown.last_error.startswith("START_REJECTED: ")
        (runs,) = (await suite.get(f"/api/v1/executions?workflow={name}")).json["executions"]
        assert runs["executionId"] in shown.last_error
        said = await command(suite, "trigger", "list", name)
        assert "refused " in said.out.splitlines()[1]
        assert "START_REJECTED" in said.out
        assert await counted(suite, "refused") > before
        floor.let_go()
        again = await shows(client, name, lambda one: one.last_execution_id)
        assert again.refused >= shown.refused
        assert again.last_execution_id != runs["executionId"]
        paused = await client.pause_trigger(name, "in")
        assert paused.fired == paused.refused + 2
        await floor.let_all_go([client.handle(again.last_execution_id)])


async def test_what_fires_beside_a_run_waits_for_its_turn(suite: Suite) -> None:
    """Each event has an execution; one after the other."""
    floor = Floor()
    name = await by_event(suite, "queued", key=KEY, concurrency=1)
    async with Client(suite.grpc_address) as client, Worker(client, {name: floor}, slots=9):
        for number in range(3):
            await publish(suite, name, number)
        shown = await shows(client, name, lambda one: one.fired == 3)
        assert (shown.refused, shown.joined, shown.last_error) == (0, 0, "")
        await floor.until(1)
        listed = (await suite.get(f"/api/v1/executions?workflow={name}")).json["executions"]
        assert sorted(each["status"] for each in listed) == ["pending", "pending", "running"]
        await floor.let_all_go([client.handle(each["executionId"]) for each in listed])
    assert floor.most == 1
    assert sorted(each["n"] for each in floor.order) == [0, 1, 2]


async def test_what_fires_beside_a_run_is_answered_with_it(suite: Suite) -> None:
    """The trigger shows which execution that is, and how often it was so."""
    floor = Floor()
    name = await by_event(suite, "joined", concurrency=1, onConflict="JOIN")
    async with Client(suite.grpc_address) as client, Worker(client, {name: floor}, slots=9):
        await publish(suite, name, 0)
        first = await shows(client, name, lambda one: one.fired == 1)
        await publish(suite, name, 1)
        shown = await shows(client, name, lambda one: one.fired == 2)
        assert (shown.joined, shown.refused) == (1, 0)
        assert shown.last_execution_id == first.last_execution_id
        assert "joined 1" in (await command(suite, "trigger", "list", name)).out
        await floor.let_all_go([client.handle(first.last_execution_id)])
    assert floor.order == [{"customer": "a", "n": 0}]


@pytest.mark.long
async def test_a_backfill_tells_what_joined_from_what_was_started_before(
    suite: Suite, tmp_path: Path
) -> None:
    """Four inputs of two customers: two executions, each the answer to a second start."""
    name = own("filled")
    await run_by(suite, name, start={"key": KEY, "dedupWindow": "10m"})
    inputs = tmp_path / "inputs.jsonl"
    inputs.write_text("".join(f'{{"customer": "{c}", "n": {n}}}\n' for n in (1, 2) for c in "ab"))
    fill = ("backfill", name, str(inputs))
    counts = ("total", "started", "repeated", "joined", "completed")

    async def same(value: Any, _context: Any = None) -> Any:
        return value

    async with Client(suite.grpc_address) as client, Worker(client, {name: same}):
        done = (await command(suite, *fill, "--json")).json
        assert [done[count] for count in counts] == [4, 2, 0, 2, 4]
        again = (await command(suite, *fill, "--json")).json
        assert [again[count] for count in counts] == [4, 0, 2, 2, 4]
        line = (await command(suite, *fill)).out
        assert "2 started before, 2 joined another execution" in line
        start = ("start", name, "--input", '{"customer": "c"}')
        for request_id, how in (
            (f"{name}-one", ""),
            (f"{name}-one", "this one was started by an earlier request with this id"),
            (f"{name}-two", "this one was started by another request"),
            ("", "this one was started by another request"),
        ):
            told = await command(suite, *start, "--request-id", request_id)
            assert how in told.err
            assert bool(how) == bool(told.err)


@pytest.mark.long
async def test_the_newest_of_what_fires_is_the_input(suite: Suite) -> None:
    """Of events within the quiet time, each after the start of the one before."""
    floor = Floor()
    name = await by_event(suite, "quiet", key=KEY, debounce="3s")
    async with Client(suite.grpc_address) as client, Worker(client, {name: floor}, slots=9):
        for number in range(3):
            await publish(suite, name, number)
            await shows(client, name, partial(lambda fired, one: one.fired == fired, number + 1))
        shown = await shows(client, name, lambda one: one.joined == 2)
        await floor.let_all_go([client.handle(shown.last_execution_id)])
    assert floor.order == [{"customer": "a", "n": 2}]


async def test_the_newest_of_events_that_come_within_milliseconds_is_the_input(
    suite: Suite,
) -> None:
    """Each published when the one before was, whether it has started anything yet or not."""
    floor = Floor()
    name = await by_event(suite, "burst", key=KEY, debounce="2s")
    async with Client(suite.grpc_address) as client, Worker(client, {name: floor}, slots=9):
        for number in range(10):
            await publish(suite, name, number)
        shown = await shows(client, name, lambda one: one.fired == 10)
        await floor.let_all_go([client.handle(shown.last_execution_id)])
    assert floor.order == [{"customer": "a", "n": 9}]


async def test_many_events_are_published_at_once(suite: Suite) -> None:
    """More than the service has connections to its database, and each fires."""
    name = await by_event(suite, "crowd", key=KEY, dedupWindow="10m")
    await asyncio.gather(*(publish(suite, name, number) for number in range(60)))
    async with Client(suite.grpc_address) as client:
        await shows(client, name, lambda one: one.fired == 60)


async def test_the_caller_of_a_webhook_gets_the_result_of_the_policy(suite: Suite) -> None:
    """Refused as a start is, with who runs; or answered with the execution that is there."""
    floor = Floor()
    webhook = {"input": "{{payload}}"}
    for conflict, status in (("REJECT", 409), ("JOIN", 200)):
        name, start = own("called"), {"key": KEY, "concurrency": 1, "onConflict": conflict}
        await run_by(suite, name, start=start, triggers=[{"id": "in", "webhook": webhook}])
        (shown,) = await known(suite, name)
        async with Client(suite.grpc_address) as client, Worker(client, {name: floor}, slots=9):
            first = await suite.post(shown["url"], {"customer": "a"})
            assert (first.status, first.json["created"]) == (202, True), first.text
            second = await suite.post(shown["url"], {"customer": "a"})
            assert second.status == status, second.text
            assert first.json["executionId"] in second.text
            other = await suite.post(shown["url"], {"customer": "b"})
            assert other.status == 202, other.text
            ids = [each.json["executionId"] for each in (first, other)]
            await floor.let_all_go([client.handle(each) for each in ids])
            (told,) = await known(suite, name)
            assert (told["refused"], told["joined"]) == (int(status == 409), int(status == 200))


async def test_a_call_soon_after_another_is_answered_with_what_has_ended(suite: Suite) -> None:
    """Also where a node is to have the call: it has had one."""
    entrance = node("pay", "webhook")
    tail = node("tell", "function", functionName="tell", functionCode="return 1")
    definition = graph(entrance, tail, edges=[edge("pay>tell")], start={"dedupWindow": "1h"})
    await suite.define(definition)
    (shown,) = await known(suite, definition["id"])
    first = await suite.post(shown["url"], {"n": 1})
    assert first.status == 202, first.text
    await suite.wait(first.json["executionId"])
    second = await suite.post(shown["url"], {"n": 2})
    assert (second.status, second.json) == (200, first.json | {"created": False}), second.text
    by_hand = await execute(suite, definition["id"])
    assert by_hand.json["executionId"] == first.json["executionId"]
