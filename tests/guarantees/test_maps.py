"""A map of thousands of items survives the death of everything but its worker."""

from collections import Counter

import pytest

from flowmesh.sdk import Client, TaskContext, Worker
from flowmesh.testing.polling import done, pause
from flowmesh.testing.suite import Suite

ITEMS = 3_000
AT_ONCE = 200
TASK = {
    "apiVersion": "workflow.io/v1",
    "kind": "WorkflowTask",
    "metadata": {"name": "double"},
    "spec": {"type": "double"},
}
MAP = {
    "apiVersion": "workflow.io/v1",
    "kind": "Workflow",
    "metadata": {"name": "doubled"},
    "spec": {
        "tasks": [
            {
                "id": "each",
                "map": {
                    "items": "{{input.numbers}}",
                    "concurrency": AT_ONCE,
                    "tasks": [{"id": "work", "taskRef": "double", "input": {"n": "{{item}}"}}],
                },
            }
        ]
    },
}

pytestmark = pytest.mark.long


@pytest.mark.fault("F7")
async def test_a_map_resumes_where_it_was(dev: Suite) -> None:
    """Every item is done once and answered in its place; the worker's results are not lost."""
    runs: Counter[str] = Counter()

    async def double(given: dict[str, int], context: TaskContext) -> int:
        runs[context.idempotency_key] += 1
        await pause(0.05)
        return given["n"] * 2

    assert (await dev.post("/api/v1/tasks", TASK)).status == 201
    async with Client(dev.grpc_address) as client:
        await client.register(MAP)
        async with Worker(client, {"double": double}, slots=AT_ONCE):
            handle = await client.start("doubled", {"numbers": list(range(ITEMS))})
            await done("a third of the items", lambda: len(runs) > ITEMS // 3, within_s=30)
            await dev.kill_everything()
            await dev.start()

            assert await handle.result(60) == [number * 2 for number in range(ITEMS)]

        events = [event async for event in handle.events()]
    completed = Counter(event.node for event in events if event.type == "TaskCompleted")
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert len(completed) == ITEMS + 1
    assert set(completed.values()) == {1}
    assert len(runs) == ITEMS
    assert sum(runs.values()) - ITEMS <= AT_ONCE


PAGES = 30
IN_PAGE = 40
BY_PAGES = {
    **MAP,
    "metadata": {"name": "doubled-by-pages"},
    "spec": {
        "tasks": [
            {
                "id": "each",
                "map": {
                    "pages": {"taskRef": "page"},
                    "concurrency": 20,
                    "tasks": [{"id": "work", "taskRef": "twice", "input": {"n": "{{item}}"}}],
                },
            }
        ]
    },
}


@pytest.mark.fault("F7")
async def test_a_map_by_pages_resumes_where_it_was(dev: Suite) -> None:
    """No page is fetched again whose result was accepted, and no item is done twice."""
    fetched: Counter[int] = Counter()

    async def page(given: dict[str, int]) -> dict[str, object]:
        number = given["cursor"] or 0
        fetched[number] += 1
        first, following = number * IN_PAGE, number + 1
        items = list(range(first, first + IN_PAGE))
        return {"items": items, "next": following if following < PAGES else None}

    async def double(given: dict[str, int]) -> int:
        await pause(0.02)
        return given["n"] * 2

    for name in ("twice", "page"):
        task = {**TASK, "metadata": {"name": name}, "spec": {"type": name}}
        assert (await dev.post("/api/v1/tasks", task)).status == 201
    async with Client(dev.grpc_address) as client:
        await client.register(BY_PAGES)
        async with Worker(client, {"twice": double, "page": page}, slots=30):
            handle = await client.start("doubled-by-pages", {})
            await done("a third of the pages", lambda: len(fetched) > PAGES // 3, within_s=30)
            await dev.kill_everything()
            await dev.start()

            assert await handle.result(60) == [2 * number for number in range(PAGES * IN_PAGE)]

        events = [event async for event in handle.events()]
    completed = Counter(event.node for event in events if event.type == "TaskCompleted")
    assert set(completed.values()) == {1}
    assert sum(name.endswith("/each:page") for name in completed) == PAGES
    # The one that was out when it died may have come too late.
    assert sum(fetched.values()) <= PAGES + 1
