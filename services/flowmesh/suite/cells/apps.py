"""Applications of a project that moves: their releases, sealed by the source for the target."""

import asyncio
import time

from flowmesh.api.apphost.v1 import app_pb2
from flowmesh.api.apphost.v1 import app_service_pb2 as pb
from flowmesh.api.apphost.v1.app_service_pb2_grpc import AppServiceStub
from flowmesh.cells import Move
from flowmesh.errors import WrongState
from flowmesh.suite.cells.calls import CellCalls
from flowmesh.suite.cells.parts import CannotMove, Part

STARTED_WITHIN_S = 60.0
POLL_S = 0.1


class Apps(Part):
    """The present release of each application, which the move stops here and starts there."""

    async def copy(self) -> None:
        await self._copy()

    async def switch(self, move: Move) -> None:
        await self._copy()
        for app in move.stopped:
            await _stop(self._source, app)

    async def start(self, move: Move) -> None:
        for app in move.stopped:
            await _start(self._target, app)
        await asyncio.gather(*map(self._started, move.stopped))

    async def cancel(self, move: Move) -> None:
        """Let the applications run at the source again."""
        for app in move.stopped:
            await _start(self._source, app)

    async def _copy(self) -> None:
        """Give the project at the target the applications of the source, and no others."""
        source, target = self._source, self._target
        here, there = AppServiceStub(source.channel), AppServiceStub(target.channel)
        released = {each.app for each in await _apps(source) if each.newest_release}
        for each in await _apps(target):
            if each.app not in released:
                await target.call(there.DeleteApp, pb.DeleteAppRequest(app=each.app))
        if not released:
            return
        prepared = await target.call(there.PrepareAppImport, pb.PrepareAppImportRequest())
        key = prepared.app_import
        for app in sorted(released):
            try:
                export = pb.ExportAppRequest(app=app, app_import=key)
                sealed = (await source.call(here.ExportApp, export)).sealed
                taken = pb.ImportAppRequest(app=app, app_import=key, sealed=sealed)
                made = await target.call(there.ImportApp, taken)
            except WrongState as error:
                raise CannotMove(f"an application that does not move: {error.message}") from None
            if made.created:
                self._route.report(f"copied application {app}")

    async def _started(self, app: str) -> None:
        """Wait for an application at the target, and report one that does not start."""
        stub = AppServiceStub(self._target.channel)
        until = time.monotonic() + STARTED_WITHIN_S
        while time.monotonic() < until:
            found = (await self._target.call(stub.GetApp, pb.GetAppRequest(app=app))).app
            if found.state == app_pb2.APP_STATE_RUNNING:
                self._route.report(f"application {app} runs in cell {self._target.cell.name}")
                return
            if found.problem:
                break
            await asyncio.sleep(POLL_S)
        problem = found.problem or f"it was not ready within {STARTED_WITHIN_S:.0f} s"
        self._route.report(f"application {app} does not run: {problem}")


async def running_apps(calls: CellCalls) -> tuple[str, ...]:
    """Return the applications that are not stopped."""
    found = await _apps(calls)
    return tuple(each.app for each in found if each.state != app_pb2.APP_STATE_STOPPED)


async def _apps(calls: CellCalls) -> list[app_pb2.App]:
    stub = AppServiceStub(calls.channel)
    return list((await calls.call(stub.ListApps, pb.ListAppsRequest())).apps)


async def _stop(calls: CellCalls, app: str) -> None:
    await calls.call(AppServiceStub(calls.channel).StopApp, pb.StopAppRequest(app=app))


async def _start(calls: CellCalls, app: str) -> None:
    await calls.call(AppServiceStub(calls.channel).StartApp, pb.StartAppRequest(app=app))
