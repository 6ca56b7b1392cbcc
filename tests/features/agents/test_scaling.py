"""Each strategy with real processes: up under load, down after the pauses."""

from datetime import datetime, timedelta

import pytest

from flowmesh.sdk import Client
from flowmesh.testing.polling import allowed_s, until
from flowmesh.testing.suite import Suite
from tests.features.agents.crew import PATIENCE_S, Crew, tasks

pytestmark = pytest.mark.long

DOWN_MS = 5_000
QUICK = {"upCooldownMs": 500, "downCooldownMs": 3_000, "windowMs": 3_000, "idleAfterMs": 4_000}
BUSY = """
import signal, time

until = time.monotonic() + 12
while time.monotonic() < until:
    pass
signal.pause()
"""


REPORTING = """
from flowmesh.sdk import Worker

gauges = {"open-orders": lambda: 30, "broken": lambda: 1 / 0}
Worker(task_types={"none": print}, gauges=gauges).run()
"""


@pytest.mark.feature("S4-16", "S4-23", "S4-75")
async def test_tasks_that_wait_start_agents(suite: Suite, crew: Crew) -> None:
    """From none to several within 10 s, and back to none after the idle time."""
    await crew.apply("packers", slots=1)
    policy = {"spec": "packers", "strategy": "workload_based", "max": 4, "waitTargetMs": 1_000}
    assert (await crew.call("PUT", "scaling-policies/p", {**policy, **QUICK})).status == 200
    async with Client(suite.grpc_address, crew.namespace) as client:
        handles = await tasks(client, 24, 1.0)
        await until("more agents are ready", lambda: _least(crew, 2), within_s=allowed_s(10.0))
        for each in handles:
            await each.result()
    await crew.ready(0)
    decisions = (await crew.call("GET", "scaling-decisions")).json["decisions"]
    counts = [each["count"] for each in reversed(decisions) if each["count"] != each["before"]]
    rises = counts.index(max(counts))
    assert counts == sorted(counts[: rises + 1]) + sorted(counts[rises + 1 :], reverse=True)
    metrics = (await suite.request("GET", "/metrics")).text
    events = next(line for line in metrics.splitlines() if line.startswith("scaling_events "))
    assert float(events.split()[1]) >= len(counts)


@pytest.mark.feature("S4-25")
async def test_a_step_down_waits_after_the_one_before(crew: Crew) -> None:
    """Unneeded agents end by half, with the pause of the policy between the steps."""
    await crew.apply("sleepers", command=["sleep", "600"], health="process", replicas=4)
    await crew.ready(4)
    policy = {"spec": "sleepers", "strategy": "workload_based", "min": 1, "max": 4, "windowMs": 1}
    policy |= {"downCooldownMs": DOWN_MS}
    assert (await crew.call("PUT", "scaling-policies/p", policy)).status == 200
    await crew.ready(1)
    decisions = (await crew.call("GET", "scaling-decisions")).json["decisions"]
    last, first = [each for each in decisions if each["count"] != each["before"]]
    assert [(each["before"], each["count"]) for each in (first, last)] == [(4, 2), (2, 1)]
    passed = datetime.fromisoformat(last["at"]) - datetime.fromisoformat(first["at"])
    # The decision and its record are not of the same moment.
    assert passed >= timedelta(milliseconds=DOWN_MS - 500)
    assert any(each.startswith("COOLDOWN") for one in decisions for each in one["held"])


@pytest.mark.feature("S4-22")
async def test_busy_processors_start_agents(crew: Crew) -> None:
    """Agents above the target get help, which ends when they are idle."""
    await _processors(crew, "performance_based")


@pytest.mark.feature("S4-21")
async def test_the_highest_wish_decides(crew: Crew) -> None:
    """AUTO takes the wish of the processors where no task waits."""
    await _processors(crew, "auto")


@pytest.mark.feature("S4-21")
async def test_a_gauge_and_a_schedule_start_agents(crew: Crew) -> None:
    """AUTO takes the figure that agents report; at its times a schedule has least agents."""
    await crew.apply("packers", files={"worker.py": REPORTING}, replicas=1)
    await crew.ready(1)
    policy = {"spec": "packers", "strategy": "auto", "max": 3, "min": 1}
    policy |= {"gauge": "open-orders", "gaugeTarget": 10}
    answer = await crew.call("PUT", "scaling-policies/p", {**policy, **QUICK})
    assert (answer.status, answer.json["gauge"]) == (200, "open-orders")
    await crew.ready(3)
    decisions = (await crew.call("GET", "scaling-decisions")).json["decisions"]
    assert any("open-orders is 30, 10 is the target" in each["reason"] for each in decisions)
    await crew.apply("sleepers", command=["sleep", "600"], health="process")
    always = {"cron": "* * * * *", "durationMs": 120_000, "min": 2}
    policy = {"spec": "sleepers", "strategy": "performance_based", "max": 3, "schedule": [always]}
    answer = await crew.call("PUT", "scaling-policies/q", policy)
    assert answer.json["schedule"] == [{**always, "timeZone": ""}]
    await crew.ready(5)


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
        "busy", files={"worker.py": BUSY}, health="process", replicas=1, limits={"cpu": 0.1}
    )
    await crew.ready(1)
    policy = {"spec": "busy", "strategy": strategy, "min": 1, "max": 2}
    assert (await crew.call("PUT", "scaling-policies/p", {**policy, **QUICK})).status == 200
    await until("more agents are ready", lambda: _least(crew, 2), within_s=allowed_s(10.0))
    await crew.ready(1)


async def _least(crew: Crew, count: int) -> bool:
    return len(await crew.agents("ready")) >= count


async def _cause(crew: Crew, cause: str) -> bool:
    found = (await crew.call("GET", "agent-findings?spec=packers")).json["findings"]
    return [each["cause"] for each in found] == [cause]
