"""The load of a run: durations of tasks, and the calls of clients."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.definition.v1 import definition_service_pb2
from flowmesh.api.execution.v1 import control_service_pb2 as control_pb
from flowmesh.api.execution.v1 import execution_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.worker.v1 import task_pb2
from flowmesh.engine import has_ended
from flowmesh.plan import Plan
from flowmesh.tasktypes import timeout_of
from tests.simulation.actors.peers import Client
from tests.simulation.actors.plans import (
    AGAIN,
    CHAIN,
    CHAINS,
    NODES_MAX,
    PAGE,
    SIGNAL,
    VARIABLE,
    catalog,
    plan_of,
)
from tests.simulation.servers.loop import elapsed

if TYPE_CHECKING:
    from tests.simulation.servers.world import World

CHAIN_FAILING = 0.02
"""The share of tasks of a chain that fail."""

RETRIES = 3
"""The number of retries of the failed nodes of an execution."""

# Calls of a client on some of the executions it started.
THEN = (
    None,
    None,
    None,
    "cancel",
    "terminate",
    "signal",
    "signal",
    "pause",
    "skip",
    "retry",
    "rerun",
    "stop",
)


def _under(request_id: str, what: str) -> str:
    """The request id of what is done with an execution; who starts one without has none either.

    What has to arrive has one always: a caller asks again under it until it is answered.
    """
    return f"{request_id}/{what}" if request_id else ""


class Definitions:
    """The definition service: the catalog, and what a script adds."""

    def __init__(self) -> None:
        self.added: dict[str, Plan] = {}

    async def GetPlan(self, request: Any) -> definition_service_pb2.GetPlanResponse:
        plan = self.added.get(request.workflow_id) or plan_of(request.workflow_id)
        return definition_service_pb2.GetPlanResponse(plan=plan.message)


class WorkModel:
    """The duration and outcome of each attempt; the same for each delivery."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self.failing = 0.15
        self._runs = 0
        # Scripted: how long every attempt of a node takes, which then succeeds.
        self.fixed: dict[str, float] = {}

    def of(self, task: task_pb2.Task) -> tuple[float, bool]:
        if task.node in self.fixed:
            return self.fixed[task.node], True
        random = Random(f"{self._seed}/{task.token[-24:]}")
        if task.node.startswith(CHAIN):
            return random.uniform(0.0, 0.004), random.random() >= CHAIN_FAILING
        drawn = random.random()
        # Default timeouts are minutes, longer than any run.
        limited = task.timeout_ms not in (0, timeout_of(task.task_type))
        if limited and drawn < 0.5:
            # Longer than the attempt may take, and than the orchestrator waits beyond that.
            duration_s = task.timeout_ms / 1000 + random.uniform(0.0, 2.0)
        elif drawn < 0.75:
            duration_s = random.uniform(0.0, 0.03)
        elif drawn < 0.97:
            duration_s = random.uniform(0.03, 0.6)
        else:
            duration_s = random.uniform(1.0, 4.0)
        return duration_s, random.random() >= self.failing

    def output(self, task: task_pb2.Task) -> bytes:
        if task.node.startswith(CHAIN):
            self._runs += 1
            return b'{"from": %b, "run": "%d"}' % (task.input.data or b'""', self._runs)
        if task.node.endswith(f"/{AGAIN}"):
            number = int(task.node.rpartition("[")[2].partition("]")[0])
            return b'{"next": "work"}' if number < 4 else b'{"next": "pause"}'
        if task.node.endswith(f"/{PAGE}"):
            number = int(task.node.rpartition("[")[2].partition("]")[0])
            return b'{"items": [1, 2, 3], "next": %b}' % (b"true" if number < 2 else b"null")
        return b'"%b"' % task.node.encode()


