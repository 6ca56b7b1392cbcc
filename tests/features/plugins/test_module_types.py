"""Modules of applications that plugins add, in a running suite."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.plugins.project import write_project
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Response, Suite
from tests.features.applications.test_app_parts import app_of, delegate
from tests.features.plugins.market import PATIENCE_S, Market, Shelf
from tests.features.plugins.servers import desk

pytestmark = pytest.mark.long
CALLER = """
name = "caller"
version = "1.0.0"
kind = "module-type"
summary = "Call an endpoint."
[module]
function = "caller.tasks:call"
[permissions]
connect = ["{url}"]
[configuration]
type = "object"
required = ["url"]
properties.url = {type = "string"}
"""
CALLS = """
def call(input, module):
    url = input.get("url") or module.settings["url"]
    return module.http("POST", url, {"text": input["text"]})
"""


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite with two plugins of module types."""
    folder = tmp_path_factory.mktemp("market")
    market = Market(folder)
    write_project(folder / "sales-tax", "sales-tax", "module-type")
    market.publish(folder / "sales-tax")
    market.publish(market.project("caller", CALLER, CALLS, "caller"))
    environment = {**market.environment, "FLOWMESH_EGRESS": "open"}
    async with Suite(folder / "data", environment=environment) as running:
        yield running


@pytest.fixture
async def shelf(shop: Suite, request: pytest.FixtureRequest) -> AsyncIterator[Shelf]:
    made = Shelf(shop, request.node.name.replace("_", "-")[:50])
    yield made
    await made.end()


def shop_with(plugin: str, config: Json) -> dict[str, str]:
    """Return a release with a module of a plugin, which POST /do calls."""
    module = {"name": "part", "type": f"plugin:{plugin}", "config": config}
    return {"document": app_of(module, routes=[delegate("/do", "part")])}


async def called(shelf: Shelf, body: Json) -> tuple[int, Any]:
    """Call POST /do of the application; return status and answer."""
    address = (await shelf.call("GET", "apps/shop")).json["addresses"]["web"]
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://{address}/do", json=body) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


def refusal(answer: Response) -> str:
    """Return the finding that refused a release."""
    assert (answer.status, answer.json["error"]["reason"]) == (409, "RELEASE_REFUSED"), answer.text
    (found,) = answer.json["error"]["details"]
    return str(found["description"])


@pytest.mark.feature("S1-193")
async def test_an_application_has_a_module_of_a_plugin(shelf: Shelf) -> None:
    """It is deployed once the plugin is installed and its configuration fits; then it is in use."""
    release = shop_with("sales-tax", {"percent": 19})
    missing = refusal(await shelf.call("POST", "apps/shop:deploy", release))
    assert missing == (
        "the namespace has no plugin 'sales-tax' of the kind module-type;"
        " `flowmesh plugin install sales-tax` installs it"
    )
    found = await shelf.installed("sales-tax", {})
    assert (found["state"], found["kind"], found["permissions"]) == ("ready", "module-type", [])
    wrong = shop_with("sales-tax", {"percent": "much"})
    text = refusal(await shelf.call("POST", "apps/shop:deploy", wrong))
    assert text == 'percent: "much" is not of type "number"'
    checked = (await shelf.call("POST", "apps/shop:validate", wrong)).json["problems"]
    assert [(each["code"], each["message"]) for each in checked] == [("APP_CONFIG_INVALID", text)]
    made = await shelf.call("POST", "apps/shop:deploy", release)
    assert (made.status, made.json["state"]) == (201, "serving"), made.text
    assert await called(shelf, {"net": 200}) == (200, {"net": 200, "tax": 38, "gross": 238})
    assert await shelf.removal("sales-tax") == (
        "sales-tax is used by 1 application: application shop"
    )
    without = await shelf.call("POST", "apps/shop:deploy", {"document": app_of()})
    assert without.status == 201, without.text
    assert (await shelf.call("DELETE", "plugins/sales-tax")).status == 204
    refusal(await shelf.call("POST", "apps/shop:rollback", {}))
    assert (await shelf.call("DELETE", "apps/shop")).status == 204


@pytest.mark.feature("S1-193")
async def test_a_module_calls_the_endpoints_of_its_permissions(shelf: Shelf) -> None:
    """It gets the configuration of the installation; a call elsewhere is refused by name."""
    async with desk() as chat, desk() as other:
        await shelf.installed("caller", {"url": f"{chat.url}/hook"})
        made = await shelf.call("POST", "apps/shop:deploy", shop_with("caller", {}))
        assert made.status == 201, made.text
        status, answer = await called(shelf, {"text": "hello"})
        assert (status, answer["status"], answer["body"]) == (200, 200, "ok"), answer
        assert chat.messages == [{"text": "hello"}]
        status, _ = await called(shelf, {"text": "hello", "url": f"{other.url}/hook"})
        assert (status, other.messages) == (502, [])
        endpoint = other.url.removeprefix("http://")

        async def logged() -> bool:
            log = (await shelf.call("GET", "apps/shop/logs")).text
            return f"the plugin caller was not granted: connect {endpoint}" in log

        await until("the refusal is logged", logged, within_s=PATIENCE_S)
        assert (await shelf.call("DELETE", "apps/shop")).status == 204
