"""Modules of applications that plugins add, in a running suite."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.plugins.project import write_project
from flowmesh.testing.polling import pause, until
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

RATES = """
name = "rates"
version = "{version}"
kind = "module-type"
summary = "Return the version."
[module]
function = "rates.tasks:call"
[module.config]
type = "object"
required = ["{required}"]
"""


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite with plugins of module types."""
    folder = tmp_path_factory.mktemp("market")
    market = Market(folder)
    write_project(folder / "price-tax", "price-tax", "module-type")
    market.publish(folder / "price-tax")
    market.publish(Path("plugins/sales-tax"))
    market.publish(market.project("caller", CALLER, CALLS, "caller"))
    for version, required in (("1.0.0", "country"), ("1.1.0", "country"), ("2.0.0", "region")):
        manifest = RATES.format(version=version, required=required)
        call = f"def call(input, module):\n    return {{'version': '{version}'}}\n"
        market.publish(market.project(f"rates-{version}", manifest, call, "rates"))
    environment = {**market.environment, "FLOWMESH_EGRESS": "open"}
    async with Suite(folder / "data", environment=environment) as running:
        yield running


@pytest.fixture
async def shelf(shop: Suite, request: pytest.FixtureRequest) -> AsyncIterator[Shelf]:
    made = Shelf(shop, request.node.name.replace("_", "-")[:50])
    yield made
    await made.end()


def shop_with(plugin: str, config: Json, **environment: str) -> dict[str, Json]:
    """Return a release with a module of a plugin, which POST /do calls."""
    module = {"name": "part", "type": f"plugin:{plugin}", "config": config}
    document = app_of(module, routes=[delegate("/do", "part")])
    return {"document": document, "environment": environment}


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
    release = shop_with("price-tax", {"percent": 19})
    missing = refusal(await shelf.call("POST", "apps/shop:deploy", release))
    assert missing == (
        "the namespace has no plugin 'price-tax' of the kind module-type;"
        " `flowmesh plugin install price-tax` installs it"
    )
    found = await shelf.installed("price-tax", {})
    assert (found["state"], found["kind"], found["permissions"]) == ("ready", "module-type", [])
    wrong = shop_with("price-tax", {"percent": "much"})
    text = refusal(await shelf.call("POST", "apps/shop:deploy", wrong))
    assert text == 'percent: "much" is not of type "number"'
    checked = (await shelf.call("POST", "apps/shop:validate", wrong)).json["problems"]
    assert [(each["code"], each["message"]) for each in checked] == [("APP_CONFIG_INVALID", text)]
    made = await shelf.call("POST", "apps/shop:deploy", release)
    assert (made.status, made.json["state"]) == (201, "serving"), made.text
    assert await called(shelf, {"net": 200}) == (200, {"net": 200, "tax": 38, "gross": 238})
    assert await shelf.removal("price-tax") == (
        "price-tax is used by 1 application: application shop"
    )
    without = await shelf.call("POST", "apps/shop:deploy", {"document": app_of()})
    assert without.status == 201, without.text
    assert (await shelf.call("DELETE", "plugins/price-tax")).status == 204
    refusal(await shelf.call("POST", "apps/shop:rollback", {}))
    assert (await shelf.call("DELETE", "apps/shop")).status == 204


@pytest.mark.feature("S1-193")
async def test_an_order_gets_its_sales_taxes(shelf: Shelf) -> None:
    """The plugin of this repository adds lines up by rate; a rate that is none fails the call."""
    await shelf.installed("sales-tax", {})
    wrong = shop_with("sales-tax", {"rates": {"standard": 190}})
    assert "190" in refusal(await shelf.call("POST", "apps/shop:deploy", wrong))
    config = {"rates": {"standard": 19, "reduced": 7}}
    made = await shelf.call("POST", "apps/shop:deploy", shop_with("sales-tax", config))
    assert made.status == 201, made.text
    lines = [{"amount": 995, "quantity": 2}, {"amount": 250, "rate": "reduced"}, {"amount": 5}]
    assert await called(shelf, {"lines": lines}) == (
        200,
        {
            "net": 2245,
            "tax": 397,
            "gross": 2642,
            "taxes": [
                {"rate": "standard", "percent": 19, "net": 1995, "tax": 379, "gross": 2374},
                {"rate": "reduced", "percent": 7, "net": 250, "tax": 18, "gross": 268},
            ],
        },
    )
    status, _ = await called(shelf, {"lines": [{"amount": 1, "rate": "none"}]})
    assert status == 502
    included = {**config, "included": True}
    made = await shelf.call("POST", "apps/shop:deploy", shop_with("sales-tax", included))
    assert made.status == 201, made.text
    _, answer = await called(shelf, {"lines": [{"amount": 11_900}]})
    assert (answer["net"], answer["tax"], answer["gross"]) == (10_000, 1_900, 11_900)
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


