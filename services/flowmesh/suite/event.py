"""The process `event`: the broker, the event service and the event store together."""

from contextlib import AsyncExitStack

from flowmesh.access.encryption import DataKeys
from flowmesh.broker.main import serve_broker
from flowmesh.event.main import serve_events
from flowmesh.eventstore.main import serve_event_store
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
        await runtime.until_stopped()
