"""Modules of plugins attack from a deployed application: they reach only what was granted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from flowmesh.testing.suite import Suite
from tests.features.applications.test_app_parts import app_of, delegate
from tests.features.closed import Closed, closed_suite
from tests.features.plugins.market import Market
from tests.hostile.conftest import Sink
from tests.hostile.test_computing_plugins import ATTACKS, SECRET, TASKS

pytestmark = pytest.mark.long
MANIFEST = """
name = "evil"
version = "1.0.0"
kind = "module-type"
summary = "Try what is not allowed."
[module]
function = "evil.tasks:call"
[permissions]
connect = ["{url}"]
[configuration]
type = "object"
required = ["url"]
properties.url = {type = "string"}
"""
ASKS = """
def call(input, module):
    global asked
    asked = module
    return attack(input)


def http(address):
    return asked.http("GET", f"http://{address}/")["status"]


def disguised(address):
    granted = asked.settings["url"].removeprefix("http://")
    return asked.http("GET", f"http://{granted}@{address}/")["status"]


def backslash(address):
    granted = asked.settings["url"].removeprefix("http://")
    return asked.http("GET", f"http://{address}\\\\@{granted}/")["status"]


def redirected(address):
    answer = asked.http("GET", asked.settings["url"])
    return 1 / (answer["status"] != 307)


def publish(address):
    return asked.http.__globals__["host"].publish("topic", 1)


def secret(address):
    return asked.http.__globals__["host"].secret("kept")


def values(address):
    return asked.http.__globals__["host"].get("kept")
"""
ASKED = ("http", "disguised", "backslash", "redirected", "publish", "secret", "values")


@asynccontextmanager
async def redirecting(target: str) -> AsyncIterator[str]:
    """Yield the URL of a server on loopback that redirects each request."""

    async def redirect(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(target)

    application = web.Application()
    application.router.add_get("/", redirect)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    """A suite with a hostile plugin, and a secret that is none of its own."""
    market = Market(tmp_path_factory.mktemp("market"))
    market.publish(market.project("evil", MANIFEST, TASKS.format() + ASKS, "evil"))
    # The egress policy would refuse loopback; here only the permissions of the plugin do.
    environment = {
        **market.environment,
        "FLOWMESH_SECRET_KEPT": SECRET,
        "FLOWMESH_EGRESS": "open",
    }
    async with closed_suite(tmp_path_factory.mktemp("closed"), kind=Suite, **environment) as made:
        yield made


async def rest(closed: Closed, method: str, path: str, body: Any = None) -> Any:
    status, answer = await closed.owner.rest(method, f"/api/v1/{path}", body)
    assert status < 300, answer
    return answer


@pytest.mark.feature("S1-193")
async def test_a_module_reaches_only_what_was_granted(closed: Closed, sink: Sink) -> None:
    """No environment, file, socket, process or other endpoint; the next call is answered."""
    module = {"name": "part", "type": "plugin:evil"}
    async with redirecting(sink.url) as url, aiohttp.ClientSession() as session:
        host = url.removeprefix("http://")
        body = {"name": "evil", "configuration": {"url": url}, "accepted": [f"connect {host}"]}
        await rest(closed, "POST", "plugins", body)
        document = app_of(module, routes=[delegate("/do", "part")])
        await rest(closed, "POST", "apps/shop:deploy", {"document": document})
        address = (await rest(closed, "GET", "apps/shop"))["addresses"]["web"]

        async def attacked(attack: str) -> tuple[int, str]:
            given = {"attack": f"{attack} {sink.address}"}
            async with session.post(f"http://{address}/do", json=given) as answer:
                return answer.status, await answer.text()

        for attack in (*ATTACKS, *ASKED):
            status, answer = await attacked(attack)
            assert status >= 400, (attack, answer)
            assert SECRET not in answer, attack
        assert sink.reached == []
        status, answer = await attacked("nothing")
        assert status == 200, answer
