"""Service level objectives of workflows, computed from the counts of executions."""

from typing import TYPE_CHECKING, Final

from flowmesh.api.definition.v1 import definition_service_pb2 as definition_pb
from flowmesh.api.execution.v1 import search_service_pb2 as search_pb
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.errors import Invalid, Violation
from flowmesh.observe.limits import ALERT_BURN_RATE_MAX, WINDOW_S_DEFAULT, WINDOW_S_MAX

if TYPE_CHECKING:
    from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceAsyncStub
    from flowmesh.api.execution.v1.search_service_pb2_grpc import SearchServiceAsyncStub

HOUR_S: Final = 3_600
NOW_S: Final = 300
# Uses 2 % of the budget of 30 days in an hour.
ALERT_BURN_RATE_DEFAULT: Final = 14.4
_ENDED: Final = ("completed", "failed")
SLOWER_MS_MAX: Final = 366 * 86_400_000


class Slos:
    """Counts the executions of the window of an objective."""

    def __init__(
        self, *, searches: "SearchServiceAsyncStub", definitions: "DefinitionServiceAsyncStub"
    ) -> None:
        self._searches = searches
        self._definitions = definitions

    async def checked(self, namespace: str, request: pb.GetSloRequest | pb.SetSloRequest) -> pb.Slo:
        """Return the objective of a request. Raises REQUEST_INVALID, WORKFLOW_NOT_FOUND."""
        window_s = request.window_s or WINDOW_S_DEFAULT
        if not 0 < request.target < 100:
            _refuse("target", "must be above 0 and below 100 percent")
        if not HOUR_S <= window_s <= WINDOW_S_MAX:
            _refuse("window_s", f"must be from {HOUR_S:,} to {WINDOW_S_MAX:,}")
        if not 0 <= request.slower_than_ms <= SLOWER_MS_MAX:
            _refuse("slower_than_ms", f"must be from 0 to {SLOWER_MS_MAX:,}")
        await self._definitions.GetWorkflow(
            definition_pb.GetWorkflowRequest(namespace=namespace, workflow_id=request.workflow_id)
        )
        slo = pb.Slo(
            workflow_id=request.workflow_id,
            target=request.target,
            window_s=window_s,
            slower_than_ms=request.slower_than_ms,
        )
        if isinstance(request, pb.SetSloRequest):
            slo.alert_burn_rate = request.alert_burn_rate or ALERT_BURN_RATE_DEFAULT
            if not 0 < slo.alert_burn_rate <= ALERT_BURN_RATE_MAX:
                _refuse("alert_burn_rate", f"must be above 0 and at most {ALERT_BURN_RATE_MAX:,}")
        return slo

    async def computed(self, namespace: str, slo: pb.Slo) -> pb.Slo:
        """Return the objective with its present state."""
        good, bad = await self._counts(namespace, slo)
        hour = await self._counts(namespace, slo, ended_s=HOUR_S)
        now = await self._counts(namespace, slo, ended_s=NOW_S)
        made = pb.Slo()
        made.CopyFrom(slo)
        made.good, made.bad = good, bad
        made.reached = 100 * good / (good + bad) if good + bad else 100
        made.burn_rate = burn_rate(good, bad, slo.target)
        made.budget_left = 1 - made.burn_rate
        made.burn_rate_hour = burn_rate(*hour, slo.target)
        made.burn_rate_now = burn_rate(*now, slo.target)
        least = min(made.burn_rate_hour, made.burn_rate_now)
        made.burning = 0 < slo.alert_burn_rate <= least
        return made

    async def _counts(self, namespace: str, slo: pb.Slo, ended_s: int = 0) -> tuple[int, int]:
        """Return the number of good and of bad executions of the window, or of its last part."""
        since = f'workflow = "{slo.workflow_id}" AND started >= "-{slo.window_s}s"'
        if ended_s:
            since += f' AND ended >= "-{ended_s}s"'
        ended = await self._grouped(namespace, f"{since} AND status IN (completed, failed)")
        good, bad = ended.get("completed", 0), ended.get("failed", 0)
        if slo.slower_than_ms and good:
            slow = f'{since} AND status = completed AND duration > "{slo.slower_than_ms:.0f}ms"'
            late = (await self._grouped(namespace, slow)).get("completed", 0)
            good, bad = good - late, bad + late
        return good, bad

    async def _grouped(self, namespace: str, text: str) -> dict[str, int]:
        counted = await self._searches.CountExecutions(
            search_pb.CountExecutionsRequest(namespace=namespace, filter=text, group_by=["status"])
        )
        return {each.values[0]: each.count for each in counted.groups if each.values[0] in _ENDED}


def burn_rate(good: int, bad: int, target: float) -> float:
    """Return the share of bad ones divided by the allowed share."""
    return bad / (good + bad) / (1 - target / 100) if bad else 0.0


def _refuse(field: str, problem: str) -> None:
    raise Invalid(
        "REQUEST_INVALID",
        f"{field} {problem}",
        violations=(Violation(field, problem, "REQUEST_INVALID"),),
    )
