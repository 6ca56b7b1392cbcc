"""Membership: what is begun at the registry is ended there."""

import asyncio
from typing import Any, cast

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.registry.v1 import registry_service_pb2_grpc as pb_grpc
from flowmesh.errors import NotFound
from flowmesh.rpc import Handlers, LocalTarget, channel_to
from flowmesh.runtime.directory import Directory
from flowmesh.runtime.membership import Membership
from flowmesh.telemetry import Metrics

SILENT = "silent"
UNKNOWN = "unknown"


class Registry(pb_grpc.RegistryServiceServicer):
    """Keeps who is registered; never answers the registration of `silent`."""

    def __init__(self) -> None:
        self.instances: set[str] = set()
        self.asked: list[str] = []
        self.kept = asyncio.Event()

    async def RegisterInstance(
        self, request: pb.RegisterInstanceRequest, context: Any
    ) -> pb.RegisterInstanceResponse:
        self.instances.add(request.instance.id)
        if request.instance.id == SILENT:
            self.kept.set()
            await asyncio.Event().wait()
        return pb.RegisterInstanceResponse(instance=request.instance)

    async def DeregisterInstance(
        self, request: pb.DeregisterInstanceRequest, context: Any
    ) -> pb.DeregisterInstanceResponse:
        self.asked.append(request.id)
        if request.id == UNKNOWN:
            raise NotFound("INSTANCE_NOT_FOUND", "no such instance")
        self.instances.discard(request.id)
        return pb.DeregisterInstanceResponse()


def member(registry: Registry, *ids: str) -> Membership:
    handlers = Handlers(Metrics())
    cast(Any, pb_grpc.add_RegistryServiceServicer_to_server)(registry, handlers)
    return Membership(
        directory=Directory(),
        channel=channel_to(LocalTarget(handlers)),
        instances=[pb.Instance(id=instance_id, name="demo") for instance_id in ids],
    )


async def test_a_registration_without_an_answer_is_ended_too() -> None:
    """A process that leaves while it registers does not stay in the registry."""
    registry = cast(Any, Registry)()
    membership = member(registry, "first", SILENT, "never")
    membership.start()
    await registry.kept.wait()
    assert registry.instances == {"first", SILENT}
    await membership.leave()
    assert registry.instances == set()
    assert registry.asked == ["first", SILENT]


async def test_an_instance_the_registry_forgot_does_not_keep_the_others() -> None:
    """Leaving goes on after a registry that knows nothing of one of them."""
    registry = cast(Any, Registry)()
    membership = member(registry, UNKNOWN, "zulu", SILENT)
    membership.start()
    await registry.kept.wait()
    await membership.leave()
    assert registry.instances == {UNKNOWN}
