"""Services of Restate in its Python SDK, equal to `service.mjs`, served by hypercorn.

This module runs in the environment of the peers and imports nothing of the suite.
"""

import asyncio
import sys
from collections import Counter
from typing import Any

import restate
import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config

from benchmarks.answering import answer
from benchmarks.workloads import RECORDED_MS

steps = restate.Service("steps")
flows = restate.Service("flows")
runs: Counter[str] = Counter()
inline = sys.argv[1] == "inline"


@steps.handler("noop")
async def noop_handler(_ctx: restate.Context, value: Any) -> Any:
    return value


@steps.handler("recorded")
async def recorded_handler(_ctx: restate.Context, asked: dict[str, Any]) -> Any:
    return await _recorded(asked["key"], asked["value"])


async def _same(value: Any) -> Any:
    return value


async def _recorded(key: str, value: Any) -> Any:
    runs[key] += 1
    await asyncio.sleep(RECORDED_MS / 1_000)
    return value


def _noop(ctx: restate.Context, name: str, value: Any) -> Any:
    if inline:
        return ctx.run_typed(name, _same, restate.RunOptions(), value)
    return ctx.service_call(noop_handler, arg=value)


def _counted(ctx: restate.Context, name: str, value: Any) -> Any:
    key = f"{ctx.request().id}/{name}"
    if inline:
        return ctx.run_typed(name, _recorded, restate.RunOptions(), key, value)
    return ctx.service_call(recorded_handler, arg={"key": key, "value": value})


@flows.handler("chain")
async def chain(ctx: restate.Context, asked: dict[str, Any]) -> Any:
    value = asked["value"]
    for number in range(asked["size"]):
        value = await _noop(ctx, f"s{number}", value)
    return value


@flows.handler("fan")
async def fan(ctx: restate.Context, asked: dict[str, Any]) -> Any:
    value = asked["value"]
    await restate.gather(*(_noop(ctx, f"s{number}", value) for number in range(asked["size"])))
    return await _noop(ctx, "join", value)


@flows.handler("recorded")
async def recorded(ctx: restate.Context, asked: dict[str, Any]) -> Any:
    value = asked["value"]
    for number in range(asked["size"]):
        value = await _counted(ctx, f"s{number}", value)
    return value


async def repeated() -> int:
    """Return and reset the number of repeated step runs."""
    total = runs.total() - len(runs)
    runs.clear()
    return total


async def main(port: str) -> None:
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.h2_max_concurrent_streams = 1_000
    config.loglevel = "ERROR"
    told = asyncio.Event()
    app: Any = restate.app([steps, flows], "bidi")
    serving = asyncio.create_task(serve(app, config, shutdown_trigger=told.wait))
    await answer({"repeated": repeated})
    told.set()
    await serving


if __name__ == "__main__":
    uvloop.run(main(sys.argv[2]))
