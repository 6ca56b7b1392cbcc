"""RegistryService over a socket, as other processes use it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc
from flowmesh.embedded import EmbeddedServers
from flowmesh.errors import FlowmeshError
from flowmesh.registry import main
from flowmesh.rpc import RemoteTarget, channel_to
from flowmesh.runtime import Process, Settings

PATIENCE_S = 20


@pytest.fixture
async def registry(servers: EmbeddedServers) -> AsyncIterator[Any]:
    """A stub of a registry whose process registers itself."""
    settings = Settings(
        postgres=servers.postgres,
        nats=servers.nats,
        redis=servers.redis,
        grpc_port=0,
        http_port=0,
        bus_prefix=f"t{uuid.uuid4().hex[:8]}",
    )
    process = Process(settings, {"registry": main.run})
    ready = asyncio.Event()

    async def on_ready(_process: Process) -> None:
        ready.set()

    task = asyncio.create_task(process.run(on_ready))
    async with asyncio.timeout(PATIENCE_S):
        await ready.wait()
    target = RemoteTarget(f"127.0.0.1:{process.grpc_port}")
    yield registry_service_pb2_grpc.RegistryServiceStub(channel_to(target))
    await target.close()
    process.stop()
    await task


def request(name: str, **fields: Any) -> pb.RegisterInstanceRequest:
    instance = pb.Instance(id=name, name=name, endpoint="127.0.0.1:1", **fields)
    return pb.RegisterInstanceRequest(instance=instance, heartbeat_interval_ms=60_000)


async def until(stream: AsyncIterator[Any], name: str, status: int) -> pb.Instance:
    async with asyncio.timeout(PATIENCE_S):
        async for message in stream:
            for instance in message.instances:
                if (instance.name, instance.status) == (name, status):
                    assert isinstance(instance, pb.Instance)
                    return instance
    raise AssertionError("the watch ended")


async def test_the_process_registers_itself(registry: Any) -> None:
    """It is found by type and capability."""
    stream = aiter(registry.WatchInstances(pb.WatchInstancesRequest(type="core")))
    found = await until(stream, "registry", pb.INSTANCE_STATUS_HEALTHY)
    assert "flowmesh.api.registry.v1.RegistryService" in found.capabilities
    listed = await registry.ListInstances(
        pb.ListInstancesRequest(capability="flowmesh.api.registry.v1.RegistryService")
    )
    assert [each.id for each in listed.instances] == [found.id]


async def test_an_instance_lives_through_the_contract(registry: Any) -> None:
    """Register, report degraded, list by status, deregister: each call succeeds and is watched."""
    stream = aiter(registry.WatchInstances(pb.WatchInstancesRequest(name="orders")))
    stored = (await registry.RegisterInstance(request("orders", capabilities=["charge"]))).instance
    assert (stored.namespace, stored.status) == ("default", pb.INSTANCE_STATUS_HEALTHY)
    await until(stream, "orders", pb.INSTANCE_STATUS_HEALTHY)
    degraded = pb.INSTANCE_STATUS_DEGRADED
    await registry.Heartbeat(pb.HeartbeatRequest(id="orders", status=degraded))
    await until(stream, "orders", degraded)
    listed = await registry.ListInstances(pb.ListInstancesRequest(statuses=[degraded]))
    assert [each.id for each in listed.instances] == ["orders"]
    await registry.DeregisterInstance(pb.DeregisterInstanceRequest(id="orders"))
    await until(stream, "orders", pb.INSTANCE_STATUS_OFFLINE)
    got = await registry.GetInstance(pb.GetInstanceRequest(id="orders"))
    assert got.instance.status == pb.INSTANCE_STATUS_OFFLINE


async def test_refusals_carry_their_reasons(registry: Any) -> None:
    """Unknown instances, fields out of range, invalid namespaces."""
    unknown = pb.GetInstanceRequest(id="nobody")
    calls = {
        "INSTANCE_NOT_FOUND": registry.GetInstance(unknown),
        "INSTANCE_INVALID": registry.RegisterInstance(pb.RegisterInstanceRequest()),
        "ID_INVALID": registry.ListInstances(pb.ListInstancesRequest(namespace="a/b")),
    }
    for reason, call in calls.items():
        with pytest.raises(FlowmeshError) as refused:
            await call
        assert refused.value.reason == reason


async def test_the_registry_survives_a_killed_redis(
    registry: Any, servers: EmbeddedServers
) -> None:
    """The process registers again, is not reported offline, and changes continue."""
    stream = aiter(registry.WatchInstances(pb.WatchInstancesRequest()))
    await until(stream, "registry", pb.INSTANCE_STATUS_HEALTHY)
    servers.kill("redis")
    await servers.until_ready("redis")
    await registry.RegisterInstance(request("late"))
    async with asyncio.timeout(PATIENCE_S):
        async for message in stream:
            assert all(each.status != pb.INSTANCE_STATUS_OFFLINE for each in message.instances)
            if any(each.name == "late" for each in message.instances):
                break
