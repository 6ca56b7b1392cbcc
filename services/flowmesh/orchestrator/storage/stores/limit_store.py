"""Limits and dispatch stops that are set at run time, and the log of their changes."""

from __future__ import annotations

from typing import NamedTuple

from flowmesh.orchestrator.storage.database import Queries


class LimitRow(NamedTuple):
    """A limit; 0 in a number means that the number is not limited."""

    namespace: str
    kind: int
    subject: str
    concurrency: int
    rate: float
    burst: int
    weight: int
    max_size: int
    retries: float
    actor: str
    reason: str
    updated_at: int


class DispatchStop(NamedTuple):
    """A stop of dispatch for a workflow; an empty `workflow_id` stops the whole namespace."""

    namespace: str
    workflow_id: str
    reason: str
    actor: str
    stopped_at: int
    refuses_starts: bool


class LimitChange(NamedTuple):
    """An entry of the log of changes; `at` is in microseconds."""

    id: int
    action: str
    subject: str
    actor: str
    reason: str
    at: int


class LimitStore:
    """Limits and stops; each change raises one version, which all orchestrators watch.

    `logged_as` is the subject under which a change is logged.
    """

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def version(self) -> int:
        """Return the version of all limits and stops."""
        version: int = await self._queries.one("limits_version")
        return version

    async def limits(self) -> list[LimitRow]:
        """Return all limits of all namespaces."""
        return await self._queries.records(LimitRow, "limits_set")

    async def stops(self) -> list[DispatchStop]:
        """Return all dispatch stops of all namespaces."""
        return await self._queries.records(DispatchStop, "dispatch_stops")

    async def set(
        self,
        *,
        namespace: str,
        kind: int,
        subject: str,
        concurrency: int,
        rate: float,
        burst: int,
        weight: int,
        max_size: int,
        retries: float,
        actor: str,
        reason: str,
        logged_as: str,
    ) -> None:
        """Set or replace a limit."""
        await self._queries.one(
            "set_limit",
            namespace=namespace,
            kind=kind,
            subject=subject,
            concurrency=concurrency,
            rate=rate,
            burst=burst,
            weight=weight,
            max_size=max_size,
            retries=retries,
            actor=actor,
            reason=reason,
            what=logged_as,
        )

    async def delete(
        self,
        *,
        namespace: str,
        kind: int,
        subject: str,
        actor: str,
        reason: str,
        logged_as: str,
    ) -> bool:
        """Delete a limit; return False if there is none."""
        return bool(
            await self._queries.one(
                "delete_limit",
                namespace=namespace,
                kind=kind,
                subject=subject,
                actor=actor,
                reason=reason,
                what=logged_as,
            )
        )

    async def stop_dispatch(
        self,
        *,
        namespace: str,
        workflow_id: str,
        refuses_starts: bool,
        actor: str,
        reason: str,
        logged_as: str,
    ) -> bool:
        """Stop dispatch; return False if it is stopped already."""
        return bool(
            await self._queries.one(
                "stop_dispatch",
                namespace=namespace,
                workflow_id=workflow_id,
                refuses_starts=refuses_starts,
                actor=actor,
                reason=reason,
                what=logged_as,
            )
        )

    async def start_dispatch(
        self, *, namespace: str, workflow_id: str, actor: str, reason: str, logged_as: str
    ) -> bool:
        """Remove a stop; return False if there is none."""
        return bool(
            await self._queries.one(
                "start_dispatch",
                namespace=namespace,
                workflow_id=workflow_id,
                actor=actor,
                reason=reason,
                what=logged_as,
            )
        )

    async def changes(self, namespace: str, *, before_id: int, rows_max: int) -> list[LimitChange]:
        """Return the newest changes with an id below `before_id`; 0 is no bound."""
        return await self._queries.records(
            LimitChange,
            "limit_changes",
            namespace=namespace,
            before_id=before_id,
            rows_max=rows_max,
        )
