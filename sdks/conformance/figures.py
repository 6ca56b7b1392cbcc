"""Measures the SDKs with the verb `bench` of their drivers, all against one suite.

`python -m sdks.conformance.figures --languages python,go` prints a table: starts by a session and
the CPU time of the client, the latency of one execution after the other, and the tasks of a
worker whose server has always more.
"""

import argparse
import asyncio
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from flowmesh.testing.suite import Suite
from sdks.conformance.languages import LANGUAGES, available, command
from sdks.conformance.process import Driver
from sdks.conformance.script import source_of
from sdks.conformance.stub import Stub

Json = Any
STARTS = 10_000
LATENCIES = 300
TASKS = 10_000
TASKS_PER_MESSAGE = 500
TIMEOUT_S = 180.0
PREFIX = "figures-"
WORKFLOW = {f"{PREFIX}noop": {"tasks": [{"id": "a", "taskRef": "noop"}], "output": "{{input}}"}}


def _flood() -> list[Json]:
    """Return the script of a server that sends all tasks at once."""
    value = {"data": {"$json": {"n": 1}}}
    tasks = [
        {"token": f"t{n}", "taskType": "echo", "executionId": f"e{n}", "attempt": 1, "input": value}
        for n in range(TASKS)
    ]
    messages = [
        {"send": {"tasks": tasks[start : start + TASKS_PER_MESSAGE]}}
        for start in range(0, TASKS, TASKS_PER_MESSAGE)
    ]
    return [{"hello": 1}, {"send": {"pong": True}}, *messages, {"silent": True}]


async def measured(language: str, suite: Suite, stub: Stub, log: Path) -> dict[str, float]:
    """Return the figures of a language, with a fresh driver for each kind."""
    found: dict[str, float] = {}
    async with Driver(command(language), log=log) as driver:
        await driver.ask("open", address=suite.grpc_address)
        await driver.ask("apply", source=source_of(WORKFLOW, PREFIX))
        workflow = next(iter(WORKFLOW))
        await driver.ask("bench", kind="latency", workflow=workflow, count=50)
        latency = await driver.ask("bench", kind="latency", workflow=workflow, count=LATENCIES)
        found |= {"W2 p50 ms": latency["p50Ms"], "W2 p99 ms": latency["p99Ms"]}
        starts = await driver.ask(
            "bench", timeout_s=TIMEOUT_S, kind="starts", workflow=workflow, count=STARTS
        )
        found["W1s starts/s"] = starts["perSecond"]
        found["W1s client CPU s"] = starts["cpuSeconds"]
    async with Driver(command(language), log=log) as driver:
        stub.script({"Work": [_flood()]})
        await driver.ask("open", address=stub.address)
        await driver.ask("serve", tasks={"echo": "echo"}, slots=10_000)
        tasks = await driver.ask("bench", timeout_s=TIMEOUT_S, kind="tasks", count=TASKS)
        found["tasks/s"] = tasks["perSecond"]
    return found


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    os.environ.setdefault("FLOWMESH_AUTH", "open")
    with tempfile.TemporaryDirectory() as folder:
        async with Suite(Path(folder) / "data") as suite, Stub() as stub:
            for _ in range(given.rounds):
                for language in available(given.languages.split(",")):
                    log = Path(folder) / f"{language}.log"
                    figures = await measured(language, suite, stub, log)
                    row = {name: round(value, 2) for name, value in figures.items()}
                    print(language, json.dumps(row), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
