"""Callers continue in the order of arrival, however long each waited."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.errors import NotFound
from flowmesh.orchestrator.model.arrival_order import ArrivalOrder
from flowmesh.orchestrator.model.metrics import OrchestratorMetrics
from flowmesh.orchestrator.model.plans import PlanCache
from flowmesh.plan import Plan
from flowmesh.runtime import Clock
from flowmesh.telemetry.metrics import Metrics
from tests.unit.engine.factories import node, plan

NAME = ("default", "w", 0)


class Held:
    """Callers, each delayed by a future of its own; `order` records how they continued."""

    def __init__(self) -> None:
        self.turns = ArrivalOrder()
        self.futures: list[asyncio.Future[int]] = []
        self.order: list[int] = []

    def come(self, name: str = "a") -> asyncio.Task[None]:
        self.futures.append(asyncio.get_running_loop().create_future())
        number = len(self.futures) - 1

        async def goes() -> None:
            self.order.append(await self.turns.wait_in_order(name, self.futures[number]))

        return asyncio.create_task(goes())


async def passes(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_callers_that_are_ready_wait_for_earlier_callers() -> None:
    """All ready callers then continue at once, and the name is free."""
    held = Held()
    tasks = [held.come() for _ in range(4)]
    await passes()
    for number in (3, 1, 2):
        held.futures[number].set_result(number)
    await passes()
    assert held.order == []
    held.futures[0].set_result(0)
    await passes()
    assert held.order == [0, 1, 2, 3]
    assert "a" not in held.turns
    await asyncio.gather(*tasks)


async def test_another_name_does_not_wait() -> None:
    """A turn is among those of one name."""
    held = Held()
    first, other = held.come("a"), held.come("b")
    await passes()
    held.futures[1].set_result(1)
    await other
    assert held.order == [1]
    held.futures[0].set_result(0)
    await first


async def test_a_caller_that_leaves_or_fails_does_not_change_the_order() -> None:
    """A caller that goes away takes itself out, wherever it stands."""
    held = Held()
    tasks = [held.come() for _ in range(4)]
    await passes()
    tasks[1].cancel()
    held.futures[2].set_exception(NotFound("GONE", "gone"))
    held.futures[3].set_result(3)
    await passes()
    assert held.order == []
    held.futures[0].set_result(0)
    await passes()
    assert held.order == [0, 3]
    assert "a" not in held.turns
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [
        type(None),
        asyncio.CancelledError,
        NotFound,
        type(None),
    ]


class Definitions:
    """Answers on request."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.asked = 0

    async def GetPlan(self, _request: pb.GetPlanRequest) -> Any:
        self.asked += 1
        return await self.answer


class Plans(PlanCache):
    """Every answer is the next of these plans."""

    def __init__(self, definitions: Definitions, *plans: Plan) -> None:
        outside: Any = definitions
        lookups = OrchestratorMetrics(Metrics()).plan_lookups
        super().__init__(definitions=outside, clock=Clock(), fresh_s=30, lookups=lookups)
        self._next = iter(plans)

    def remember(self, message: plan_pb2.Plan) -> Plan:
        return next(self._next)


@pytest.mark.parametrize("late", range(6))
async def test_no_caller_overtakes_callers_that_wait_for_a_plan(late: int) -> None:
    """Also not who comes just when it is there, so many passes of the loop before they hear."""
    definitions = Definitions()
    plans = Plans(definitions, plan(node("a"), start=plan_pb2.StartPolicy(concurrency=1)))
    order: list[int] = []

    async def start(number: int) -> None:
        if plans.cached(NAME) is None:
            await plans.resolve(NAME)
        order.append(number)

    async def comes_late() -> None:
        await passes(late)
        await start(9)

    tasks = [asyncio.create_task(start(number)) for number in range(3)]
    await passes()
    definitions.answer.set_result(SimpleNamespace(plan=None))
    await asyncio.gather(comes_late(), *tasks)
    assert order == [0, 1, 2, 9]
    assert definitions.asked == 1
    assert plans.cached(NAME) is not None


async def test_a_plan_that_changed_while_it_was_asked_for_is_asked_for_again() -> None:
    """Earlier callers get the requested plan; it is not cached for others."""
    definitions = Definitions()
    older, newer = plan(node("a")), plan(node("a"), node("b"))
    plans = Plans(definitions, older, newer)
    asking = asyncio.create_task(plans.resolve(NAME))
    await passes()
    plans.forget(NAME[0])
    definitions.answer.set_result(SimpleNamespace(plan=None))
    assert await asking is older
    assert plans.cached(NAME) is None

    assert await plans.resolve(NAME) is newer
    assert plans.cached(NAME) is newer


async def test_starts_without_a_line_do_not_wait_for_each_other() -> None:
    """A plan without a start policy is cached at once, although callers still wait."""
    definitions = Definitions()
    plans = Plans(definitions, plan(node("a")))
    asking = asyncio.create_task(plans.resolve(NAME))
    await passes()
    definitions.answer.set_result(SimpleNamespace(plan=None))
    await passes(2)
    assert not asking.done()
    assert plans.cached(NAME) is not None
    await asking
