"""Companies, organizations and projects that an option names by id, slug or namespace."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

from cyclopts import Parameter

from flowmesh.api.identity.v1 import principal_pb2
from flowmesh.api.identity.v1 import tenant_service_pb2 as tenants_pb
from flowmesh.api.identity.v1.tenant_service_pb2_grpc import TenantServiceStub
from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.refusals import Refused
from flowmesh.cli.targets import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from flowmesh.sdk import Client

PAGE_SIZE = 500
Tenant = TypeVar("Tenant", tenants_pb.Company, tenants_pb.Organization, tenants_pb.Project)


@Parameter(name="*")
@dataclass(frozen=True)
class LevelOptions:
    """The level of a role: a project, an organization, a company, or the whole installation."""

    project: Annotated[str, Parameter(help="Project, by id, slug or namespace.")] = ""
    organization: Annotated[str, Parameter(help="Organization, by id or slug.")] = ""
    company: Annotated[str, Parameter(help="Company, by id or slug.")] = ""
    installation: Annotated[bool, Parameter(negative="", help="The whole installation.")] = False


LEVEL = LevelOptions()


@dataclass(frozen=True, slots=True)
class ChosenLevel:
    """A level of the hierarchy, and the company that it belongs to."""

    kind: principal_pb2.Level.ValueType
    id: str
    company_id: str


class Tenants:
    """Looks up tenants that the caller may see."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self.stub: Any = TenantServiceStub(client.caller.channel)

    async def level(self, options: LevelOptions) -> ChosenLevel:
        """Return the level that options name; by default the project of the namespace."""
        if options.installation:
            return ChosenLevel(principal_pb2.LEVEL_UNSPECIFIED, "", "")
        if options.company:
            company = await self.company(options.company)
            return ChosenLevel(principal_pb2.LEVEL_COMPANY, company.id, company.id)
        if options.organization:
            found = await self.organization(options.organization)
            return ChosenLevel(principal_pb2.LEVEL_ORGANIZATION, found.id, found.company_id)
        project = await self.project(options.project)
        return ChosenLevel(principal_pb2.LEVEL_PROJECT, project.id, project.company_id)

    async def call(self, verb: str, kind: str, **fields: str) -> Any:
        """Return the tenant of the response to `CreateCompany` and the like, if it has one."""
        method = f"{verb}{kind.capitalize()}"
        request = getattr(tenants_pb, f"{method}Request")(**fields)
        response = await self._client.caller.call(getattr(self.stub, method), request)
        return getattr(response, kind, None)

    async def company(self, name: str = "") -> tenants_pb.Company:
        """Return a company by id or slug; without a name the only one."""
        if name.startswith("co_"):
            return cast("tenants_pb.Company", await self.call("Get", "company", company_id=name))
        listed = [each async for each in self.companies()]
        return _only("company", "companies", name, listed)

    async def organization(self, name: str = "", company: str = "") -> tenants_pb.Organization:
        """Return an organization by id or slug; without a name the only one."""
        if name.startswith("org_"):
            return cast(
                "tenants_pb.Organization",
                await self.call("Get", "organization", organization_id=name),
            )
        listed = [each async for each in self.organizations(company)]
        return _only("organization", "organizations", name, listed)

    async def project(self, name: str = "", organization: str = "") -> tenants_pb.Project:
        """Return a project by id, slug or namespace; without a name that of the namespace."""
        if name.startswith("prj_"):
            return cast("tenants_pb.Project", await self.call("Get", "project", project_id=name))
        listed = [each async for each in self.projects(organization)]
        wanted = name or self._client.namespace
        # A namespace belongs to one project; several may have the same slug.
        owners = [each for each in listed if each.namespace == (wanted or DEFAULT_NAMESPACE)]
        return owners[0] if owners else _only("project", "projects", wanted, listed)

    async def companies(self) -> AsyncIterator[tenants_pb.Company]:
        """Iterate over the companies in which the caller has a role."""
        request = tenants_pb.ListCompaniesRequest(page_size=PAGE_SIZE)
        async for each in pages(self._client, self.stub.ListCompanies, request, "companies"):
            yield each

    async def organizations(self, company: str = "") -> AsyncIterator[tenants_pb.Organization]:
        """Iterate over the organizations of a company, or of all."""
        companies = [await self.company(company)] if company else None
        for each in companies or [each async for each in self.companies()]:
            request = tenants_pb.ListOrganizationsRequest(company_id=each.id, page_size=PAGE_SIZE)
            method = self.stub.ListOrganizations
            async for found in pages(self._client, method, request, "organizations"):
                yield found

    async def projects(self, organization: str = "") -> AsyncIterator[tenants_pb.Project]:
        """Iterate over the projects of an organization, or of all."""
        chosen = [await self.organization(organization)] if organization else None
        for each in chosen or [each async for each in self.organizations()]:
            request = tenants_pb.ListProjectsRequest(organization_id=each.id, page_size=PAGE_SIZE)
            async for found in pages(self._client, self.stub.ListProjects, request, "projects"):
                yield found


async def pages(client: "Client", method: Any, request: Any, items: str) -> AsyncIterator[Any]:
    """Iterate over the items of a paged list."""
    while True:
        answer = await client.caller.call(method, request)
        for item in getattr(answer, items):
            yield item
        if not answer.next_page_token:
            return
        request.page_token = answer.next_page_token


def _only(kind: str, kinds: str, name: str, found: Iterable[Tenant]) -> Tenant:
    """Return the one that has the slug, or the only one without a name."""
    every = list(found)
    named = [each for each in every if each.slug == name] if name else every
    if len(named) == 1:
        return named[0]
    hint = f"`flowmesh {kinds} list` shows what is there"
    if named:
        ids = ", ".join(each.id for each in named[:5])
        raise Refused(f"there are several {kinds}: {ids}", f"name one by --{kind}", USAGE)
    raise Refused(f"there is no {kind} {name}".rstrip(), hint)
