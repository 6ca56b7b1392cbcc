"""Probes of what a process says of itself: workers and instances of services."""

from typing import Any

from flowmesh.api.registry.v1 import registry_service_pb2 as registry
from flowmesh.api.worker.v1 import worker_service_pb2 as worker
from tests.badinput.bench import Bench
from tests.badinput.probes import PROBES, probe

REGISTER = "/flowmesh.api.registry.v1.RegistryService/RegisterInstance"
WORK = "/flowmesh.api.worker.v1.WorkerService/Work"
__all__ = ["PROBES"]


def hello(**given: Any) -> worker.WorkRequest:
    about = {"worker_id": "w", "task_types": ["limits"], "slots": 1, **given}
    return worker.WorkRequest(hello=worker.WorkHello(**about))


@probe("slots of a worker")
async def _(bench: Bench, n: int) -> str:
    return await bench.call(WORK, hello(slots=n))


@probe("task types of a worker")
async def _(bench: Bench, n: int) -> str:
    return await bench.call(WORK, hello(task_types=[f"limits-{i}" for i in range(n)]))


@probe("labels of a worker")
async def _(bench: Bench, n: int) -> str:
    return await bench.call(WORK, hello(labels={f"l{i}": "x" for i in range(n)}))


@probe("tasks that a worker says it still has")
async def _(bench: Bench, n: int) -> str:
    return await bench.call(WORK, hello(held=[f"t{i}" for i in range(n)]))


def instance(interval_ms: int = 0, **given: Any) -> registry.RegisterInstanceRequest:
    about = {"id": "limits", "name": "limits", "endpoint": "a:1", **given}
    return registry.RegisterInstanceRequest(
        instance=registry.Instance(**about), heartbeat_interval_ms=interval_ms
    )


@probe("capabilities of an instance")
async def _(bench: Bench, n: int) -> str:
    return await bench.call(REGISTER, instance(capabilities=[f"c{i}" for i in range(n)]))


@probe("metadata of an instance")
async def _(bench: Bench, n: int) -> str:
    return await bench.call(REGISTER, instance(metadata={"k": "x" * (n - 1)}))


@probe("endpoint of an instance")
async def _(bench: Bench, n: int) -> str:
    return await bench.call(REGISTER, instance(endpoint="http://a/".ljust(n, "x")))


@probe("heartbeat interval")
async def _(bench: Bench, n: int) -> str:
    return await bench.call(REGISTER, instance(n))


@probe("name of an instance")
async def _(bench: Bench, n: int) -> str:
    return await bench.call(REGISTER, instance(name="x" * n))
