"""Checks of applications with the next version of a plugin that they use."""

from collections.abc import AsyncIterator
from dataclasses import replace

from flowmesh.apphost.running.checks import Checks
from flowmesh.apphost.storage.contents import Contents
from flowmesh.apphost.storage.records import Key
from flowmesh.apphost.storage.store import AppStore
from flowmesh.apps.components.plugins import PluginType
from flowmesh.errors import NotFound


class Upgrades:
    """Checks the documents of releases that serve, or are to serve."""

    def __init__(self, *, store: AppStore, contents: Contents, checks: Checks) -> None:
        self._store, self._contents, self._checks = store, contents, checks

    async def misfits(
        self, plugin: str, namespace: str, config_schema: str
    ) -> AsyncIterator[tuple[Key, str]]:
        """Yield the applications that a schema of module configurations refuses, with the reason.

        Without a namespace, those of all.
        """
        next_type = PluginType(handler="", modules={}, config_schema=config_schema, settings="{}")
        for key, release in await self._store.uses_of_plugin(plugin, namespace):
            try:
                content = await self._contents.load(key, release)
            except NotFound:
                # Deleted meanwhile.
                continue
            # The caller may be of another project: no text shows the value of a variable.
            content = replace(content, kept=frozenset(content.environment))
            found = await self._checks.check(key, content, {plugin: next_type})
            problems = [each for each in found if not each.warning]
            if problems:
                yield key, "; ".join(f"{each.path}: {each.message}" for each in problems[:3])
