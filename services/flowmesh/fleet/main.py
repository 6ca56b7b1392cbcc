"""Composition root of the fleet."""

import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from flowmesh.api.apphost.v1.app_service_pb2_grpc import AppServiceStub
from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceStub
from flowmesh.api.execution.v1.limits_service_pb2_grpc import LimitServiceStub
from flowmesh.api.execution.v1.meter_service_pb2_grpc import MeterServiceStub
from flowmesh.api.fleet.v1 import fleet_service_pb2_grpc, plugin_service_pb2_grpc
from flowmesh.api.identity.v1.access_service_pb2_grpc import AccessServiceStub
from flowmesh.api.identity.v1.provider_service_pb2_grpc import ProviderServiceStub
from flowmesh.audit import audit_relay
from flowmesh.egress import Egress, Policy
from flowmesh.errors import FlowmeshError
from flowmesh.fleet.diagnosis import Diagnosis
from flowmesh.fleet.driving.credentials import Credentials
from flowmesh.fleet.driving.drivers import driver_of
from flowmesh.fleet.fleet import Fleet
from flowmesh.fleet.metrics import FleetMetrics
from flowmesh.fleet.plugins.plugins import Plugins
from flowmesh.fleet.plugins.reading import Reader
from flowmesh.fleet.plugins.server import PluginServer
from flowmesh.fleet.plugins.usage import Usage
from flowmesh.fleet.running.beats import BeatLoop
from flowmesh.fleet.running.figures import Figures
from flowmesh.fleet.running.fleet_loop import FleetLoop
from flowmesh.fleet.running.meters import MeterLoop
from flowmesh.fleet.running.sightings import steady
from flowmesh.fleet.running.wishes import WishReader
from flowmesh.fleet.server import AgentServer, FleetServer
from flowmesh.fleet.storage.pins import PinStore
from flowmesh.fleet.storage.store import MIGRATIONS, SCHEMA, FleetStore
from flowmesh.plugins import signing
from flowmesh.plugins.catalogue import Catalogue
from flowmesh.runtime import Runtime
from flowmesh.runtime.errors import StartError
from flowmesh.runtime.names import IDENTITY
from flowmesh.sandbox import Sandbox

CONNECTIONS = 6


async def run(runtime: Runtime) -> None:
    """Run agents until the process drains."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            runtime.database(SCHEMA, MIGRATIONS, pool_max=CONNECTIONS)
        )
        call = audit_relay(runtime, pool).call
        store = FleetStore(pool, call=call)
        credentials = Credentials(runtime, runtime.stub(AccessServiceStub, IDENTITY))
        driver, isolation = driver_of(runtime, credentials)
        stack.push_async_callback(driver.close)
        now_us = steady(runtime.clock)
        figures = Figures(runtime.stub(LimitServiceStub, "orchestrator"))
        beats = BeatLoop(store)
        loop = FleetLoop(
            store=store,
            driver=driver,
            credentials=credentials,
            wishes=WishReader(store=store, figures=figures, log=runtime.log, now_us=now_us),
            metrics=FleetMetrics(runtime.metrics),
            holder=f"{socket.gethostname()}-{runtime.instance_id}",
            new_id=_new_id,
            log=runtime.log,
            now_us=now_us,
        )
        runtime.add_loop(beats)
        runtime.add_loop(MeterLoop(store, runtime.stub(MeterServiceStub, "orchestrator")))
        runtime.add_loop(loop)
        runtime.on_drain(loop.drain)
        fleet = Fleet(store=store, isolation=isolation, announce=loop.wake, new_id=_new_id)
        runtime.serve(
            FleetServer(fleet=fleet, store=store, diagnosis=Diagnosis(store, figures)),
            fleet_service_pb2_grpc.add_FleetServiceServicer_to_server,
        )
        runtime.serve(
            AgentServer(store, beats), fleet_service_pb2_grpc.add_AgentServiceServicer_to_server
        )
        plugins = Plugins(
            fleet=fleet,
            store=store,
            pins=PinStore(pool, call=call),
            catalogue=await stack.enter_async_context(_catalogue(runtime)),
            usage=Usage(
                runtime.stub(DefinitionServiceStub, "definition"),
                runtime.stub(ProviderServiceStub, IDENTITY),
                runtime.stub(AppServiceStub, "apphost"),
            ),
            reader=Reader(await stack.enter_async_context(Sandbox(children_max=1))),
        )
        runtime.serve(
            PluginServer(plugins), plugin_service_pb2_grpc.add_PluginServiceServicer_to_server
        )
        await runtime.until_stopped()


@asynccontextmanager
async def _catalogue(runtime: Runtime) -> AsyncIterator[Catalogue]:
    """Yield the catalogue of the settings. Raises StartError for a key that is none."""
    settings = runtime.settings
    try:
        keys = signing.public_keys(settings.plugin_public_keys)
    except FlowmeshError as error:
        raise StartError(f"FLOWMESH_PLUGIN_KEYS: {error.message}") from error
    async with Egress(Policy.named(settings.egress, settings.egress_networks)) as egress:
        yield Catalogue(settings.plugin_catalogue, keys, egress)


def _new_id() -> str:
    return f"agent-{secrets.token_hex(8)}"
