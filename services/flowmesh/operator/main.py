"""Composition root of the operator."""

import asyncio
import random
import time
from contextlib import AsyncExitStack
from typing import Any

from lightkube import AsyncClient
from lightkube.resources.core_v1 import Namespace

from flowmesh.api.apphost.v1.app_service_pb2_grpc import AppServiceStub
from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceStub
from flowmesh.api.definition.v1.template_service_pb2_grpc import TemplateServiceStub
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.api.execution.v1.limits_service_pb2_grpc import LimitServiceStub
from flowmesh.api.fleet.v1.fleet_service_pb2_grpc import FleetServiceStub
from flowmesh.operator.agents import Agents
from flowmesh.operator.certificates import Certificates
from flowmesh.operator.controller import Controller
from flowmesh.operator.kinds import KINDS, Key, Object, key_of
from flowmesh.operator.leader import Leader
from flowmesh.operator.metrics import OperatorMetrics
from flowmesh.operator.objects import Objects
from flowmesh.operator.provisioning.checks import Checks
from flowmesh.operator.provisioning.documents import Documents
from flowmesh.operator.provisioning.provisioner import Provisioner
from flowmesh.operator.reviews import Reviewer
from flowmesh.operator.scaler import Scaler, ScalerServer
from flowmesh.operator.suite import Suite
from flowmesh.operator.watcher import Watcher
from flowmesh.operator.webhook import Webhook
from flowmesh.operator.work_queue import WorkQueue
from flowmesh.runtime import Runtime

SYSTEM = "kube-system"


async def run(runtime: Runtime) -> None:
    """Serve reviews, and reconcile while this replica leads, until the process drains."""
    settings = runtime.settings
    async with AsyncExitStack() as stack:
        client = AsyncClient(namespace=settings.kubernetes_namespace or None)
        stack.push_async_callback(client.close)
        metrics = OperatorMetrics(runtime.metrics)
        objects = Objects()
        queue: WorkQueue[Key] = WorkQueue(now_s=time.monotonic, jitter=random.random)
        cluster = settings.kubernetes_cluster or await _cluster(client)
        suite = Suite(
            definitions=runtime.stub(DefinitionServiceStub, "definition"),
            templates=runtime.stub(TemplateServiceStub, "definition"),
            cluster=cluster,
        )
        agents = Agents(runtime.stub(FleetServiceStub, "fleet"), cluster=cluster)
        provisioner = _provisioner(runtime, client, objects)
        leader = Leader(
            client=client,
            namespace=client.namespace,
            identity=runtime.instance_id,
            monotonic_s=time.monotonic,
        )
        metrics.queue.set_function(lambda: len(queue))
        metrics.queue_age.set_function(lambda: queue.age_s)
        metrics.leader.set_function(leader.leading.is_set)
        certificates = _certificates(client, settings.webhook_service, leader, metrics)
        webhook = Webhook(
            reviewer=Reviewer(
                client=client,
                objects=objects,
                suite=suite,
                agents=agents,
                provisioner=provisioner,
                documents=Documents(runtime.stub(AppServiceStub, "apphost")),
            ),
            certificates=certificates,
            host=settings.host,
            port=settings.webhook_port,
            metrics=metrics,
        )
        watchers = [_namespaces(client, objects)]
        watchers += [_objects(client, kind, objects, queue) for kind in KINDS]
        controller = Controller(
            client=client,
            objects=objects,
            suite=suite,
            agents=agents,
            provisioner=provisioner,
            queue=queue,
            leading=leader.leading,
            listed=[each.ready for each in watchers],
            metrics=metrics,
            draw=random.random,
        )
        await _serve_scaler(runtime, objects, stack)
        runtime.add_loop(leader)
        runtime.add_loop(certificates)
        runtime.on_drain(leader.release)
        runtime.add_check("webhook", webhook.check)
        stack.push_async_callback(webhook.close)
        # An error in one of them ends the process, which is started again, and never goes unseen.
        async with asyncio.TaskGroup() as group:
            work = (webhook.start(), controller.run(), *(each.run() for each in watchers))
            tasks = [group.create_task(each) for each in work]
            await runtime.until_stopped()
            for task in tasks:
                task.cancel()


def _certificates(
    client: AsyncClient, service: str, leader: Leader, metrics: OperatorMetrics
) -> Certificates:
    """Return the certificates of the webhook, which is reached by the name of its Service."""
    host = f"{service}.{client.namespace}.svc"
    return Certificates(
        client=client,
        namespace=client.namespace,
        hosts=(host, f"{host}.cluster.local"),
        leading=leader.leading,
        days_left=metrics.certificate_days.set,
    )


def _provisioner(runtime: Runtime, client: AsyncClient, objects: Objects) -> Provisioner:
    executions = runtime.stub(ExecutionServiceStub, "orchestrator")
    return Provisioner(
        client=client,
        objects=objects,
        checks=Checks(executions=executions, objects=objects),
        namespace=client.namespace,
        image=runtime.settings.app_image,
    )


async def _serve_scaler(runtime: Runtime, objects: Objects, stack: AsyncExitStack) -> None:
    """Serve the scaler of KEDA until the stack ends, if it has a port."""
    settings = runtime.settings
    if not settings.scaler_port:
        return
    scaler = Scaler(limits=runtime.stub(LimitServiceStub, "orchestrator"), objects=objects)
    server = ScalerServer(scaler, host=settings.host, port=settings.scaler_port)
    await server.start()
    stack.push_async_callback(server.close)


async def _cluster(client: AsyncClient) -> str:
    """Return what tells this cluster from others: the uid of its first namespace."""
    found = await client.get(Namespace, SYSTEM)
    assert found.metadata is not None
    return str(found.metadata.uid)


def _objects(client: AsyncClient, kind: str, objects: Objects, queue: WorkQueue[Key]) -> Watcher:
    def changed(change: str, found: Object) -> None:
        key = key_of(kind, found)
        if change == "DELETED":
            objects.remove(key)
        else:
            objects.put(key, found)
            queue.add(key)

    def listed(names: set[tuple[str, str]]) -> None:
        for key in objects.known(kind):
            if (key.namespace, key.name) not in names:
                objects.remove(key)

    return Watcher(client=client, resource=KINDS[kind], changed=changed, listed=listed)


def _namespaces(client: AsyncClient, objects: Objects) -> Watcher:
    def changed(change: str, found: Namespace) -> None:
        metadata = found.metadata
        assert metadata is not None
        assert metadata.name is not None
        if change == "DELETED":
            objects.remove_namespace(metadata.name)
            return
        known: dict[str, Any] = {"labels": metadata.labels, "annotations": metadata.annotations}
        objects.put_namespace(metadata.name, known, ending=metadata.deletionTimestamp is not None)

    return Watcher(client=client, resource=Namespace, changed=changed, listed=lambda _names: None)
