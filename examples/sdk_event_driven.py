"""An event-driven pipeline: an event starts a workflow, whose own event starts the next one.

Run it beside `flowmesh dev`: python examples/sdk_event_driven.py
"""

import asyncio
from typing import Any

from flowmesh.sdk import Client, Worker, Workflow, WorkflowTask

# The built-in `publish` task sends a CloudEvent; its id is the idempotency key of the task.
announce = WorkflowTask(
    "announce-reading",
    {
        "type": "publish",
        "publish": {"subject": "readings", "type": "reading.clean", "data": "{{input}}"},
    },
)


def on_event(name: str, event_type: str, *brings: WorkflowTask) -> Workflow:
    """Return a workflow that each event of a type starts, with the event's data as input."""
    event = {"type": event_type, "input": "{{event.data}}"}
    return Workflow(name, brings=brings, also={"triggers": [{"id": "event", "event": event}]})


def clean(reading: dict[str, Any]) -> dict[str, Any]:
    return {"sensor": reading["sensor"].strip().lower(), "celsius": float(reading["celsius"])}


async def main(address: str = "") -> dict[str, Any]:
    stored: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    cleaning = on_event("clean-reading", "reading.raw", announce)
    cleaned = cleaning.task("clean", clean)
    cleaning.use("announce", "announce-reading", input=cleaned.output)

    storing = on_event("store-reading", "reading.clean")
    storing.task("store", stored.put)

    async with Client(address) as client:
        await client.register(cleaning)
        await client.register(storing)
        async with Worker(client, cleaning.handlers | storing.handlers):
            await client.publish("reading.raw", {"sensor": " Roof ", "celsius": "21.5"})
            reading = await stored.get()
    print(reading)
    return reading


if __name__ == "__main__":
    asyncio.run(main())
