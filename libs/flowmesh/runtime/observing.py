"""Sends the signals of a process to the observe service; one that does not answer costs nothing.

Metrics go once a minute as the increase since the minute before, so that a minute without calls is
no row. Log records and calls follow every two seconds while there are any.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from flowmesh.access.principal import acting_as
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.api.observe.v1.observe_service_pb2_grpc import ObserveServiceStub
from flowmesh.errors import FlowmeshError
from flowmesh.runtime.clock import Clock
from flowmesh.runtime.exporting.drops import dropped
from flowmesh.runtime.exporting.exports import SUITE
from flowmesh.runtime.exporting.increases import Increases
from flowmesh.runtime.loop import Loop
from flowmesh.telemetry.metrics import Metrics

if TYPE_CHECKING:
    import grpc.aio

# The service whose process serves ObserveService.
HOME: Final = "event"
MINUTE_S: Final = 60
SEND_TIMEOUT_S: Final = 5.0


def observe_loops(
    channel: "grpc.aio.Channel", metrics: Metrics, instances: Mapping[str, str], clock: Clock
) -> list[Loop]:
    """Return the loop of a process with instances of services; none if nothing is kept."""
    if metrics.signals.slow_ms is None:
        return []
    name, instance_id = next(iter(instances.items()))
    service = name if len(instances) == 1 else SUITE
    return [
        ObserveLoop(
            channel=channel,
            metrics=metrics,
            service=service,
            instance_id=instance_id,
            now_us=clock.now_us,
        )
    ]


class ObserveLoop(Loop):
    """Sends in batches; a batch that is not accepted is dropped and counted."""

    interval_ms = 2_000

    def __init__(
        self,
        *,
        channel: "grpc.aio.Channel",
        metrics: Metrics,
        service: str,
        instance_id: str,
        now_us: Callable[[], int],
    ) -> None:
        self._stub: Any = ObserveServiceStub(channel)
        self._queues = metrics.signals
        self._increases = Increases(metrics.collected)
        self._service, self._instance_id = service, instance_id
        self._now_us = now_us
        self._minute = now_us() // 1_000_000 // MINUTE_S
        self._dropped = {kind: dropped(metrics, kind) for kind in ("metrics", "logs", "calls")}
        self._seconds = metrics.counter(
            "flowmesh_observe_seconds_total", "Processor time that collecting signals took."
        )

    async def run_once(self) -> int:
        """Send what there is; return the number of signals that were stored."""
        started = time.thread_time()
        request = self._request()
        self._seconds.inc(time.thread_time() - started)
        count = len(request.metrics) + len(request.logs) + len(request.calls)
        if count:
            try:
                with acting_as(None):
                    await self._stub.RecordSignals(request, timeout=SEND_TIMEOUT_S)
            except FlowmeshError:
                self._queues.dropped.update(
                    Counter(
                        metrics=len(request.metrics),
                        logs=len(request.logs),
                        calls=len(request.calls),
                    )
                )
                count = 0
        for kind, number in self._queues.dropped.items():
            self._dropped[kind].inc(number)
        self._queues.dropped.clear()
        return count

    def _request(self) -> pb.RecordSignalsRequest:
        now_us = self._now_us()
        request = pb.RecordSignalsRequest(
            service=self._service, instance_id=self._instance_id, at_us=now_us
        )
        minute = now_us // 1_000_000 // MINUTE_S
        if minute > self._minute:
            request.at_us = self._minute * MINUTE_S * 1_000_000
            self._minute = minute
            request.metrics.extend(self._increases.take())
        queues = self._queues
        while queues.lines:
            line = queues.lines.popleft()
            request.logs.add(
                at_us=line.at_us,
                level=line.level,
                service=line.service or self._service,
                event=line.event,
                namespace=line.namespace,
                execution_id=line.execution_id,
                trace_id=line.trace_id,
                fields=line.fields,
            )
        while queues.calls:
            call = queues.calls.popleft()
            request.calls.add(
                at_us=call.at_us,
                service=call.service,
                method=call.method,
                code=call.code,
                duration_ms=call.duration_ms,
                namespace=call.namespace,
                execution_id=call.execution_id,
                trace_id=call.trace_id,
            )
        return request
