"""Tasks of handlers in sets of asyncio: one order in each run, wherever they lie in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from random import Random

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.sdk.durable.run import Run
from tests.unit.sdk.worker.test_durable_run import Bench, step

RUNS = 20


async def waits(run: Run) -> Json:
    """Take the ended tasks of a set in its order."""
    tasks = [asyncio.ensure_future(_named(name)) for name in "abcdefgh"]
    done, _ = await asyncio.wait(tasks)
    for each in done:
        step(run, each.result())
    return None


async def futures(run: Run) -> Json:
    """The same of bare futures."""
    made = [asyncio.get_running_loop().create_future() for _ in range(8)]
    for number, each in enumerate(made):
        each.set_result(f"f{number}")
    done, _ = await asyncio.wait(made)
    for future in done:
        step(run, future.result())
    return None


async def is_aborted(run: Run) -> Json:
    """Ask for a step at the cancel of each task of a group."""

    async def undone(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            step(run, name)

    async def fails() -> None:
        raise ValueError("no")

    with suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            for name in "abcdefgh":
                group.create_task(undone(name))
            group.create_task(fails())
    return None


async def _named(name: str) -> str:
    await asyncio.sleep(0)
    return name


@pytest.mark.parametrize("handler", [waits, futures, is_aborted])
def test_each_run_asks_in_one_order(handler: Callable[[Run], Awaitable[Json]]) -> None:
    """The order in a set is not that of addresses in memory, which differs from run to run."""
    orders = set()
    kept = []
    for turn in range(RUNS):
        random = Random(turn)
        made: Iterator[list[int]] = ([] for _ in range(2_000))
        kept.append([each for each in made if random.random() < 0.5])
        bench = Bench(handler)
        assert [error for _, error in bench.outcome] == [None]
        orders.add(tuple(each.ask.name for each in bench.run._pass.operations))
    assert [len(each) for each in orders] == [8]