@pytest.mark.feature("S1-193")
async def test_an_upgrade_checks_the_applications_of_a_plugin(shelf: Shelf) -> None:
    """One that a configuration does not fit is refused by name, without the value of a variable."""
    assert (
        await shelf.call("POST", "plugins", {"name": "rates", "version": "1.0.0"})
    ).status == 202
    config = {"country": "${COUNTRY}"}
    release = shop_with("rates", {**config, "region": 7}, COUNTRY="Atlantis")
    assert (await shelf.call("POST", "apps/shop:deploy", release)).status == 201
    fitting = await shelf.call("POST", "plugins/rates:upgrade", {"version": "1.1.0"})
    assert (fitting.status, fitting.json["version"]) == (202, "1.1.0"), fitting.text
    release = shop_with("rates", config, COUNTRY="Atlantis")
    assert (await shelf.call("POST", "apps/shop:deploy", release)).status == 201
    refused = await shelf.call("POST", "plugins/rates:upgrade", {"version": "2.0.0"})
    assert (refused.status, refused.json["error"]["reason"]) == (409, "PLUGIN_IN_USE"), refused.text
    assert refused.json["error"]["message"] == (
        "rates 2.0.0 does not fit application shop (modules[1].config:"
        ' "region" is a required property)'
    )
    assert "Atlantis" not in refused.text
    assert (await shelf.call("GET", "plugins/rates")).json["version"] == "1.1.0"
    assert (await called(shelf, {}))[1] == {"version": "1.1.0"}
    assert (await shelf.call("DELETE", "apps/shop")).status == 204
    free = await shelf.call("POST", "plugins/rates:upgrade", {"version": "2.0.0"})
    assert (free.status, free.json["version"]) == (202, "2.0.0"), free.text


@pytest.mark.feature("S1-193")
@pytest.mark.timeout(180)
async def test_a_removal_and_a_deployment_at_once(shelf: Shelf) -> None:
    """Either the plugin stays, or the release is refused: none serves without its plugin."""
    body = {"name": "rates", "version": "1.0.0"}
    release = shop_with("rates", {"country": "FR"})

    async def installed() -> bool:
        return (await shelf.call("POST", "plugins", body)).status == 202

    for tenths in range(12):
        await until("the one before is removed", installed, within_s=PATIENCE_S)
        deploying = asyncio.create_task(shelf.call("POST", "apps/shop:deploy", release))
        await pause(tenths / 10)
        removed = await shelf.call("DELETE", "plugins/rates")
        made = await deploying
        assert (made.status, removed.status) in ((201, 409), (409, 204), (409, 409)), (
            f"{made.text} {removed.text}"
        )
        if (await shelf.call("GET", "apps/shop")).status == 200:
            assert (await shelf.call("DELETE", "apps/shop")).status == 204
        if removed.status != 204:
            assert (await shelf.call("DELETE", "plugins/rates")).status == 204

    async def gone() -> bool:
        return not (await shelf.call("GET", "plugins")).json["plugins"]

    await until("the last one is removed", gone, within_s=PATIENCE_S)


@pytest.mark.feature("S1-193")
async def test_a_removal_that_was_killed_is_repeated(shelf: Shelf, shop: Suite) -> None:
    """Until then nothing begins to use the plugin, and applications that use it start again."""
    body = {"name": "rates", "version": "1.0.0"}
    assert (await shelf.call("POST", "plugins", body)).status == 202
    release = shop_with("rates", {"country": "FR"})
    assert (await shelf.call("POST", "apps/shop:deploy", release)).status == 201
    postgres = await asyncpg.connect(str(shop.about["postgres"]))
    await postgres.execute("update fleet.plugins set removing_at = now() - interval '1 hour'")
    await postgres.close()
    for change in ("stop", "start"):
        assert (await shelf.call("POST", f"apps/shop:{change}")).status == 200
    assert (await called(shelf, {}))[1] == {"version": "1.0.0"}
    refusal(await shelf.call("POST", "apps/other:deploy", release))
    assert await shelf.removal("rates") == "rates is used by 1 application: application shop"
    assert (await shelf.call("POST", "apps/other:deploy", release)).status == 201
    for app in ("shop", "other"):
        assert (await shelf.call("DELETE", f"apps/{app}")).status == 204
