"""Registered services that tasks call by name: their instances, and counts of all calls.

A service is followed from its first call until it was not called for a while.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.api.worker.v1.task_pb2 import Task, TaskResult
from flowmesh.errors import FlowmeshError
from flowmesh.executors.rpc.services import UNNAMED
from flowmesh.rpc.endpoints import Address
from flowmesh.rpc.instances.balancing import RANKS, Balancer, Place
from flowmesh.rpc.instances.call_counts import CallCounts
from flowmesh.runtime import Loop
from flowmesh.tasktypes.upstreams import WORKERS

SERVICES_MAX: Final = 500
FIRST_ANSWER_S: Final = 2.0
RETRY_S: Final = 0.5
NAMESPACES_MAX: Final = 1_000
_STATUS: Final = "INSTANCE_STATUS_"


class RegistryCalls(Protocol):
    """The calls of RegistryService that a worker makes."""

    def WatchInstances(self, request: pb.WatchInstancesRequest) -> AsyncIterable[Any]: ...

    async def ReportCalls(self, request: pb.ReportCallsRequest) -> Any: ...


@dataclass(slots=True, eq=False)
class _Followed:
    """A service, with its instances by id."""

    balancer: Balancer = field(default_factory=Balancer)
    instances: dict[str, pb.Instance] = field(default_factory=dict)
    read: asyncio.Event = field(default_factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None


class RegisteredServices:
    """The services that tasks of this process call; the least recently called ones are dropped."""

    def __init__(self, registry: RegistryCalls) -> None:
        self._registry = registry
        self._followed: OrderedDict[tuple[str, str], _Followed] = OrderedDict()
        self._counts: dict[str, CallCounts] = {}

    async def balancer(self, namespace: str, service: str) -> Balancer:
        """Return the balancer of a service; wait a short time for its instances."""
        key = (namespace, service)
        followed = self._followed.get(key)
        if followed is None:
            followed = self._followed[key] = _Followed()
            followed.task = asyncio.create_task(self._follow(key, followed), name="mesh-follow")
            if len(self._followed) > SERVICES_MAX:
                _, dropped = self._followed.popitem(last=False)
                if dropped.task is not None:
                    dropped.task.cancel()
        self._followed.move_to_end(key)
        if not followed.read.is_set():
            try:
                async with asyncio.timeout(FIRST_ANSWER_S):
                    await followed.read.wait()
            except TimeoutError:
                pass  # without instances the call fails, and is tried again
        return followed.balancer

    def count(
        self,
        namespace: str,
        source: str,
        target: str,
        seconds: float,
        failed: bool,
        calls: int = 1,
    ) -> None:
        """Count finished calls for the next report."""
        if namespace not in self._counts and len(self._counts) >= NAMESPACES_MAX:
            return
        counts = self._counts.setdefault(namespace, CallCounts())
        counts.add(source, target, seconds, failed=failed, calls=calls)

    async def report(self) -> int:
        """Report the counts; those of a failed report are dropped. Return the number of pairs."""
        counted, self._counts = self._counts, {}
        pairs = 0
        for namespace, counts in counted.items():
            calls = counts.take()
            pairs += len(calls)
            await self._registry.ReportCalls(
                pb.ReportCallsRequest(namespace=namespace, calls=calls)
            )
        return pairs

    async def close(self) -> None:
        tasks = [each.task for each in self._followed.values() if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, key: tuple[str, str], followed: _Followed) -> None:
        namespace, service = key
        request = pb.WatchInstancesRequest(namespace=namespace, name=service)
        while True:
            try:
                async for message in self._registry.WatchInstances(request):
                    _apply(followed, message)
            except FlowmeshError:
                pass  # the last known instances stay in use
            await asyncio.sleep(RETRY_S)


CountMany = Callable[[str, str, str, float, bool, int], None]
"""Counts calls: namespace, source, target, seconds of each, whether they failed, how many."""
_Begun = tuple[str, str, str, float]
"""Namespace, source, target and the time of the dispatch."""


class WorkerCalls:
    """Counts the tasks of one remote worker as calls of `workers of <task type>`."""

    def __init__(self, count: CountMany, monotonic_ms: Callable[[], float]) -> None:
        self._count, self._monotonic_ms = count, monotonic_ms
        self._begun: dict[str, _Begun] = {}

    def begin(self, tasks: Sequence[Task]) -> None:
        now_ms = self._monotonic_ms()
        for task in tasks:
            source = task.workflow_id or UNNAMED
            self._begun[task.token] = (task.namespace, source, WORKERS + task.task_type, now_ms)

    def end(self, results: Iterable[TaskResult]) -> None:
        # Tasks that came in one frame and end in one are counted at once.
        ended: dict[tuple[_Begun, bool], int] = {}
        for result in results:
            if begun := self._begun.pop(result.token, None):
                alike = (begun, result.HasField("failure"))
                ended[alike] = ended.get(alike, 0) + 1
        now_ms = self._monotonic_ms()
        for (begun, failed), calls in ended.items():
            namespace, source, target, began_ms = begun
            self._count(namespace, source, target, (now_ms - began_ms) / 1_000, failed, calls)

    def drop(self, tokens: Iterable[str]) -> None:
        """Forget canceled tasks."""
        for token in tokens:
            self._begun.pop(token, None)


class CallReportLoop(Loop):
    """Reports the calls of tasks to the topology."""

    interval_ms: ClassVar[int] = 2_000

    def __init__(self, services: RegisteredServices) -> None:
        self._services = services

    async def run_once(self) -> int:
        return await self._services.report()


def _apply(followed: _Followed, message: Any) -> None:
    if message.snapshot:
        followed.instances.clear()
    for instance in message.instances:
        if instance.status == pb.INSTANCE_STATUS_OFFLINE:
            followed.instances.pop(instance.id, None)
        else:
            followed.instances[instance.id] = instance
    places = (_place(instance) for instance in followed.instances.values())
    followed.balancer.update(place for place in places if place is not None)
    followed.read.set()


def _place(instance: pb.Instance) -> Place | None:
    """Return an instance as the balancer takes it; None if it does not speak gRPC."""
    try:
        address = Address.parse(instance.endpoint)
    except ValueError:
        return None
    if address.scheme not in ("", "grpc", "grpcs") or not address.port:
        return None
    known = instance.status in pb.InstanceStatus.values()
    word = pb.InstanceStatus.Name(instance.status).removeprefix(_STATUS) if known else ""
    prefix = "grpcs://" if address.scheme == "grpcs" else ""
    return Place(
        id=instance.id,
        address=f"{prefix}{address.host}:{address.port}",
        rank=RANKS.get(word, 1),
    )
