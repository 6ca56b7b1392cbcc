"""Companies, organizations and projects."""

from http import HTTPStatus
from typing import Any

from flowmesh.api.identity.v1 import tenant_service_pb2 as pb
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.bodies import identity_answers as answers
from flowmesh.gateway.bodies import identity_requests as bodies
from flowmesh.gateway.http.operation_docs import ADMINISTER, Answer, Body, Operation, Route
from flowmesh.gateway.http.requests import Request, Response
from flowmesh.gateway.routes.common import IDEMPOTENCY_KEY, PAGING, json_response, request_id_of
from flowmesh.gateway.routes.identity.etags import IF_MATCH, etag_of, tagged


async def create_company(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.CreateRequest)
    made = await backends.tenants.CreateCompany(
        pb.CreateCompanyRequest(
            slug=envelope.slug,
            name=envelope.name,
            request_id=request_id_of(request, envelope.request_id),
        )
    )
    return tagged(answers.company_value(made.company), HTTPStatus.CREATED)


async def list_companies(backends: Backends, request: Request) -> Response:
    found = await backends.tenants.ListCompanies(
        pb.ListCompaniesRequest(
            page_size=request.whole("pageSize"), page_token=request.text("pageToken")
        )
    )
    companies = [answers.company_value(each) for each in found.companies]
    return json_response(
        answers.CompanyList(companies=companies, next_page_token=found.next_page_token)
    )


async def get_company(backends: Backends, request: Request) -> Response:
    found = await backends.tenants.GetCompany(
        pb.GetCompanyRequest(company_id=request.param("companyId"))
    )
    return tagged(answers.company_value(found.company))


async def update_company(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.UpdateRequest)
    changed = await backends.tenants.UpdateCompany(
        pb.UpdateCompanyRequest(
            company_id=request.param("companyId"),
            slug=envelope.slug,
            name=envelope.name,
            etag=etag_of(request),
        )
    )
    return tagged(answers.company_value(changed.company))


async def delete_company(backends: Backends, request: Request) -> Response:
    await backends.tenants.DeleteCompany(
        pb.DeleteCompanyRequest(company_id=request.param("companyId"), etag=etag_of(request))
    )
    return Response(HTTPStatus.NO_CONTENT)


async def create_organization(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.CreateRequest)
    made = await backends.tenants.CreateOrganization(
        pb.CreateOrganizationRequest(
            company_id=request.param("companyId"),
            slug=envelope.slug,
            name=envelope.name,
            request_id=request_id_of(request, envelope.request_id),
        )
    )
    return tagged(answers.organization_value(made.organization), HTTPStatus.CREATED)


