"""Operators that set limits and stop dispatch for a while, during any faults."""

from __future__ import annotations

from collections.abc import Container
from random import Random
from typing import TYPE_CHECKING, Any

from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.engine import has_ended
from flowmesh.rpc.requests import DEFAULT_NAMESPACE
from tests.simulation.actors.faults import LATE_S_MAX
from tests.simulation.actors.peers import REMOTE_TYPE, Client
from tests.simulation.actors.plans import NODES_MAX, catalog
from tests.simulation.servers.hosts import BUILTIN_TYPE
from tests.simulation.servers.loop import elapsed

if TYPE_CHECKING:
    from tests.simulation.servers.world import World

ACTS = (0, 0, 0, 1, 1, 2)
"""How often something is limited or stopped in a run."""

HEARD_S = 8.0
"""An owner renews its lease every second, or is none; it knows of a stop by then."""


class Operators:
    """They act in the first three seconds, and lift every stop in the end."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._random = Random(f"{world.seed}/operators")
        self._client = Client(world, "operators")
        self._late_s = 0.0

    def begin(self) -> None:
        for _ in range(self._random.choice(ACTS)):
            act = self._random.choice((self._stop, self._limit))
            self._client.spawn(act(self._random.uniform(0.0, 3.0)))

    async def _stop(self, after_s: float) -> None:
        await elapsed(after_s)
        workflow = self._random.choice(("", self._random.choice(self._started())))
        stop = pb.StopDispatchRequest(workflow_id=workflow)
        stopped = await self._client.call("stop", "StopDispatch", stop)
        self._unknown(stopped)
        since_s = self.world.loop.time()
        await elapsed(self._random.choice((0.1, 0.5, 2.0, HEARD_S)))
        if stopped is not None and self.world.loop.time() - since_s >= HEARD_S:
            self._check_heard((DEFAULT_NAMESPACE, workflow))
        start = pb.StartDispatchRequest(workflow_id=workflow)
        stop_of = (DEFAULT_NAMESPACE, workflow)
        await self._undo("StartDispatch", start, self.world.tables.stops, stop_of)

    def _unknown(self, response: object) -> None:
        """Extend the time until which an unanswered call may be applied."""
        if response is None:
            self._late_s = self.world.loop.time() + LATE_S_MAX

    async def _undo(self, method: str, request: Any, kept: Container[Any], key: Any) -> None:
        """Asks for it until nothing of what was done is there, or can still come."""
        while key in kept or self.world.loop.time() < self._late_s:
            await self._client.call("undo", method, request)
            await elapsed(self._random.uniform(0.05, 0.4))

    def _check_heard(self, stop: tuple[str, str]) -> None:
        """All dispatchers know the stop, unless another operator lifted it."""
        if stop not in self.world.tables.stops:
            return
        for host in self.world.orchestrators.values():
            core = host.core
            deaf = stop not in core.dispatch.dispatcher.limiter.rules.stops
            if deaf and host.process.runs and host.ready and core.memory.ownership.lease_valid:
                self.world.problem("stop", f"{host.address} does not know the stop of {stop}")

    async def _limit(self, after_s: float) -> None:
        await elapsed(after_s)
        limit = self._drawn()
        await self._set(limit)
        await elapsed(self._random.choice((0.1, 0.5, 2.0)))
        if self._random.random() < 0.3:
            limit.concurrency = self._random.randint(1, 5)
            await self._set(limit)
        elif self._random.random() < 0.7:
            await self._lift(limit)
            return
        if limit.rate_per_second or limit.concurrency in (1, 2):
            # An execution that continues as new until its task begins in time may never get there.
            await elapsed(HEARD_S)
            await self._lift(limit)

    async def _set(self, limit: pb.Limit) -> None:
        request = pb.SetLimitRequest(limit=limit)
        self._unknown(await self._client.call("limit", "SetLimit", request))

    async def _lift(self, limit: pb.Limit) -> None:
        lift = pb.DeleteLimitRequest(kind=limit.kind, subject=limit.subject)
        limit_of = (DEFAULT_NAMESPACE, limit.kind, limit.subject)
        await self._undo("DeleteLimit", lift, self.world.tables.limits, limit_of)

    def _drawn(self) -> pb.Limit:
        """Draw a limit with which every limited task can still end."""
        draw = self._random
        workflow = draw.choice(self._started())
        kind, subject = draw.choice(
            (
                (pb.LIMIT_KIND_NAMESPACE, ""),
                (pb.LIMIT_KIND_WORKFLOW, workflow),
                (pb.LIMIT_KIND_TASK_TYPE, draw.choice((REMOTE_TYPE, BUILTIN_TYPE))),
                (pb.LIMIT_KIND_NODE, f"{workflow}/n{draw.randrange(NODES_MAX)}"),
                (pb.LIMIT_KIND_QUEUE, draw.choice(("default", "other"))),
            )
        )
        limit = pb.Limit(kind=kind, subject=subject, concurrency=draw.choice((0, 1, 1, 2, 5)))
        if draw.random() < 0.3:
            limit.rate_per_second, limit.burst = draw.choice((5.0, 50.0)), draw.choice((0, 1, 3))
        if kind == pb.LIMIT_KIND_NAMESPACE:
            limit.weight = draw.choice((0, 1, 3))
        elif kind == pb.LIMIT_KIND_QUEUE:
            limit.max_size = draw.choice((0, 0, 3))
        elif kind == pb.LIMIT_KIND_WORKFLOW:
            limit.retries = draw.choice((0.0, 0.0, 0.1, 1.0))
        return limit

    def _started(self) -> list[str]:
        """Workflows that executions run of, or any."""
        rows = self.world.tables.executions.values()
        found = {row["workflow_id"] for row in rows if not has_ended(row["status"])}
        return sorted(found) or sorted(catalog())[:3]
