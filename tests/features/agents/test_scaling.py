"""Each strategy with real processes: up under load, down after the pauses."""

import pytest

from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.agents.crew import PATIENCE_S, Crew, tasks

QUICK = {"upCooldownMs": 500, "downCooldownMs": 3_000, "windowMs": 3_000, "idleAfterMs": 4_000}
BUSY = """
import signal, time

pytestmark = pytest.mark.long
until = time.monotonic() + 12
while time.monotonic() < until:
    pass
signal.pause()
"""


@pytest.mark.feature("S4-16", "S4-23", "S4-25", "S4-75")
async def test_tasks_that_wait_start_agents(suite: Suite, crew: Crew) -> None:
    """From none to several within 10 s, back to none after the idle time; the pauses are shown."""
    await crew.apply("packers", slots=1)
    policy = {"spec": "packers", "strategy": "workload_based", "max": 4, "waitTargetMs": 1_000}
    assert (await crew.call("PUT", "scaling-policies/p", {**policy, **QUICK})).status == 200
    async with Client(suite.grpc_address, crew.namespace) as client:
        handles = await tasks(client, 24, 1.0)
        await until("more agents are ready", lambda: _least(crew, 2), within_s=15)
        for each in handles:
            await each.result()
    await crew.ready(0)
    decisions = (await crew.call("GET", "scaling-decisions")).json["decisions"]
    counts = [each["count"] for each in reversed(decisions) if each["count"] != each["before"]]
    rises = counts.index(max(counts))
    assert counts == sorted(counts[: rises + 1]) + sorted(counts[rises + 1 :], reverse=True)
    held = {each.split()[0] for decision in decisions for each in decision["held"]}
    assert held & {"COOLDOWN", "WINDOW", "IDLE"}
    metrics = (await suite.request("GET", "/metrics")).text
    events = next(line for line in metrics.splitlines() if line.startswith("scaling_events "))
    assert float(events.split()[1]) >= len(counts)


@pytest.mark.feature("S4-22")
async def test_busy_processors_start_agents(crew: Crew) -> None:
    """Agents above the target get help, which ends when they are idle."""
    await _processors(crew, "performance_based")


@pytest.mark.feature("S4-21")
async def test_the_highest_wish_decides(crew: Crew) -> None:
    """AUTO takes the wish of the processors where no task waits."""
    await _processors(crew, "auto")


@pytest.mark.feature("S4-85")
async def test_the_diagnosis_names_what_holds_the_agents(suite: Suite, crew: Crew) -> None:
    """No policy, FIXED, the maximum: one cause with its evidence."""
    await crew.apply("packers", slots=1, replicas=0)
    async with Client(suite.grpc_address, crew.namespace) as client:
        handles = await tasks(client, 12, 3.0)
        await until(
            "the diagnosis names the cause", lambda: _cause(crew, "NO_POLICY"), within_s=PATIENCE_S
        )
        fixed = {"spec": "packers", "strategy": "fixed"}
        await crew.call("PUT", "scaling-policies/p", fixed)
        await until(
            "the diagnosis names the cause", lambda: _cause(crew, "FIXED"), within_s=PATIENCE_S
        )
        policy = {"spec": "packers", "strategy": "workload_based", "min": 1, "max": 1}
        await crew.call("PUT", "scaling-policies/p", policy | {"waitTargetMs": 1_000})
        await until(
            "the diagnosis names the cause", lambda: _cause(crew, "MAX"), within_s=PATIENCE_S
        )
        for each in handles:
            await each.cancel()


async def _processors(crew: Crew, strategy: str) -> None:
    await crew.apply(
        "busy", files={"worker.py": BUSY}, health="process", replicas=1, limits={"cpu": 0.3}
    )
    await crew.ready(1)
    policy = {"spec": "busy", "strategy": strategy, "min": 1, "max": 2}
    assert (await crew.call("PUT", "scaling-policies/p", {**policy, **QUICK})).status == 200
    await until("more agents are ready", lambda: _least(crew, 2), within_s=15)
    await crew.ready(1)


async def _least(crew: Crew, count: int) -> bool:
    return len(await crew.agents("ready")) >= count


async def _cause(crew: Crew, cause: str) -> bool:
    found = (await crew.call("GET", "agent-findings?spec=packers")).json["findings"]
    return [each["cause"] for each in found] == [cause]
