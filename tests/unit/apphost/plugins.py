"""A stand-in for the installed plugins of a namespace."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from flowmesh.api.fleet.v1 import plugin_service_pb2 as pb
from flowmesh.apphost.running.module_types import ModuleTypes
from flowmesh.errors import NotFound

if TYPE_CHECKING:
    from flowmesh.api.fleet.v1.plugin_service_pb2_grpc import PluginServiceAsyncStub


class _Plugins:
    def __init__(self, modules: Mapping[str, str]) -> None:
        self._modules = modules

    async def GetPluginFunction(
        self, request: pb.GetPluginFunctionRequest
    ) -> pb.GetPluginFunctionResponse:
        if request.name not in self._modules:
            raise NotFound("PLUGIN_NOT_FOUND", "no such plugin")
        modules = {"main": self._modules[request.name]}
        return pb.GetPluginFunctionResponse(handler="main:run", modules=modules)


def module_types(modules: Mapping[str, str]) -> ModuleTypes:
    """Return the types of installed plugins, each with the source of its module."""
    return ModuleTypes(cast("PluginServiceAsyncStub", _Plugins(modules)))
