"""Quotas of projects and their use per hour as rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.plans import UsedUp
from flowmesh.identity.storage.records import Project, Quota, Usage, instant


@dataclass(frozen=True, slots=True)
class NamespaceLimits:
    """The quota of a namespace, and the limit of its company's plan that is reached."""

    namespace: str
    quota: Quota
    used_up: UsedUp | None


class QuotaStore:
    """Reads and single-statement changes of quotas. A project without one is unlimited."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql, self._pool = database.sql, database.pool

    @asynccontextmanager
    async def changing(self, project: str) -> AsyncIterator["QuotaChange"]:
        """Commit all changes of the block, or none; other changes of the project wait."""
        async with self._database.transaction() as connection:
            await self._sql.lock_quotas(connection, project=project)
            yield QuotaChange(self._sql, connection, project)

    async def ceiling(self, project: str) -> Quota:
        """Return the upper bounds of what the project sets itself."""
        row = await self._sql.quota_ceiling(self._pool, project=project)
        return Quota.of(row) if row else Quota()

    async def of_project(self, project: str) -> Quota:
        row = await self._sql.quota(self._pool, project=project)
        return Quota.of(row) if row else Quota()

    async def of_namespace(self, namespace: str) -> Quota:
        row = await self._sql.quota_of_namespace(self._pool, namespace=namespace)
        return Quota.of(row) if row else Quota()

    async def by_namespace(self, after: str, count: int) -> list[NamespaceLimits]:
        """Return the namespaces with a quota or a plan that is used up, in their order."""
        rows = self._sql.quotas(self._pool, after=after, count=count)
        return [
            NamespaceLimits(
                row["namespace"], Quota.of(row), UsedUp.of(row) if row["plan"] is not None else None
            )
            async for row in rows
        ]

    async def set_usage(self, project: str, usage: Usage) -> None:
        """Store the use of an hour; a count that was greater before is kept."""
        await self._sql.set_usage(
            self._pool,
            project=project,
            hour=instant(usage.hour_us),
            started=usage.started,
            completed=usage.completed,
            failed=usage.failed,
        )

    async def usage(self, project: str, since_us: int) -> list[Usage]:
        """Return the use per hour since a time, newest first."""
        rows = self._sql.usage(self._pool, project=project, since=instant(since_us))
        return [Usage.of(row) async for row in rows]

    async def delete_usage(self, days: int) -> None:
        """Delete the use of hours before this number of days."""
        await self._sql.delete_usage(self._pool, days=days)

    async def projects(self, after: str, count: int) -> list[Project]:
        """Return the projects of all organizations, by id."""
        rows = self._sql.projects_by_id(self._pool, after=after, count=count)
        return [Project.of(row) async for row in rows]


class QuotaChange:
    """A transaction on the quota of a project."""

    def __init__(self, sql: Any, connection: Any, project: str) -> None:
        self._sql, self._connection = sql, connection
        self._project = project

    async def ceiling(self) -> Quota:
        row = await self._sql.quota_ceiling(self._connection, project=self._project)
        return Quota.of(row) if row else Quota()

    async def set(self, quota: Quota, changed_by: str) -> None:
        await self._sql.set_quota(
            self._connection, project=self._project, changed_by=changed_by, **asdict(quota)
        )

    async def set_ceiling(self) -> None:
        """Make the quota that was set the upper bound of what the project sets itself."""
        await self._sql.set_quota_ceiling(self._connection, project=self._project)
