"""Translates TenantService messages."""

from typing import Any

from flowmesh.api.identity.v1 import tenant_service_pb2 as pb
from flowmesh.api.identity.v1 import tenant_service_pb2_grpc
from flowmesh.identity.api.messages import (
    company_message,
    organization_message,
    page_size,
    project_message,
)
from flowmesh.identity.storage.records import Company, Organization, Project
from flowmesh.identity.tenants import Tenants
from flowmesh.rpc.pages import last_of_token, list_key, page_token


class TenantServer(tenant_service_pb2_grpc.TenantServiceServicer):
    """Companies, organizations and projects."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    async def CreateCompany(
        self, request: pb.CreateCompanyRequest, context: Any
    ) -> pb.CreateCompanyResponse:
        made = await self._tenants.create_company(request.slug, request.name, request.request_id)
        return pb.CreateCompanyResponse(company=company_message(made))

    async def GetCompany(
        self, request: pb.GetCompanyRequest, context: Any
    ) -> pb.GetCompanyResponse:
        found = await self._tenants.company(request.company_id)
        return pb.GetCompanyResponse(company=company_message(found))

    async def ListCompanies(
        self, request: pb.ListCompaniesRequest, context: Any
    ) -> pb.ListCompaniesResponse:
        count = page_size(request.page_size)
        found = await self._tenants.companies(_after(request), count + 1)
        return pb.ListCompaniesResponse(
            companies=[company_message(each) for each in found[:count]],
            next_page_token=_next(request, found, count),
        )

    async def UpdateCompany(
        self, request: pb.UpdateCompanyRequest, context: Any
    ) -> pb.UpdateCompanyResponse:
        changed = await self._tenants.update_company(
            request.company_id, request.slug, request.name, request.etag
        )
        return pb.UpdateCompanyResponse(company=company_message(changed))

    async def DeleteCompany(
        self, request: pb.DeleteCompanyRequest, context: Any
    ) -> pb.DeleteCompanyResponse:
        await self._tenants.delete_company(request.company_id, request.etag)
        return pb.DeleteCompanyResponse()

    async def CreateOrganization(
        self, request: pb.CreateOrganizationRequest, context: Any
    ) -> pb.CreateOrganizationResponse:
        made = await self._tenants.create_organization(
            request.company_id, request.slug, request.name, request.request_id
        )
        return pb.CreateOrganizationResponse(organization=organization_message(made))

    async def GetOrganization(
        self, request: pb.GetOrganizationRequest, context: Any
    ) -> pb.GetOrganizationResponse:
        found = await self._tenants.organization(request.organization_id)
        return pb.GetOrganizationResponse(organization=organization_message(found))

    async def ListOrganizations(
        self, request: pb.ListOrganizationsRequest, context: Any
    ) -> pb.ListOrganizationsResponse:
        count = page_size(request.page_size)
        found = await self._tenants.organizations(request.company_id, _after(request), count + 1)
        return pb.ListOrganizationsResponse(
            organizations=[organization_message(each) for each in found[:count]],
            next_page_token=_next(request, found, count),
        )

    async def UpdateOrganization(
        self, request: pb.UpdateOrganizationRequest, context: Any
    ) -> pb.UpdateOrganizationResponse:
        changed = await self._tenants.update_organization(
            request.organization_id, request.slug, request.name, request.etag
        )
        return pb.UpdateOrganizationResponse(organization=organization_message(changed))

    async def DeleteOrganization(
        self, request: pb.DeleteOrganizationRequest, context: Any
    ) -> pb.DeleteOrganizationResponse:
        await self._tenants.delete_organization(request.organization_id, request.etag)
        return pb.DeleteOrganizationResponse()

    async def CreateProject(
        self, request: pb.CreateProjectRequest, context: Any
    ) -> pb.CreateProjectResponse:
        made = await self._tenants.create_project(
            request.organization_id,
            request.slug,
            request.name,
            request.namespace,
            request.request_id,
        )
        return pb.CreateProjectResponse(project=project_message(made))

    async def GetProject(
        self, request: pb.GetProjectRequest, context: Any
    ) -> pb.GetProjectResponse:
        found = await self._tenants.project(request.project_id)
        return pb.GetProjectResponse(project=project_message(found))

    async def ListProjects(
        self, request: pb.ListProjectsRequest, context: Any
    ) -> pb.ListProjectsResponse:
        count = page_size(request.page_size)
        found = await self._tenants.projects(request.organization_id, _after(request), count + 1)
        return pb.ListProjectsResponse(
            projects=[project_message(each) for each in found[:count]],
            next_page_token=_next(request, found, count),
        )

    async def UpdateProject(
        self, request: pb.UpdateProjectRequest, context: Any
    ) -> pb.UpdateProjectResponse:
        changed = await self._tenants.update_project(
            request.project_id, request.slug, request.name, request.etag
        )
        return pb.UpdateProjectResponse(project=project_message(changed))

    async def DeleteProject(
        self, request: pb.DeleteProjectRequest, context: Any
    ) -> pb.DeleteProjectResponse:
        await self._tenants.delete_project(request.project_id, request.etag)
        return pb.DeleteProjectResponse()


def _after(request: Any) -> str:
    return last_of_token(request.page_token, list_key(request))


def _next(
    request: Any, found: list[Company] | list[Organization] | list[Project], count: int
) -> str:
    """Return the token of the next page if one entry more than a page was found."""
    return page_token(list_key(request), found[count - 1].slug) if len(found) > count else ""
