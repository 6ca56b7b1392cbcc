"""The module types of plugins that releases name."""

import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from flowmesh.access import acting_as
from flowmesh.api.fleet.v1 import plugin_service_pb2 as pb
from flowmesh.apphost import limits
from flowmesh.apphost.storage.records import Content, Key
from flowmesh.apps.components.plugins import PluginType
from flowmesh.errors import NotFound, WrongState

if TYPE_CHECKING:
    from flowmesh.api.fleet.v1.plugin_service_pb2_grpc import PluginServiceAsyncStub

_NAMED = re.compile(rb"plugin:([a-z](?:-?[a-z0-9])*)")


def names_in(content: Content) -> frozenset[str]:
    """Return the plugins that the texts of a release name. Raises RELEASE_REFUSED."""
    texts = (content.document.encode(), *content.files.values())
    names = {found.decode() for text in texts for found in _NAMED.findall(text)}
    if len(names) > limits.PLUGINS_MAX:
        text = f"a release names at most {limits.PLUGINS_MAX} plugins, not {len(names)}"
        raise WrongState("RELEASE_REFUSED", text)
    return frozenset(names)


class ModuleTypes:
    """Asks for the plugins that the texts of a release name; the process finds what is missing."""

    def __init__(self, plugins: "PluginServiceAsyncStub") -> None:
        self._plugins = plugins

    async def of(
        self, key: Key, content: Content, new: Collection[str] = ()
    ) -> dict[str, PluginType]:
        """Return the installed ones by the name of the plugin. Raises RELEASE_REFUSED.

        Of the `new` ones, whose use the store notes since this start, none is being removed.
        """
        names = sorted(names_in(content))
        asked = {name: await self._type(key[0], name, name in new) for name in names}
        types = {name: each for name, each in asked.items() if each is not None}
        size = sum(len(text.encode()) for each in types.values() for text in each.modules.values())
        if size > limits.PLUGINS_BYTES_MAX:
            most = limits.PLUGINS_BYTES_MAX >> 20
            text = f"the modules of the plugins of a release have at most {most} MiB together"
            raise WrongState("RELEASE_REFUSED", text)
        return types

    async def _type(self, namespace: str, name: str, is_new: bool) -> PluginType | None:
        request = pb.GetPluginFunctionRequest(
            namespace=namespace, name=name, kind="module-type", new_use=is_new
        )
        try:
            with acting_as(None):
                found = await self._plugins.GetPluginFunction(request)
        except NotFound:
            return None
        return PluginType(
            handler=found.handler,
            modules=dict(found.modules),
            config_schema=found.module_type.config_schema,
            settings=found.module_type.configuration,
            connect=list(found.module_type.connect),
        )
