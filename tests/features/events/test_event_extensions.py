"""Attributes of an event beside those that CloudEvents names: triggers see them as the others."""

from datetime import UTC, datetime, timedelta

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client
from flowmesh.testing.suite import Suite
from tests.features.commands import command
from tests.features.events.test_triggers import known, named, output, started, triggered
from tests.features.formats.test_serverless import document
from tests.features.natives import applied


async def hears(suite: Suite, kind: str, **event: Json) -> str:
    """A workflow that events of a type start; it answers its input."""
    name = named("hears")
    await applied(suite, triggered(name, {"id": "told", "event": {"type": kind, **event}}))
    await known(suite, name)
    return name


@pytest.mark.feature("S3-91", "S3-94")
async def test_what_a_task_emits_reaches_triggers_whole(suite: Suite) -> None:
    """In the filter, in the input that is written and in the one that is not."""
    kind = named("told")
    picks = {"room": "{{event.room}}", "last": "{{event.last}}", "by": "{{event.by}}"}
    large = await hears(suite, kind, filter="event.room > 6 && event.last", input=picks)
    small = await hears(suite, kind, filter="event.room < 6")
    whole = await hears(suite, kind)
    schedule = {"on": {"one": {"with": {"type": kind}}}}
    keeps = document({"keep": {"set": {"event": "${ .[0] }"}}}, name=kind, schedule=schedule)
    standard = await suite.define(keeps)
    await known(suite, standard)
    told = {"type": kind, "source": "/shop", "room": 7, "last": True, "by": "ada"}
    emitter = document({"tell": {"emit": {"event": {"with": told}}}}, name=f"{kind}-tells")
    await suite.begin(await suite.define(emitter))
    (execution,) = await started(suite, large)
    assert await output(suite, execution) == {"room": 7, "last": True, "by": "ada"}
    (execution,) = await started(suite, whole)
    assert told.items() <= (await output(suite, execution)).items()
    (execution,) = await started(suite, standard)
    heard = (await output(suite, execution))["event"]
    assert (told | {"specversion": "1.0"}).items() <= heard.items()
    assert await started(suite, small, 0) == []
    await suite.delete(f"/api/v1/workflows/{standard}")


@pytest.mark.long
@pytest.mark.feature("S3-91")
async def test_what_clients_publish_has_extensions_too(suite: Suite) -> None:
    """Over REST, by the command and the SDK; a backfill sees them as the trigger did."""
    kind = named("paid")
    since = datetime.now(UTC) - timedelta(seconds=1)
    name = await hears(suite, kind, filter='event.shop != ""', input="{{event.shop}}")
    event = {"type": kind, "extensions": {"shop": "rest", "express": True}}
    answer = await suite.post("/api/v1/events", event)
    assert (answer.status, answer.json["triggers"]) == (202, 1), answer.text
    tokens = ("--extension", "shop=cli", "--extension", "n=7")
    told = await command(suite, "publish", kind, *tokens, "--json")
    assert told.json["triggers"] == 1, told.err
    async with Client(suite.grpc_address) as client:
        published = await client.publish(kind, extensions={"shop": "sdk"})
        assert published.triggers == 1
        assert (await client.publish(kind)).triggers == 0
        outputs = {await output(suite, each) for each in await started(suite, name, 3)}
        assert outputs == {"rest", "cli", "sdk"}
        until = datetime.now(UTC)
        causes = [each.input async for each in client.causes(name, "told", since, until)]
    assert set(causes) == outputs


@pytest.mark.parametrize(
    ("extensions", "field"),
    [
        ({"data": "x"}, "extensions.data"),
        ({"Room": 1}, "extensions.Room"),
        ({"room-no": 1}, "extensions.room-no"),
        ({"room": ""}, "extensions.room"),
        ({"room": 2**63}, "extensions.room"),
        ({"x" * 65: 1}, f"extensions.{'x' * 65}"),
    ],
)
async def test_what_is_no_extension_is_refused(suite: Suite, extensions: Json, field: str) -> None:
    """With its name; nothing is published."""
    answer = await suite.post("/api/v1/events", {"type": "a", "extensions": extensions})
    assert (answer.status, answer.json["error"]["reason"]) == (400, "EVENT_INVALID"), answer.text
    (detail,) = answer.json["error"]["details"]
    assert detail["field"] == field


async def test_extensions_count_with_the_data(suite: Suite) -> None:
    """Together they have the room that the data of an event has."""
    event = {"type": "a", "data": "x" * 200_000, "extensions": {"note": "y" * 100_000}}
    answer = await suite.post("/api/v1/events", event)
    assert (answer.status, answer.json["error"]["reason"]) == (413, "PAYLOAD_TOO_LARGE")
