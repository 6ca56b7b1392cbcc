"""Translates TenantService messages."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from typing import Any

from flowmesh.api.identity.v1 import tenant_service_pb2 as pb
from flowmesh.api.identity.v1 import tenant_service_pb2_grpc
from flowmesh.identity.api.messages import page_size
from flowmesh.identity.storage.records import Company, Organization, Project, Tenant
from flowmesh.identity.tenants import Tenants
from flowmesh.rpc.pages import last_of_token, list_key, page_token

Method = Callable[..., Awaitable[Any]]
_PARENTS = {"organization": "organization_id", "company": "company_id"}


def _get(kind: type[Tenant], response: Any) -> Method:
    async def get(self: "TenantServer", request: Any, _context: Any) -> Any:
        found = await self.tenants.get(kind, _id(kind, request))
        return response(**_part(found))

    return get


def _update(kind: type[Tenant], response: Any) -> Method:
    async def update(self: "TenantServer", request: Any, _context: Any) -> Any:
        changed = await self.tenants.update(
            kind, _id(kind, request), request.slug, request.name, request.etag
        )
        return response(**_part(changed))

    return update


def _delete(kind: type[Tenant], response: Any) -> Method:
    async def delete(self: "TenantServer", request: Any, _context: Any) -> Any:
        await self.tenants.delete(kind, _id(kind, request), request.etag)
        return response()

    return delete


class TenantServer(tenant_service_pb2_grpc.TenantServiceServicer):
    """Companies, organizations and projects."""

    def __init__(self, tenants: Tenants) -> None:
        self.tenants = tenants

    GetCompany = _get(Company, pb.GetCompanyResponse)
    GetOrganization = _get(Organization, pb.GetOrganizationResponse)
    GetProject = _get(Project, pb.GetProjectResponse)
    UpdateCompany = _update(Company, pb.UpdateCompanyResponse)
    UpdateOrganization = _update(Organization, pb.UpdateOrganizationResponse)
    UpdateProject = _update(Project, pb.UpdateProjectResponse)
    DeleteCompany = _delete(Company, pb.DeleteCompanyResponse)
    DeleteOrganization = _delete(Organization, pb.DeleteOrganizationResponse)
    DeleteProject = _delete(Project, pb.DeleteProjectResponse)

    async def CreateCompany(
        self, request: pb.CreateCompanyRequest, context: Any
    ) -> pb.CreateCompanyResponse:
        made = await self.tenants.create_company(request.slug, request.name, request.request_id)
        return pb.CreateCompanyResponse(**_part(made))

    async def CreateOrganization(
        self, request: pb.CreateOrganizationRequest, context: Any
    ) -> pb.CreateOrganizationResponse:
        made = await self.tenants.create_organization(
            request.company_id, request.slug, request.name, request.request_id
        )
        return pb.CreateOrganizationResponse(**_part(made))

    async def CreateProject(
        self, request: pb.CreateProjectRequest, context: Any
    ) -> pb.CreateProjectResponse:
        made = await self.tenants.create_project(
            request.organization_id,
            request.slug,
            request.name,
            request.namespace,
            request.request_id,
        )
        return pb.CreateProjectResponse(**_part(made))

    async def ListCompanies(
        self, request: pb.ListCompaniesRequest, context: Any
    ) -> pb.ListCompaniesResponse:
        count = page_size(request.page_size)
        found = await self.tenants.companies(_after(request), count + 1)
        return pb.ListCompaniesResponse(**_page(Company, request, found, count))

    async def ListOrganizations(
        self, request: pb.ListOrganizationsRequest, context: Any
    ) -> pb.ListOrganizationsResponse:
        count = page_size(request.page_size)
        found = await self.tenants.organizations(request.company_id, _after(request), count + 1)
        return pb.ListOrganizationsResponse(**_page(Organization, request, found, count))

    async def ListProjects(
        self, request: pb.ListProjectsRequest, context: Any
    ) -> pb.ListProjectsResponse:
        count = page_size(request.page_size)
        found = await self.tenants.projects(request.organization_id, _after(request), count + 1)
        return pb.ListProjectsResponse(**_page(Project, request, found, count))


def _id(kind: type[Tenant], request: Any) -> str:
    return str(getattr(request, f"{kind.kind}_id"))


def _fields(tenant: Tenant) -> dict[str, Any]:
    """Return the fields of the message of a tenant."""
    values = {_PARENTS.get(name, name): value for name, value in asdict(tenant).items()}
    return values | {"etag": str(tenant.etag)}


def _part(tenant: Tenant) -> dict[str, Any]:
    return {tenant.kind: _fields(tenant)}


def _page(kind: type[Tenant], request: Any, found: Sequence[Tenant], count: int) -> dict[str, Any]:
    """Return a page, and the token of the next one if one entry more than a page was found."""
    more = len(found) > count
    return {
        kind.plural: [_fields(each) for each in found[:count]],
        "next_page_token": page_token(list_key(request), found[count - 1].slug) if more else "",
    }


def _after(request: Any) -> str:
    return last_of_token(request.page_token, list_key(request))
