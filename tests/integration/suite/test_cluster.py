"""`flowmesh cluster`: each service a process of its own, two orchestrators, two workers."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import psutil
import pytest
import pytest_asyncio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from flowmesh.errors import Invalid, NotFound
from flowmesh.sdk import Client, Ref, Worker, Workflow, task, workflow
from flowmesh.testing.polling import allowed_s
from flowmesh.testing.reflection import reflected_services

START_TIMEOUT_S = 60.0
MANY = 2_000
DELETED = 8
MANY_RESULTS_WITHIN_S = 8.0
HELLO = {"id": "hello", "name": "Hello", "steps": [{"id": "only", "name": "Only"}]}
ALL = [
    "apphost",
    "definition",
    "event",
    "fleet",
    "gateway",
    "identity",
    "orchestrator-1",
    "orchestrator-2",
    "registry",
]
ALL += ["worker-1", "worker-2"]
PUBLIC = {
    "flowmesh.api.apphost.v1.AppService",
    "flowmesh.api.assistant.v1.AssistantService",
    "flowmesh.api.broker.v1.BrokerService",
    "flowmesh.api.broker.v1.MessageService",
    "flowmesh.api.broker.v1.QueueMoveService",
    "flowmesh.api.definition.v1.DefinitionService",
    "flowmesh.api.definition.v1.TemplateService",
    "flowmesh.api.definition.v1.VersionService",
    "flowmesh.api.event.v1.EventService",
    "flowmesh.api.event.v1.SubscriptionService",
    "flowmesh.api.event.v1.TriggerService",
    "flowmesh.api.eventstore.v1.EventGroupService",
    "flowmesh.api.eventstore.v1.EventMoveService",
    "flowmesh.api.eventstore.v1.EventStoreService",
    "flowmesh.api.eventstore.v1.ProjectionService",
    "flowmesh.api.execution.v1.BulkService",
    "flowmesh.api.execution.v1.ControlService",
    "flowmesh.api.execution.v1.ExecutionService",
    "flowmesh.api.execution.v1.LimitService",
    "flowmesh.api.execution.v1.MeterService",
    "flowmesh.api.execution.v1.PayloadService",
    "flowmesh.api.execution.v1.RetentionService",
    "flowmesh.api.execution.v1.SearchService",
    "flowmesh.api.fleet.v1.AgentService",
    "flowmesh.api.fleet.v1.FleetService",
    "flowmesh.api.fleet.v1.PluginService",
    "flowmesh.api.history.v1.HistoryService",
    "flowmesh.api.history.v1.InsightService",
    "flowmesh.api.identity.v1.AuditService",
    "flowmesh.api.identity.v1.AuthService",
    "flowmesh.api.identity.v1.EncryptionService",
    "flowmesh.api.identity.v1.FileService",
    "flowmesh.api.identity.v1.KeyService",
    "flowmesh.api.identity.v1.LoginService",
    "flowmesh.api.identity.v1.MemberService",
    "flowmesh.api.identity.v1.PlanService",
    "flowmesh.api.identity.v1.ProviderService",
    "flowmesh.api.identity.v1.ProvisioningService",
    "flowmesh.api.identity.v1.QuotaService",
    "flowmesh.api.identity.v1.SecretService",
    "flowmesh.api.identity.v1.TenantService",
    "flowmesh.api.observe.v1.DashboardService",
    "flowmesh.api.observe.v1.ObserveService",
    "flowmesh.api.registry.v1.RegistryService",
    "flowmesh.api.worker.v1.WorkerService",
}

pytestmark = pytest.mark.long


@task("greet-in-cluster")
async def greet(person: dict[str, str]) -> str:
    return f"Hello {person['name']}"


@workflow("greeting")
def greeting(flow: Workflow) -> dict[str, Ref]:
    return {"said": flow.task("greet", greet).output}


class Cluster:
    """The running command and what its file says."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._folder = folder

    @property
    def about(self) -> Any:
        return json.loads((self._folder / "cluster.json").read_text())

    @property
    def processes(self) -> dict[str, Any]:
        return {row["name"]: row for row in self.about["processes"]}

    async def get(self, url: str) -> tuple[int, Any]:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return answer.status, await answer.text()

    async def execute(self) -> str:
        """Runs the workflow once through the gateway and returns the status."""
        url = f"{self.about['http']}/api/v1/workflows/hello/execute"
        async with aiohttp.ClientSession() as session, session.post(url, json={}) as answer:
            return str((await answer.json()).get("status"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    argv = ("-m", "flowmesh.suite", "cluster", "--http-port", "0", "--grpc-port", "0")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *argv,
        "--data-dir",
        str(folder),
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    async with asyncio.timeout(START_TIMEOUT_S):
        async for line in process.stdout:
            if line.startswith(b"REST:"):
                break
    running = Cluster(folder, process)
    yield running
    children = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    async with asyncio.timeout(20):
        await process.communicate()
    assert process.returncode == 0
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, 5)
    assert alive == []


async def test_every_process_has_its_own_health_and_metrics(cluster: Cluster) -> None:
    """Each of the nine answers the six paths on its own port."""
    assert sorted(cluster.processes) == ALL
    for row in cluster.processes.values():
        for path in ("health", "healthz", "livez", "ready", "readyz", "metrics"):
            status, body = await cluster.get(f"{row['http']}/{path}")
            assert status == 200, (row["name"], path, body)


async def test_the_gateway_serves_every_public_grpc_service(cluster: Cluster) -> None:
    """One address is enough for a client and for a worker: definitions, runs, events, tasks."""
    async with Client(cluster.about["grpc"]) as client:
        await client.register(greeting)
        async with Worker(client, greeting.handlers):
            handle = await client.start("greeting", {"name": "Ada"})
            types = [event.type async for event in handle.events()]
        assert (await handle.result(), types[-1]) == ({"said": "Hello Ada"}, "WorkflowCompleted")
        assert {service.name async for service in client.services()} >= {"worker", "registry"}
        with pytest.raises(Invalid) as caught:
            await client.register({**HELLO, "id": "bad", "steps": [{"id": "a", "name": 1}]})
    assert caught.value.violations


async def test_a_deleted_execution_is_found_nowhere(cluster: Cluster) -> None:
    """Whichever orchestrator is asked to delete an execution, the one that owns it forgets it."""
    asked = [cluster.processes[name]["grpc"] for name in ("orchestrator-1", "orchestrator-2")]
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(Client(cluster.about["grpc"]))
        one, other = [await stack.enter_async_context(Client(address)) for address in asked]
        await client.register(greeting)
        await stack.enter_async_context(Worker(client, greeting.handlers))
        handles = [await client.start("greeting", {"name": "Ada"}) for _ in range(DELETED)]
        for handle in handles:
            await handle.result()
            assert (await one.get_execution(handle.id)).id == handle.id
            await one.delete_execution(handle.id)
            for each in (client, one, other):
                with pytest.raises(NotFound):
                    await each.get_execution(handle.id)


async def test_a_session_through_the_gateway(cluster: Cluster) -> None:
    """Many starts over one stream, each acknowledged and each with its result."""
    async with Client(cluster.about["grpc"]) as client:
        await client.register(greeting)
        async with Worker(client, greeting.handlers), client.session() as session:
            calls = [session.submit("greeting", {"name": str(number)}) for number in range(20)]
            results = [await call.result() for call in calls]
    assert results == [{"said": f"Hello {number}"} for number in range(20)]


async def test_thousands_of_results_come_when_they_are_there(cluster: Cluster) -> None:
    """Whichever orchestrator owns an execution: a wait is a message to it and no call."""
    pause = {"id": "pause", "name": "Pause", "action": "delay", "params": {"duration": 2_000}}
    async with Client(cluster.about["grpc"]) as client:
        await client.register({"id": "many", "name": "Many", "steps": [pause]})
        async with client.session() as session:
            calls = [session.submit("many", {}) for _ in range(MANY)]
            for call in calls:
                await call.started()
            all_started = asyncio.get_running_loop().time()
            await asyncio.gather(*(call.result() for call in calls))
            took_s = asyncio.get_running_loop().time() - all_started
    assert took_s < allowed_s(MANY_RESULTS_WITHIN_S)


async def test_the_gateway_tells_what_it_serves(cluster: Cluster) -> None:
    """Health and reflection know the public services there, and only those."""
    async with grpc.aio.insecure_channel(cluster.about["grpc"]) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        for name in PUBLIC:
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        names = await reflected_services(channel)
        assert {name for name in names if name.startswith("flowmesh.")} == PUBLIC
        attach: Any = channel.stream_stream("/flowmesh.api.worker.v1.DispatchService/Attach")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await attach().read()
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_services_find_each_other(cluster: Cluster) -> None:
    """A workflow runs across gateway, definition, orchestrators and workers."""
    url = f"{cluster.about['http']}/workflows"
    async with aiohttp.ClientSession() as session, session.post(url, json=HELLO) as answer:
        assert answer.status in (200, 201)
    assert [await cluster.execute() for _ in range(4)] == ["completed"] * 4


async def test_statistics_are_of_all_orchestrators(cluster: Cluster) -> None:
    """Whichever of them is asked, and with percentiles of all samples."""
    async with Client(cluster.about["grpc"]) as client:
        pause = {"id": "pause", "name": "Pause", "action": "delay", "params": {"duration": 20}}
        await client.register({"id": "counted", "name": "Counted", "steps": [pause]})
        handles = [await client.start("counted", {}) for _ in range(30)]
        for handle in handles:
            await handle.result()
        for _ in range(4):
            (stats,) = await client.stats("counted")
            assert (stats.started, stats.completed, stats.latency.count) == (30, 30, 30)
            assert 20 <= stats.latency.p50_ms <= stats.latency.p99_ms


async def test_work_continues_when_an_orchestrator_is_killed(cluster: Cluster) -> None:
    """The other one takes over; the killed one is started again under its name."""
    victim = cluster.processes["orchestrator-1"]["pid"]
    os.kill(victim, signal.SIGKILL)
    async with asyncio.timeout(30):
        while await cluster.execute() != "completed":
            pass
        while cluster.processes["orchestrator-1"]["pid"] in (0, victim):
            await cluster.get(f"{cluster.about['http']}/health")


async def test_a_worker_continues_when_its_worker_service_is_killed(cluster: Cluster) -> None:
    """Its stream through the gateway breaks, and the next one leads to the other service."""
    async with Client(cluster.about["grpc"]) as client:
        await client.register(greeting)
        async with Worker(client, greeting.handlers):
            first = await client.start("greeting", {"name": "Ada"})
            assert await first.result() == {"said": "Hello Ada"}
            for name in ("worker-1", "worker-2"):
                victim = cluster.processes[name]["pid"]
                os.kill(victim, signal.SIGKILL)
                handle = await client.start("greeting", {"name": name})
                async with asyncio.timeout(60):
                    assert await handle.result() == {"said": f"Hello {name}"}
                    while cluster.processes[name]["pid"] in (0, victim):
                        await cluster.get(f"{cluster.about['http']}/health")
