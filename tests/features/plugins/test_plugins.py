"""Plugins of a running suite: from a catalogue in a folder to a workflow, and out again."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.sdk import Client, Workflow
from flowmesh.testing.suite import Suite
from tests.features.plugins.market import Market, Shelf

pytestmark = pytest.mark.long
HOST = {"host": "mail.example"}
ACCEPTED = ["connect mail.example:7"]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    made = Market(tmp_path_factory.mktemp("market"))
    made.greeter("1.0.0")
    made.greeter("1.1.0")
    made.greeter("1.2.0", test="raise RuntimeError('no such mailbox')")
    made.panel("card", "<p>A card.</p>")
    return made


@pytest.fixture(scope="module")
async def shop(market: Market, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite with the catalogue of the market."""
    folder = tmp_path_factory.mktemp("shop") / "data"
    async with Suite(folder, environment=market.environment) as running:
        yield running


@pytest.fixture
async def shelf(shop: Suite, request: pytest.FixtureRequest) -> AsyncIterator[Shelf]:
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)[:50]
    made = Shelf(shop, name)
    yield made
    await made.ended()


async def greeted(shelf: Shelf) -> Any:
    """Run a workflow with a task of the plugin; return its output."""
    flow = Workflow("welcome")
    flow.task("greet", "greeter.greet", input={"name": "Ada"})
    async with Client(shelf.suite.grpc_address, shelf.namespace) as client:
        await client.register(flow)
        return await (await client.start("welcome")).result()


async def unused(shelf: Shelf) -> None:
    """Delete the definitions that use the plugin."""
    for path in ("workflows/welcome", "tasks/greeter.greet"):
        answer = await shelf.call("DELETE", path)
        assert answer.status in (200, 204), answer.text


@pytest.mark.feature("S1-193")
async def test_a_plugin_is_installed_used_upgraded_and_removed(shelf: Shelf) -> None:
    """Permissions are accepted first, a bad version goes back, and a used plugin stays."""
    answer = await shelf.call("GET", "plugin-catalogue?query=greet")
    assert answer.status == 200, answer.text
    found = answer.json["plugins"]
    assert [each["version"] for each in found] == ["1.2.0", "1.1.0", "1.0.0"]
    assert found[0]["permissions"] == ["connect {host}:7"]
    body = {"name": "greeter", "version": "1.0.0", "configuration": HOST}
    refused = await shelf.call("POST", "plugins", body)
    assert (refused.status, refused.json["error"]["reason"]) == (409, "PLUGIN_NOT_ACCEPTED")
    assert refused.json["error"]["details"][0]["description"] == ACCEPTED[0]
    made = await shelf.call("POST", "plugins", {**body, "accepted": ACCEPTED})
    assert (made.status, made.json["state"]) == (202, "starting"), made.text
    assert (await shelf.settled("greeter"))["state"] == "ready"
    assert await greeted(shelf) == {"text": "Hello, Ada!", "by": "1.0.0"}

    await shelf.call("POST", "plugins/greeter:upgrade", {"version": "1.2.0"})
    back = await shelf.settled("greeter")
    assert (back["state"], back["version"]) == ("went_back", "1.0.0")
    assert "greeter 1.2.0 failed its self-test: RuntimeError: no such mailbox" in back["problem"]
    assert (await greeted(shelf))["by"] == "1.0.0"
    await shelf.call("POST", "plugins/greeter:upgrade", {"version": "1.1.0"})
    assert (await shelf.settled("greeter"))["version"] == "1.1.0"
    assert (await greeted(shelf))["by"] == "1.1.0"

    used = await shelf.call("DELETE", "plugins/greeter")
    assert (used.status, used.json["error"]["reason"]) == (409, "PLUGIN_IN_USE")
    assert used.json["error"]["message"] == (
        "greeter is used by 2 definitions: task greeter.greet, workflow welcome"
    )
    await unused(shelf)
    assert (await shelf.call("DELETE", "plugins/greeter")).status == 204
    assert (await shelf.call("GET", "plugins/greeter")).status == 404


async def test_an_installation_without_a_catalogue_names_the_setting(suite: Suite) -> None:
    """A search and an installation answer 409 with the setting that is missing."""
    for method, path, body in (
        ("GET", "plugin-catalogue", None),
        ("POST", "plugins", {"name": "greeter"}),
    ):
        answer = await Shelf(suite, "default").call(method, path, body)
        assert (answer.status, answer.json["error"]["reason"]) == (409, "PLUGIN_CATALOGUE_OFF")
        assert "sets FLOWMESH_PLUGIN_CATALOGUE" in answer.json["error"]["message"]


async def test_a_plugin_is_configured_and_pinned(shelf: Shelf) -> None:
    """Another configuration replaces the agents; a pinned plugin keeps its version."""
    body = {"name": "greeter", "version": "1.0.0", "configuration": HOST, "accepted": ACCEPTED}
    await shelf.call("POST", "plugins", body)
    await shelf.settled("greeter")
    other = {"configuration": {**HOST, "greeting": "Welcome"}}
    assert (await shelf.call("POST", "plugins/greeter:configure", other)).status == 202
    assert (await shelf.settled("greeter"))["configuration"] == other["configuration"]
    assert (await greeted(shelf))["text"] == "Welcome, Ada!"
    wrong = await shelf.call("POST", "plugins/greeter:configure", {"configuration": {"host": 7}})
    assert (wrong.status, wrong.json["error"]["reason"]) == (400, "PLUGIN_INVALID")
    elsewhere = {"configuration": {"host": "elsewhere.example"}}
    refused = await shelf.call("POST", "plugins/greeter:configure", elsewhere)
    assert refused.json["error"]["reason"] == "PLUGIN_NOT_ACCEPTED"

    assert (await shelf.call("POST", "plugins/greeter:pin", {"pinned": True})).json["pinned"]
    pinned = await shelf.call("POST", "plugins/greeter:upgrade", {})
    assert pinned.json["error"]["reason"] == "PLUGIN_PINNED"
    await unused(shelf)
    assert (await shelf.call("DELETE", "plugins/greeter")).status == 204


async def test_a_panel_is_served_from_its_wheel(shelf: Shelf) -> None:
    """Its permissions are accepted first; its frame has neither origin nor network."""
    refused = await shelf.call("POST", "plugins", {"name": "card"})
    assert refused.json["error"]["details"][0]["description"] == "read execution"
    made = await shelf.call("POST", "plugins", {"name": "card", "accepted": ["read execution"]})
    assert (made.status, made.json["state"], made.json["kind"]) == (202, "ready", "panel")
    assert made.json["permissions"] == ["read execution"]
    assert made.json["panel"] == {
        "title": "card",
        "places": ["execution", "workflow"],
        "reads": ["execution"],
    }
    assert (await shelf.call("GET", "plugins/card/page")).json == {"html": "<p>A card.</p>"}
    assert (await shelf.call("GET", "agents")).json["agents"] == []
    upgraded = await shelf.call("POST", "plugins/card:upgrade", {})
    assert (upgraded.status, upgraded.json["wanted"]) == (202, 0), upgraded.text
    frame = await shelf.suite.request("GET", "/console/panel-frame")
    policy = frame.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts; default-src 'none'")
    assert (await shelf.call("DELETE", "plugins/card")).status == 204
    assert (await shelf.call("GET", "plugins/card/page")).status == 404
