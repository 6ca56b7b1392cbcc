"""A seeded suite, and one run of all browser tests against it."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from flowmesh.embedded.ports import free_port
from flowmesh.sdk import Client, Worker
from flowmesh.testing.cluster import Cluster
from flowmesh.testing.suite import Suite
from tests.console.calls import called
from tests.console.many import seed_many
from tests.console.panels import HOSTILE
from tests.console.records import seed_records
from tests.console.scenarios import Outcome, Scenario, measures, results
from tests.console.seeds import HANDLERS, Seeded, seed
from tests.console.signals import seed_signals
from tests.console.staff import staffed_suite
from tests.features.closed import OWNER, PASSWORD, closed_suite
from tests.features.plugins.market import Market
from tools import console

# A scenario answers in its place.
CODEC_SERVER = {"FLOWMESH_CODEC_SERVER": "https://codec.example/of/{namespace}"}
CHROMIUM = Path("/usr/bin/chromium")
RUN_TIMEOUT_S = 1_400.0
# Rows of the large list; `make console-bench` asks for a million.
MANY = int(os.environ.get("CONSOLE_MANY", "30000"))
# Log records of a week; `make console-bench` asks for ten million.
LOGS = int(os.environ.get("CONSOLE_LOGS", "0"))


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seeded]:
    """A suite of its own with a worker, a catalogue of plugins, and executions in every state."""
    market = Market(tmp_path_factory.mktemp("market"))
    for version, test in (("1.0.0", "pass"), ("1.1.0", "raise OSError('no such host')")):
        market.greeter(version, test=test)
    market.publish(Path("plugins/receipt-panel"))
    market.panel("prober", HOSTILE)
    environment = CODEC_SERVER | market.environment
    async with (
        Suite(tmp_path_factory.mktemp("console") / "data", environment=environment) as suite,
        aiohttp.ClientSession() as http,
        Client(suite.grpc_address) as client,
        Worker(client, HANDLERS),
        called(client),
    ):
        seeded = Seeded(suite.http_url, http)
        await seed(seeded)
        await seed_records(seeded)
        await seed_many(str(suite.about["postgres"]), MANY)
        if LOGS:
            await seed_signals(str(suite.about["postgres"]), LOGS)
        yield seeded


class _FixedSuite(Suite):
    """A suite that has the same ports after a restart."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, ports=(free_port(), free_port()), **options)


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mapping[str, str]]:
    """A closed suite with an owner, and an address that kills and starts it."""
    folder = tmp_path_factory.mktemp("closed")
    async with closed_suite(folder, kind=_FixedSuite) as made:
        changes = {"kill": made.suite.kill, "start": made.suite.start}

        async def control(request: web.Request) -> web.Response:
            await changes[request.match_info["change"]]()
            return web.Response()

        runner = web.AppRunner(_controls("/{change}", control))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield {
            "CLOSED_URL": made.suite.http_url,
            "CLOSED_EMAIL": OWNER,
            "CLOSED_PASSWORD": PASSWORD,
            "CONTROL_URL": f"http://127.0.0.1:{runner.addresses[0][1]}",
        }
        await runner.cleanup()


@pytest.fixture(scope="module")
async def staffed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mapping[str, str]]:
    """A closed suite with users, roles and an identity provider."""
    async with staffed_suite(tmp_path_factory.mktemp("staffed")) as made:
        yield made


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mapping[str, str]]:
    """A cluster of processes, and an address that kills one of a service."""
    async with Cluster(tmp_path_factory.mktemp("cluster") / "data") as made:

        async def kill(request: web.Request) -> web.Response:
            service = request.match_info["service"]
            names = [each.name for each in made.members().values() if each.service == service]
            for name in names:
                made.send(name)
            return web.Response(status=200 if names else 404, text=" ".join(names))

        runner = web.AppRunner(_controls("/kill/{service}", kill))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield {
            "CLUSTER_URL": made.http_url,
            "CLUSTER_CONTROL": f"http://127.0.0.1:{runner.addresses[0][1]}",
        }
        await runner.cleanup()


def _controls(path: str, handler: Any) -> web.Application:
    controls = web.Application()
    controls.router.add_post(path, handler)
    return controls


@pytest.fixture(scope="module")
async def run(
    shop: Seeded,
    closed: Mapping[str, str],
    staffed: Mapping[str, str],
    cluster: Mapping[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[Scenario, Outcome]:
    """The outcome of each scenario, from one run of the browser."""
    report = tmp_path_factory.mktemp("report") / "report.json"
    environ = {
        "FLOWMESH_URL": shop.url,
        "SEEDED": json.dumps(shop.ids),
        "CONSOLE_REPORT": str(report),
        "CONSOLE_MANY": str(MANY),
        **closed,
        **staffed,
        **cluster,
    }
    async with asyncio.timeout(RUN_TIMEOUT_S):
        await asyncio.to_thread(_played, os.environ | environ)
    for line in measures(report):
        print(line)
    return results(report)


def _played(environ: Mapping[str, str]) -> None:
    if not CHROMIUM.exists():
        subprocess.run(["apt-get", "install", "-qy", "chromium"], check=True)
    console.install()
    chosen = environ.get("CONSOLE_GREP")
    subprocess.run(
        ["npx", "playwright", "test", *(["-g", chosen] if chosen else [])],
        cwd=console.SOURCE,
        env=console.environment() | dict(environ),
        timeout=RUN_TIMEOUT_S,
        stdout=subprocess.DEVNULL,
        check=False,
    )