async def list_organizations(backends: Backends, request: Request) -> Response:
    found = await backends.tenants.ListOrganizations(
        pb.ListOrganizationsRequest(
            company_id=request.param("companyId"),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    return json_response(
        answers.OrganizationList(
            organizations=[answers.organization_value(each) for each in found.organizations],
            next_page_token=found.next_page_token,
        )
    )


async def get_organization(backends: Backends, request: Request) -> Response:
    found = await backends.tenants.GetOrganization(
        pb.GetOrganizationRequest(organization_id=request.param("organizationId"))
    )
    return tagged(answers.organization_value(found.organization))


async def update_organization(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.UpdateRequest)
    changed = await backends.tenants.UpdateOrganization(
        pb.UpdateOrganizationRequest(
            organization_id=request.param("organizationId"),
            slug=envelope.slug,
            name=envelope.name,
            etag=etag_of(request),
        )
    )
    return tagged(answers.organization_value(changed.organization))


async def delete_organization(backends: Backends, request: Request) -> Response:
    await backends.tenants.DeleteOrganization(
        pb.DeleteOrganizationRequest(
            organization_id=request.param("organizationId"), etag=etag_of(request)
        )
    )
    return Response(HTTPStatus.NO_CONTENT)


async def create_project(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.CreateProjectRequest)
    made = await backends.tenants.CreateProject(
        pb.CreateProjectRequest(
            organization_id=request.param("organizationId"),
            slug=envelope.slug,
            name=envelope.name,
            namespace=envelope.namespace,
            request_id=request_id_of(request, envelope.request_id),
        )
    )
    return tagged(answers.project_value(made.project), HTTPStatus.CREATED)


async def list_projects(backends: Backends, request: Request) -> Response:
    found = await backends.tenants.ListProjects(
        pb.ListProjectsRequest(
            organization_id=request.param("organizationId"),
            page_size=request.whole("pageSize"),
            page_token=request.text("pageToken"),
        )
    )
    projects = [answers.project_value(each) for each in found.projects]
    return json_response(
        answers.ProjectList(projects=projects, next_page_token=found.next_page_token)
    )


async def get_project(backends: Backends, request: Request) -> Response:
    found = await backends.tenants.GetProject(
        pb.GetProjectRequest(project_id=request.param("projectId"))
    )
    return tagged(answers.project_value(found.project))


async def update_project(backends: Backends, request: Request) -> Response:
    envelope = await request.envelope(bodies.UpdateRequest)
    changed = await backends.tenants.UpdateProject(
        pb.UpdateProjectRequest(
            project_id=request.param("projectId"),
            slug=envelope.slug,
            name=envelope.name,
            etag=etag_of(request),
        )
    )
    return tagged(answers.project_value(changed.project))


async def delete_project(backends: Backends, request: Request) -> Response:
    await backends.tenants.DeleteProject(
        pb.DeleteProjectRequest(project_id=request.param("projectId"), etag=etag_of(request))
    )
    return Response(HTTPStatus.NO_CONTENT)


def _list(summary: str, shape: Any) -> Operation:
    return Operation(
        tag=ADMINISTER,
        summary=summary,
        query=PAGING,
        answers=(Answer(200, "Sorted by slug.", shape),),
    )


def _create(summary: str, body: Any, shape: Any) -> Operation:
    return Operation(
        tag=ADMINISTER,
        summary=summary,
        body=Body(body),
        headers=(IDEMPOTENCY_KEY,),
        answers=(Answer(201, "The new object, with its `ETag`.", shape),),
        errors=(409,),
    )


def _get(summary: str, shape: Any) -> Operation:
    return Operation(
        tag=ADMINISTER,
        summary=summary,
        answers=(Answer(200, "Found; `ETag` is for `If-Match`.", shape),),
    )


def _update(summary: str, shape: Any) -> Operation:
    return Operation(
        tag=ADMINISTER,
        summary=summary,
        body=Body(bodies.UpdateRequest),
        headers=(IF_MATCH,),
        answers=(Answer(200, "The changed object, with its `ETag`.", shape),),
        errors=(409,),
    )


def _delete(summary: str) -> Operation:
    return Operation(
        tag=ADMINISTER,
        summary=summary,
        description="Its data is erased after 30 days; its keys end at once.",
        headers=(IF_MATCH,),
        answers=(Answer(204, "Deleted."),),
        errors=(409,),
    )


_COMPANIES = "/api/v1/companies"
_COMPANY = f"{_COMPANIES}/{{companyId}}"
_ORGANIZATION = "/api/v1/organizations/{organizationId}"
_PROJECT = "/api/v1/projects/{projectId}"
_CREATE, _CREATE_PROJECT = bodies.CreateRequest, bodies.CreateProjectRequest
ROUTES = (
    Route(
        "POST",
        _COMPANIES,
        create_company,
        _create("Create a company, owned by the caller", _CREATE, answers.CompanyValue),
    ),
    Route("GET", _COMPANIES, list_companies, _list("List companies", answers.CompanyList)),
    Route("GET", _COMPANY, get_company, _get("Get a company", answers.CompanyValue)),
    Route("PATCH", _COMPANY, update_company, _update("Change a company", answers.CompanyValue)),
    Route("DELETE", _COMPANY, delete_company, _delete("Delete a company and all below it")),
    Route(
        "POST",
        f"{_COMPANY}/organizations",
        create_organization,
        _create("Create an organization", _CREATE, answers.OrganizationValue),
    ),
    Route(
        "GET",
        f"{_COMPANY}/organizations",
        list_organizations,
        _list("List the organizations of a company", answers.OrganizationList),
    ),
    Route(
        "GET",
        _ORGANIZATION,
        get_organization,
        _get("Get an organization", answers.OrganizationValue),
    ),
    Route(
        "PATCH",
        _ORGANIZATION,
        update_organization,
        _update("Change an organization", answers.OrganizationValue),
    ),
    Route(
        "DELETE",
        _ORGANIZATION,
        delete_organization,
        _delete("Delete an organization and all below it"),
    ),
    Route(
        "POST",
        f"{_ORGANIZATION}/projects",
        create_project,
        _create("Create a project and its namespace", _CREATE_PROJECT, answers.ProjectValue),
    ),
    Route(
        "GET",
        f"{_ORGANIZATION}/projects",
        list_projects,
        _list("List the projects of an organization", answers.ProjectList),
    ),
    Route("GET", _PROJECT, get_project, _get("Get a project", answers.ProjectValue)),
    Route("PATCH", _PROJECT, update_project, _update("Change a project", answers.ProjectValue)),
    Route("DELETE", _PROJECT, delete_project, _delete("Delete a project and its namespace")),
)
