"""The texts that versions of workflows were applied from."""

from typing import Any

from flowmesh.definition.storage.records import SourceRecord


class WorkflowSources:
    """Stores texts within a transaction."""

    def __init__(self, sql: Any, connection: Any, namespace: str) -> None:
        self._sql = sql
        self._connection = connection
        self._namespace = namespace

    async def set(self, workflow_id: str, version: int, source: SourceRecord) -> None:
        """Store the text of a version; a later text with the same content replaces it."""
        await self._sql.set_workflow_source(
            self._connection,
            namespace=self._namespace,
            id=workflow_id,
            version=version,
            content_type=source.content_type,
            text=source.text,
        )
