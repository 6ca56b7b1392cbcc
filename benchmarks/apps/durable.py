"""Goal A8: a durable pipeline beside W2 and the same pipeline inline, in one run.

`python -m benchmarks.apps.durable [--count N]` runs `flowmesh dev`, a worker of the SDK for W2, and
applications with three steps: parse, insert, answer. Calls are one at a time, by turns, so that
the drift of a machine meets all rows alike. Metrics of a busy machine are noise; ratios count.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.load import Metrics, median, one_by_one
from benchmarks.processes import Child, module
from benchmarks.suite.calls import SuiteLoad
from benchmarks.suite.system import READY, dev
from benchmarks.system import running
from flowmesh.embedded.ports import free_port
from flowmesh.sdk import Client

WARM = 100
ROUNDS = 5
TABLE = "CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT)"
STEPS = [
    {"name": "parse", "type": "step.request_parse", "config": {"fields": ["item"]}},
    {
        "name": "save",
        "type": "step.db_exec",
        "config": {
            "database": "db",
            "query": "INSERT INTO orders (item) VALUES (?)",
            "params": ["{{ .item }}"],
        },
    },
    {
        "name": "answer",
        "type": "step.json_response",
        "config": {"status": 201, "body": {"id": "{{ .steps.save.last_id }}"}},
    },
]

Call = Callable[[], Awaitable[None]]


def document(folder: Path, port: int, *, durable: bool) -> str:
    """Return an application with an inline route, and a durable one beside it if wanted."""
    kinds = (False, True) if durable else (False,)
    routes = [
        {
            "method": "POST",
            "path": "/durable" if kind else "/inline",
            "pipeline": {"durable": kind, "steps": STEPS},
        }
        for kind in kinds
    ]
    config = {"driver": "sqlite", "dsn": str(folder / f"{port}.db"), "migrations": [TABLE]}
    modules = [
        {"name": "web", "type": "http.server", "config": {"address": f":{port}"}},
        {"name": "db", "type": "database.workflow", "config": config},
    ]
    return json.dumps(
        {"name": f"bench-{port}", "modules": modules, "workflows": {"http": {"routes": routes}}}
    )


def app_of(folder: Path, port: int, *, address: str) -> Child:
    """Return the process of an application, attached to a suite if there is an address."""
    path = folder / f"{port}.json"
    path.write_text(document(folder, port, durable=bool(address)))
    code = "from flowmesh.suite.main import main; main()"
    environment = {**os.environ, "FLOWMESH_ADDRESS": address}
    argv = (sys.executable, "-c", code, "app", "run", str(path))
    return Child(f"app-{port}", argv, folder / f"app-{port}", environment)


def posting(session: aiohttp.ClientSession, port: int, path: str) -> Call:
    async def post() -> None:
        url = f"http://127.0.0.1:{port}{path}"
        async with session.post(url, json={"item": "lamp"}) as answer:
            if answer.status != 201:
                raise AssertionError(await answer.text())

    return post


async def measure(folder: Path, count: int) -> dict[str, float]:
    """Return the p50 in ms of each row."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running(dev(folder)))
        await server.start(READY)
        about: dict[str, Any] = json.loads((folder / "data" / "dev.json").read_text())
        address = str(about["grpc"])
        attached, plain = free_port(), free_port()
        worker = Child("worker", module("benchmarks.suite.worker", address), folder / "worker")
        await stack.enter_async_context(running(worker))
        await worker.start()
        for port, suite in ((attached, address), (plain, "")):
            child = app_of(folder, port, address=suite)
            await stack.enter_async_context(running(child))
            await child.start(f"bench-{port}: ")
        client = await stack.enter_async_context(Client(address))
        load = SuiteLoad(address, client)
        await load.define([], [])
        session = await stack.enter_async_context(aiohttp.ClientSession())

        async def chain() -> None:
            await load.run("chain-1")

        rows: dict[str, Call] = {
            "W2": chain,
            "durable": posting(session, attached, "/durable"),
            "inline beside it": posting(session, attached, "/inline"),
            "inline alone": posting(session, plain, "/inline"),
        }
        taken: dict[str, list[float]] = {name: [] for name in rows}
        for call in rows.values():
            await one_by_one(call, WARM)
        for _ in range(ROUNDS):
            for name, call in rows.items():
                taken[name] += await one_by_one(call, max(1, count // ROUNDS))
        return {name: median(each) for name, each in taken.items()}


async def run(folder: Path, count: int) -> Metrics:
    """Print and return the figures of A8."""
    found = await measure(folder, count)
    for name, p50 in found.items():
        print(f"{name:>18} p50 {p50:7.3f} ms")
    durable = found["durable"] / found["W2"]
    inline = found["inline beside it"] / found["inline alone"]
    print(f"A8: durable ÷ W2 {durable:.2f}, inline with ÷ without {inline:.2f}")
    return {"durable_of_w2": durable, "inline_of_alone": inline}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="calls of each row")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="flowmesh-durable-") as folder:
        asyncio.run(run(Path(folder), given.count))


if __name__ == "__main__":
    main()
