"""The process `event`: the broker, the event service, the event store and kept signals."""

from contextlib import AsyncExitStack

from flowmesh.access.encryption import DataKeys
from flowmesh.broker.main import serve_broker
from flowmesh.event.main import serve_events
from flowmesh.eventstore.main import serve_event_store
from flowmesh.observe.main import serve_observe
from flowmesh.runtime import Runtime
from flowmesh.runtime.data_keys import encrypting


async def run(runtime: Runtime) -> None:
    """Serve until the process drains."""
    async with AsyncExitStack() as stack:
        keys = DataKeys()
        await encrypting(runtime, keys)
        queues = await serve_broker(runtime, stack, keys)
        executions = await serve_events(runtime, stack, keys, queues)
        await serve_event_store(runtime, stack, keys, executions)
        await serve_observe(runtime, stack)
        await runtime.until_stopped()
