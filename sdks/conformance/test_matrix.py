"""One workflow whose tasks are served by every language, started and watched by each."""

import asyncio

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.testing.cluster import Cluster
from sdks.conformance.conftest import Drivers, languages
from sdks.conformance.process import Driver
from sdks.conformance.script import source_of

PREFIX = "matrix-"
VALUE = {"text": "ünïcode 𝄞", "big": 9007199254740993, "none": None, "list": [1.5, True]}


def chain(names: list[str]) -> Json:
    """Return a workflow that passes its input through a task of each language."""
    tasks: list[Json] = []
    given = "{{input}}"
    for name in names:
        task = {"id": name, "taskRef": f"{PREFIX}{name}", "input": given}
        given = f"{{{{tasks.{name}.output}}}}"
        tasks.append(task)
    return {"tasks": tasks, "output": given}


async def watched(driver: Driver, execution: str) -> Json:
    """Return the events and the output that a driver sees."""
    events, output = await asyncio.gather(
        driver.ask("events", execution=execution), driver.ask("wait", execution=execution)
    )
    return events["events"], output["output"]


@pytest.mark.timeout(180)
async def test_every_language_serves_starts_and_watches(
    drivers: Drivers, cluster: Cluster, pytestconfig: pytest.Config
) -> None:
    """All see the same events and the same output, and no task runs twice."""
    names = languages(pytestconfig)
    running = {name: await drivers.of(name) for name in names}
    workflow = f"{PREFIX}main"
    for name, driver in running.items():
        await driver.ask("open", address=cluster.grpc_address)
        await driver.ask("serve", tasks={f"{PREFIX}{name}": "echo"})
    try:
        await running[names[0]].ask("apply", source=source_of({workflow: chain(names)}, PREFIX))
        for starter in running.values():
            started = await starter.ask("start", workflow=workflow, input=VALUE)
            seen = await asyncio.gather(
                *(watched(driver, started["id"]) for driver in running.values())
            )
            assert all(each == seen[0] for each in seen)
            assert seen[0][1] == VALUE
        for driver in running.values():
            ledger = await driver.ask("ledger")
            assert (ledger["count"], ledger["distinct"]) == (len(names), len(names))
    finally:
        for driver in running.values():
            await driver.ask("reset")
