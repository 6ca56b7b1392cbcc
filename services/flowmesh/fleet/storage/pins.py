"""The plugins of namespaces: wanted versions, and pins."""

from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg


class PinStore:
    """Reads and changes the table of plugins."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", *, call: Callable[[], str]) -> None:
        self._pool = pool
        queries = files("flowmesh.fleet").joinpath("sql")
        self._sql: Any = load_queries(queries, call=call)

    async def pinned(self, namespace: str) -> frozenset[str]:
        """Return the names of the plugins that are pinned."""
        rows = self._sql.pinned_plugins(self._pool, namespace=namespace)
        return frozenset([row["plugin"] async for row in rows])

    async def put(self, namespace: str, plugin: str, version: str) -> None:
        await self._sql.put_plugin(self._pool, namespace=namespace, plugin=plugin, version=version)

    async def pin(self, namespace: str, plugin: str, *, pinned: bool) -> None:
        await self._sql.pin_plugin(self._pool, namespace=namespace, plugin=plugin, pinned=pinned)

    async def begin_removal(self, namespace: str, plugin: str, version: str) -> bool:
        """Let nothing begin to use a plugin; return False if another call removes it."""
        begun = await self._sql.begin_removal(
            self._pool, namespace=namespace, plugin=plugin, version=version
        )
        return bool(begun)

    async def end_removal(self, namespace: str, plugin: str) -> None:
        """Admit uses of a plugin again, which is not removed."""
        await self._sql.end_removal(self._pool, namespace=namespace, plugin=plugin)

    async def is_being_removed(self, namespace: str, plugin: str) -> bool:
        return bool(
            await self._sql.is_being_removed(self._pool, namespace=namespace, plugin=plugin)
        )

    async def remove(self, namespace: str, plugin: str) -> None:
        await self._sql.remove_plugin(self._pool, namespace=namespace, plugin=plugin)
