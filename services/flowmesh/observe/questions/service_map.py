"""The services of the suite with their rates, and the calls between them that are kept."""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.api.observe.v1 import questions_pb2 as figures
from flowmesh.observe.filters import Where
from flowmesh.observe.questions.map_edges import P95, application_calls, queue_calls, worker_calls
from flowmesh.observe.questions.sums import Range, Sums
from flowmesh.observe.store import SignalStore

CALLS_READ: Final = 5_000
# Of clocks of two machines, and of the time at which a call is noted.
TOLERANCE_US: Final = 2_000
GATEWAY: Final = "gateway"


class ServiceMap:
    """Reads rates from the metrics, and callers from the kept calls."""

    def __init__(self, *, store: SignalStore, sums: Sums) -> None:
        self._store = store
        self._sums = sums

    async def of(self, span: Range) -> pb.GetServiceMapResponse:
        """Return the services with calls in a range of time."""
        since, until = (datetime.fromtimestamp(each / 1_000_000, UTC).isoformat() for each in span)
        where = Where(f'time >= "{since}" AND time < "{until}"', "calls", now_us=span.until_us)
        calls = await self._store.calls(where, CALLS_READ)
        return pb.GetServiceMapResponse(
            services=await self._services(span),
            calls=[
                *calls_between(calls),
                *await worker_calls(self._sums, span),
                *await queue_calls(self._sums, span),
                *await application_calls(self._sums, span),
            ],
            truncated=len(calls) == CALLS_READ,
        )

    async def _services(self, span: Range) -> list[figures.ServiceNode]:
        codes = await self._sums.of("flowmesh_rpc_total", span, ("service", "code"))
        p95 = await self._sums.quantiles("flowmesh_rpc_seconds_bucket", span, ("service",), P95)
        statuses = await self._sums.of("flowmesh_http_requests_total", span, ("status",))
        requests = await self._sums.quantiles("flowmesh_http_request_seconds_bucket", span, (), P95)
        codes |= {(GATEWAY, _code(status)): 0.0 for (status,) in statuses}
        for (status,), count in statuses.items():
            codes[GATEWAY, _code(status)] += count
        p95[(GATEWAY,)] = requests.get((), 0.0)
        nodes: dict[str, figures.ServiceNode] = {}
        for (service, code), count in codes.items():
            node = nodes.setdefault(service, figures.ServiceNode(service=service))
            node.calls += count / span.seconds
            if code != "OK":
                node.errors += count / span.seconds
        for service, node in nodes.items():
            node.p95_ms = 1_000 * p95.get((service,), 0.0)
        return sorted(nodes.values(), key=lambda each: -each.calls)


def _code(status: str) -> str:
    return "OK" if status < "400" else "failed"


def calls_between(calls: Iterable[pb.CallRecord]) -> list[figures.ServiceCalls]:
    """Return the calls of each pair of services; the caller encloses its call in the trace."""
    traces: dict[str, list[pb.CallRecord]] = {}
    for each in calls:
        traces.setdefault(each.trace_id, []).append(each)
    found: dict[tuple[str, str], figures.ServiceCalls] = {}
    durations: dict[tuple[str, str], list[float]] = {}
    for trace_id, of_trace in traces.items():
        for call in of_trace:
            caller = _caller(call, of_trace) if trace_id else ""
            key = caller, call.service
            pair = found.setdefault(
                key,
                figures.ServiceCalls(
                    caller=caller, service=call.service, kind=figures.SERVICE_CALLS_KIND_CALL
                ),
            )
            durations.setdefault(key, []).append(call.duration_ms)
            pair.calls += 1
            pair.errors += call.code != "OK"
            pair.mean_ms += (call.duration_ms - pair.mean_ms) / pair.calls
    for key, taken in durations.items():
        found[key].p95_ms = sorted(taken)[math.ceil(P95 * len(taken)) - 1]
    return sorted(found.values(), key=lambda each: -each.calls)


def _caller(call: pb.CallRecord, others: Sequence[pb.CallRecord]) -> str:
    """Return the service of the shortest other call that encloses a call; empty without one."""
    enclosing = [
        each
        for each in others
        if each is not call
        and each.service != call.service
        and each.at_us + TOLERANCE_US >= call.at_us
        and _start_us(each) <= _start_us(call) + TOLERANCE_US
        and each.duration_ms > call.duration_ms
    ]
    return min(enclosing, key=lambda each: each.duration_ms).service if enclosing else ""


def _start_us(call: pb.CallRecord) -> float:
    return call.at_us - call.duration_ms * 1_000
