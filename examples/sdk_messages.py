"""Messages over an exchange: declare, bind, subscribe, publish.

Run it beside `flowmesh dev`: python examples/sdk_messages.py
"""

import asyncio
from typing import Any

from flowmesh.sdk import MessageBroker

ARRIVES_S = 10


async def main(address: str = "") -> Any:
    processed: asyncio.Queue[Any] = asyncio.Queue()

    async def handle_processed_data(body: Any) -> None:
        print("received", body)
        await processed.put(body)

    async with MessageBroker(address) as broker:
        await broker.declare_queue(
            name="task_queue",
            max_size=1000,
            durable=True,
            dead_letter_queue="dlq",
        )
        await broker.declare_exchange("processing", "topic")
        await broker.declare_queue("processed_queue")
        await broker.bind("processed_queue", "processing", "data.#")

        # Publisher
        await broker.publish(
            body={"data": "process_this"},
            routing_key="data.raw",
            exchange="processing",
        )

        # Consumer
        broker.subscribe("processed_queue", handle_processed_data)
        async with asyncio.timeout(ARRIVES_S):
            return await processed.get()


if __name__ == "__main__":
    asyncio.run(main())
