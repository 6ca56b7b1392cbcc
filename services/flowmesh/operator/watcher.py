"""Watches of the API server: a list, then every change, and again from the list on a gap."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import structlog
from lightkube import ApiError, AsyncClient
from lightkube.core.generic_client import ListAsyncIterable
from lightkube.core.resource import GlobalResource, NamespacedResource

from flowmesh.operator.limits import LIST_CHUNK, RELIST_PAUSE_S, WATCH_S

Changed = Callable[[str, Any], None]
"""Called with ADDED, MODIFIED or DELETED, and the object."""


class Watcher:
    """Keeps one kind up to date until canceled."""

    def __init__(
        self,
        *,
        client: AsyncClient,
        resource: type[NamespacedResource] | type[GlobalResource],
        changed: Changed,
        listed: Callable[[set[tuple[str, str]]], None],
    ) -> None:
        self._client = client
        self._resource = resource
        self._changed = changed
        # Called after each list with the namespaces and names in it: others are gone.
        self._listed = listed
        self._log = structlog.get_logger("flowmesh.operator")
        self.ready = asyncio.Event()

    async def run(self) -> None:
        """List and watch; a gap in the watch begins again with a list."""
        while True:
            try:
                await self._watch(await self._list())
            except ApiError as error:
                # 410, or `Too large resource version` of a server that has just restarted.
                self._log.info("relist", kind=self._resource.__name__, problem=str(error)[:200])
            except httpx2.HTTPError as error:
                self._log.info("api_server_away", problem=type(error).__name__)
            await asyncio.sleep(RELIST_PAUSE_S)

    async def _list(self) -> str | None:
        options: dict[str, Any] = {"chunk_size": LIST_CHUNK}
        if issubclass(self._resource, NamespacedResource):
            options["namespace"] = "*"
        found: ListAsyncIterable[Any] = self._client.list(self._resource, **options)
        names = set()
        async for each in found:
            self._changed("ADDED", each)
            metadata = each.metadata
            names.add((metadata.namespace or "", metadata.name))
        self._listed(names)
        self.ready.set()
        return found.resourceVersion

    async def _watch(self, version: str | None) -> None:
        # Bookmarks move the version on while no object of the kind changes, so that a watch which
        # is continued is not answered by 410. AsyncClient.watch has no option for them.
        client = self._client._client
        namespaced = issubclass(self._resource, NamespacedResource)
        request = client.prepare_request(
            "list",
            self._resource,
            namespace="*" if namespaced else None,
            watch=True,
            params={
                "resourceVersion": version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": str(WATCH_S),
            },
        )
        async for change, each in client.watch(request):
            if change != "BOOKMARK":
                self._changed(change, each)
