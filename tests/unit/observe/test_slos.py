"""Objectives from counts of executions."""

from typing import Any

import pytest

from flowmesh.api.definition.v1 import definition_service_pb2 as definition_pb
from flowmesh.api.execution.v1 import search_service_pb2 as search_pb
from flowmesh.api.observe.v1 import observe_service_pb2 as pb
from flowmesh.errors import Invalid
from flowmesh.observe.limits import ALERT_BURN_RATE_MAX
from flowmesh.observe.slos import Slos


class Searches:
    """Counts that do not depend on the filter."""

    async def CountExecutions(
        self, request: search_pb.CountExecutionsRequest
    ) -> search_pb.CountExecutionsResponse:
        groups = [
            search_pb.ExecutionGroup(values=["completed"], count=98),
            search_pb.ExecutionGroup(values=["failed"], count=2),
        ]
        return search_pb.CountExecutionsResponse(count=100, groups=groups)


class Definitions:
    """Every workflow is known."""

    async def GetWorkflow(
        self, request: definition_pb.GetWorkflowRequest
    ) -> definition_pb.GetWorkflowResponse:
        return definition_pb.GetWorkflowResponse()


def slos() -> Slos:
    searches: Any = Searches()
    definitions: Any = Definitions()
    return Slos(searches=searches, definitions=definitions)


async def test_a_budget_burns_by_the_share_of_failures() -> None:
    """Two of a hundred failed where one may: the budget is used twice."""
    slo = await slos().checked("n", pb.GetSloRequest(workflow_id="w", target=99))
    found = await slos().computed("n", slo)
    assert (found.good, found.bad, found.reached) == (98, 2, 98)
    assert found.burn_rate == pytest.approx(2)
    assert found.budget_left == pytest.approx(-1)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"target": 0.0}, "target"),
        ({"target": 100.0}, "target"),
        ({"target": 99.0, "window_s": 3_599}, "window_s"),
        ({"target": 99.0, "window_s": 366 * 86_400 + 1}, "window_s"),
        ({"target": 99.0, "slower_than_ms": -1.0}, "slower_than_ms"),
        ({"target": 99.0, "slower_than_ms": 366 * 86_400_000 + 1}, "slower_than_ms"),
    ],
)
async def test_wrong_objectives(fields: dict[str, Any], field: str) -> None:
    """The error names the field."""
    with pytest.raises(Invalid) as refused:
        await slos().checked("n", pb.GetSloRequest(workflow_id="w", **fields))
    assert refused.value.violations[0].field == field


async def test_burn_rates_of_alerts() -> None:
    """Failures that burn at 2 alert at a rate of 1.9, and not at one of 2.1."""
    for rate, burning in ((1.9, True), (2.1, False)):
        request = pb.SetSloRequest(workflow_id="w", target=99, alert_burn_rate=rate)
        found = await slos().computed("n", await slos().checked("n", request))
        assert found.burning is burning
    for rate in (0.5, ALERT_BURN_RATE_MAX):
        right = pb.SetSloRequest(workflow_id="w", target=99, alert_burn_rate=rate)
        assert (await slos().checked("n", right)).alert_burn_rate == rate
    for rate in (-1, ALERT_BURN_RATE_MAX + 1):
        wrong = pb.SetSloRequest(workflow_id="w", target=99, alert_burn_rate=rate)
        with pytest.raises(Invalid) as refused:
            await slos().checked("n", wrong)
        assert refused.value.violations[0].field == "alert_burn_rate"


async def test_the_window_of_an_objective_is_an_hour_to_a_year() -> None:
    """By default 30 days; the longest is that of a leap year."""
    for window_s, used_s in ((0, 30 * 86_400), (3_600, 3_600), (366 * 86_400, 366 * 86_400)):
        request = pb.GetSloRequest(workflow_id="w", target=99, window_s=window_s)
        assert (await slos().checked("n", request)).window_s == used_s
