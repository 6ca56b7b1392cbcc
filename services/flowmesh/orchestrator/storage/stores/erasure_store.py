"""Erasure of the values of executions, and erasures that are not finished."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from flowmesh.orchestrator.storage.database import Queries


class OpenErasure(NamedTuple):
    """An erasure that is not finished; `request` is an encoded EraseExecutionRequest."""

    execution_id: str
    namespace: str
    request: bytes


class ErasureStore:
    """Removes the values of executions from their rows."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def begin(self, execution_id: str, namespace: str, request: bytes) -> None:
        """Store the request of an erasure until it is finished."""
        await self._queries.one(
            "note_erasure", execution_id=execution_id, namespace=namespace, request=request
        )

    async def unfinished(self, rows_max: int) -> list[OpenErasure]:
        """Return erasures that are not finished."""
        return await self._queries.records(OpenErasure, "open_erasures", rows_max=rows_max)

    async def rewrite_history(
        self,
        execution_id: str,
        start_day: int,
        *,
        seqs: Sequence[int],
        events: Sequence[bytes],
    ) -> None:
        """Replace the encoded events of history rows."""
        await self._queries.one(
            "rewrite_history",
            start_day=start_day,
            execution_id=execution_id,
            seqs=list(seqs),
            events=list(events),
        )

    async def finish(self, execution_id: str) -> list[str]:
        """Remove payloads, search values, snapshot and the stored request of an execution.

        Returns the digests of the payloads that it referred to.
        """
        digests: list[str] = await self._queries.one("forget_values", execution_id=execution_id)
        return digests
