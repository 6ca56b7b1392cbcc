"""The snippets about the broker in the requirements, word for word."""

import asyncio
import textwrap
import warnings
from typing import Any

import pytest

from flowmesh.sdk import MessageBroker
from flowmesh.testing.suite import Suite

PATIENCE_S = 20
CONFIGURATION = """
broker = MessageBroker()
await broker.declare_queue(
    name="task_queue",
    max_size=1000,
    durable=True,
    dead_letter_queue="dlq"
)
"""
PIPELINE = """
# Publisher
await broker.publish(
    body={"data": "process_this"},
    routing_key="data.raw",
    exchange="processing"
)

# Consumer
broker.subscribe("processed_queue", handle_processed_data)
"""


async def run(text: str, result: str, **names: Any) -> Any:
    """Run statements with these names; return the value of one of them."""
    body = textwrap.indent(f"{text}\nreturn {result}\n", "    ")
    scope: dict[str, Any] = dict(names)
    exec(f"async def snippet():\n{body}", scope)
    return await scope["snippet"]()


@pytest.mark.feature("S4-51", "S4-68")
async def test_the_snippets_run(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """They declare neither exchange nor queue: both are declared; a binding joins them."""
    monkeypatch.setenv("FLOWMESH_ADDRESS", suite.grpc_address)
    monkeypatch.setenv("FLOWMESH_NAMESPACE", "snippets")
    arrived: asyncio.Queue[Any] = asyncio.Queue()

    async def handle_processed_data(body: Any) -> None:
        await arrived.put(body)

    broker = await run(CONFIGURATION, "broker", MessageBroker=MessageBroker)
    async with broker:
        names = {"broker": broker, "handle_processed_data": handle_processed_data}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            subscription = await run(
                PIPELINE.replace("broker.sub", "it = broker.sub"), "it", **names
            )
            await subscription.ready()
        await broker.bind("processed_queue", "processing", "data.#")
        await run(PIPELINE, "None", **names)
        async with asyncio.timeout(PATIENCE_S):
            assert await arrived.get() == {"data": "process_this"}
        state = await broker.client.broker.queue("task_queue")
        assert (state.max_size, state.durable, state.dead_letter_queue) == (1_000, True, "dlq")
