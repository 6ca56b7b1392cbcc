"""Composition root of the worker service."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, cast

from flowmesh.api.broker.v1.message_service_pb2_grpc import MessageServiceStub
from flowmesh.api.event.v1.trigger_service_pb2_grpc import TriggerServiceStub
from flowmesh.api.execution.v1.execution_service_pb2_grpc import PayloadServiceStub
from flowmesh.api.execution.v1.model_usage_service_pb2_grpc import ModelUsageServiceStub
from flowmesh.api.fleet.v1.plugin_service_pb2_grpc import PluginServiceStub
from flowmesh.api.identity.v1.secret_service_pb2_grpc import SecretServiceStub
from flowmesh.api.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from flowmesh.api.worker.v1.dispatch_service_pb2_grpc import DispatchServiceStub
from flowmesh.api.worker.v1.worker_service_pb2_grpc import add_WorkerServiceServicer_to_server
from flowmesh.egress import Egress, Policy, Pool
from flowmesh.executors.breakers import Breakers, GuardedCaller, GuardedSender
from flowmesh.executors.builtin import builtin_executors
from flowmesh.executors.code.python import Interpreters
from flowmesh.executors.collaborators import Collaborators
from flowmesh.executors.databases import Connections
from flowmesh.executors.publish import Subjects
from flowmesh.executors.rpc import Channels
from flowmesh.executors.rpc.services import ServiceCaller
from flowmesh.executors.specs import ReadySpecs
from flowmesh.executors.tools.client import McpClient
from flowmesh.models.configured import configured
from flowmesh.models.prices import Prices
from flowmesh.models.rules import RulesProvider
from flowmesh.models.selection import Providers
from flowmesh.plugins.calling import PluginFunctions
from flowmesh.runtime import Endpoint, Runtime, Settings, StartError
from flowmesh.runtime.names import REGISTRY
from flowmesh.runtime.projects.calls import project_calls
from flowmesh.sandbox import CpuLedger, Sandbox
from flowmesh.sandbox.python import MIB, Limits
from flowmesh.worker import limits
from flowmesh.worker.attempts.memo import Memo
from flowmesh.worker.attempts.model_usage import BookedUsage, UsageCalls
from flowmesh.worker.attempts.payloads import PayloadCalls, Payloads
from flowmesh.worker.attempts.remote_secrets import RemoteSecrets
from flowmesh.worker.attempts.secrets import SecretCalls, Secrets
from flowmesh.worker.events import Broker, Events, Messages, Triggers
from flowmesh.worker.loops import RelayLoop
from flowmesh.worker.mcp_servers import McpServers, RegistryLists
from flowmesh.worker.offers import checked_queues, offered
from flowmesh.worker.pool import BuiltinPool
from flowmesh.worker.registered import CallReportLoop, RegisteredServices, RegistryCalls
from flowmesh.worker.relay import Relay
from flowmesh.worker.streams.orchestrator_stream import Attach, OrchestratorStream
from flowmesh.worker.streams.orchestrators import Orchestrators
from flowmesh.worker.telemetry import PoolTelemetry
from flowmesh.worker.work import WorkServer

SERVICE = "flowmesh.api.worker.v1.WorkerService"


async def run(runtime: Runtime) -> None:
    """Serve workers and run built-in tasks until the process drains."""
    async with AsyncExitStack() as stack:
        settings = runtime.settings
        egress = await stack.enter_async_context(_egress(settings))
        now_us, monotonic_ms = runtime.clock.now_us, runtime.clock.monotonic_ms
        sandbox = await stack.enter_async_context(Sandbox(cpu=(cpu := _cpu_ledger(runtime))))
        service_id = f"worker-{uuid.uuid4()}"
        secrets = _secrets(runtime)
        relay = Relay(worker_service_id=service_id, monotonic_ms=monotonic_ms)
        calls = runtime.stub(PayloadServiceStub, "orchestrator")
        breakers = Breakers(monotonic_ms=monotonic_ms)
        relay.report_breakers(breakers)
        guarded = GuardedSender(egress, breakers)
        databases = await stack.enter_async_context(_connections(settings.databases))
        channels = await stack.enter_async_context(Channels(egress))
        python = await stack.enter_async_context(_interpreters(settings, cpu))
        services = _services(runtime)
        stack.push_async_callback(services.close)
        caller = ServiceCaller(GuardedCaller(channels, breakers), services, services.count)
        executors = builtin_executors(
            Collaborators(
                egress=guarded,
                sandbox=sandbox,
                now_us=now_us,
                python=python,
                databases=databases,
                caller=caller,
                tools=McpClient(guarded, _mcp_servers(runtime).find),
                models=_models(runtime, egress),
                spending=_spending(runtime),
                publisher=_events(runtime),
                messages=Messages(
                    cast(Broker, runtime.stub(MessageServiceStub, "event")),
                    await stack.enter_async_context(project_calls(runtime)),
                ),
                log=runtime.log,
                functions=_functions(runtime, python.sandbox),
            )
        )
        pool = BuiltinPool(
            worker_id=service_id,
            specs=ReadySpecs(offered(executors, settings.builtin_task_types), now_us),
            payloads=Payloads(cast(PayloadCalls, calls)),
            secrets=secrets,
            sink=relay,
            monotonic_ms=monotonic_ms,
            telemetry=PoolTelemetry(runtime.metrics, runtime.spans, runtime.log),
            slots=settings.worker_slots,
            queues=checked_queues(settings.builtin_queues),
            memo=Memo(runtime.cache, settings.bus_prefix, runtime.metrics, now_us, monotonic_ms),
            count=services.count,
        )
        relay.add_set(pool)
        remote = RemoteSecrets(secrets)
        server = WorkServer(
            relay, remote, monotonic_ms=monotonic_ms, new_id=_short_id, count=services.count
        )
        runtime.serve(server, add_WorkerServiceServicer_to_server, SERVICE)
        runtime.add_loop(RelayLoop(relay, runtime.metrics))
        _count_open(runtime, breakers)

        orchestrators = Orchestrators(make_stream=_streams(runtime, relay))
        stack.push_async_callback(orchestrators.close)
        follower = asyncio.create_task(_follow(runtime.instances("orchestrator"), orchestrators))
        stack.callback(follower.cancel)
        runtime.on_drain(lambda: drain(relay, pool, server, orchestrators))
        await runtime.until_stopped()


def _streams(runtime: Runtime, relay: Relay) -> Callable[[str, str], OrchestratorStream]:
    """Return a factory of streams to orchestrators, by id and address."""

    def make_stream(instance_id: str, address: str) -> OrchestratorStream:
        stub: Any = runtime.stub_at(DispatchServiceStub, address)
        return OrchestratorStream(
            stream_id=instance_id,
            attach=cast(Attach, stub.Attach),
            listener=relay,
            monotonic_ms=runtime.clock.monotonic_ms,
            log=runtime.log,
        )

    return make_stream


def _count_open(runtime: Runtime, breakers: Breakers) -> None:
    gauge = runtime.metrics.gauge(
        "flowmesh_breakers_open", "Circuit breakers that are open or half open."
    )
    gauge.set_function(lambda: len(breakers.not_closed()))


def _egress(settings: Settings) -> Egress:
    policy = Policy.named(settings.egress, settings.egress_networks)
    return Egress(policy, pool=Pool.of_calls(settings.worker_slots))


def _events(runtime: Runtime) -> Events:
    triggers = runtime.stub(TriggerServiceStub, "event")
    subjects = Subjects(runtime.bus, runtime.settings.publish_prefix)
    return Events(cast(Triggers, triggers), subjects)


def _mcp_servers(runtime: Runtime) -> McpServers:
    return McpServers(cast(RegistryLists, runtime.stub(RegistryServiceStub, REGISTRY)))


def _models(runtime: Runtime, egress: Egress) -> Providers:
    """The named model services; the rules answer only without one, or where a step names them."""
    settings = runtime.settings
    try:
        found = configured(settings.ai_services, egress)
        prices = Prices(settings.ai_prices_file)
    except (OSError, ValueError) as error:
        raise StartError(f"the model services cannot be used: {error}") from None
    clock = runtime.clock.monotonic_ms
    return Providers([*found, RulesProvider()], clock, prices, rules_after=False)


def _spending(runtime: Runtime) -> BookedUsage:
    calls = runtime.stub(ModelUsageServiceStub, "orchestrator")
    return BookedUsage(cast(UsageCalls, calls), runtime.settings)


def _functions(runtime: Runtime, sandbox: Sandbox) -> PluginFunctions:
    return PluginFunctions("transform", runtime.stub(PluginServiceStub, "fleet"), sandbox)


def _services(runtime: Runtime) -> RegisteredServices:
    """Registered services that tasks call by name; their calls are reported."""
    registry = runtime.stub(RegistryServiceStub, REGISTRY)
    services = RegisteredServices(cast(RegistryCalls, registry))
    runtime.add_loop(CallReportLoop(services))
    return services


def _secrets(runtime: Runtime) -> Secrets:
    """Stored secrets; in an open installation also those of the environment."""
    calls = runtime.stub(SecretServiceStub, "identity")
    environment = os.environ if runtime.keys is None else {}
    return Secrets(cast(SecretCalls, calls), environment=environment)


def _connections(path: str) -> Connections:
    try:
        return Connections.read(path)
    except ValueError as error:
        raise StartError(str(error)) from error


def _cpu_ledger(runtime: Runtime) -> CpuLedger:
    settings = runtime.settings
    return CpuLedger(
        execution_ms_max=settings.execution_cpu_s * 1000,
        namespace_ms_max=settings.namespace_cpu_s * 1000,
        monotonic_ms=runtime.clock.monotonic_ms,
    )


@asynccontextmanager
async def _interpreters(settings: Settings, cpu: CpuLedger) -> AsyncIterator[Interpreters]:
    """Separate processes for Python, so that long computations block nothing else."""
    processes = settings.python_processes or os.cpu_count() or 1
    async with Sandbox(children_max=processes, cpu=cpu) as sandbox:
        most = Limits(settings.python_memory_mib * MIB, settings.python_cpu_s)
        yield Interpreters(sandbox, most)


async def _follow(
    instances: AsyncIterator[tuple[Endpoint, ...]], orchestrators: Orchestrators
) -> None:
    async for endpoints in instances:
        orchestrators.update({endpoint.id: endpoint.address for endpoint in endpoints})


async def drain(
    relay: Relay, pool: BuiltinPool, server: WorkServer, orchestrators: Orchestrators
) -> None:
    """Stop taking tasks, let running ones end, and return those that do not end in time."""
    relay.drain_set(pool)
    server.drain_all()
    with suppress(TimeoutError):
        async with asyncio.timeout(limits.DRAIN_MS / 1000):
            await relay.until_quiet()
    relay.return_tasks(pool.running)
    await pool.stop()
    server.close_all()
    await orchestrators.close()


def _short_id() -> str:
    return uuid.uuid4().hex[:12]
