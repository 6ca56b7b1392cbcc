"""Composition root of the registry service."""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from flowmesh.api.registry.v1 import registry_service_pb2_grpc
from flowmesh.registry.checking import CheckLoop
from flowmesh.registry.instances import Instances
from flowmesh.registry.probes import PROBES_MAX, Probes
from flowmesh.registry.server import RegistryServer
from flowmesh.registry.store import InstanceStore
from flowmesh.registry.topology import Topology
from flowmesh.registry.watch import Watchers
from flowmesh.runtime import Runtime

if TYPE_CHECKING:
    from flowmesh.egress import Egress

SERVICE = "flowmesh.api.registry.v1.RegistryService"


async def run(runtime: Runtime) -> None:
    """Serve the registry until the process drains."""
    async with AsyncExitStack() as stack:
        store = InstanceStore(redis=runtime.cache, prefix=runtime.settings.bus_prefix)
        watchers = Watchers(store=store, log=runtime.log)
        stack.push_async_callback(watchers.close)
        probes = Probes(lambda: _egress(runtime))
        stack.push_async_callback(probes.close)
        checks = CheckLoop(store=store, probes=probes, log=runtime.log)
        stack.push_async_callback(checks.close)
        runtime.add_loop(checks)
        server = RegistryServer(
            instances=Instances(store=store),
            watchers=watchers,
            topology=Topology(
                redis=runtime.cache, prefix=runtime.settings.bus_prefix, instances=store
            ),
        )
        runtime.serve(
            server, registry_service_pb2_grpc.add_RegistryServiceServicer_to_server, SERVICE
        )
        await runtime.until_stopped()


def _egress(runtime: Runtime) -> "Egress":
    """Return the client of checks; imported with the first one, as it takes memory."""
    from flowmesh.egress import LINK_LOCAL, Egress, Policy, Pool

    policy = Policy.named(runtime.settings.egress, runtime.settings.egress_networks)
    policy = replace(policy, refused=LINK_LOCAL)
    return Egress(policy, pool=Pool.of_calls(PROBES_MAX))
