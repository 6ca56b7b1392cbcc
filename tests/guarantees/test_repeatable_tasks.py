"""Repeatable tasks: their chain is one, whatever is killed, and other tasks run as before."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flowmesh import errors
from flowmesh.embedded.ports import free_port
from flowmesh.sdk import Client, Worker, Workflow
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite

pytestmark = pytest.mark.long

COUNT, EVERY, KILLS = 400, 10, 2
WITHIN_S = 60.0


def chained() -> Workflow:
    """A chain in which one task of ten is not repeatable."""
    flow = Workflow("long-chain")
    before = None
    for number in range(COUNT):
        given = {"number": number, "from": before.output["run"] if before is not None else 0}
        marked = bool(number % EVERY)
        before = flow.task(f"t{number}", "add-run", input=given, repeatable=marked)
    return flow


class Effects:
    """What the worker has run: the numbers of its tasks, in order."""

    def __init__(self) -> None:
        self.numbers: list[int] = []

    async def add(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return the input with a number that no other run has."""
        self.numbers.append(int(given["number"]))
        return {"run": len(self.numbers), "from": given["from"]}


async def follows(client: Client, execution_id: str) -> bool:
    """Return whether each recorded output names the recorded output before it."""
    outputs = [
        event.data["output"]
        async for event in client.history(execution_id)
        if event.type == "TaskCompleted"
    ]
    runs = [0, *(each["run"] for each in outputs)]
    return len(outputs) == COUNT and [each["from"] for each in outputs] == runs[:-1]


@pytest.mark.timeout(240)
async def test_a_killed_suite_repeats_only_repeatable_tasks(tmp_path: Path) -> None:
    """kill -9 of the suite twice in a chain of both kinds."""
    effects, ports = Effects(), (free_port(), free_port())
    async with Suite(tmp_path / "data", ports=ports) as suite, Client(suite.grpc_address) as client:
        worker = Worker(client, slots=4)
        worker.task("add-run")(effects.add)
        async with worker:
            await client.register(chained())
            handle = await client.start("long-chain")
            for kill in range(1, KILLS + 1):
                reached = COUNT * kill // (KILLS + 1)

                async def at_work(reached: int = reached) -> bool:
                    return max(effects.numbers, default=0) >= reached

                await until(f"task {reached} runs", at_work, within_s=WITHIN_S)
                await suite.kill()
                await suite.start()
            await handle.result(WITHIN_S)
            assert await follows(client, handle.id)
    ran = Counter(effects.numbers)
    assert set(ran) == set(range(COUNT))
    # A task whose delivery is in flight at a kill may be sent again, as always.
    assert sum(ran[number] - 1 for number in range(0, COUNT, EVERY)) <= KILLS
    assert max(ran.values()) <= 1 + KILLS


async def test_what_no_worker_runs_cannot_be_repeatable(suite: Suite) -> None:
    """An accepted setting is honoured: a wait that says it is refused."""
    flow = Workflow("late")
    flow.wait_for("wait", "go", repeatable=True)
    async with Client(suite.grpc_address) as client:
        with pytest.raises(errors.Invalid, match="repeatable is for what workers run"):
            await client.register(flow)
