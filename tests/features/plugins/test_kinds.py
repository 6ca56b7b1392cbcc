"""Plugins of this repository of other kinds than task, in a running suite."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.plugins.market import PATIENCE_S, Market, Shelf
from tests.features.plugins.servers import Values, values_of

pytestmark = pytest.mark.long
PASSWORD = "of-the-values"
ECHO = """
name = "echo"
version = "{version}"
kind = "transform"
summary = "Return the input."
self_test = "echo.tasks:test"
[transform]
function = "echo.tasks:echo"
"""
SETTINGS = """
name = "{name}"
version = "1.0.0"
kind = "{kind}"
summary = "Return the settings."
[{kind}]
{key} = "{name}.tasks:shown"
[configuration]
type = "object"
additionalProperties = false
properties.text = {{type = "string", default = "none"}}
"""
SHOWN = """
def shown(value, settings):
    return {"given": value, **settings}
"""
IBAN = {"iban": "GB82 WEST 1234 5698 7654 32"}
TABLE = """workflow;step;task;after;note
delivery;pack;noop;;
;label;noop;;
;send;noop;pack label;{"express": true}
"""


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite with plugins of this repository of all kinds but task."""
    market = Market(tmp_path_factory.mktemp("market"))
    for name in ("redis-value", "table-format", "receipt-panel", "iban-check"):
        market.publish(Path("plugins") / name)
    for version, body in (("1.0.0", "pass"), ("1.1.0", "pass"), ("1.2.0", "1 / 0")):
        project = market.project(
            f"echo-{version}",
            ECHO.format(version=version),
            f"def echo(value):\n    return [value, '{version}']\n\ndef test():\n    {body}\n",
            "echo",
        )
        market.publish(project)
    market.publish(
        market.project(
            "broken",
            'name = "broken"\nversion = "1.0.0"\nkind = "format"\nsummary = "Fail."\n'
            'self_test = "broken.tasks:test"\n[format]\nreader = "broken.tasks:test"\n',
            "def test():\n    raise RuntimeError('no such grammar')\n",
            "broken",
        )
    )
    for name, kind, key in (("shown", "transform", "function"), ("lines", "format", "reader")):
        manifest = SETTINGS.format(name=name, kind=kind, key=key)
        market.publish(market.project(name, manifest, SHOWN, name))
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
    assert await shelf.removal("table-format") == (
        "table-format is used by 1 definition: workflow delivery"
    )
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


@pytest.mark.feature("S1-193")
async def test_functions_get_the_configuration_of_their_plugin(shelf: Shelf) -> None:
    """With its defaults, and another one from the next call on; unknown values are refused."""
    await shelf.installed("shown", {})
    ran = await shelf.run_task("show", calls("shown"), {"number": 1})
    assert ran["outputs"]["do"] == {"given": {"number": 1}, "text": "none"}, ran
    changed = {"configuration": {"text": "some"}}
    answer = await shelf.call("POST", "plugins/shown:configure", changed)
    assert answer.status == 202, answer.text
    ran = await shelf.run_task("show", calls("shown"), {"number": 2})
    assert ran["outputs"]["do"] == {"given": {"number": 2}, "text": "some"}, ran
    wrong = {"configuration": {"other": "some"}}
    refused = await shelf.call("POST", "plugins/shown:configure", wrong)
    assert (refused.status, refused.json["error"]["reason"]) == (400, "PLUGIN_INVALID")
    await shelf.installed("lines", {"text": "read"})
    answer = await shelf.call("POST", "plugins/lines:read", {"text": "a"})
    assert answer.json["documents"] == [{"given": "a", "text": "read"}], answer.text


def calls(plugin: str) -> dict[str, Any]:
    """Return the spec of a task that calls the function of a plugin."""
    transform = {"function": f"plugin:{plugin}"}
    return {"type": "transform", "transform": transform, "retry": {"maxAttempts": 1}}


