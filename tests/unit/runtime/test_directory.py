"""The directory: who is where, in turn, and what is kept when the registry is away."""

import asyncio
from contextlib import aclosing
from typing import Any

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.runtime.directory import LOCAL, Directory, Endpoint

HEALTHY = pb.INSTANCE_STATUS_HEALTHY


def instance(key: str, status: Any = HEALTHY, name: str = "worker") -> pb.Instance:
    return pb.Instance(id=key, name=name, endpoint=f"host:{key}", status=status)


def always(_address: str) -> bool:
    return True


def test_calls_go_to_the_healthy_ones_in_turn() -> None:
    """Healthy instances share the calls; a degraded one gets none while there are others."""
    directory = Directory()
    degraded = instance("c", pb.INSTANCE_STATUS_DEGRADED)
    directory.replace([instance("a"), instance("b"), degraded])
    picked = [directory.pick("worker", always) for _ in range(4)]
    assert {endpoint.id for endpoint in picked if endpoint} == {"a", "b"}
    directory.update([instance("a", pb.INSTANCE_STATUS_OFFLINE)])
    directory.update([instance("b", pb.INSTANCE_STATUS_OFFLINE)])
    assert directory.pick("worker", always) == Endpoint("c", "host:c")


def test_this_process_comes_first() -> None:
    """A service of this process is called here, whatever the registry knows."""
    directory = Directory()
    directory.replace([instance("a"), instance("mine")])
    directory.add_local("worker", "mine")
    assert directory.pick("worker", always) == Endpoint("mine", LOCAL)
    assert [e.id for e in directory.endpoints("worker")] == ["mine", "a"]


def test_an_address_that_did_not_answer_comes_last() -> None:
    """What a call has just found out beats what the registry still says."""
    directory = Directory()
    directory.replace([instance("a"), instance("b", pb.INSTANCE_STATUS_DEGRADED)])
    picked = directory.pick("worker", lambda address: address != "host:a")
    assert picked == Endpoint("b", "host:b")


def test_an_empty_snapshot_does_not_empty_the_view() -> None:
    """A registry that lost its memory disturbs nobody: who is missing is kept for a while."""
    directory = Directory()
    directory.replace([instance("a")])
    directory.replace([])
    assert directory.pick("worker", always) == Endpoint("a", "host:a")


def test_an_unknown_service_has_no_instance() -> None:
    """No instance is None, not an error."""
    assert Directory().pick("worker", always) is None


async def test_a_watch_tells_the_set_and_each_change_of_it() -> None:
    """The current set comes first; changes of other services do not wake anybody."""
    directory = Directory()
    async with aclosing(directory.watch("worker")) as sets:
        assert await anext(sets) == ()
        following = asyncio.ensure_future(anext(sets))
        directory.update([instance("x", name="gateway")])
        directory.update([instance("a")])
        assert await following == (Endpoint("a", "host:a"),)
        directory.update([instance("a", pb.INSTANCE_STATUS_OFFLINE)])
        assert await anext(sets) == ()
