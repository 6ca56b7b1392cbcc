"""Metrics of a process as lines of StatsD by UDP, with tags as DogStatsD and Telegraf read them.

Counters are sent as increases, gauges as they are, and of histograms the increases of sum and
count. Nothing is repeated: a packet that is lost is lost.
"""

import asyncio
import re
from collections.abc import Iterable, Iterator
from typing import Final

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.egress import OPEN, Egress
from flowmesh.runtime.exporting.increases import Increases
from flowmesh.runtime.loop import Loop
from flowmesh.telemetry.metrics import Metrics

PACKET_BYTES_MAX: Final = 1_400
"""Fits into a packet of Ethernet with its headers."""

_SPECIAL: Final = re.compile(r"[\s,:|#@]")


class StatsdLoop(Loop):
    """Sends the metrics of `/metrics` to a server at a fixed interval."""

    interval_ms = 1

    def __init__(self, metrics: Metrics, address: str, seconds: float) -> None:
        """`address` is `host:port`."""
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._seconds = seconds
        self._increases = Increases(metrics.registry.collect)

    async def run_once(self) -> int:
        """Wait for the interval, then send; return the number of packets."""
        await asyncio.sleep(self._seconds)
        async with Egress(OPEN) as egress:
            address, *_ = await egress.addresses(self._host, self._port)
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=(address, self._port)
        )
        count = 0
        try:
            for packet in packets(lines(self._increases.take())):
                transport.sendto(packet)
                count += 1
                await asyncio.sleep(0)
        finally:
            transport.close()
        return count


def lines(metrics: Iterable[pb.MetricPoints]) -> Iterator[str]:
    """Yield a line for each label set, such as `flowmesh_rpc_total:3|c|#code:OK`."""
    for each in metrics:
        if each.metric.endswith("_bucket"):
            continue
        kind = "g" if each.gauge else "c"
        for labels, value in zip(each.labels, each.values, strict=True):
            tags = ",".join(_tag(part) for part in labels.split(",") if part)
            yield f"{each.metric}:{value:.9g}|{kind}" + (f"|#{tags}" if tags else "")


def _tag(label: str) -> str:
    name, _, value = label.partition("=")
    return f"{name}:{_SPECIAL.sub('_', value)}"


def packets(lines: Iterable[str]) -> Iterator[bytes]:
    """Yield packets of whole lines; a longer line has one of its own."""
    packet = b""
    for line in lines:
        encoded = line.encode()
        if packet and len(packet) + 1 + len(encoded) > PACKET_BYTES_MAX:
            yield packet
            packet = b""
        packet = packet + b"\n" + encoded if packet else encoded
    if packet:
        yield packet
