"""A gateway of a cell: the real front and its directory, before the model of the suite."""

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from flowmesh.cells import Cell, Directory, DirectoryStore, Projects, copy_of, directory_of
from flowmesh.errors import FlowmeshError
from flowmesh.gateway.cells.following import FollowDirectory
from flowmesh.gateway.cells.front import Front
from flowmesh.gateway.cells.grpc_front import GrpcFront
from flowmesh.gateway.cells.http_front import HttpFront
from flowmesh.runtime.projects.cell_targets import CellTargets
from tests.simulation.cells.bucket import DirectoryBus
from tests.simulation.cells.wires import Target
from tests.simulation.servers.loop import Process, elapsed

if TYPE_CHECKING:
    from tests.simulation.cells.suite import Suite
    from tests.simulation.cells.world import CellWorld

COPY_EVERY_S = 1.0
FOLLOW_AGAIN_S = 0.2
REGISTRY_LEASE_S = 3.0


class _Targets(CellTargets):
    """The simulated connections to the gateways of other cells."""

    def __init__(self, world: "CellWorld") -> None:
        super().__init__("")
        self._world = world

    def at(self, address: str) -> Any:
        return Target(self._world, address)


class Gateway:
    """A process; `copy` is the directory on its disk."""

    def __init__(self, world: "CellWorld", suite: "Suite", own: Cell, name: str) -> None:
        self.world, self.suite, self.name = world, suite, name
        self.process = Process(world.loop, f"{name}-{world.next_number()}")
        self.ready = False
        monotonic = world.loop.time
        copy = world.disks.get(name)
        self.directory = (
            directory_of(own.number, copy, monotonic)
            if copy is not None
            else Directory(own.number, Projects(b"a key of a run"), monotonic)
        )
        bus: Any = DirectoryBus(world)
        self._following = FollowDirectory(self.directory, DirectoryStore(bus, "fm"))
        front = Front(self.directory, own)
        self._calls = GrpcFront(front, _Targets(world))
        self._arounds: dict[str, Any] = {}
        app: Any = _app
        self.http = HttpFront(app, front, None)
        self.process.on_death.append(self._died)
        self.process.spawn(self._run())

    async def serve(self, path: str, request: Any, context: Any) -> Any:
        """Answer a call here, or forward it."""
        around = self._arounds.get(path)
        if around is None:
            around = self._arounds[path] = self._around(path)
        return await around(request, context)

    def _around(self, path: str) -> Any:
        method: Any = SimpleNamespace(path=path, request_streaming=False, response_streaming=False)

        async def served(sent: Any, _: Any) -> Any:
            return await self.suite.answer(path, sent)

        serve: Any = served
        return self._calls.around(method, serve)

    async def _run(self) -> None:
        await self._following.at_start()
        self.ready = True
        self.process.spawn(self._follow())
        await elapsed(self.world.random.uniform(0.01, 0.1))
        self.suite.registry[self.name] = self.name
        while True:
            await elapsed(COPY_EVERY_S)
            self.world.disks[self.name] = copy_of(self.directory)

    async def _follow(self) -> None:
        while True:
            try:
                await self._following.run_once()
            except FlowmeshError:
                await elapsed(FOLLOW_AGAIN_S)

    def _died(self) -> None:
        self.ready = False
        self.world.loop.outside(REGISTRY_LEASE_S, self._leave)

    def _leave(self) -> None:
        if self.world.gateways.get(self.name) is self:
            self.suite.registry.pop(self.name, None)


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Answer as the gateway does: the paths of the command take no POST."""
    status = 200 if scope["method"] == "GET" else 405
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})
