"""`flowmesh stream`, `flowmesh event-group` and `flowmesh projection` do what the SDK does."""

import asyncio
import re
from typing import Any

import pytest

from flowmesh.sdk import Client, NewEvent, Park, Projector, StoredEvent, consume_events, projection
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.commands import Outcome, command
from tests.features.events.test_event_store import PATIENCE_S, client, fresh, named

__all__ = ["client"]


async def done(suite: Suite, *tokens: str) -> Outcome:
    """The outcome of a command that succeeds."""
    outcome = await command(suite, *tokens)
    assert outcome.code == 0, (tokens, outcome.err)
    return outcome


@pytest.mark.long
@pytest.mark.feature("S4-26", "S4-28")
async def test_streams_on_the_command_line(suite: Suite, client: Client) -> None:
    """Append with an expected version, read, list, follow, bound and delete a stream."""
    category = fresh("cli")
    stream = f"{category}-1"
    found = await done(suite, "stream", "append", stream, "Opened", '{"by": "ada"}')
    assert found.lines == [f"{stream} is at version 1"]
    found = await done(suite, "stream", "append", stream, "Paid", "7", "--expected", "1", "--json")
    assert (found.json["version"], found.json["duplicate"]) == (2, False)
    stale = await command(suite, "stream", "append", stream, "Paid", "--expected", "1")
    assert (stale.code, "VERSION_CONFLICT" in stale.err) == (1, True)
    wrong = await command(suite, "stream", "append", stream, "Paid", "--expected", "-1")
    assert (wrong.code, "--expected '-1'" in wrong.err) == (2, True), wrong.err
    found = await done(suite, "stream", "read", stream, "--backwards")
    assert found.lines == [f"{stream}  2  Paid  7", f'{stream}  1  Opened  {{"by":"ada"}}']
    found = await done(suite, "stream", "list", "--category", category)
    assert found.lines == [f"{stream}  version 2"]
    await client.event_store.put_snapshot(stream, 1, {"open": True})
    await done(suite, "stream", "retention", stream, "--max-events", "10")
    found = await done(suite, "stream", "show", stream)
    assert found.lines[0] == f"{stream}  version 2, from 1"
    assert all(re.fullmatch(r"  (created|changed) \d+s ago", line) for line in found.lines[1:3])
    assert "  snapshot of version 1" in found.lines
    assert "  at most 10 events, 0 ms (0: unlimited)" in found.lines
    found = await done(suite, "stream", "delete", stream, "--version", "2")
    assert found.lines == ["2 events deleted"]
    gone = await command(suite, "stream", "append", stream, "Opened")
    assert (gone.code, "STREAM_DELETED" in gone.err) == (1, True), gone.err


@pytest.mark.long
async def test_groups_of_events_on_the_command_line(suite: Suite, client: Client) -> None:
    """Create a group, see its parked events, replay them and delete it."""
    category = fresh("cli")
    group = named("readers")
    options = ["--category", category, "--attempts", "1"]
    found = await done(suite, "event-group", "put", group, *options)
    assert found.lines == [f"{group} is created"]
    found = await done(suite, "event-group", "put", group, *options)
    assert found.lines == [f"{group} has these settings"]
    await client.event_store.append(f"{category}-1", NewEvent("Asked", 1), NewEvent("Asked", 2))

    async def handle(event: StoredEvent) -> None:
        raise Park("not today")

    async def parked() -> bool:
        return len(await client.event_groups.parked(group)) == 2

    member = asyncio.create_task(consume_events(client, group, handle))
    await until("the parked events", parked, within_s=PATIENCE_S)
    member.cancel()
    found = await done(suite, "event-group", "list")
    (line,) = [each for each in found.lines if each.startswith(group)]
    assert line.endswith("0 in flight, 2 parked")
    found = await done(suite, "event-group", "parked", group, "--json")
    errors = [(each["data"], each["attempts"], each["error"]) for each in found.json]
    assert errors == [(1, 1, "Park: not today"), (2, 1, "Park: not today")]
    position = str(found.json[0]["position"])
    assert (await done(suite, "event-group", "replay", group, position)).lines == [
        "1 event replayed"
    ]
    assert (await done(suite, "event-group", "replay", group)).lines == ["1 event replayed"]
    assert (await done(suite, "event-group", "delete", group)).lines == [f"{group} is deleted"]
    gone = await command(suite, "event-group", "parked", group)
    assert (gone.code, "EVENT_GROUP_NOT_FOUND" in gone.err) == (1, True)


@pytest.mark.long
@pytest.mark.feature("S4-29")
async def test_projections_on_the_command_line(suite: Suite, client: Client) -> None:
    """List, show, print states by key and delete a projection."""
    category, name = fresh("cli"), named("totals")

    @projection(name, category=category)
    def totals(state: Any, event: StoredEvent) -> Any:
        return (state or 0) + event.data

    for stream, number in (("1", 3), ("1", 4), ("2", 5)):
        await client.event_store.append(f"{category}-{stream}", NewEvent("Counted", number))
    await Projector(client, totals).catch_up()
    found = await done(suite, "projection", "list")
    assert any(line.startswith(f"{name}  at position ") for line in found.lines)
    found = await done(suite, "projection", "show", name, "--json")
    assert (found.json["projection"], found.json["shadowGeneration"]) == (name, 0)
    found = await done(suite, "projection", "states", name)
    assert sorted(found.lines) == [f"{category}-1  7", f"{category}-2  5"]
    found = await done(suite, "projection", "states", name, f"{category}-2", "--json")
    assert found.json == {f"{category}-2": 5}
    assert (await done(suite, "projection", "delete", name)).lines == [f"{name} is deleted"]
    gone = await command(suite, "projection", "show", name)
    assert (gone.code, "PROJECTION_NOT_FOUND" in gone.err) == (1, True)
