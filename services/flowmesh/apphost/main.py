"""Composition root of the application host."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from flowmesh.access.keys import OPEN_KEYS
from flowmesh.access.sealing import Sealer
from flowmesh.api.apphost.v1 import app_service_pb2_grpc
from flowmesh.api.identity.v1.audit_service_pb2_grpc import AuditServiceStub
from flowmesh.apphost.apps import Apps
from flowmesh.apphost.running.checks import Checks
from flowmesh.apphost.running.folders import Folders
from flowmesh.apphost.running.host import HostLoop
from flowmesh.apphost.running.hosted_app import HostedApp
from flowmesh.apphost.running.strangers import Strangers
from flowmesh.apphost.server import AppServer
from flowmesh.apphost.storage.contents import Contents
from flowmesh.apphost.storage.records import Key
from flowmesh.apphost.storage.store import MIGRATIONS, SCHEMA, AppStore, Leadership
from flowmesh.audit import AuditOutbox, AuditRelay
from flowmesh.bus import Message
from flowmesh.errors import Unavailable
from flowmesh.runtime import Runtime
from flowmesh.runtime.directory import LOCAL
from flowmesh.runtime.names import GATEWAY

CONNECTIONS = 5
CHANGED = "apphost.changed"
# The variables of a release that let its application call a closed suite.
CREDENTIALS = ("FLOWMESH_API_KEY", "FLOWMESH_TOKEN")


async def run(runtime: Runtime) -> None:
    """Run applications until the process drains."""
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            runtime.database(SCHEMA, MIGRATIONS, pool_max=CONNECTIONS)
        )
        relay = AuditRelay(
            outbox=AuditOutbox(pool), audit=runtime.stub(AuditServiceStub, "identity")
        )
        runtime.add_loop(relay)
        store = AppStore(pool, call=relay.call)
        contents = Contents(store=store, sealer=Sealer((runtime.keys or OPEN_KEYS).wrapping))
        strangers = _strangers(runtime)
        host = HostLoop(
            store=store,
            leadership=Leadership(pool),
            hosted=_hosted(runtime, store, contents, strangers),
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
        checks = _checks(runtime, strangers)
        await checks.clear()
        apps = Apps(store=store, contents=contents, announce=announce)
        runtime.serve(
            AppServer(apps=apps, host=host, checks=checks),
            app_service_pb2_grpc.add_AppServiceServicer_to_server,
        )
        await runtime.until_stopped()


def _strangers(runtime: Runtime) -> Strangers:
    settings = runtime.settings
    wanted = settings.app_isolation
    if wanted == "auto":
        wanted = "best" if runtime.keys is None else "required"
    return Strangers(
        isolation=wanted,
        egress=settings.egress,
        allowed=settings.egress_networks,
        gateways=lambda: _gateways(runtime),
        data_dir=Path(settings.data_dir).absolute(),
        log=runtime.log,
    )


def _checks(runtime: Runtime, strangers: Strangers) -> Checks:
    settings = runtime.settings
    return Checks(
        data_dir=Path(settings.data_dir).absolute(),
        private=settings.egress == "open",
        suite=lambda key, environment: _suite_of(runtime, key, environment),
        strangers=strangers,
    )


def _hosted(
    runtime: Runtime, store: AppStore, contents: Contents, strangers: Strangers
) -> Callable[[Key, Callable[[], None]], HostedApp]:
    """Return the factory of applications."""
    settings = runtime.settings
    data_dir = Path(settings.data_dir).absolute()

    def made(key: Key, changed: Callable[[], None]) -> HostedApp:
        async def suite(environment: Mapping[str, str]) -> Mapping[str, str]:
            return await _suite_of(runtime, key, environment)

        return HostedApp(
            key=key,
            store=store,
            contents=contents,
            folders=Folders.of(data_dir, key),
            strangers=strangers,
            host=settings.host,
            private=settings.egress == "open",
            suite=suite,
            changed=changed,
        )

    return made


async def _suite_of(
    runtime: Runtime, key: Key, environment: Mapping[str, str]
) -> Mapping[str, str]:
    """Return the variables by which an application reaches this suite; none without a credential.

    A gateway with TLS is named by the variables of the release, with its authority.
    """
    may_call = runtime.keys is None or any(environment.get(each) for each in CREDENTIALS)
    if not may_call or runtime.settings.tls_cert:
        return {}
    for address in await _gateways(runtime):
        return {"FLOWMESH_ADDRESS": address, "FLOWMESH_NAMESPACE": key[0]}
    return {}


async def _gateways(runtime: Runtime) -> Sequence[str]:
    """Return the addresses of the gateways of this suite."""
    async for gateways in runtime.instances(GATEWAY):
        return [runtime.address if each.address == LOCAL else each.address for each in gateways]
    return []
