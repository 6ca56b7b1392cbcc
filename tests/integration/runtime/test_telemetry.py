"""Telemetry of the running suite: its exit beside a collector that hangs, and its exposition."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics import parser

from flowmesh.embedded.ports import free_ports
from flowmesh.testing.metrics import total
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.drills.short import completed

pytestmark = pytest.mark.long

RUNS = 300
DROPPED = "flowmesh_observe_dropped_total"
EXPORTED = ("spans", "otlp_metrics", "remote_write")
DROPPED_S = 30.0
CLOSED_S = 2.5
"""A second, as docs/operations.md says, and the noise of a busy machine."""

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


@asynccontextmanager
async def dead() -> AsyncIterator[str]:
    """An address that refuses connections."""
    yield f"127.0.0.1:{free_ports(1)}"


def exports(grpc: str, http: str) -> dict[str, str]:
    """Exports over gRPC and by remote write to one address, over HTTP to the other."""
    return {
        "FLOWMESH_OTLP_METRICS_SECONDS": "0.2",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "FLOWMESH_REMOTE_WRITE": f"http://{http}/api/v1/write",
        "FLOWMESH_REMOTE_WRITE_SECONDS": "1",
        **(
            {"FLOWMESH_OTLP_ENDPOINT": grpc}
            if grpc
            else {"FLOWMESH_OTLP_ENDPOINT": http, "FLOWMESH_OTLP_PROTOCOL": "http/protobuf"}
        ),
    }


async def stopped_in(suite: Suite) -> float:
    """Run executions, each of which has to complete, and stop; return the seconds of the stop."""
    await completed(suite, RUNS)
    begin = time.monotonic()
    assert await suite.stop() == 0
    return time.monotonic() - begin


@pytest.fixture(scope="module")
async def usual_s(tmp_path_factory: pytest.TempPathFactory) -> float:
    """The seconds of a stop without receivers."""
    async with Suite(tmp_path_factory.mktemp("usual") / "data") as suite:
        return await stopped_in(suite)


@pytest.mark.feature("S1-196")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("receiver", [dead, hanging])
async def test_a_receiver_that_takes_nothing_costs_nothing(
    receiver: Callable[[], AbstractAsyncContextManager[str]],
    protocol: str,
    usual_s: float,
    tmp_path: Path,
) -> None:
    """Executions complete, what is dropped is counted, and a stop takes a second more."""
    async with receiver() as address:
        environment = exports(address if protocol == "grpc" else "", address)
        async with Suite(tmp_path / "data", environment=environment) as suite:
            await completed(suite, RUNS)

            async def counted() -> bool:
                text = (await suite.get("/metrics")).text
                return all(total(text, DROPPED, kind=kind) > 0 for kind in EXPORTED)

            await until("counted drops", counted, within_s=DROPPED_S)
            assert await stopped_in(suite) < usual_s + CLOSED_S


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
