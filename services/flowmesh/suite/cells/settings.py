"""Limits, stops, retention and objectives of a project, set in another cell as they are here."""

from collections.abc import Iterable

from flowmesh.api.execution.v1 import limits_service_pb2 as limits_pb
from flowmesh.api.execution.v1 import retention_service_pb2 as retention_pb
from flowmesh.api.execution.v1.limits_service_pb2_grpc import LimitServiceStub
from flowmesh.api.execution.v1.retention_service_pb2_grpc import RetentionServiceStub
from flowmesh.api.observe.v1 import observe_service_pb2 as observe_pb
from flowmesh.api.observe.v1.observe_service_pb2_grpc import ObserveServiceStub
from flowmesh.cells import Move
from flowmesh.suite.cells.calls import CellCalls
from flowmesh.suite.cells.parts import Part

_LIMIT = ("concurrency", "rate_per_second", "burst", "weight", "max_size", "retries")
_SLO = ("target", "window_s", "slower_than_ms", "alert_burn_rate")


class Settings(Part):
    """Limits, stops, retention and objectives of a project."""

    async def switch(self, move: Move) -> None:
        """Give the project in the target what it has in the source, and no more."""
        await _copy_retention(self._source, self._target)
        await _copy_limits(self._source, self._target, self._route.reason)
        await _copy_objectives(self._source, self._target)


async def _copy_retention(source: CellCalls, target: CellCalls) -> None:
    request = retention_pb.GetRetentionRequest()
    here = await source.call(RetentionServiceStub(source.channel).GetRetention, request)
    stub = RetentionServiceStub(target.channel)
    there = await target.call(stub.GetRetention, retention_pb.GetRetentionRequest())
    wanted_ms = here.retention_ms if here.own else 0
    if wanted_ms != (there.retention_ms if there.own else 0):
        await target.call(
            stub.SetRetention, retention_pb.SetRetentionRequest(retention_ms=wanted_ms)
        )


async def _copy_limits(source: CellCalls, target: CellCalls, reason: str) -> None:
    here, there = await _limits(source), await _limits(target)
    stub = LimitServiceStub(target.channel)
    present = {(each.kind, each.subject): each for each in there.limits}
    for limit in here.limits:
        former = present.pop((limit.kind, limit.subject), None)
        if former is None or _values(former, _LIMIT) != _values(limit, _LIMIT):
            set_limit = limits_pb.SetLimitRequest(limit=limit, reason=limit.reason or reason)
            await target.call(stub.SetLimit, set_limit, of_project=True)
    for kind, subject in present:
        removal = limits_pb.DeleteLimitRequest(kind=kind, subject=subject, reason=reason)
        await target.call(stub.DeleteLimit, removal)
    await _copy_stops(target, here.stops, there.stops, reason)


async def _copy_stops(
    target: CellCalls,
    wanted: Iterable[limits_pb.Stop],
    former: Iterable[limits_pb.Stop],
    reason: str,
) -> None:
    stub = LimitServiceStub(target.channel)
    stops = {(each.workflow_id, each.refuse_starts): each for each in wanted}
    present = {(each.workflow_id, each.refuse_starts) for each in former}
    for workflow_id, _ in present - stops.keys():
        start = limits_pb.StartDispatchRequest(workflow_id=workflow_id, reason=reason)
        await target.call(stub.StartDispatch, start)
    for workflow_id, refuse_starts in stops.keys() - present:
        request = limits_pb.StopDispatchRequest(
            workflow_id=workflow_id,
            reason=stops[workflow_id, refuse_starts].reason or reason,
            refuse_starts=refuse_starts,
        )
        await target.call(stub.StopDispatch, request)


async def _limits(calls: CellCalls) -> limits_pb.ListLimitsResponse:
    """Return the limits and stops of the project alone."""
    stub = LimitServiceStub(calls.channel)
    found = await calls.call(stub.ListLimits, limits_pb.ListLimitsRequest())
    return limits_pb.ListLimitsResponse(
        limits=[each for each in found.limits if each.namespace == calls.project],
        stops=[each for each in found.stops if each.namespace == calls.project],
    )


async def _copy_objectives(source: CellCalls, target: CellCalls) -> None:
    here, there = await _objectives(source), await _objectives(target)
    stub = ObserveServiceStub(target.channel)
    for workflow_id, slo in here.items():
        former = there.pop(workflow_id, None)
        if former is None or _values(former, _SLO) != _values(slo, _SLO):
            fields = {name: getattr(slo, name) for name in _SLO}
            request = observe_pb.SetSloRequest(workflow_id=workflow_id, **fields)
            await target.call(stub.SetSlo, request)
    for workflow_id in there:
        await target.call(stub.DeleteSlo, observe_pb.DeleteSloRequest(workflow_id=workflow_id))


async def _objectives(calls: CellCalls) -> dict[str, observe_pb.Slo]:
    stub = ObserveServiceStub(calls.channel)
    found = await calls.call(stub.ListSlos, observe_pb.ListSlosRequest())
    return {each.workflow_id: each for each in found.slos}


def _values(message: limits_pb.Limit | observe_pb.Slo, names: tuple[str, ...]) -> list[object]:
    return [getattr(message, name) for name in names]
