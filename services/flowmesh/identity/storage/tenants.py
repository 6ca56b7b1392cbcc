"""Companies, organizations and projects as rows."""

from dataclasses import asdict
from typing import Any, NamedTuple, TypeVar

from flowmesh.identity.limits import TOMBSTONE_DAYS
from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import Company, Organization, Project, Tenant

T = TypeVar("T", bound=Tenant)


class _Queries(NamedTuple):
    get: str
    list: str
    insert: str
    of_request: str
    update: str
    delete: str


_QUERIES: dict[type[Tenant], _Queries] = {
    Company: _Queries(
        "company",
        "companies",
        "insert_company",
        "company_of_request",
        "update_company",
        "delete_company",
    ),
    Organization: _Queries(
        "organization",
        "organizations",
        "insert_organization",
        "organization_of_request",
        "update_organization",
        "delete_organization",
    ),
    Project: _Queries(
        "project",
        "projects",
        "insert_project",
        "project_of_request",
        "update_project",
        "delete_project",
    ),
}


class TenantStore:
    """Reads and single-statement changes of tenants. A deleted tenant is not found.

    `above` is the kind and the id of the parent; companies have none.
    """

    def __init__(self, database: Database) -> None:
        self._sql, self._pool = database.sql, database.pool

    async def insert(self, tenant: T, request_id: str) -> T | None:
        """Insert a tenant; return None if slug, namespace or request id is taken."""
        columns = asdict(tenant)
        del columns["etag"], columns["created_at_us"]
        insert = self._query(_QUERIES[type(tenant)].insert)
        row = await insert(self._pool, **columns, request_id=request_id or None)
        return row and tenant.of(row)

    async def get(self, kind: type[T], id: str) -> T | None:
        row = await self._query(_QUERIES[kind].get)(self._pool, id=id)
        return row and kind.of(row)

    async def of_request(self, kind: type[T], request_id: str, **above: str) -> T | None:
        query = self._query(_QUERIES[kind].of_request)
        row = await query(self._pool, **above, request_id=request_id)
        return row and kind.of(row)

    async def list(self, kind: type[T], after: str, count: int, **above: str | None) -> list[T]:
        """Return the tenants of a parent; companies are those of a `user_id`, or all for None."""
        rows = self._query(_QUERIES[kind].list)(self._pool, **above, after=after, count=count)
        return [kind.of(row) async for row in rows]

    async def update(
        self, kind: type[T], id: str, slug: str, name: str, etag: int | None
    ) -> T | None:
        update = self._query(_QUERIES[kind].update)
        row = await update(self._pool, id=id, slug=slug, name=name, etag=etag)
        return row and kind.of(row)

    async def delete(self, kind: type[Tenant], id: str, etag: int | None) -> bool:
        return bool(await self._query(_QUERIES[kind].delete)(self._pool, id=id, etag=etag))

    async def namespace_is_taken(self, namespace: str) -> bool:
        """Return whether a project has the namespace, also a deleted one."""
        return await self._sql.project_of_namespace(self._pool, namespace=namespace) is not None

    async def erase(self) -> None:
        """Erase companies and organizations that were deleted long ago."""
        await self._sql.erase_tenants(self._pool, days=TOMBSTONE_DAYS)

    def _query(self, name: str) -> Any:
        return getattr(self._sql, name)
