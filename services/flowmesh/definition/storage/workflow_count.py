"""The number of workflows of a namespace, for its quota."""

from typing import Any


class WorkflowCount:
    """Counts workflows within a transaction."""

    def __init__(self, sql: Any, connection: Any, namespace: str) -> None:
        self._sql = sql
        self._connection = connection
        self._namespace = namespace

    async def locked(self) -> int:
        """Return the number; transactions that ask for it later wait for the end of this one."""
        key = f"flowmesh.definition.quota/{self._namespace}"
        await self._sql.lock_request(self._connection, key=key)
        return int(await self._sql.count_workflows(self._connection, namespace=self._namespace))