@pytest.mark.feature("S1-193")
async def test_a_definition_calls_the_function_of_a_plugin(shelf: Shelf) -> None:
    """It is registered once the plugin is installed, which stays as long as it is named."""
    missing = await shelf.register("WorkflowTask", "check", calls("iban-check"))
    assert missing.status == 400, missing.text
    assert "the namespace has no plugin 'iban-check' of the kind transform" in missing.text
    await shelf.installed("iban-check", {})
    ran = await shelf.run_task("check", calls("iban-check"), IBAN)
    assert ran["outputs"]["do"] == {
        "iban": "GB82WEST12345698765432",
        "valid": True,
        "country": "GB",
        "account": "WEST12345698765432",
    }, ran
    failed = await shelf.run_task("check", calls("iban-check"), {"iban": 7})
    assert "expected string" in failed["tasks"]["do"]["error"]["message"], failed
    assert await shelf.removal("iban-check") == (
        "iban-check is used by 2 definitions: task check, workflow check"
    )
    wrong = await shelf.register("WorkflowTask", "check", calls("Not A Name"))
    assert "function must be the function of a plugin, such as plugin:title-case" in wrong.text
    both = {"type": "transform", "transform": {"function": "plugin:iban-check", "code": "return 1"}}
    refused = await shelf.register("WorkflowTask", "check", both)
    assert "a transform has one of code, function, not 2 of them" in refused.text


@pytest.mark.feature("S1-193")
async def test_another_version_of_a_function_is_called_at_once(shelf: Shelf) -> None:
    """A version that fails its self-test is refused, and the one before is called on."""
    made = await shelf.call("POST", "plugins", {"name": "echo", "version": "1.0.0"})
    assert (made.status, made.json["state"]) == (202, "ready"), made.text
    assert (await shelf.run_task("say", calls("echo"), {}))["outputs"]["do"][1] == "1.0.0"
    refused = await shelf.call("POST", "plugins/echo:upgrade", {"version": "1.2.0"})
    assert (refused.status, refused.json["error"]["reason"]) == (400, "PLUGIN_FAILED")
    assert "echo 1.2.0 failed its self-test" in refused.json["error"]["message"]
    assert (await shelf.run_task("say", calls("echo"), {}))["outputs"]["do"][1] == "1.0.0"
    await shelf.call("POST", "plugins/echo:upgrade", {"version": "1.1.0"})
    assert (await shelf.run_task("say", calls("echo"), {}))["outputs"]["do"][1] == "1.1.0"


@pytest.mark.feature("S1-193")
async def test_a_panel_that_a_workflow_names_stays(shelf: Shelf) -> None:
    """The workflow names it by a label, and the refusal of the removal names the workflow."""
    await shelf.installed("receipt-panel", {})
    graph = {"tasks": [{"id": "do", "taskRef": "noop"}]}
    label = {"flowmesh.io/panel": "receipt-panel"}
    assert (await shelf.register("Workflow", "sale", graph, **label)).status < 300
    assert await shelf.removal("receipt-panel") == (
        "receipt-panel is used by 1 definition: workflow sale"
    )


@pytest.mark.feature("S1-193")
async def test_a_plugin_of_all_projects_is_given_to_each(shelf: Shelf) -> None:
    """Another project calls it, and neither changes nor removes it."""
    body = {"name": "iban-check", "allProjects": True}
    made = await shelf.call("POST", "plugins", body)
    assert (made.status, made.json["allProjects"]) == (202, True), made.text
    other = Shelf(shelf.suite, f"{shelf.namespace}-other")
    (found,) = (await other.call("GET", "plugins")).json["plugins"]
    assert (found["name"], found["allProjects"]) == ("iban-check", True)
    assert (await other.run_task("check", calls("iban-check"), IBAN))["status"] == "completed"
    for method, path, change in (
        ("DELETE", "plugins/iban-check", None),
        ("POST", "plugins/iban-check:upgrade", {}),
        ("POST", "plugins/iban-check:pin", {"pinned": True}),
    ):
        refused = await other.call(method, path, change)
        assert (refused.status, refused.json["error"]["reason"]) == (409, "PLUGIN_SHARED"), path
    agents = {"name": "redis-value", "allProjects": True}
    refused = await shelf.call("POST", "plugins", agents)
    assert "its processes and secrets are those of one project" in refused.text
    used = await shelf.call("DELETE", "plugins/iban-check?allProjects=true")
    assert used.json["error"]["message"] == (
        "iban-check is used by 2 definitions:"
        f" task check of {other.namespace}, workflow check of {other.namespace}"
    )
    for path in ("workflows/check", "tasks/check"):
        assert (await other.call("DELETE", path)).status < 300
    assert (await shelf.call("DELETE", "plugins/iban-check?allProjects=true")).status == 204

    async def gone() -> bool:
        return bool((await other.call("GET", "plugins")).json["plugins"] == [])

    await until("the plugin is gone", gone, within_s=PATIENCE_S)
