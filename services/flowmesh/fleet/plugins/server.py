"""PluginService over gRPC: messages to calls, and back."""

from typing import Any

from flowmesh.access import current
from flowmesh.access.roles import OPERATE, roles_with
from flowmesh.api.fleet.v1 import plugin_service_pb2 as pb
from flowmesh.api.fleet.v1 import plugin_service_pb2_grpc
from flowmesh.errors import Forbidden
from flowmesh.fleet.plugins.plugins import Plugins
from flowmesh.fleet.plugins.specs import EVERYWHERE
from flowmesh.rpc import namespace_of, valid_id

Context = Any
Change = (
    pb.InstallPluginRequest
    | pb.ConfigurePluginRequest
    | pb.UpgradePluginRequest
    | pb.PinPluginRequest
    | pb.RemovePluginRequest
)


class PluginServer(plugin_service_pb2_grpc.PluginServiceServicer):
    """Turns messages into calls; decides nothing."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins

    async def SearchPlugins(
        self, request: pb.SearchPluginsRequest, context: Context
    ) -> pb.SearchPluginsResponse:
        found = await self._plugins.search(namespace_of(request), request.query)
        return pb.SearchPluginsResponse(plugins=found)

    async def ListPlugins(
        self, request: pb.ListPluginsRequest, context: Context
    ) -> pb.ListPluginsResponse:
        return pb.ListPluginsResponse(plugins=await self._plugins.list(namespace_of(request)))

    async def GetPlugin(
        self, request: pb.GetPluginRequest, context: Context
    ) -> pb.GetPluginResponse:
        name = valid_id(request.name, "name")
        return pb.GetPluginResponse(plugin=await self._plugins.get(namespace_of(request), name))

    async def GetPluginPage(
        self, request: pb.GetPluginPageRequest, context: Context
    ) -> pb.GetPluginPageResponse:
        name = valid_id(request.name, "name")
        return pb.GetPluginPageResponse(html=await self._plugins.page(namespace_of(request), name))

    async def GetPluginFunction(
        self, request: pb.GetPluginFunctionRequest, context: Context
    ) -> pb.GetPluginFunctionResponse:
        name = valid_id(request.name, "name")
        return await self._plugins.function(
            namespace_of(request), name, request.kind, request.digest, new_use=request.new_use
        )

    async def ReadText(self, request: pb.ReadTextRequest, context: Context) -> pb.ReadTextResponse:
        name = valid_id(request.name, "name")
        found = await self._plugins.read(namespace_of(request), name, request.text)
        return pb.ReadTextResponse(documents=found)

    async def InstallPlugin(
        self, request: pb.InstallPluginRequest, context: Context
    ) -> pb.InstallPluginResponse:
        found = await self._plugins.install(
            _place(request),
            valid_id(request.name, "name"),
            request.version,
            request.configuration,
            request.accepted,
        )
        return pb.InstallPluginResponse(plugin=found)

    async def ConfigurePlugin(
        self, request: pb.ConfigurePluginRequest, context: Context
    ) -> pb.ConfigurePluginResponse:
        found = await self._plugins.configure(
            _place(request),
            valid_id(request.name, "name"),
            request.configuration,
            request.accepted,
        )
        return pb.ConfigurePluginResponse(plugin=found)

    async def UpgradePlugin(
        self, request: pb.UpgradePluginRequest, context: Context
    ) -> pb.UpgradePluginResponse:
        found = await self._plugins.upgrade(
            _place(request),
            valid_id(request.name, "name"),
            request.version,
            request.accepted,
        )
        return pb.UpgradePluginResponse(plugin=found)

    async def PinPlugin(
        self, request: pb.PinPluginRequest, context: Context
    ) -> pb.PinPluginResponse:
        name = valid_id(request.name, "name")
        found = await self._plugins.pin(_place(request), name, pinned=request.pinned)
        return pb.PinPluginResponse(plugin=found)

    async def RemovePlugin(
        self, request: pb.RemovePluginRequest, context: Context
    ) -> pb.RemovePluginResponse:
        await self._plugins.remove(_place(request), valid_id(request.name, "name"))
        return pb.RemovePluginResponse()


def _place(request: Change) -> str:
    """Return the namespace of a change, or that of all projects. Raises ROLE_REQUIRED."""
    if not request.all_projects:
        return namespace_of(request)
    caller = current()
    if caller is not None and not caller.everywhere & OPERATE:
        roles = " or ".join(roles_with(OPERATE))
        text = f"a plugin of all projects needs the role {roles} in the whole installation"
        raise Forbidden("ROLE_REQUIRED", text)
    return EVERYWHERE
