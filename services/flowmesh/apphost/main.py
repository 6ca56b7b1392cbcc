"""Composition root of the application host."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from flowmesh.access.keys import OPEN_KEYS
from flowmesh.access.sealing import Sealer
from flowmesh.api.apphost.v1 import app_service_pb2_grpc
from flowmesh.api.fleet.v1.plugin_service_pb2_grpc import PluginServiceStub
from flowmesh.api.identity.v1.access_service_pb2_grpc import AccessServiceStub
from flowmesh.apphost.apps import Apps
from flowmesh.apphost.moves import AppMoves
from flowmesh.apphost.running.app_metrics import AppMetrics
from flowmesh.apphost.running.checks import Checks
from flowmesh.apphost.running.folders import Folders
from flowmesh.apphost.running.host import HostLoop
from flowmesh.apphost.running.hosted_app import HostedApp
from flowmesh.apphost.running.module_types import ModuleTypes
from flowmesh.apphost.running.strangers import Strangers
from flowmesh.apphost.running.suites import Suites
from flowmesh.apphost.running.upgrades import Upgrades
from flowmesh.apphost.server import AppServer
from flowmesh.apphost.storage.contents import Contents
from flowmesh.apphost.storage.records import Key
from flowmesh.apphost.storage.store import MIGRATIONS, SCHEMA, AppStore, Leadership
from flowmesh.audit import audit_relay
from flowmesh.bus import Message
from flowmesh.errors import Unavailable
from flowmesh.runtime import Runtime
from flowmesh.runtime.names import IDENTITY

CONNECTIONS = 5
CHANGED = "apphost.changed"


async def run(runtime: Runtime) -> None:
    """Run applications until the process drains."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            runtime.database(SCHEMA, MIGRATIONS, pool_max=CONNECTIONS)
        )
        relay = audit_relay(runtime, pool)
        store = AppStore(pool, apps_max=runtime.settings.apps_max, call=relay.call)
        installation = Sealer((runtime.keys or OPEN_KEYS).wrapping)
        contents = Contents(store=store, sealer=installation)
        suites = Suites(runtime, runtime.stub(AccessServiceStub, IDENTITY))
        strangers = _strangers(runtime, suites)
        module_types = ModuleTypes(runtime.stub(PluginServiceStub, "fleet"))
        host = HostLoop(
            store=store,
            leadership=Leadership(pool),
            hosted=_hosted(runtime, store, contents, strangers, suites, module_types),
            log=runtime.log,
        )
        subject = f"{runtime.settings.bus_prefix}.{CHANGED}"

        async def changed(_message: Message) -> None:
            host.wake()

        async def announce() -> None:
            host.wake()
            try:
                await runtime.bus.publish_core(subject, b"")
            except Unavailable:
                return

        await host.lead()
        await runtime.bus.subscribe_core(subject, changed)
        runtime.add_loop(host)
        runtime.on_drain(host.drain)
        checks = _checks(runtime, strangers, suites, module_types)
        await checks.clear()
        apps = Apps(store=store, contents=contents, announce=announce)
        moves = AppMoves(
            apps=apps,
            store=store,
            contents=contents,
            installation=installation,
            data=host.data_of,
        )
        runtime.serve(
            AppServer(
                apps=apps,
                host=host,
                checks=checks,
                moves=moves,
                upgrades=Upgrades(store=store, contents=contents, checks=checks),
            ),
            app_service_pb2_grpc.add_AppServiceServicer_to_server,
        )
        await runtime.until_stopped()


def _strangers(runtime: Runtime, suites: Suites) -> Strangers:
    settings = runtime.settings
    wanted = settings.app_isolation
    if wanted == "auto":
        wanted = "best" if runtime.keys is None else "required"
    return Strangers(
        isolation=wanted,
        egress=settings.egress,
        allowed=settings.egress_networks,
        gateways=suites.gateways,
        data_dir=Path(settings.data_dir).absolute(),
        log=runtime.log,
    )


def _checks(
    runtime: Runtime, strangers: Strangers, suites: Suites, module_types: ModuleTypes
) -> Checks:
    settings = runtime.settings
    return Checks(
        data_dir=Path(settings.data_dir).absolute(),
        suite=suites.address,
        strangers=strangers,
        module_types=module_types,
    )


def _hosted(
    runtime: Runtime,
    store: AppStore,
    contents: Contents,
    strangers: Strangers,
    suites: Suites,
    module_types: ModuleTypes,
) -> Callable[[Key, Callable[[], None]], HostedApp]:
    """Return the factory of applications."""
    settings = runtime.settings
    data_dir = Path(settings.data_dir).absolute()
    metrics = AppMetrics(runtime.metrics, exported=settings.metrics_workflows > 0)

    def made(key: Key, changed: Callable[[], None]) -> HostedApp:
        return HostedApp(
            key=key,
            store=store,
            contents=contents,
            folders=Folders.of(data_dir, key),
            strangers=strangers,
            host=settings.host,
            suites=suites,
            module_types=module_types,
            closed=runtime.keys is not None,
            served=partial(metrics.add, key),
            changed=changed,
        )

    return made
