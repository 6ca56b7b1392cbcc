"""Composition root of the definition service."""

from contextlib import AsyncExitStack
from importlib.resources import files

from flowmesh.api.definition.v1 import definition_service_pb2_grpc
from flowmesh.definition.library import Library
from flowmesh.definition.notices import Notices
from flowmesh.definition.rehearsals import Rehearsals
from flowmesh.definition.server import DefinitionServer
from flowmesh.definition.store import DefinitionStore
from flowmesh.runtime import Runtime
from flowmesh.sandbox import Sandbox

SERVICE = "flowmesh.api.definition.v1.DefinitionService"
SCHEMA = "definition"


async def run(runtime: Runtime) -> None:
    """Serves definitions until the process drains."""
    migrations = files("flowmesh.definition").joinpath("migrations")
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(runtime.database(SCHEMA, migrations))
        notices = Notices(bus=runtime.bus, prefix=runtime.settings.bus_prefix, log=runtime.log)
        library = Library(store=DefinitionStore(pool), notices=notices)
        sandbox = await stack.enter_async_context(Sandbox())
        rehearsals = Rehearsals(library=library, sandbox=sandbox)
        runtime.serve(
            DefinitionServer(library=library, rehearsals=rehearsals),
            definition_service_pb2_grpc.add_DefinitionServiceServicer_to_server,
            SERVICE,
        )
        await runtime.until_stopped()
