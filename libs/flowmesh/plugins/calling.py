"""Calls of the functions of installed plugins, of which the fleet has the modules."""

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from flowmesh.api.fleet.v1 import plugin_service_pb2 as pb
from flowmesh.contract.json_value import Json
from flowmesh.plugins import limits
from flowmesh.plugins.computing import Function, computed
from flowmesh.plugins.manifest import Kind
from flowmesh.sandbox import Sandbox

if TYPE_CHECKING:
    from flowmesh.api.fleet.v1.plugin_service_pb2_grpc import PluginServiceAsyncStub


class PluginFunctions:
    """Asks for the present version at each call; the modules of recent ones are kept."""

    def __init__(self, kind: Kind, plugins: "PluginServiceAsyncStub", sandbox: Sandbox) -> None:
        self._kind, self._plugins, self._sandbox = kind, plugins, sandbox
        self._kept = OrderedDict[tuple[str, str], tuple[str, dict[str, str]]]()

    async def call(self, namespace: str, plugin: str, value: Json, timeout_ms: int) -> Json:
        """Return the result of a function. Raises SandboxFailure and FlowmeshError."""
        function = await self.function(namespace, plugin)
        return await computed(self._sandbox, function, value, timeout_ms=timeout_ms)

    async def function(self, namespace: str, plugin: str) -> Function:
        """Return a function. Raises PLUGIN_NOT_FOUND."""
        key = (namespace, plugin)
        digest, modules = self._kept.get(key, ("", {}))
        found = await self._plugins.GetPluginFunction(
            pb.GetPluginFunctionRequest(
                namespace=namespace, name=plugin, kind=self._kind, digest=digest
            )
        )
        if found.digest != digest:
            modules = dict(found.modules)
        self._kept[key] = found.digest, modules
        self._kept.move_to_end(key)
        if len(self._kept) > limits.KEPT_MAX:
            self._kept.popitem(last=False)
        return Function(found.handler, modules, msgspec.json.decode(found.settings or "null"))
