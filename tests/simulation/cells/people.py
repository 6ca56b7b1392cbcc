"""Users of projects that move: they start executions and register versions at any front."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc.aio

from flowmesh.api.definition.v1.definition_service_pb2 import ApplyRequest
from flowmesh.api.definition.v1.definition_service_pb2_grpc import DefinitionServiceStub
from flowmesh.api.execution.v1.execution_service_pb2 import (
    GetExecutionRequest,
    StartExecutionRequest,
)
from flowmesh.api.execution.v1.execution_service_pb2_grpc import ExecutionServiceStub
from flowmesh.errors import FlowmeshError, Misdirected, Unavailable
from flowmesh.rpc import error_of
from tests.simulation.cells.suite import TASK, WORKFLOW
from tests.simulation.cells.wires import Channel
from tests.simulation.servers.loop import Process, elapsed

if TYPE_CHECKING:
    from tests.simulation.cells.world import CellWorld

ATTEMPT_S = 2.0
AGAIN_S = 0.1
GIVEN_UP_S = 120.0
ACTS_MAX = 40
"""Starts and versions of a project in a run."""


@dataclass(slots=True)
class Start:
    """A start, with its answer and the times at which it was refused because of a switch."""

    project: str
    request_id: str
    execution_id: str = ""
    # Whether an attempt ended without an answer that says that it had no effect.
    unknown: bool = False
    refused_s: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Registered:
    """A version whose registration was answered."""

    project: str
    kind: str
    name: str
    number: int
    digest: str


class People:
    """The users of all projects."""

    def __init__(self, world: "CellWorld", projects: list[str]) -> None:
        self._world = world
        self._projects = projects
        self._process = Process(world.loop, "people")
        self._address = ""
        self.starts: list[Start] = []
        self.registered: list[Registered] = []
        self.open = 0
        # Set when the moves have ended.
        self.is_over = False

    async def register_first(self) -> None:
        """Register the first versions."""
        for project in self._projects:
            await self._register(project, TASK, "note", 1)
            await self._register(project, WORKFLOW, "order", 1)
            await self._register(project, WORKFLOW, "report", 1)

    def begin(self, pause_s: float) -> None:
        """Begin to start executions and to register versions, until the moves have ended."""
        for project in self._projects:
            self._spawn(self._start_more, project, pause_s)
            self._spawn(self._register_more, project, pause_s)

    def _spawn(self, work: Callable[..., Awaitable[None]], *given: object) -> None:
        async def run() -> None:
            self.open += 1
            await work(*given)
            self.open -= 1

        self._process.spawn(run())

    async def _start_more(self, project: str, pause_s: float) -> None:
        for number in range(ACTS_MAX):
            if self.is_over:
                return
            await elapsed(self._world.random.uniform(0.0, 2 * pause_s))
            start = Start(project, f"{project}-{number}")
            self.starts.append(start)
            self._spawn(self._start, start)

    async def _start(self, start: Start) -> None:
        request = StartExecutionRequest(
            namespace=start.project, workflow_id="order", request_id=start.request_id
        )

        def refused(error: FlowmeshError) -> None:
            if error.reason != "CELL_UNAVAILABLE":
                start.unknown = True
            elif "moves to another cell" in error.message:
                start.refused_s.append(self._world.loop.time())

        channel: Any = self._channel()
        stub = ExecutionServiceStub(channel)
        answer = await self._until_answered(stub.StartExecution, request, refused)
        start.execution_id = answer.execution_id
        self._world.happened("answered", start.request_id, answer.execution_id)
        await self._look(start)

    async def _look(self, start: Start) -> None:
        """An execution is found through any front as soon as its start is answered."""
        channel: Any = self._channel()
        stub = ExecutionServiceStub(channel)
        request = GetExecutionRequest(namespace=start.project, execution_id=start.execution_id)
        try:
            await self._until_answered(stub.GetExecution, request)
        except FlowmeshError as error:
            self._world.problem("C2", f"{start.execution_id} is not found: {error.message}")

    async def _register_more(self, project: str, pause_s: float) -> None:
        random = self._world.random
        for number in range(2, ACTS_MAX):
            if self.is_over:
                return
            await elapsed(random.uniform(0.0, 2 * pause_s))
            kind, name = random.choice(
                (
                    (TASK, "note"),
                    (WORKFLOW, "order"),
                    (WORKFLOW, "report"),
                    (WORKFLOW, f"new-{number}"),
                )
            )
            await self._register(project, kind, name, number)

    async def _register(self, project: str, kind: str, name: str, number: int) -> None:
        text = {"kind": kind, "name": name, "body": number}
        if name == "report":
            text["trigger"] = "hook"
        request = ApplyRequest(namespace=project, source=json.dumps(text).encode())
        channel: Any = self._channel()
        answer = await self._until_answered(DefinitionServiceStub(channel).Apply, request)
        made = answer.resources[0]
        self._world.happened("registered", project, name, made.version)
        self.registered.append(Registered(project, kind, name, made.version, made.digest))

    def _channel(self) -> Channel:
        return Channel(self._world, self._any_front)

    def _any_front(self) -> str:
        if self._address:
            address, self._address = self._address, ""
            return address
        return self._world.random.choice(self._world.cells).grpc

    async def _until_answered(
        self,
        method: Callable[..., Awaitable[Any]],
        request: Any,
        refused: Callable[[FlowmeshError], object] = lambda _: None,
    ) -> Any:
        """Repeat a call until it is answered. Raises the error of a call that is refused."""
        loop = self._world.loop
        until = loop.time() + GIVEN_UP_S
        while True:
            try:
                return await method(request, timeout=ATTEMPT_S)
            except grpc.aio.AioRpcError as failed:
                error = error_of(failed)
            self._world.trace("refused", type(request).__name__, error.reason, error.message)
            refused(error)
            if isinstance(error, Misdirected):
                self._address = error.address
                continue
            is_timeout = error.reason == "DEADLINE_EXCEEDED"
            if not (isinstance(error, Unavailable) or is_timeout) or loop.time() > until:
                raise error
            await elapsed(AGAIN_S)
