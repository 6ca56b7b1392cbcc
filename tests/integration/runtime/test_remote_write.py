"""Metrics of a process to a receiver of Prometheus remote write."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import ValidationError

from flowmesh.api.observe.v1 import remote_write_pb2 as pb
from flowmesh.runtime import Runtime, Settings
from flowmesh.runtime.errors import ExportFailed
from flowmesh.runtime.exporting.remote_write import RemoteWriteLoop
from flowmesh.runtime.exporting.snappy import LITERAL_BYTES_MAX, block
from flowmesh.telemetry.metrics import Metrics
from tests.integration.runtime.test_process import running

WITHIN_S = 20.0
NOW_US = 1_700_000_000_123_456
LABELS = {"job": "gateway", "instance": "gateway-1"}


def opened(data: bytes) -> bytes:
    """Return the content of a block of Snappy, by the description of the format."""
    size, shift, at = 0, 0, 0
    while True:
        size |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            break
    found = bytearray()
    while at < len(data):
        tag, at = data[at], at + 1
        assert tag & 3 == 0, "a copy"
        length = tag >> 2
        if length >= 60:
            extra = length - 59
            # As readers in Rust do, which take four bytes at once.
            assert at + 4 <= len(data)
            length, at = int.from_bytes(data[at : at + extra], "little"), at + extra
        found += data[at : at + length + 1]
        at += length + 1
    assert len(found) == size
    return bytes(found)


@pytest.mark.parametrize(
    "size", [0, 1, 60, 61, 127, 128, 300, LITERAL_BYTES_MAX, LITERAL_BYTES_MAX + 1]
)
def test_a_block_has_its_content(size: int) -> None:
    """Also an empty one, and one of several literals."""
    data = bytes(number % 251 for number in range(size))
    assert opened(block(data)) == data


class Receiver:
    """Keeps the samples by metric and labels, and refuses requests of another form."""

    def __init__(self) -> None:
        self.samples: dict[tuple[tuple[str, str], ...], tuple[float, int]] = {}
        self.arrived = asyncio.Event()
        self.token = ""

    async def take(self, request: web.Request) -> web.Response:
        assert request.content_type == "application/x-protobuf"
        assert request.headers["content-encoding"] == "snappy"
        assert request.headers["x-prometheus-remote-write-version"] == "0.1.0"
        if request.headers.get("authorization", "") != self.token:
            return web.Response(status=401)
        # aiohttp knows no snappy, so the body is as it was sent.
        written = pb.RemoteWriteRequest.FromString(opened(await request.read()))
        for series in written.timeseries:
            labels = tuple((each.name, each.value) for each in series.labels)
            assert labels == tuple(sorted(labels))
            (sample,) = series.samples
            self.samples[labels] = sample.value, sample.timestamp
        self.arrived.set()
        return web.Response(status=204)

    def names(self) -> set[str]:
        return {dict(labels)["__name__"] for labels in self.samples}


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[str, Receiver]]:
    made, app = Receiver(), web.Application(client_max_size=16 * 2**20)
    app.router.add_post("/api/v1/write", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/api/v1/write", made
    await runner.cleanup()


def loop_of(metrics: Metrics, url: str, token_file: Path | None = None) -> RemoteWriteLoop:
    given = {"remote_write": url, "remote_write_token_file": str(token_file or "")}
    settings = Settings().model_copy(update={**given, "remote_write_seconds": 0})
    return RemoteWriteLoop(metrics, settings, labels=LABELS, now_us=lambda: NOW_US)


def _metrics() -> Metrics:
    metrics = Metrics()
    metrics.counter("flowmesh_calls", "Calls.", ("code",)).labels("OK").inc(3)
    metrics.gauge("flowmesh_size", "Size.", ("empty",)).labels("").set(7)
    metrics.histogram("flowmesh_took_seconds", "Time.", buckets=(1.0,)).observe(0.5)
    metrics.gauge("other_size", "Not ours.").set(1)
    return metrics


async def test_a_receiver_has_series_with_labels_and_times(
    receiver: tuple[str, Receiver],
) -> None:
    """Cumulative, sorted by name, without empty labels and without metrics of libraries."""
    url, received = receiver
    assert await loop_of(_metrics(), url).run_once() == len(received.samples)
    at_ms = NOW_US // 1_000
    common = (("instance", "gateway-1"), ("job", "gateway"))
    calls = (("__name__", "flowmesh_calls_total"), ("code", "OK"), *common)
    assert received.samples[calls] == (3, at_ms)
    assert received.samples[("__name__", "flowmesh_size"), *common] == (7, at_ms)
    bucket = (("__name__", "flowmesh_took_seconds_bucket"), *common, ("le", "+Inf"))
    assert received.samples[bucket] == (1, at_ms)
    assert not {"other_size", "flowmesh_calls_created"} & received.names()


async def test_a_token_is_read_at_each_request(
    receiver: tuple[str, Receiver], tmp_path: Path
) -> None:
    """A changed one counts at once; a refused request is dropped and counted."""
    url, received = receiver
    received.token, file = "Bearer second", tmp_path / "token"
    file.write_text("first\n")
    metrics = _metrics()
    loop = loop_of(metrics, url, file)
    with pytest.raises(ExportFailed, match="status 401"):
        await loop.run_once()
    file.unlink()
    with pytest.raises(ExportFailed, match="file of the token"):
        await loop.run_once()
    assert received.samples == {}
    assert _dropped(metrics) > 5
    file.write_text("second\n")
    assert await loop.run_once() > 5


async def test_without_a_receiver_samples_are_dropped_and_counted() -> None:
    """Like other signals; the next round sends the sums, so that nothing of them is missing."""
    metrics = _metrics()
    loop = loop_of(metrics, "http://127.0.0.1:1/api/v1/write")
    with pytest.raises(ExportFailed, match="were not accepted"):
        await loop.run_once()
    assert _dropped(metrics) > 5


def _dropped(metrics: Metrics) -> float:
    labels = {"kind": "remote_write"}
    return metrics.registry.get_sample_value("flowmesh_observe_dropped_total", labels) or 0.0


@pytest.mark.feature("S1-196")
async def test_a_process_writes_its_metrics(
    settings: Settings, receiver: tuple[str, Receiver]
) -> None:
    """With its service and instance as labels."""
    url, received = receiver

    async def caller(runtime: Runtime) -> None:
        await runtime.until_stopped()

    async with running(settings, {"caller": caller}, remote_write=url, remote_write_seconds=0.1):
        async with asyncio.timeout(WITHIN_S):
            await received.arrived.wait()
    assert {"flowmesh_disk_free_bytes", "process_cpu_seconds_total"} <= received.names()
    jobs = {dict(labels)["job"] for labels in received.samples}
    instances = {dict(labels)["instance"] for labels in received.samples}
    assert jobs == {"caller"}
    assert [each.startswith("caller-") for each in instances] == [True]


@pytest.mark.parametrize("url", ["host:9090", "ftp://host", "http://user:secret@host/write"])
def test_a_wrong_url_is_refused(url: str) -> None:
    """Also one with a password in it."""
    with pytest.raises(ValidationError):
        Settings(remote_write=url)
