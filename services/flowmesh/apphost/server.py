"""AppService over gRPC: messages to changes and reports, and back."""

import asyncio
import os
from pathlib import Path
from typing import Any

from flowmesh.access.sealing import Import
from flowmesh.api.apphost.v1 import app_pb2, app_service_pb2_grpc
from flowmesh.api.apphost.v1 import app_service_pb2 as pb
from flowmesh.apphost import limits
from flowmesh.apphost.apps import Apps
from flowmesh.apphost.messages import (
    app_message,
    content_of,
    finding_message,
    log_message,
    release_message,
)
from flowmesh.apphost.moves import AppMoves
from flowmesh.apphost.running.checks import Checks
from flowmesh.apphost.running.host import HostLoop
from flowmesh.apphost.running.upgrades import Upgrades
from flowmesh.apphost.storage.records import AppRow, Key
from flowmesh.apps.observing.logs import LEVELS
from flowmesh.errors import Invalid
from flowmesh.rpc import namespace_of, valid_id

Context = Any


class AppServer(app_service_pb2_grpc.AppServiceServicer):
    """Turns messages into calls; decides nothing."""

    def __init__(
        self,
        *,
        apps: Apps,
        host: HostLoop,
        checks: Checks,
        moves: AppMoves,
        upgrades: Upgrades,
    ) -> None:
        self._apps, self._host, self._checks, self._moves = apps, host, checks, moves
        self._upgrades = upgrades

    async def DeployApp(
        self, request: pb.DeployAppRequest, context: Context
    ) -> pb.DeployAppResponse:
        row, created = await self._apps.deploy(
            _key(request), content_of(request), base=request.base_release, role=request.role
        )
        return pb.DeployAppResponse(release=release_message(row), created=created)

    async def ValidateApp(
        self, request: pb.ValidateAppRequest, context: Context
    ) -> pb.ValidateAppResponse:
        key = _key(request)
        content = await self._apps.completed(key, content_of(request), request.base_release)
        found = await self._checks.check(key, content)
        return pb.ValidateAppResponse(findings=[finding_message(each) for each in found])

    async def RollbackApp(
        self, request: pb.RollbackAppRequest, context: Context
    ) -> pb.RollbackAppResponse:
        row = await self._apps.rollback(_key(request), request.release)
        return pb.RollbackAppResponse(release=release_message(row))

    async def StartApp(self, request: pb.StartAppRequest, context: Context) -> pb.StartAppResponse:
        return pb.StartAppResponse(app=_app(await self._apps.set_stopped(_key(request), False)))

    async def StopApp(self, request: pb.StopAppRequest, context: Context) -> pb.StopAppResponse:
        return pb.StopAppResponse(app=_app(await self._apps.set_stopped(_key(request), True)))

    async def DeleteApp(
        self, request: pb.DeleteAppRequest, context: Context
    ) -> pb.DeleteAppResponse:
        await self._apps.delete(_key(request))
        return pb.DeleteAppResponse()

    async def ListApps(self, request: pb.ListAppsRequest, context: Context) -> pb.ListAppsResponse:
        found = await self._apps.apps(namespace_of(request))
        return pb.ListAppsResponse(apps=[_app(each) for each in found])

    async def GetApp(self, request: pb.GetAppRequest, context: Context) -> pb.GetAppResponse:
        return pb.GetAppResponse(app=_app(await self._apps.app(_key(request))))

    async def ListReleases(
        self, request: pb.ListReleasesRequest, context: Context
    ) -> pb.ListReleasesResponse:
        found = await self._apps.releases(_key(request))
        return pb.ListReleasesResponse(
            releases=[release_message(each) for each in found[: limits.RELEASES_KEPT]]
        )

    async def GetRelease(
        self, request: pb.GetReleaseRequest, context: Context
    ) -> pb.GetReleaseResponse:
        row, document = await self._apps.source(_key(request), request.release)
        return pb.GetReleaseResponse(release=release_message(row), document=document)

    async def PrepareAppImport(
        self, request: pb.PrepareAppImportRequest, context: Context
    ) -> pb.PrepareAppImportResponse:
        made = self._moves.prepare(namespace_of(request))
        found = pb.AppImport(import_id=made.id, public_key=made.public, sealed_key=made.sealed)
        return pb.PrepareAppImportResponse(app_import=found)

    async def ExportApp(
        self, request: pb.ExportAppRequest, context: Context
    ) -> pb.ExportAppResponse:
        sealed = await self._moves.export(_key(request), _import(request))
        return pb.ExportAppResponse(sealed=sealed)

    async def ImportApp(
        self, request: pb.ImportAppRequest, context: Context
    ) -> pb.ImportAppResponse:
        row, created = await self._moves.take(_key(request), _import(request), request.sealed)
        return pb.ImportAppResponse(release=release_message(row), created=created)

    async def ListAppsOfPlugin(
        self, request: pb.ListAppsOfPluginRequest, context: Context
    ) -> pb.ListAppsOfPluginResponse:
        namespace = "" if request.all_projects else namespace_of(request)
        found = await self._apps.of_plugin(valid_id(request.plugin, "plugin"), namespace)
        return pb.ListAppsOfPluginResponse(
            apps=[pb.PluginApp(namespace=namespace, app=app) for namespace, app in found]
        )

    async def CheckPluginUpgrade(
        self, request: pb.CheckPluginUpgradeRequest, context: Context
    ) -> pb.CheckPluginUpgradeResponse:
        namespace = "" if request.all_projects else namespace_of(request)
        plugin = valid_id(request.plugin, "plugin")
        found = self._upgrades.misfits(plugin, namespace, request.config_schema)
        return pb.CheckPluginUpgradeResponse(
            misfits=[
                pb.PluginMisfit(namespace=namespace, app=app, problem=problem)
                async for (namespace, app), problem in found
            ]
        )

    async def ReadAppLog(
        self, request: pb.ReadAppLogRequest, context: Context
    ) -> pb.ReadAppLogResponse:
        if request.level and request.level not in LEVELS:
            text = f"level {request.level[:20]!r} is not one of debug, info, warn and error"
            raise Invalid("REQUEST_INVALID", text)
        if request.limit > limits.LOG_RECORDS_MAX:
            text = f"limit {request.limit} is above {limits.LOG_RECORDS_MAX}"
            raise Invalid("REQUEST_INVALID", text)
        key = _key(request)
        await self._apps.app(key)
        log = self._host.log_of(key)
        log.flush()
        found = await asyncio.to_thread(
            log.read,
            limit=request.limit or limits.LOG_RECORDS,
            level=request.level,
            text=request.text[: limits.LOG_TEXT_CHARACTERS_MAX],
            module=request.module,
        )
        return pb.ReadAppLogResponse(records=[log_message(each) for each in found])


def _key(request: Any) -> Key:
    return namespace_of(request), valid_id(request.app, "app")


def _import(request: pb.ExportAppRequest | pb.ImportAppRequest) -> Import:
    found = request.app_import
    import_id = valid_id(found.import_id, "app_import.import_id")
    return Import(import_id, found.public_key, found.sealed_key)


def _app(row: AppRow) -> app_pb2.App:
    return app_message(row, memory_bytes=_memory(row.pid))


def _memory(pid: int) -> int:
    """Return the resident memory of a process of this machine; 0 if it is unknown."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
