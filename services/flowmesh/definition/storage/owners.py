"""Owners of definitions: systems outside, such as a cluster, that manage them."""

from typing import Any

from flowmesh.definition.storage.records import Author


class Owners:
    """Reads and writes owners within a transaction."""

    def __init__(self, sql: Any, connection: Any, namespace: str) -> None:
        self._sql = sql
        self._connection = connection
        self._namespace = namespace

    async def claim(self, kind: str, name: str, author: Author) -> None:
        """Store the owner that a change names. Raises OWNED_ELSEWHERE if there is another one."""
        row = {"namespace": self._namespace, "kind": kind, "name": name}
        present = await self._sql.owner_of(self._connection, **row) or ""
        author.owner.check(f"{kind} {name}", present)
        if present == author.owner.name:
            return
        if author.owner.name:
            await self._sql.set_owner(self._connection, **row, owner=author.owner.name)
        else:
            await self.forget(kind, name)

    async def forget(self, kind: str, name: str) -> None:
        """Forget the owner of a deleted definition."""
        await self._sql.forget_owner(
            self._connection, namespace=self._namespace, kind=kind, name=name
        )
