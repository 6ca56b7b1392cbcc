"""Metered use of a running suite, over every door, and over a crash."""

import csv
import io
import secrets

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk import Client
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.features.agents.crew import Crew
from tests.features.commands import command
from tests.features.steps import step, workflow

EXECUTIONS, TASKS = 5, 2


async def run_some(suite: Suite, namespace: str, count: int = EXECUTIONS) -> None:
    """Run executions of two tasks."""
    tasks = [step(name, "log", {"message": name}) for name in ("a", "b")]
    async with Client(suite.grpc_address, namespace) as client:
        await client.register(workflow(*tasks, id="metered"))
        for _ in range(count):
            await (await client.start("metered", {})).result()


async def metered(suite: Suite, namespace: str) -> Json:
    answer = await suite.request("GET", "/api/v1/meters", headers={"Flowmesh-Namespace": namespace})
    assert answer.status == 200, answer.text
    totals: dict[str, int] = {}
    for hour in answer.json["hours"]:
        for name, amount in hour["used"].items():
            totals[name] = totals.get(name, 0) + amount
    return totals


@pytest.mark.long
@pytest.mark.feature("S1-168")
async def test_use_is_metered_over_every_door(suite: Suite) -> None:
    """REST, CSV, OpenMetrics and the command count the same executions and tasks."""
    namespace = f"metered-{secrets.token_hex(4)}"
    await run_some(suite, namespace)

    found = await metered(suite, namespace)
    assert (found["executions"], found["tasks"]) == (EXECUTIONS, EXECUTIONS * TASKS)
    assert found["bytes"] > 100 * EXECUTIONS
    headers = {"Flowmesh-Namespace": namespace}
    text = (await suite.request("GET", "/api/v1/meters:export", headers=headers)).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert sum(int(row["tasks"]) for row in rows) == EXECUTIONS * TASKS
    path = "/api/v1/meters:export?format=openmetrics"
    counters = (await suite.request("GET", path, headers=headers)).text
    assert f'flowmesh_metered_executions_total{{namespace="{namespace}"}} 5\n' in counters
    assert counters.endswith("# EOF\n")
    shown = await command(suite, "project", "meter", "list", "-n", namespace, "--json")
    assert sum(each["tasks"] for each in shown.json) == EXECUTIONS * TASKS
    written = await command(suite, "project", "meter", "export", "-n", namespace)
    assert list(csv.DictReader(io.StringIO(written.out))) == rows


async def test_other_namespaces_and_times_are_left_out(suite: Suite) -> None:
    """Hours outside of the range, and the use of others, are not in the answer."""
    namespace = f"metered-{secrets.token_hex(4)}"
    await run_some(suite, namespace, 1)
    headers = {"Flowmesh-Namespace": namespace}
    before = "/api/v1/meters?from=2020-01-01T00:00:00Z&to=2021-01-01T00:00:00Z"
    assert (await suite.request("GET", before, headers=headers)).json["hours"] == []
    assert await metered(suite, f"{namespace}-other") == {}
    turned = "/api/v1/meters?from=2021-01-01T00:00:00Z&to=2020-01-01T00:00:00Z"
    refused = await suite.request("GET", turned, headers=headers)
    assert (refused.status, refused.json["error"]["reason"]) == (400, "REQUEST_INVALID")


@pytest.mark.long
async def test_agents_are_metered_by_their_seconds(suite: Suite) -> None:
    """The seconds of an agent arrive within a minute after it was started."""
    namespace = f"metered-{secrets.token_hex(4)}"
    crew = Crew(suite, namespace)
    await crew.apply("sleepers", command=["sleep", "600"], health="process", replicas=1)
    await crew.ready(1)

    async def booked() -> bool:
        return bool((await metered(suite, namespace)).get("agentSeconds"))

    await until("seconds are booked", booked, within_s=90)
    await crew.end()
