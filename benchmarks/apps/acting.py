"""State machines, components, messages, idle applications and releases: A4, A6, A7, A9.

`python -m benchmarks.apps.acting [--seconds N]` needs `wrk`.
"""

import argparse
import asyncio
import json
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median

import aiohttp
import psutil

from benchmarks.apps.requests import COMPARED, measured, require_wrk, serving
from benchmarks.load import Metrics
from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.messaging.memory import MemoryBroker
from flowmesh.apps.modules.outbound.components import Component
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.runtime.application import Application
from flowmesh.embedded import EmbeddedServers
from flowmesh.testing.polling import pause
from flowmesh.testing.suite import Suite

ORDERS = 1_000
CALLS = 2_000
MESSAGES = 20_000
IDLE_S = 20.0
RATE = 500
RELEASES = 5
# All orders are packed, then all are unpacked, and so on.
MOVE_LUA = """\
local made = 0
request = function()
  local verb = math.floor(made / 1000) % 2 == 0 and "pack" or "unpack"
  local id = made % 1000 + 1
  made = made + 1
  return wrk.format("POST", "/orders/PREFIX-" .. id .. "/" .. verb)
end
"""
COMPONENT = """\
name: parts
modules:
  - {name: web, type: http.server, config: {address: ":0"}}
  - {name: broker, type: messaging.broker}
  - {name: heard, type: messaging.handler, config: {topic: ticks, broker: broker}}
  - name: count
    type: dynamic.component
    config: {source: "def execute(params):\\n    return {'n': params.get('n', 0)}\\n"}
"""
WORDS = """\
name: words
modules:
- {{name: web, type: http.server, config: {{address: ":0"}}}}
- {{name: routes, type: http.router}}
- name: word
  type: http.handler
  config: {{path: /word, method: GET, contentType: text/plain, body: '{answer}'}}
"""


def create_orders(url: str, prefix: str) -> None:
    for number in range(1, ORDERS + 1):
        body = json.dumps({"id": f"{prefix}-{number}"}).encode()
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(f"{url}/orders", body, headers), timeout=10)


def transitions(folder: Path, dsn: str, seconds: int) -> Metrics:
    """Print and return the transitions per second with a hook each, and p50 of one at a time."""
    found: Metrics = {}
    with serving("flowmesh", dsn, document="machines.yaml", path="/orders") as (url, _, pid):
        for connections in (1, COMPARED):
            prefix = f"c{connections}"
            create_orders(url, prefix)
            lua = folder / "move.lua"
            lua.write_text(MOVE_LUA.replace("PREFIX", prefix))
            figures = measured(url, "", lua, connections, seconds, pid)
            print(f"  {connections:>4} connections {figures}", flush=True)
            found |= {"per_s": figures.rate} if connections > 1 else {"p50_ms": figures.p50_ms}
    return found


async def calls(folder: Path) -> Metrics:
    """Print and return the time of a call of a component, and messages per second."""
    path = folder / "app.yaml"
    path.write_text(COMPONENT)
    document = load(path, Loading(environment={}))
    application = Application(document, log=LogHub(app=document.name, write=lambda _line: None))
    await application.start()
    try:
        modules = application.built.modules
        component = next(
            each for each in modules["count"].services.values() if isinstance(each, Component)
        )
        took = []
        for number in range(CALLS):
            began = time.perf_counter()
            await component.call("", {"n": number})
            took.append((time.perf_counter() - began) * 1_000)
        took.sort()
        late = took[CALLS * 99 // 100]
        print(f"A7: call of a component p50 {median(took):.2f} ms p99 {late:.2f} ms")
        broker = next(
            each for each in modules["broker"].services.values() if isinstance(each, MemoryBroker)
        )
        began = time.perf_counter()
        for number in range(MESSAGES):
            await broker.publish("ticks", {"n": number})
        while broker.depth():
            await pause(0.001)
        rate = MESSAGES / (time.perf_counter() - began)
        print(f"A7: {rate:,.0f} messages/s in the process")
        return {"component_p50_ms": median(took), "messages_per_s": rate}
    finally:
        await application.stop()


async def hosted(folder: Path) -> Metrics:
    """Print and return the cost of an idle application, and the slowest request of releases."""
    async with Suite(folder / "data") as suite:

        async def deploy(answer: str) -> None:
            text = WORDS.format(answer=answer)
            response = await suite.post("/api/v1/apps/words:deploy", {"document": text})
            assert response.status == 201, response.text

        await deploy("r0")
        app = (await suite.get("/api/v1/apps/words")).json
        log = await suite.get("/api/v1/apps/words/logs?text=serves+as+process")
        process = psutil.Process(int(log.json["records"][-1]["message"].rpartition(" ")[2]))
        before = sum(process.cpu_times()[:2])
        await asyncio.sleep(IDLE_S)
        share = (sum(process.cpu_times()[:2]) - before) / IDLE_S
        memory = process.memory_info().rss / 2**20
        print(f"A6: idle application {memory:.0f} MiB, {share:.2%} of a core")
        took: list[float] = []
        failed = 0

        async def ask(session: aiohttp.ClientSession, url: str) -> None:
            nonlocal failed
            began = time.perf_counter()
            try:
                async with session.get(url) as answer:
                    await answer.text()
                    failed += answer.status != 200
            except aiohttp.ClientError:
                failed += 1
            took.append((time.perf_counter() - began) * 1_000)

        async def release() -> None:
            for number in range(1, RELEASES + 1):
                await deploy(f"r{number}")

        url = f"http://{app['addresses']['web']}/word"
        releasing = asyncio.create_task(release())
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            due = time.perf_counter()
            while not releasing.done():
                group.create_task(ask(session, url))
                due += 1 / RATE
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await releasing
        print(
            f"A9: {RELEASES} releases under {RATE} requests/s: {len(took)} requests,"
            f" {failed} failed, longest {max(took):.0f} ms"
        )
        return {
            "idle_mib": memory,
            "idle_percent": share * 100,
            "release_failed": failed,
            "release_longest_ms": max(took),
        }


async def run(folder: Path, seconds: int) -> Metrics:
    """Print and return the figures of A4, A6, A7 and A9."""
    print("A4: transitions with a hook, SQLite", flush=True)
    path = str(folder / "orders.db")
    sqlite = await asyncio.to_thread(transitions, folder, path, seconds)
    async with EmbeddedServers(folder / "servers", only=("postgres",)) as servers:
        print("A4: transitions with a hook, PostgreSQL", flush=True)
        postgres = await asyncio.to_thread(transitions, folder, servers.postgres, seconds)
    return {
        **{f"sqlite_{name}": each for name, each in sqlite.items()},
        **{f"postgres_{name}": each for name, each in postgres.items()},
        **await calls(folder),
        **await hosted(folder),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="length of each load")
    given = parser.parse_args()
    require_wrk()
    with tempfile.TemporaryDirectory(prefix="flowmesh-apps-") as folder:
        asyncio.run(run(Path(folder), given.seconds))


if __name__ == "__main__":
    main()
