"""A tenant learns nothing about another one, by any method and any name."""

import pytest

from flowmesh.access import Role
from tests.access.answers import call
from tests.access.contracts import METHODS, Method
from tests.access.crossing import Pair, leaks, own_leaks
from tests.access.samples import sample
from tests.features.closed import Closed

pytestmark = [pytest.mark.long, pytest.mark.feature("S4-62", "S1-110")]
# Public methods have tests of their own, and the session is needed until the end.
TRIED = [
    method
    for method in METHODS
    if not method.rule.is_public and method.name != "AuthService.Logout"
]
# Rates of queues change by the second.
CHANGING = (
    # The reads here fail now and then, by their samples, and are kept as calls.
    "ObserveService.ListCalls",
    "ObserveService.ListSpans",
    # States are computed every minute.
    "ObserveService.ListSlos",
    "LimitService.ListQueues",
    "MeterService.ListMeters",
    "PlanService.GetPlan",
    "QuotaService.GetQuota",
)
READING = [
    method
    for method in TRIED
    if method.name.split(".")[1].startswith(("Get", "List"))
    # Their counts follow the executions of the tenant some seconds late.
    and method.name not in CHANGING
    # Agents start, beat and end by themselves.
    and not method.name.startswith("FleetService.")
]
ROLES = (Role.VIEWER, Role.ADMIN, Role.OWNER)


@pytest.fixture(scope="module")
async def before(pair: Pair) -> dict[str, bytes]:
    """Answers to the other tenant about itself before the first attempt."""
    return await _state(pair)


async def _state(pair: Pair) -> dict[str, bytes]:
    found = {}
    for method in READING:
        if not method.rule.is_for_services:
            answer = await call(pair.other.admin, method, sample(method, pair.other))
            found[method.name] = answer.blind(())
    return found


@pytest.mark.parametrize("method", TRIED, ids=str)
async def test_own_answers_hold_nothing_of_another_tenant(
    method: Method, pair: Pair, before: dict[str, bytes]
) -> None:
    """No list, search or stream has a canary of another tenant, with any flag set."""
    for role in ROLES:
        assert await own_leaks(method, pair, role) == []


@pytest.mark.parametrize("method", TRIED, ids=str)
async def test_foreign_names_answer_as_missing_ones(
    method: Method, pair: Pair, before: dict[str, bytes]
) -> None:
    """In each field alone and in all of them: status, reason and bytes are the same."""
    for role in ROLES:
        assert await leaks(method, pair, role) == []


async def test_nothing_of_the_other_tenant_has_changed(
    pair: Pair, before: dict[str, bytes], closed: Closed
) -> None:
    """After all that was tried, it reads of itself what it read before."""
    after = await _state(pair)
    assert {name for name in after if after[name] != before[name]} == set()
