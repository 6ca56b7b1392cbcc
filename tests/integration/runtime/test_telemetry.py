"""Telemetry of the running suite: its exit beside a collector that hangs, and its exposition."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser

from flowmesh.testing.suite import Suite

pytestmark = pytest.mark.long

EXIT_S = 10.0
RUNS = 200
IDLE_SERIES_MAX = 2_000
SLEEP_MS = 100
SLEEPING = {
    "id": "sleeping",
    "name": "sleeping",
    "steps": [
        {
            "id": "sleep",
            "name": "sleep",
            "type": "task",
            "action": "delay",
            "params": {"duration": SLEEP_MS},
            "dependencies": [],
        }
    ],
}


@asynccontextmanager
async def hanging() -> AsyncIterator[str]:
    """A port that accepts connections and never responds; yields its address."""
    open_connections: list[asyncio.StreamWriter] = []

    async def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_connections.append(writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        server.close()
        for writer in open_connections:
            writer.close()


async def test_a_collector_that_hangs_does_not_delay_the_exit(tmp_path: Path) -> None:
    """SIGTERM ends the process within ten seconds, with spans and metrics that wait."""
    async with hanging() as address:
        environment = {"FLOWMESH_OTLP_METRICS_SECONDS": "0.2", "OTEL_BSP_SCHEDULE_DELAY": "100"}
        flags = ("--otlp-endpoint", address)
        async with Suite(tmp_path / "data", *flags, environment=environment) as suite:
            workflow_id = await suite.define(SLEEPING)
            started = [await suite.begin(workflow_id) for _ in range(RUNS)]
            await suite.wait(started[-1])
            begin = time.monotonic()
            assert await suite.stop() == 0
            assert time.monotonic() - begin < EXIT_S


async def test_an_idle_suite_exports_the_series_of_calls_that_were_made(tmp_path: Path) -> None:
    """Methods without calls have no histogram; OpenMetrics has the trace of a slow call."""
    async with Suite(tmp_path / "data") as suite, aiohttp.ClientSession() as http:
        url = f"{suite.http_url}/metrics"
        plain = await http.get(url)
        assert plain.content_type == "text/plain"
        series = [line for line in (await plain.text()).splitlines() if not line.startswith("#")]
        assert len(series) < IDLE_SERIES_MAX
        await suite.run(SLEEPING)
        opened = await http.get(url, headers={"accept": "application/openmetrics-text"})
        assert opened.content_type == "application/openmetrics-text"
        read: Callable[[str], Iterable[Metric]] = parser.text_string_to_metric_families
        families = {each.name: each for each in read(await opened.text())}
        samples = families["flowmesh_rpc_seconds"].samples
        exemplars = [each.exemplar for each in samples if each.exemplar is not None]
        assert exemplars
        assert all(len(each.labels["trace_id"]) == 32 for each in exemplars)
