"""Metrics of a process by Prometheus remote write 1.0, cumulative as `/metrics` shows them."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flowmesh.api.observe.v1 import remote_write_pb2 as pb
from flowmesh.egress import OPEN, Egress, EgressFailure, Pool
from flowmesh.errors import FlowmeshError
from flowmesh.runtime.errors import ExportFailed
from flowmesh.runtime.exporting.drops import dropped
from flowmesh.runtime.exporting.increases import PREFIXES
from flowmesh.runtime.exporting.snappy import block
from flowmesh.runtime.loop import Loop
from flowmesh.runtime.settings.observe import ObserveSettings
from flowmesh.telemetry.export import EXPORT_TIMEOUT_S
from flowmesh.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

SERIES_MAX: Final = 5_000
"""Series of one request."""

_HEADERS: Final = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}


class RemoteWriteLoop(Loop):
    """Sends the metrics at a fixed interval; what is not accepted is dropped and counted."""

    interval_ms = 1

    def __init__(
        self,
        metrics: Metrics,
        settings: ObserveSettings,
        *,
        labels: Mapping[str, str],
        now_us: Callable[[], int],
    ) -> None:
        """`labels` are those of every series."""
        self._metrics, self._labels, self._now_us = metrics, labels, now_us
        self._url, self._seconds = settings.remote_write, settings.remote_write_seconds
        self._token_file = settings.remote_write_token_file
        self._dropped = dropped(metrics, "remote_write")

    async def run_once(self) -> int:
        """Wait for the interval, then send; return the number of series. Raises ExportFailed."""
        await asyncio.sleep(self._seconds)
        sent, problem = 0, ""
        for body, count in await asyncio.to_thread(self._bodies):
            if refusal := await self._refusal(body):
                problem = refusal
                self._dropped.inc(count)
            else:
                sent += count
        if problem:
            raise ExportFailed(f"samples were not accepted: {problem}")
        return sent

    def _bodies(self) -> list[tuple[bytes, int]]:
        """Return the bodies of requests, each with its number of series."""
        families, at_ms = self._metrics.registry.collect(), self._now_us() // 1_000
        found = remote_series(families, self._labels, at_ms)
        bodies = []
        while series := list(islice(found, SERIES_MAX)):
            body = block(pb.RemoteWriteRequest(timeseries=series).SerializeToString())
            bodies.append((body, len(series)))
        return bodies

    async def _refusal(self, body: bytes) -> str:
        """Send a request; return the problem, or an empty text."""
        try:
            async with Egress(OPEN, pool=Pool.of_calls(1)) as egress:
                answer = await egress.send(
                    "POST",
                    self._url,
                    headers=self._headers(),
                    body=body,
                    timeout_ms=EXPORT_TIMEOUT_S * 1_000,
                    redirects_max=0,
                )
        except (EgressFailure, FlowmeshError) as error:
            return str(error)
        except OSError as error:
            return f"the file of the token cannot be read: {error.strerror}"
        return "" if answer.status < 300 else f"the receiver answered with status {answer.status}"

    def _headers(self) -> dict[str, str]:
        """Return the headers; a changed token counts at once."""
        if not self._token_file:
            return dict(_HEADERS)
        token = Path(self._token_file).read_text(encoding="utf-8").strip()
        return {**_HEADERS, "authorization": f"Bearer {token}"}


def remote_series(
    families: Iterable["Metric"], labels: Mapping[str, str], at_ms: int
) -> Iterator[pb.RemoteSeries]:
    """Yield each sample of the kept metrics as a series, with its labels by name."""
    for family in families:
        if not family.name.startswith(PREFIXES):
            continue
        for sample in family.samples:
            if sample.name.endswith("_created"):
                continue
            named = {**labels, **sample.labels, "__name__": sample.name}
            yield pb.RemoteSeries(
                labels=[
                    pb.RemoteLabel(name=name, value=value)
                    for name, value in sorted(named.items())
                    if value
                ],
                samples=[pb.RemoteSample(value=sample.value, timestamp=at_ms)],
            )
