"""A seeded suite, and one run of all browser tests against it."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest

from flowmesh.sdk import Client, Worker
from flowmesh.testing.suite import Suite
from tests.console.scenarios import Scenario, results
from tests.console.seeds import HANDLERS, Seeded, seed
from tools import console

CHROMIUM = Path("/usr/bin/chromium")
RUN_TIMEOUT_S = 900.0


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seeded]:
    """A suite of its own with a worker, and executions in every state."""
    async with (
        Suite(tmp_path_factory.mktemp("console") / "data") as suite,
        aiohttp.ClientSession() as http,
        Client(suite.grpc_address) as client,
        Worker(client, HANDLERS),
    ):
        seeded = Seeded(suite.http_url, http)
        await seed(seeded)
        yield seeded


@pytest.fixture(scope="module")
async def run(shop: Seeded, tmp_path_factory: pytest.TempPathFactory) -> Mapping[Scenario, str]:
    """The result of each scenario, from one run of the browser."""
    report = tmp_path_factory.mktemp("report") / "report.json"
    environ = {
        "FLOWMESH_URL": shop.url,
        "SEEDED": json.dumps(shop.ids),
        "CONSOLE_REPORT": str(report),
    }
    async with asyncio.timeout(RUN_TIMEOUT_S):
        await asyncio.to_thread(_played, os.environ | environ)
    return results(report)


def _played(environ: Mapping[str, str]) -> None:
    if not CHROMIUM.exists():
        subprocess.run(["apt-get", "install", "-qy", "chromium"], check=True)
    console.install()
    subprocess.run(
        ["npx", "playwright", "test"],
        cwd=console.SOURCE,
        env=console.environment() | dict(environ),
        timeout=RUN_TIMEOUT_S,
        stdout=subprocess.DEVNULL,
        check=False,
    )
