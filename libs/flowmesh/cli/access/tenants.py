"""`companies`, `organizations` and `projects`: the hierarchy that workflows and roles belong to."""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from flowmesh.api.identity.v1 import tenant_service_pb2 as pb
from flowmesh.cli import exit_codes, output
from flowmesh.cli.access.documents import age_of, document_of
from flowmesh.cli.access.levels import Tenants
from flowmesh.cli.common import COMMON, Common, command, connected

if TYPE_CHECKING:
    pass


@command
async def list_companies(*, common: Common = COMMON) -> int:
    """List the companies in which you have a role."""
    return await _list(common, lambda tenants: tenants.companies(), ())


@command
async def create_company(slug: str, /, *, name: str = "", common: Common = COMMON) -> int:
    """Create a company, of which you become an owner.

    Parameters
    ----------
    slug
        Short name, of a-z, 0-9 and hyphens.
    name
        Name to show; the slug by default.
    """
    async with connected(common) as client:
        request = pb.CreateCompanyRequest(slug=slug, name=name, request_id=_new_id())
        answer = await client.caller.call(Tenants(client).stub.CreateCompany, request)
        return _created("company", answer.company)


@command
async def delete_company(company: str, /, *, common: Common = COMMON) -> int:
    """Delete a company; its keys and sessions end at once, it is erased after 30 days.

    Parameters
    ----------
    company
        Id or slug of the company.
    """
    async with connected(common) as client:
        tenants = Tenants(client)
        found = await tenants.company(company)
        request = pb.DeleteCompanyRequest(company_id=found.id, etag=found.etag)
        await client.caller.call(tenants.stub.DeleteCompany, request)
        return _deleted("company", found)


@command
async def list_organizations(*, company: str = "", common: Common = COMMON) -> int:
    """List organizations.

    Parameters
    ----------
    company
        Id or slug of a company; all by default.
    """
    return await _list(common, lambda tenants: tenants.organizations(company), ("company_id",))


@command
async def create_organization(
    slug: str, /, *, name: str = "", company: str = "", common: Common = COMMON
) -> int:
    """Create an organization in a company.

    Parameters
    ----------
    slug
        Short name, of a-z, 0-9 and hyphens.
    name
        Name to show; the slug by default.
    company
        Id or slug of the company; not needed if there is one only.
    """
    async with connected(common) as client:
        tenants = Tenants(client)
        parent = await tenants.company(company)
        request = pb.CreateOrganizationRequest(
            company_id=parent.id, slug=slug, name=name, request_id=_new_id()
        )
        answer = await client.caller.call(tenants.stub.CreateOrganization, request)
        return _created("organization", answer.organization)


@command
async def delete_organization(organization: str, /, *, common: Common = COMMON) -> int:
    """Delete an organization with its projects; it is erased after 30 days.

    Parameters
    ----------
    organization
        Id or slug of the organization.
    """
    async with connected(common) as client:
        tenants = Tenants(client)
        found = await tenants.organization(organization)
        request = pb.DeleteOrganizationRequest(organization_id=found.id, etag=found.etag)
        await client.caller.call(tenants.stub.DeleteOrganization, request)
        return _deleted("organization", found)


@command
async def list_projects(*, organization: str = "", common: Common = COMMON) -> int:
    """List projects with their namespaces.

    Parameters
    ----------
    organization
        Id or slug of an organization; all by default.
    """
    fields = ("namespace", "organization_id")
    return await _list(common, lambda tenants: tenants.projects(organization), fields)


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

    Parameters
    ----------
    slug
        Short name, of a-z, 0-9 and hyphens.
    name
        Name to show; the slug by default.
    organization
        Id or slug of the organization; not needed if there is one only.
    project_namespace
        Namespace of its workflows; the slug by default.
    """
    async with connected(common) as client:
        tenants = Tenants(client)
        parent = await tenants.organization(organization)
        request = pb.CreateProjectRequest(
            organization_id=parent.id,
            slug=slug,
            name=name,
            namespace=project_namespace,
            request_id=_new_id(),
        )
        answer = await client.caller.call(tenants.stub.CreateProject, request)
        return _created("project", answer.project)


@command
async def delete_project(project: str, /, *, common: Common = COMMON) -> int:
    """Delete a project; its keys end at once, it is erased after 30 days.

    Parameters
    ----------
    project
        Id, slug or namespace of the project.
    """
    async with connected(common) as client:
        tenants = Tenants(client)
        found = await tenants.project(project)
        request = pb.DeleteProjectRequest(project_id=found.id, etag=found.etag)
        await client.caller.call(tenants.stub.DeleteProject, request)
        return _deleted("project", found)


async def _list(
    common: Common, listed: Callable[[Tenants], AsyncIterator[Any]], fields: tuple[str, ...]
) -> int:
    async with connected(common) as client:
        found = [each async for each in listed(Tenants(client))]
        documents = [document_of(each) for each in found]
        header = ("SLUG", "ID", "NAME", *(name.upper().removesuffix("_ID") for name in fields))
        rows = [
            (
                each.slug,
                each.id,
                each.name,
                *(getattr(each, field) for field in fields),
                age_of(each.created_at_us),
            )
            for each in found
        ]
        output.listing(
            documents, (*header, "CREATED"), rows, none="There are none that you may see."
        )
        return exit_codes.DONE


def _created(kind: str, made: Any) -> int:
    output.result(document_of(made), f"{kind} {made.slug} is created: {made.id}")
    return exit_codes.DONE


def _deleted(kind: str, gone: Any) -> int:
    output.result({"id": gone.id, "deleted": True}, f"{kind} {gone.slug} is deleted")
    return exit_codes.DONE


def _new_id() -> str:
    from flowmesh.sdk.ids import new_request_id

    return new_request_id()
