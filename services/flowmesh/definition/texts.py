"""Texts of workflows: the source of a version, and texts that are not stored."""

import asyncio
from collections.abc import Mapping

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.definition.catalog import DefinitionCatalog
from flowmesh.definition.registration import require_one_workflow
from flowmesh.definition.storage.records import SourceRecord, WorkflowVersion
from flowmesh.definition.storage.store import DefinitionStore
from flowmesh.definitions import Workflow, analyse, refuse


class WorkflowTexts:
    """Reads the texts of versions, and analyzes drafts."""

    def __init__(self, *, catalog: DefinitionCatalog, store: DefinitionStore) -> None:
        self._catalog = catalog
        self._store = store

    async def source(
        self, namespace: str, workflow_id: str, version: int, label: str
    ) -> tuple[WorkflowVersion, SourceRecord]:
        """Return a version and the text that it was applied from, or its definition."""
        found = await self._catalog.workflow(namespace, workflow_id, version, label)
        source = await self._store.source(namespace, workflow_id, found.version)
        return found, source or SourceRecord("application/json", found.definition)

    async def analysis(
        self,
        source: bytes,
        content_type: str,
        path_count_max: int,
        durations_ms: Mapping[str, int],
    ) -> tuple[str, definition_pb2.Analysis]:
        """Return the id and the analysis of the workflow of a text; its tasks may be beside it."""
        reading = (await self._catalog.read(source, content_type)).reading
        refuse(reading.problems)
        workflows = [r.resource for r in reading.resources if isinstance(r.resource, Workflow)]
        if len(workflows) != 1:
            require_one_workflow(reading)
        made = await asyncio.to_thread(analyse, workflows[0], path_count_max, dict(durations_ms))
        return workflows[0].id, made
