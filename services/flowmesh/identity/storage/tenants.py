"""Companies, organizations and projects as rows."""

from typing import Any

from flowmesh.identity.limits import TOMBSTONE_DAYS
from flowmesh.identity.storage.database import Database
from flowmesh.identity.storage.records import Company, Organization, Project


class TenantStore:
    """Reads and single-statement changes of tenants. A deleted tenant is not found."""

    def __init__(self, database: Database) -> None:
        self._sql, self._pool = database.sql, database.pool

    async def insert_company(
        self, id: str, slug: str, name: str, request_id: str
    ) -> Company | None:
        """Insert a company; return None if its slug or its request id is taken."""
        row = await self._sql.insert_company(
            self._pool, id=id, slug=slug, name=name, request_id=request_id or None
        )
        return row and Company.of(row)

    async def company(self, id: str) -> Company | None:
        row = await self._sql.company(self._pool, id=id)
        return row and Company.of(row)

    async def company_of_request(self, request_id: str) -> Company | None:
        row = await self._sql.company_of_request(self._pool, request_id=request_id)
        return row and Company.of(row)

    async def companies(self, user_id: str | None, after: str, count: int) -> list[Company]:
        """Return the companies in which a user has a role; all companies for None."""
        rows = self._sql.companies(self._pool, user_id=user_id, after=after, count=count)
        return [Company.of(row) async for row in rows]

    async def update_company(
        self, id: str, slug: str, name: str, etag: int | None
    ) -> Company | None:
        row = await self._sql.update_company(self._pool, id=id, slug=slug, name=name, etag=etag)
        return row and Company.of(row)

    async def delete_company(self, id: str, etag: int | None) -> bool:
        return bool(await self._sql.delete_company(self._pool, id=id, etag=etag))

    async def insert_organization(
        self, id: str, company: str, slug: str, name: str, request_id: str
    ) -> Organization | None:
        row = await self._sql.insert_organization(
            self._pool, id=id, company=company, slug=slug, name=name, request_id=request_id or None
        )
        return row and Organization.of(row)

    async def organization(self, id: str) -> Organization | None:
        row = await self._sql.organization(self._pool, id=id)
        return row and Organization.of(row)

    async def organization_of_request(self, company: str, request_id: str) -> Organization | None:
        row = await self._sql.organization_of_request(
            self._pool, company=company, request_id=request_id
        )
        return row and Organization.of(row)

    async def organizations(self, company: str, after: str, count: int) -> list[Organization]:
        rows = self._sql.organizations(self._pool, company=company, after=after, count=count)
        return [Organization.of(row) async for row in rows]

    async def update_organization(
        self, id: str, slug: str, name: str, etag: int | None
    ) -> Organization | None:
        row = await self._sql.update_organization(
            self._pool, id=id, slug=slug, name=name, etag=etag
        )
        return row and Organization.of(row)

    async def delete_organization(self, id: str, etag: int | None) -> bool:
        return bool(await self._sql.delete_organization(self._pool, id=id, etag=etag))

    async def insert_project(self, project: Project, request_id: str) -> Project | None:
        """Insert a project; return None if slug, namespace or request id is taken."""
        row = await self._sql.insert_project(
            self._pool,
            id=project.id,
            organization=project.organization,
            company=project.company,
            slug=project.slug,
            name=project.name,
            namespace=project.namespace,
            request_id=request_id or None,
        )
        return row and Project.of(row)

    async def project(self, id: str) -> Project | None:
        row = await self._sql.project(self._pool, id=id)
        return row and Project.of(row)

    async def project_of_request(self, organization: str, request_id: str) -> Project | None:
        row = await self._sql.project_of_request(
            self._pool, organization=organization, request_id=request_id
        )
        return row and Project.of(row)

    async def namespace_is_taken(self, namespace: str) -> bool:
        """Return whether a project has the namespace, also a deleted one."""
        found: Any = await self._sql.project_of_namespace(self._pool, namespace=namespace)
        return found is not None

    async def projects(self, organization: str, after: str, count: int) -> list[Project]:
        rows = self._sql.projects(self._pool, organization=organization, after=after, count=count)
        return [Project.of(row) async for row in rows]

    async def update_project(
        self, id: str, slug: str, name: str, etag: int | None
    ) -> Project | None:
        row = await self._sql.update_project(self._pool, id=id, slug=slug, name=name, etag=etag)
        return row and Project.of(row)

    async def delete_project(self, id: str, etag: int | None) -> bool:
        return bool(await self._sql.delete_project(self._pool, id=id, etag=etag))

    async def erase(self) -> None:
        """Erase companies and organizations that were deleted long ago."""
        await self._sql.erase_tenants(self._pool, days=TOMBSTONE_DAYS)
