"""Plugins of this repository of other kinds than task, in a running suite."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flowmesh.testing.suite import Suite
from tests.features.plugins.market import Market, Shelf
from tests.features.plugins.servers import Values, values_of

pytestmark = pytest.mark.long
PASSWORD = "of-the-values"
TABLE = """workflow;step;task;after;note
delivery;pack;noop;;
;label;noop;;
;send;noop;pack label;{"express": true}
"""


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite with the connector, the format and the panel of this repository."""
    market = Market(tmp_path_factory.mktemp("market"))
    for name in ("redis-value", "table-format", "receipt-panel"):
        market.publish(Path("plugins") / name)
    market.publish(
        market.project(
            "broken",
            'name = "broken"\nversion = "1.0.0"\nkind = "format"\nsummary = "Fail."\n'
            'self_test = "broken.tasks:test"\n[format]\nreader = "broken.tasks:test"\n',
            "def test():\n    raise RuntimeError('no such grammar')\n",
            "broken",
        )
    )
    environment = {
        **market.environment,
        "FLOWMESH_SECRET_REDIS_PASSWORD": PASSWORD,
        "FLOWMESH_EGRESS": "open",
    }
    folder = tmp_path_factory.mktemp("shop") / "data"
    async with Suite(folder, environment=environment) as running:
        yield running


@pytest.fixture
async def shelf(shop: Suite, request: pytest.FixtureRequest) -> AsyncIterator[Shelf]:
    made = Shelf(shop, request.node.name.replace("_", "-")[:50])
    yield made
    await made.end()


@pytest.fixture
async def values() -> AsyncIterator[Values]:
    async with values_of(PASSWORD) as made:
        yield made


@pytest.mark.feature("S1-193")
async def test_a_connector_keeps_its_connection(shelf: Shelf, values: Values) -> None:
    """Calls share one connection, which the password of a secret opens, and opens again."""
    settings = {"host": "127.0.0.1", "port": values.port, "security": "none"}
    found = await shelf.installed("redis-value", settings)
    assert (found["state"], found["kind"]) == ("ready", "connector"), found
    credential = {"credential": "secret://redis-password"}
    stored = {"key": "orders", "value": "41", **credential}
    kept = await shelf.run("redis.set", stored, "redis-password")
    assert kept["outputs"]["do"] == {"kept": True}, kept
    before = await values.connections()
    for count in (42, 43):
        more = await shelf.run("redis.increment", {"key": "orders", **credential}, "redis-password")
        assert more["outputs"]["do"] == {"value": count}, more
    assert await values.connections() == before
    await values.drop_connections()
    wrong = {"key": "orders", "credential": "wrong"}
    refused = await shelf.run("redis.get", wrong, "redis-password")
    assert "invalid username-password pair" in refused["tasks"]["do"]["error"]["message"]


@pytest.mark.feature("S1-193")
async def test_a_format_reads_a_definition(shelf: Shelf) -> None:
    """A table becomes a workflow that is checked and run as any other; a bad one is refused."""
    await shelf.installed("table-format", {})
    answer = await shelf.call("POST", "plugins/table-format:read", {"text": TABLE})
    assert answer.status == 200, answer.text
    (document,) = answer.json["documents"]
    assert document["spec"]["tasks"][2] == {
        "id": "send",
        "taskRef": "noop",
        "dependsOn": ["pack", "label"],
        "input": {"note": {"express": True}},
    }
    assert (await shelf.call("POST", "workflows", document)).status < 300
    ran = (await shelf.call("POST", "workflows/delivery/execute", {"input": {}})).json
    assert (ran["status"], sorted(ran["tasks"])) == ("completed", ["label", "pack", "send"])
    assert (await shelf.call("DELETE", "workflows/delivery")).status < 300
    wrong = await shelf.call("POST", "plugins/table-format:read", {"text": "a,b\n1,2\n"})
    assert (wrong.status, wrong.json["error"]["reason"]) == (400, "PLUGIN_FAILED")
    assert "the table has no column 'workflow'" in wrong.json["error"]["message"]


@pytest.mark.feature("S1-193")
async def test_a_format_that_fails_its_self_test_is_not_installed(shelf: Shelf) -> None:
    """The error of the self-test is that of the call."""
    refused = await shelf.call("POST", "plugins", {"name": "broken"})
    assert (refused.status, refused.json["error"]["reason"]) == (400, "PLUGIN_FAILED")
    assert "broken 1.0.0 failed its self-test: " in refused.json["error"]["message"]
    assert "no such grammar" in refused.json["error"]["message"]
    assert (await shelf.call("GET", "plugins")).json["plugins"] == []
