"""The whole operator in one process, between an API server in memory and stubs of the suite."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import aiohttp
import grpc.aio
import pytest

from flowmesh.api.definition.v1 import definition_service_pb2 as pb
from flowmesh.api.execution.v1 import limits_service_pb2
from flowmesh.embedded.ports import free_port
from flowmesh.errors import Unavailable
from flowmesh.keda import externalscaler_pb2
from flowmesh.keda.externalscaler_pb2_grpc import ExternalScalerStub
from flowmesh.operator import main, watcher
from flowmesh.operator.leader import NAME
from flowmesh.operator.main import run
from flowmesh.operator.webhook import PATH
from flowmesh.runtime import Settings
from flowmesh.runtime.loop import Loop
from flowmesh.telemetry import Metrics
from flowmesh.testing.polling import done
from tests.api_server import HOST, SYSTEM, ApiServer, write_kubeconfig
from tests.stubs import Stub
from tests.unit.operator.made import made
from tests.unit.operator.test_certificates import INSTALLED, published

APPLIED = pb.ApplyResponse(resources=[pb.AppliedResource(name="pay", version=1, digest="d1")])
NAMESPACE = {"metadata": {"name": "shop", "annotations": {"workflow.io/namespace": "labs"}}}


class Process:
    """What the operator uses of its process; it is stopped by `stop`."""

    instance_id = "operator-1"

    def __init__(self, suite: Stub) -> None:
        self.webhook_port, self.scaler_port = free_port(), free_port()
        self.settings = Settings(
            host=HOST, webhook_port=self.webhook_port, scaler_port=self.scaler_port
        )
        self.metrics = Metrics()
        self.suite = suite
        self.checks: dict[str, Callable[[], Awaitable[None]]] = {}
        self.loops: list[Loop] = []
        self.stop = asyncio.Event()
        self._drains: list[Callable[[], Awaitable[None]]] = []

    def stub(self, _stub_class: Any, _service: str) -> Any:
        return self.suite

    def add_loop(self, loop: Loop) -> None:
        self.loops.append(loop)

    def on_drain(self, callback: Callable[[], Awaitable[None]]) -> None:
        self._drains.append(callback)

    def add_check(self, name: str, check: Callable[[], Awaitable[None]]) -> None:
        self.checks[name] = check

    async def until_stopped(self) -> None:
        await self.stop.wait()
        for callback in self._drains:
            await callback()

    def gauge(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"flowmesh_operator_{name}") or 0.0


async def review(port: int, bundle: bytes, found: dict[str, Any]) -> Any:
    """Post a review as an API server does that trusts the published authority."""
    context = ssl.create_default_context(cadata=bundle.decode())
    request = {"uid": "u1", "operation": "CREATE", "namespace": "shop", "object": found}
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"https://{HOST}:{port}{PATH}",
            json={"request": request},
            ssl=context,
            server_hostname=f"flowmesh-webhook.{SYSTEM}.svc",
        ) as answer,
    ):
        return (await answer.json())["response"]


async def test_the_operator_leads_reviews_registers_and_drains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the start without a certificate to the release of its Lease."""
    server = ApiServer()
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(server, tmp_path)))
    suite = Stub(
        Apply=APPLIED,
        ValidateWorkflow=pb.ValidateWorkflowResponse(),
        ListQueues=limits_service_pb2.ListQueuesResponse(),
    )
    process = Process(suite)
    server.put("namespaces", {"metadata": {"name": main.SYSTEM, "uid": "c1"}})
    server.put("namespaces", NAMESPACE)
    server.put("validatingwebhookconfigurations", INSTALLED)
    server.put("workflows", made("Workflow", "pay", {"tasks": [{"id": "a"}]}, finalizers=[]))

    def registered(name: str) -> bool:
        found = server.get("workflows", name)
        conditions = (found or {}).get("status", {}).get("conditions", [{}])
        return bool(conditions[0].get("status") == "True")

    async with server.serving():
        running = asyncio.create_task(run(cast("Any", process)))
        await done("composed", lambda: len(process.loops) == 2, within_s=5)
        with pytest.raises(Unavailable, match="waits for its certificate"):
            await process.checks["webhook"]()
        for loop in process.loops:
            await loop.run_once()
        await done("registered", lambda: registered("pay"), within_s=5)
        request = suite.last("Apply")
        assert (request.namespace, request.owner) == ("labs", "kubernetes/c1/shop")
        assert (process.gauge("leader"), process.gauge("queue")) == (1, 0)
        assert process.gauge("queue_age_seconds") == 0
        assert process.gauge("certificate_days") > 80
        await process.checks["webhook"]()
        ship = made("Workflow", "ship", {"tasks": [{"id": "a"}]}, finalizers=[])
        verdict = await review(process.webhook_port, published(server), ship)
        assert verdict == {"uid": "u1", "allowed": True}
        # Changes come by the watches.
        await done("watched", lambda: {"workflows", "namespaces"} <= {*server.watched}, within_s=5)
        server.put("workflows", ship)
        await done("registered", lambda: registered("ship"), within_s=5)
        server.remove("workflows", "ship")
        moved = {"metadata": {"name": "shop", "annotations": {"workflow.io/namespace": "other"}}}
        server.put("namespaces", moved)
        server.put("workflows", {**ship, "metadata": {**ship["metadata"], "name": "late"}})
        await done("registered", lambda: registered("late"), within_s=5)
        assert suite.last("Apply").namespace == "other"
        server.remove("namespaces", "shop", "")
        async with grpc.aio.insecure_channel(f"{HOST}:{process.scaler_port}") as channel:
            scaled = externalscaler_pb2.ScaledObjectRef(
                namespace="place", scalerMetadata={"queue": "q"}
            )
            active: Any = ExternalScalerStub(channel).IsActive(scaled)
            assert not (await active).result
        process.stop.set()
        await running
    lease = server.get("leases", NAME, SYSTEM)
    assert lease is not None
    assert lease["spec"].get("holderIdentity", "") == ""


async def test_an_object_that_is_not_listed_again_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It went during a gap of the watch. Without a port, no scaler is served."""
    monkeypatch.setattr(watcher, "RELIST_PAUSE_S", 0.0)
    server = ApiServer()
    monkeypatch.setenv("KUBECONFIG", str(write_kubeconfig(server, tmp_path)))
    process = Process(Stub(Apply=APPLIED))
    process.settings = Settings(
        host=HOST, webhook_port=process.webhook_port, scaler_port=0, kubernetes_cluster="c1"
    )
    for name in ("pay", "ship"):
        server.put("workflows", made("Workflow", name))
    async with server.serving():
        running = asyncio.create_task(run(cast("Any", process)))
        await done("watched", lambda: "workflows" in server.watched, within_s=5)
        del server.objects["workflows", "shop", "ship"]
        server.requests.clear()
        server.send("workflows", "ERROR", {"kind": "Status", "code": 410, "message": "too old"})
        await done("listed", lambda: "GET workflows" in server.requests, within_s=5)
        await done("watched", lambda: "workflows" in server.watched, within_s=5)
        await process.loops[0].run_once()
        await done("registered", lambda: "Apply" in process.suite.methods, within_s=5)
        process.stop.set()
        await running
    names = {request.owner for method, request in process.suite.calls if method == "Apply"}
    assert names == {"kubernetes/c1/shop"}
    assert len(process.suite.calls) == 1
