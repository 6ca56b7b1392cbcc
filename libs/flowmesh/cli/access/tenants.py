"""`companies`, `organizations` and `projects`: the hierarchy that workflows and roles belong to."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import document_of
from flowmesh.cli.access.levels import Tenants
from flowmesh.cli.common import COMMON, Common, command, connected


@command
async def list_companies(*, common: Common = COMMON) -> int:
    """List the companies in which you have a role."""
    return await _list(common, lambda tenants: tenants.companies())


@command
async def create_company(slug: str, /, *, name: str = "", common: Common = COMMON) -> int:
    """Create a company, of which you become an owner.

    Args:
        slug: Short name, of a-z, 0-9 and hyphens.
        name: Name to show; the slug by default.
    """
    async with connected(common) as client:
        return await _create(Tenants(client), "company", slug=slug, name=name)


@command
async def delete_company(company: str, /, *, common: Common = COMMON) -> int:
    """Delete a company; its keys and sessions end at once, it is erased after 30 days.

    Args:
        company: Id or slug of the company.
    """
    return await _delete(common, "company", company)


@command
async def list_organizations(*, company: str = "", common: Common = COMMON) -> int:
    """List organizations.

    Args:
        company: Id or slug of a company; all by default.
    """
    return await _list(common, lambda tenants: tenants.organizations(company), "COMPANY=company_id")


@command
async def create_organization(
    slug: str, /, *, name: str = "", company: str = "", common: Common = COMMON
) -> int:
    """Create an organization in a company.

    Args:
        slug: Short name, of a-z, 0-9 and hyphens.
        name: Name to show; the slug by default.
        company: Id or slug of the company; not needed if there is one only.
    """
    async with connected(common) as client:
        tenants = Tenants(client)
        parent = await tenants.company(company)
        return await _create(tenants, "organization", company_id=parent.id, slug=slug, name=name)


@command
async def delete_organization(organization: str, /, *, common: Common = COMMON) -> int:
    """Delete an organization with its projects; it is erased after 30 days.

    Args:
        organization: Id or slug of the organization.
    """
    return await _delete(common, "organization", organization)


@command
async def list_projects(*, organization: str = "", common: Common = COMMON) -> int:
    """List projects with their namespaces.

    Args:
        organization: Id or slug of an organization; all by default.
    """
    more = "NAMESPACE ORGANIZATION=organization_id"
    return await _list(common, lambda tenants: tenants.projects(organization), more)


@command
async def create_project(
    slug: str,
    /,
    *,
    name: str = "",
    organization: str = "",
    project_namespace: str = "",
    common: Common = COMMON,
) -> int:
    """Create a project and its namespace.

    Args:
        slug: Short name, of a-z, 0-9 and hyphens.
        name: Name to show; the slug by default.
        organization: Id or slug of the organization; not needed if there is one only.
        project_namespace: Namespace of its workflows; the slug by default.
    """
    async with connected(common) as client:
        tenants = Tenants(client)
        parent = await tenants.organization(organization)
        return await _create(
            tenants,
            "project",
            organization_id=parent.id,
            slug=slug,
            name=name,
            namespace=project_namespace,
        )


@command
async def delete_project(project: str, /, *, common: Common = COMMON) -> int:
    """Delete a project; its keys end at once, it is erased after 30 days.

    Args:
        project: Id, slug or namespace of the project.
    """
    return await _delete(common, "project", project)


async def _list(
    common: Common, listed: Callable[[Tenants], AsyncIterator[Any]], more: str = ""
) -> int:
    async with connected(common) as client:
        found = [each async for each in listed(Tenants(client))]
        columns = f"SLUG ID NAME {more} CREATED=created_at_us"
        output.table(found, document_of, columns, none="There are none that you may see.")
        return exit_codes.DONE


async def _create(tenants: Tenants, kind: str, **fields: str) -> int:
    from flowmesh.sdk.values.ids import new_request_id

    made = await tenants.call("Create", kind, **fields, request_id=new_request_id())
    output.result(document_of(made), f"{kind} {made.slug} is created: {made.id}")
    return exit_codes.DONE


async def _delete(common: Common, kind: str, name: str) -> int:
    async with connected(common) as client:
        tenants = Tenants(client)
        gone = await getattr(tenants, kind)(name)
        await tenants.call("Delete", kind, **{f"{kind}_id": gone.id}, etag=gone.etag)
        output.result({"id": gone.id, "deleted": True}, f"{kind} {gone.slug} is deleted")
        return exit_codes.DONE
