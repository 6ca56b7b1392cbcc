"""Measures the SDKs with the verb `bench` of their drivers, all against one suite.

`python -m sdks.conformance.figures --languages python,go` prints the medians of its rounds as a
table of Markdown: starts by a session (W1s) and the CPU time of the client, the latency of one
execution after the other (W2), both with a built-in step and with a step in a worker of the same
process, and the tasks of a worker whose server has always more. Rates are taken twice in a
process: its first run includes the compilation of a program at run time. With `--peer` a column
has Temporal's Go SDK and development server, with workflows of one activity.
"""

import argparse
import asyncio
import os
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import median

from benchmarks.processes import Child
from benchmarks.system import running
from benchmarks.temporal.system import READY, development_server
from flowmesh.contract.json_value import Json
from flowmesh.embedded.ports import free_port
from flowmesh.testing.suite import Suite
from sdks.conformance.languages import LANGUAGES, ROOT, available, command
from sdks.conformance.process import Driver
from sdks.conformance.script import source_of
from sdks.conformance.stub import Stub

Figures = dict[str, float]
SLOTS = 500
STARTS = 10_000
WORKED = 5_000
PEER_STARTS = 1_000
LATENCIES = 300
PEER_LATENCIES = 100
WARM = 50
TASKS = 10_000
TASKS_PER_MESSAGE = 500
TIMEOUT_S = 180.0
FIRST = ", first run of the process"
PREFIX = "figures-"
NOOP, WORK, ECHO = f"{PREFIX}noop", f"{PREFIX}work", f"{PREFIX}echo"
WORKFLOWS = {
    NOOP: {"tasks": [{"id": "a", "taskRef": "noop"}], "output": "{{input}}"},
    WORK: {
        "tasks": [{"id": "a", "taskRef": ECHO, "input": "{{input}}"}],
        "output": "{{tasks.a.output}}",
    },
}
PEER_BUILD = "mkdir -p build/sdks/bin && cd sdks/conformance/peer && go build -buildvcs=false"
PEER_PROGRAM = ROOT / "build/sdks/bin/peer"


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


async def by_tasks(driver: Driver, stub: Stub, worker: str) -> Figures:
    """Return the rate of a worker that has the flood before it."""
    stub.script({"Work": [_flood()]})
    await driver.ask("serve", worker=worker, tasks={"echo": "echo"}, slots=10_000)
    tasks = await driver.ask("bench", timeout_s=TIMEOUT_S, worker=worker, kind="tasks", count=TASKS)
    await driver.ask("drain", worker=worker)
    return {
        "tasks/s of a worker": tasks["perSecond"],
        "CPU ms of a task": tasks["cpuSeconds"] / TASKS * 1000,
    }


async def by_calls(driver: Driver, workflow: str, starts: int, latencies: int) -> Figures:
    """Return W1s and W2 of a workflow."""
    await driver.ask("bench", kind="latency", workflow=workflow, count=WARM)
    latency = await driver.ask(
        "bench", timeout_s=TIMEOUT_S, kind="latency", workflow=workflow, count=latencies
    )
    found = {"W2 p50, ms": latency["p50Ms"], "W2 p99, ms": latency["p99Ms"]}
    for turn in (FIRST, ""):
        started = await driver.ask(
            "bench", timeout_s=TIMEOUT_S, kind="starts", workflow=workflow, count=starts
        )
        found |= {
            f"W1s, starts/s{turn}": started["perSecond"],
            f"W1s, client CPU ms each{turn}": started["cpuSeconds"] / starts * 1000,
        }
    return found


async def measured(language: str, suite: Suite, stub: Stub, log: Path) -> Figures:
    """Return the figures of a language, with a fresh driver for each kind."""
    program = command(language, optimized=True)
    async with Driver(program, log=log) as driver:
        await driver.ask("open", address=suite.grpc_address)
        await driver.ask("apply", source=source_of(WORKFLOWS, PREFIX))
        found = await by_calls(driver, NOOP, STARTS, LATENCIES)
        await driver.ask("serve", tasks={ECHO: "echo"}, slots=SLOTS)
        worked = await by_calls(driver, WORK, WORKED, LATENCIES)
        found |= {f"{name}, step in a worker": value for name, value in worked.items()}
    async with Driver(program, log=log) as driver:
        await driver.ask("open", address=stub.address)
        for turn in (FIRST, ""):
            flooded = await by_tasks(driver, stub, f"worker{turn}")
            found |= {f"{name}{turn}": value for name, value in flooded.items()}
    return found


async def measured_peer(folder: Path) -> Figures:
    """Return the figures of Temporal's SDK for Go, on a fresh development server."""
    port = free_port()
    server = Child("temporal", development_server(port, folder), folder / "server.log")
    async with running(server):
        await server.start(READY)
        async with Driver([str(PEER_PROGRAM)], log=folder / "peer.log") as driver:
            await driver.ask("open", address=f"127.0.0.1:{port}")
            found = await by_calls(driver, WORK, PEER_STARTS, PEER_LATENCIES)
    return {f"{name}, step in a worker": value for name, value in found.items()}


def table(rounds: dict[str, list[Figures]]) -> str:
    """Return the medians as a table, with a column per language."""
    names = list(dict.fromkeys(name for each in rounds.values() for name in each[0]))
    lines = [f"| measure | {' | '.join(rounds)} |", f"|---{'|---' * len(rounds)}|"]
    for name in names:
        values = [
            f"{median(each[name] for each in found):.3g}" if name in found[0] else "–"
            for found in rounds.values()
        ]
        lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--languages", default=",".join(LANGUAGES))
    parser.add_argument("--peer", action="store_true", help="Temporal's SDK for Go besides")
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    os.environ.setdefault("FLOWMESH_AUTH", "open")
    if given.peer:
        subprocess.run(f"{PEER_BUILD} -o {PEER_PROGRAM} .", shell=True, check=True, cwd=ROOT)
    names = available(given.languages.split(","))
    print(table(asyncio.run(rounds_of(names, given.rounds, peer=given.peer))))


async def rounds_of(names: list[str], rounds: int, *, peer: bool) -> dict[str, list[Figures]]:
    """Measure the languages in turns, against one suite."""
    found: dict[str, list[Figures]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        async with Suite(Path(folder) / "data") as suite, Stub() as stub:
            for number in range(rounds):
                for language in names:
                    log = Path(folder) / f"{language}.log"
                    found[language].append(await measured(language, suite, stub, log))
                if peer:
                    with tempfile.TemporaryDirectory() as empty:
                        found["Temporal Go"].append(await measured_peer(Path(empty)))
                print(f"round {number + 1}: load {os.getloadavg()[0]:.1f}", flush=True)
    return found


if __name__ == "__main__":
    main()
