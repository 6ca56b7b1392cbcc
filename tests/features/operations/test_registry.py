"""Who is there, as the running suite tells it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc
from flowmesh.embedded import EmbeddedServers
from flowmesh.errors import Invalid
from flowmesh.runtime import Process, Runtime, Settings
from flowmesh.sdk import Client, Service, ServiceEndpoint, ServiceType
from flowmesh.testing.suite import Suite

PATIENCE_S = 30
CORE = {"definition", "orchestrator", "worker", "event", "registry", "gateway"}


def registry_of(suite: Suite) -> "registry_service_pb2_grpc.RegistryServiceAsyncStub":
    stub: registry_service_pb2_grpc.RegistryServiceAsyncStub
    stub = registry_service_pb2_grpc.RegistryServiceStub(suite.channel)
    return stub


def watch(suite: Suite, name: str) -> AsyncIterator[Any]:
    return aiter(registry_of(suite).WatchInstances(pb.WatchInstancesRequest(name=name)))


async def statuses(stream: AsyncIterator[Any], until: int) -> list[int]:
    """Every status that is told, up to the one waited for."""
    seen: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        while until not in seen:
            seen += [instance.status for instance in (await anext(stream)).instances]
    return seen


async def heartbeat(suite: Suite, name: str) -> None:
    """Returns when the instance has renewed its lease."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            listed = await registry_of(suite).ListInstances(pb.ListInstancesRequest(name=name))
            if any(each.heartbeat_at_us > each.registered_at_us for each in listed.instances):
                return


def registration(name: str, *capabilities: str) -> pb.RegisterInstanceRequest:
    instance = pb.Instance(id=name, name=name, endpoint="127.0.0.1:1", capabilities=capabilities)
    return pb.RegisterInstanceRequest(instance=instance, heartbeat_interval_ms=200)


@pytest.mark.feature("S4-41")
async def test_services_register_at_start_and_leave_at_stop(
    suite: Suite, servers: EmbeddedServers
) -> None:
    """The suite's own are there without anybody's doing; one that joins comes and goes."""
    stream = aiter(registry_of(suite).WatchInstances(pb.WatchInstancesRequest(type="core")))
    there: set[str] = set()
    async with asyncio.timeout(PATIENCE_S):
        while not there >= CORE:
            there |= {instance.name for instance in (await anext(stream)).instances}
    listed = await suite.get("/api/v1/services?type=core")
    assert {each["name"] for each in listed.json["services"]} >= CORE

    async def run(runtime: Runtime) -> None:
        await runtime.until_stopped()

    name = f"probe-{uuid.uuid4().hex[:8]}"
    settings = Settings(
        nats=servers.nats,
        redis=servers.redis,
        registry=suite.grpc_address,
        grpc_port=0,
        http_port=0,
    )
    process, stream = Process(settings, {name: run}), watch(suite, name)
    task = asyncio.create_task(process.run())
    await statuses(stream, until=pb.INSTANCE_STATUS_HEALTHY)
    await heartbeat(suite, name)
    process.stop()
    await task
    assert await statuses(stream, until=pb.INSTANCE_STATUS_OFFLINE) == [pb.INSTANCE_STATUS_OFFLINE]


@pytest.mark.feature("S4-42", "S4-44")
async def test_a_service_that_stops_passes_through_every_status(suite: Suite) -> None:
    """HEALTHY, DEGRADED, UNHEALTHY, OFFLINE, by its silence alone."""
    name = f"silent-{uuid.uuid4().hex[:8]}"
    stream = watch(suite, name)
    await registry_of(suite).RegisterInstance(registration(name))

    assert await statuses(stream, until=pb.INSTANCE_STATUS_OFFLINE) == [
        pb.INSTANCE_STATUS_HEALTHY,
        pb.INSTANCE_STATUS_DEGRADED,
        pb.INSTANCE_STATUS_UNHEALTHY,
        pb.INSTANCE_STATUS_OFFLINE,
    ]


@pytest.mark.feature("S4-43")
async def test_services_are_found_by_capability(suite: Suite) -> None:
    """Only those that have it, by gRPC and by REST."""
    registry, unique = registry_of(suite), uuid.uuid4().hex[:8]
    await registry.RegisterInstance(registration(f"a-{unique}", f"charge-{unique}"))
    await registry.RegisterInstance(registration(f"b-{unique}", "refund"))
    request = pb.ListInstancesRequest(capability=f"charge-{unique}")
    listed = await registry.ListInstances(request)
    answer = await suite.get(f"/api/v1/services?capability=charge-{unique}")

    assert [each.name for each in listed.instances] == [f"a-{unique}"]
    assert [each["name"] for each in answer.json["services"]] == [f"a-{unique}"]


@pytest.mark.feature("S4-45")
async def test_a_service_of_the_model_is_registered_and_found(suite: Suite) -> None:
    """By the SDK and by REST; a port alone is on the host that the registration comes from."""
    endpoint = ServiceEndpoint(port=8080)
    name = f"agent-{uuid.uuid4().hex[:8]}"
    service = Service(name, ServiceType.AGENT, endpoint, ["data_processing"])
    async with (
        Client(suite.grpc_address) as client,
        client.registered(service) as registered,
    ):
        found = [each async for each in client.services(name=name, type=ServiceType.AGENT)]
        (shown,) = (await suite.get(f"/api/v1/services?name={name}")).json["services"]

    assert endpoint.get_url() == "http://localhost:8080"
    assert found == [registered]
    assert ServiceEndpoint.parse(registered.endpoint).get_url() == "http://127.0.0.1:8080"
    assert (shown["type"], shown["endpoint"]) == ("AGENT", "http://127.0.0.1:8080")
    assert shown["capabilities"] == ["data_processing"]


NOT_ENDPOINTS = {
    "nonsense": "has no port",
    "localhost:99999999": "a port is 1 to 65535",
    "localhost:-1": "a port is 1 to 65535",
    "http://": "has no port",
    "http://exa mple:80": "neither a name nor an IP address",
    "10.0.0.999:80": "neither a name nor an IP address",
}


@pytest.mark.parametrize("endpoint", NOT_ENDPOINTS)
async def test_an_endpoint_that_is_none_is_refused(suite: Suite, endpoint: str) -> None:
    """By the registry and by the SDK, with what is wrong."""
    request = registration("wrong")
    request.instance.endpoint = endpoint
    with pytest.raises(Invalid, match=NOT_ENDPOINTS[endpoint]) as refused:
        await registry_of(suite).RegisterInstance(request)
    assert [each.field for each in refused.value.violations] == ["instance.endpoint"]
    with pytest.raises(Invalid, match=NOT_ENDPOINTS[endpoint]):
        ServiceEndpoint.parse(endpoint)


async def test_services_have_all_capabilities_that_are_asked_for(suite: Suite) -> None:
    """A repeated capability of REST means both."""
    registry, unique = registry_of(suite), uuid.uuid4().hex[:8]
    one, other = f"charge-{unique}", f"refund-{unique}"
    await registry.RegisterInstance(registration(f"one-{unique}", one))
    await registry.RegisterInstance(registration(f"both-{unique}", one, other))
    answer = await suite.get(f"/api/v1/services?capability={one}&capability={other}")
    assert [each["name"] for each in answer.json["services"]] == [f"both-{unique}"]