class Workload:
    """Clients that start executions, some twice, and signal, cancel and terminate some."""

    def __init__(self, world: World, *, starts: int, within_s: float) -> None:
        self.world = world
        self._random = Random(f"{world.seed}/workload")
        self.clients = [Client(world, f"client-{number}") for number in range(2)]
        self._starts, self._within_s = starts, within_s

    @property
    def open(self) -> int:
        return sum(client.open for client in self.clients)

    def begin(self) -> None:
        for number in range(self._starts):
            at_s = self._random.uniform(0.0, self._within_s)
            workflow_id = self._random.choice(list(catalog()))
            if self._random.random() < 0.25:
                # A few that meet.
                workflow_id = f"s{self._random.randrange(3)}"
            chained = Random(f"{self.world.seed}/chains/{number}")
            if chained.random() < 0.3:
                workflow_id = f"r{chained.randrange(CHAINS)}"
            request_id = f"r{number}" if self._random.random() < 0.85 else ""
            times = self._random.choice((1, 1, 1, 2, 3)) if request_id else 1
            then = self._random.choice(THEN)
            data = b'{"n": %d}' % number
            for client in self._random.choices(self.clients, k=times):
                if self._random.random() < 0.03:
                    data = b'{"n": -%d}' % (number + 1)  # -0 is 0
                work = self._one(client, at_s, workflow_id, request_id, data, then)
                client.spawn(work)
                then = None
                at_s += self._random.choice((0.0, 0.0, 0.3))

    async def _one(
        self,
        client: Client,
        at_s: float,
        workflow_id: str,
        request_id: str,
        data: bytes,
        then: str | None,
    ) -> None:
        delay_s = self._random.uniform(0.0, 0.5)
        await elapsed(at_s)
        execution_id = await client.start(workflow_id, request_id, data)
        if not execution_id or then is None:
            return
        await elapsed(delay_s)
        if then == "signal":
            for number in range(3):
                if plan_of(workflow_id).variables:
                    await self._set_variable(client, execution_id, request_id, number)
                await client.call(
                    "signal",
                    "SignalExecution",
                    pb.SignalExecutionRequest(
                        execution_id=execution_id,
                        name=SIGNAL,
                        payload=payload_pb2.Payload(data=b"1"),
                        request_id=_under(request_id, f"s{number}"),
                    ),
                )
            return
        if then == "skip":
            await self._skip(client, execution_id, request_id)
            return
        if then == "rerun":
            await self._rerun(client, execution_id, request_id)
            return
        if then == "retry":
            await self._retry(client, execution_id, request_id, times=RETRIES)
            return
        if then == "stop":
            await self._step_through(client, execution_id, request_id, delay_s)
            return
        if then == "pause":
            pause = pb.PauseExecutionRequest(
                execution_id=execution_id, request_id=f"{request_id}/pause"
            )
            await client.call("pause", "PauseExecution", pause)
            await elapsed(delay_s * 4)
            resume = pb.ResumeExecutionRequest(
                execution_id=execution_id, request_id=f"{request_id}/resume"
            )
            await client.call("resume", "ResumeExecution", resume)
            return
        stop = (pb.CancelExecutionRequest if then == "cancel" else pb.TerminateExecutionRequest)(
            execution_id=execution_id, request_id=_under(request_id, then)
        )
        method = "CancelExecution" if then == "cancel" else "TerminateExecution"
        await client.call(then, method, stop)

    async def _set_variable(
        self, client: Client, execution_id: str, request_id: str, number: int
    ) -> None:
        change = control_pb.SetVariableRequest(
            execution_id=execution_id,
            name=VARIABLE,
            value=payload_pb2.Payload(data=b"%d" % number),
            request_id=_under(request_id, f"v{number}"),
        )
        await client.call("variable", "SetVariable", change)

    async def _skip(self, client: Client, execution_id: str, request_id: str) -> None:
        """Skip nodes in any state, and retry failed ones."""
        for number in range(NODES_MAX):
            skip = control_pb.SteerNodeRequest(
                execution_id=execution_id,
                node=f"n{number}",
                action=execution_pb2.NODE_ACTION_SKIP,
                request_id=_under(request_id, f"skip{number}"),
            )
            await client.call("steer", "SteerNode", skip)
            await elapsed(self._random.uniform(0.0, 0.2))
        await self._retry(client, execution_id, request_id, times=1)

    async def _retry(
        self, client: Client, execution_id: str, request_id: str, *, times: int
    ) -> None:
        """Retry everything that has failed of it so far."""
        for number in range(times):
            again = control_pb.SteerNodeRequest(
                execution_id=execution_id,
                action=execution_pb2.NODE_ACTION_RETRY_FAILED,
                request_id=_under(request_id, f"again{number}"),
            )
            await client.call("steer", "SteerNode", again)
            await elapsed(self._random.uniform(0.0, 0.4))

    async def _rerun(self, client: Client, execution_id: str, request_id: str) -> None:
        """Once it has ended, what failed of it runs again, or a node with all behind it."""
        while not has_ended(self.world.tables.executions[execution_id]["status"]):
            await elapsed(self._random.uniform(0.05, 0.3))
        failed = self._random.random() < 0.5
        again = control_pb.RerunExecutionRequest(
            execution_id=execution_id,
            from_failed=failed,
            from_nodes=[] if failed else ["n0"],
            request_id=f"{request_id or execution_id}/rerun",
        )
        await client.call("rerun", "RerunExecution", again, f"rerun of {execution_id}")

    async def _step_through(
        self, client: Client, execution_id: str, request_id: str, delay_s: float
    ) -> None:
        """Stop before every node for a while, and continue one of them."""
        for number, everywhere in enumerate((True, False)):
            stops = control_pb.SetBreakpointsRequest(
                execution_id=execution_id, all=everywhere, request_id=f"{request_id}/stop{number}"
            )
            await client.call("stops", "SetBreakpoints", stops)
            await elapsed(delay_s * 4)
            if everywhere:
                go_on = control_pb.SteerNodeRequest(
                    execution_id=execution_id,
                    node=f"n{self._random.randrange(NODES_MAX)}",
                    action=execution_pb2.NODE_ACTION_CONTINUE,
                    request_id=_under(request_id, "on"),
                )
                await client.call("steer", "SteerNode", go_on)
