"""Composition root of the registry service."""

from contextlib import AsyncExitStack

from flowmesh.api.registry.v1 import registry_service_pb2_grpc
from flowmesh.registry.instances import Instances
from flowmesh.registry.server import RegistryServer
from flowmesh.registry.store import InstanceStore
from flowmesh.registry.watch import Watchers
from flowmesh.runtime import Runtime

SERVICE = "flowmesh.api.registry.v1.RegistryService"


async def run(runtime: Runtime) -> None:
    """Serve the registry until the process drains."""
    async with AsyncExitStack() as stack:
        store = InstanceStore(redis=runtime.cache, prefix=runtime.settings.bus_prefix)
        watchers = Watchers(store=store, log=runtime.log)
        stack.push_async_callback(watchers.close)
        server = RegistryServer(instances=Instances(store=store), watchers=watchers)
        runtime.serve(
            server, registry_service_pb2_grpc.add_RegistryServiceServicer_to_server, SERVICE
        )
        await runtime.until_stopped()
