"""A handler that ends its process: the task runs again with another worker."""

import asyncio

import pytest

from flowmesh.testing.cluster import Cluster
from flowmesh.testing.polling import done
from sdks.conformance.conftest import Drivers
from sdks.conformance.process import Driver
from sdks.conformance.script import source_of


@pytest.mark.timeout(120)
async def test_a_handler_exits(
    language: str, drivers: Drivers, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The execution completes with the worker of another process."""
    prefix = f"{language}-exit-"
    workflow = f"{prefix}main"
    tasks = [{"id": "a", "taskRef": f"{prefix}task", "input": "{{input}}"}]
    source = source_of({workflow: {"tasks": tasks, "output": "{{tasks.a.output}}"}}, prefix)
    logs = tmp_path_factory.mktemp("exit")
    async with (
        Driver(drivers.command(language), log=logs / "first.log") as first,
        Driver(drivers.command(language), log=logs / "second.log") as second,
    ):
        for driver in (first, second):
            await driver.ask("open", address=cluster.grpc_address)
        await second.ask("apply", source=source)
        await first.ask("serve", tasks={f"{prefix}task": "exit"})
        running = asyncio.create_task(
            second.ask("run", workflow=workflow, input="kept", timeoutMs=60_000)
        )
        await done("exit of the first worker", lambda: not first.running, within_s=30)
        await second.ask("serve", tasks={f"{prefix}task": "echo"})
        assert await running == {"output": "kept"}
        assert await first.exit_code() == 3
