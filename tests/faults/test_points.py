"""F1 to F4: a process dies at each of its commit points, and nothing is lost or done twice."""

import signal
from collections.abc import Sequence
from typing import Any

import pytest

from tests.drills.breaking import owned_by
from tests.faults.harness.scenario import ORDERS, Scenario

ORCHESTRATOR, OTHER = "orchestrator-1", "orchestrator-2"

IN_ORCHESTRATOR = (
    "orchestrator.decided",
    "orchestrator.committed",
    "orchestrator.dispatched",
    "orchestrator.published",
    "orchestrator.result_received",
    "orchestrator.renewing",
    "orchestrator.timer_due",
)
IN_WORKER = (
    "worker.received",
    "worker.started",
    "worker.before_effect",
    "worker.effect_done",
    "worker.result_sent",
)
IN_GATEWAY = ("gateway.received", "gateway.answered")
IN_EVENT = (
    "event.received",
    "event.stored",
    "event.reported",
    "event.claimed",
    "event.posted",
)


# Points that a process comes to although nothing is done.
BY_THEMSELVES = ("orchestrator.renewing", "registry.renewed")

pytestmark = pytest.mark.long


def mostly_slow(points: Sequence[str], quick: str = "") -> list[Any]:
    """All of the points for `make faults`, of them at most one for `make test`."""
    return [p if p == quick else pytest.param(p, marks=pytest.mark.slow) for p in points]


async def killed_at(scenario: Scenario, row: str, name: str, point: str, nth: int = 2) -> None:
    """Orders are under way, a member dies at its nth pass of a point, everything adds up."""
    rig = scenario.rig
    # So many come behind the fault that some of their timers are the member's own.
    async with scenario.drill(f"kill -9 at {point}", late_orders=ORDERS) as running:
        await scenario.whole()
        await running.in_flight()
        victims = await owned_by(rig, name) if name == ORCHESTRATOR else None
        pid = rig.member(name).pid
        rig.arm(name, f"{point}=kill9@{nth}")
        if point in BY_THEMSELVES:
            await rig.hit(name)
        running.breaks(victims)
        running.broke_at(await rig.hit(name))
        await rig.replaced(name, pid)
        await scenario.finish(running, row, extra_deliveries=2)


@pytest.mark.fault("F1")
@pytest.mark.parametrize("point", mostly_slow(IN_ORCHESTRATOR, "orchestrator.committed"))
async def test_an_orchestrator_dies_at(scenario: Scenario, point: str) -> None:
    """What was committed goes on at the other orchestrator, what was not is sent again."""
    await killed_at(scenario, "F1", ORCHESTRATOR, point)


@pytest.mark.slow
@pytest.mark.fault("F1")
@pytest.mark.parametrize("point", ["orchestrator.epoch_raised", "orchestrator.inherited"])
async def test_a_new_owner_dies_while_it_takes_over(scenario: Scenario, point: str) -> None:
    """Two owners die in a row, the second before it has read what the first one left."""
    rig = scenario.rig
    async with scenario.drill(f"kill -9 at {point}") as running:
        await scenario.whole()
        await running.in_flight()
        pid = rig.member(OTHER).pid
        rig.arm(OTHER, f"{point}=kill9@1")
        rig.send(ORCHESTRATOR)
        running.breaks()
        await rig.hit(OTHER)
        await rig.replaced(OTHER, pid)
        await scenario.finish(running, "F1", n=2, extra_deliveries=3)


@pytest.mark.fault("F3")
@pytest.mark.parametrize("point", mostly_slow(IN_WORKER, "worker.effect_done"))
async def test_a_worker_service_dies_at(scenario: Scenario, point: str) -> None:
    """Its tasks are sent again with the same keys; an effect that is there stays the only one."""
    await killed_at(scenario, "F3", "worker-1", point)


@pytest.mark.fault("F4")
@pytest.mark.parametrize("point", mostly_slow(IN_EVENT))
async def test_the_event_service_dies_at(scenario: Scenario, point: str) -> None:
    """Subscribers and callbacks get everything: from the stream again, or from the outbox."""
    await killed_at(scenario, "F4", "event", point, nth=1)


@pytest.mark.slow
@pytest.mark.fault("F2")
@pytest.mark.parametrize("point", IN_GATEWAY)
async def test_the_gateway_dies_at(scenario: Scenario, point: str) -> None:
    """Who sends again under the same request id gets the first answer, one execution in all."""
    await killed_at(scenario, "F2", "gateway", point)


@pytest.mark.slow
@pytest.mark.fault("F6")
@pytest.mark.parametrize(
    "point", ["definition.checked", "definition.committed", "definition.notified"]
)
async def test_the_definition_service_dies_at(scenario: Scenario, point: str) -> None:
    """Registering again brings one version, whether the first try was committed or not."""
    rig = scenario.rig
    async with scenario.drill(f"kill -9 at {point}") as running:
        await scenario.whole()
        rig.arm("definition", f"{point}=kill9@1")
        await running.in_flight()
        await rig.hit("definition")
        running.breaks()
        await scenario.finish(running, "F6", extra_deliveries=0)
        version = await rig.get(f"/api/v1/workflows/{running.orders.workflow_id}")
        assert version.json["version"] == 1, version.text


@pytest.mark.slow
@pytest.mark.fault("F5")
@pytest.mark.parametrize(
    ("point", "number"),
    [
        ("registry.renewed", None),
        ("registry.registered", signal.SIGKILL),
        ("registry.deregistered", signal.SIGTERM),
    ],
)
async def test_the_registry_dies_at(
    scenario: Scenario, point: str, number: signal.Signals | None
) -> None:
    """Work goes on from what the processes know; a worker that comes or goes meanwhile is seen."""
    rig = scenario.rig
    async with scenario.drill(f"kill -9 at {point}") as running:
        await scenario.whole()
        await running.in_flight()
        rig.arm("registry", f"{point}=kill9@1")
        if number is not None:
            rig.send("worker-2", number)
        running.breaks()
        await rig.hit("registry")
        await scenario.finish(running, "F5", extra_deliveries=2)
