"""The process `definition`: the definition service and the assistant together."""

from contextlib import AsyncExitStack

from flowmesh.assistant.main import serve_assistant
from flowmesh.definition.main import serve_definitions
from flowmesh.runtime import Runtime


async def run(runtime: Runtime) -> None:
    """Serve until the process drains."""
    async with AsyncExitStack() as stack:
        await serve_definitions(runtime, stack)
        await serve_assistant(runtime, stack)
        await runtime.until_stopped()
