"""The membership of a process in the registry: registration, heartbeats and watch.

Failures are retried and do not affect the services.
"""

import asyncio
from typing import Any

import structlog

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as pb_grpc
from flowmesh.errors import FlowmeshError, NotFound
from flowmesh.rpc import Channel
from flowmesh.runtime.directory import Directory

HEARTBEAT_S = 1.0
CALL_TIMEOUT_S = 2.0
WATCH_RETRY_S = 0.5
CORE_TYPE = "core"
"""The type of the instances of the suite."""


class Membership:
    """Keeps the instances of this process in the registry and the directory up to date."""

    def __init__(
        self, *, directory: Directory, channel: Channel, instances: list[pb.Instance]
    ) -> None:
        self._directory = directory
        self._registry = pb_grpc.RegistryServiceStub(channel)
        self._instances = instances
        self._registered: set[str] = set()
        # Including registrations without a response, which the registry may have applied.
        self._attempted: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._log = structlog.get_logger("flowmesh.runtime")

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._keep_registered(), name="registry-heartbeat"),
            asyncio.create_task(self._keep_watching(), name="registry-watch"),
        ]

    async def leave(self) -> None:
        """Deregister this process; stop at the first failure."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for instance_id in sorted(self._attempted):
            request = pb.DeregisterInstanceRequest(id=instance_id)
            try:
                await self._registry.DeregisterInstance(request, timeout=CALL_TIMEOUT_S)
            except NotFound:
                continue
            except FlowmeshError as error:
                self._log.info("deregister_failed", reason=error.reason)
                return

    async def _keep_registered(self) -> None:
        reachable = True
        while True:
            try:
                for instance in self._instances:
                    await self._beat(instance)
                reachable = True
            except FlowmeshError as error:
                if reachable:
                    self._log.warning("registry_unreachable", reason=error.reason)
                reachable = False
            self._directory.forget_missing()
            await asyncio.sleep(HEARTBEAT_S)

    async def _beat(self, instance: pb.Instance) -> None:
        if instance.id in self._registered:
            request = pb.HeartbeatRequest(id=instance.id)
            try:
                await self._registry.Heartbeat(request, timeout=CALL_TIMEOUT_S)
            except NotFound:
                self._registered.discard(instance.id)
            else:
                return
        self._attempted.add(instance.id)
        await self._registry.RegisterInstance(
            pb.RegisterInstanceRequest(
                instance=instance, heartbeat_interval_ms=int(HEARTBEAT_S * 1_000)
            ),
            timeout=CALL_TIMEOUT_S,
        )
        self._registered.add(instance.id)

    async def _keep_watching(self) -> None:
        while True:
            try:
                await self._watch()
            except FlowmeshError as error:
                self._log.debug("registry_watch_ended", reason=error.reason)
            await asyncio.sleep(WATCH_RETRY_S)

    async def _watch(self) -> None:
        stream: Any = self._registry.WatchInstances(pb.WatchInstancesRequest(type=CORE_TYPE))
        async for message in stream:
            if message.snapshot:
                self._directory.replace(list(message.instances))
            else:
                self._directory.update(list(message.instances))
