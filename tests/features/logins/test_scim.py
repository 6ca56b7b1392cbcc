"""SCIM 2.0: users and groups as Okta and Entra ID provision them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from flowmesh.access.cookies import ACCESS_COOKIE
from flowmesh.api.identity.v1 import tenant_service_pb2
from flowmesh.identity.limits import SCIM_MEMBERS_MAX
from tests.features.closed import Caller, Closed, closed_suite
from tests.features.security.openid_provider import (
    CLIENT,
    SECRET,
    Browser,
    OpenIdProvider,
    openid_provider,
    reason_of,
)

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


@dataclass(frozen=True)
class Tenant:
    """A company with a provider, and the key by which that provisions."""

    closed: Closed
    company: str
    project: str
    provider: str
    key: Caller

    async def send(
        self, method: str, path: str, body: Any = None, caller: Caller | None = None
    ) -> tuple[int, Any]:
        """Send a request as a provider does; return the status and the body."""
        credential = (caller or self.key).credential
        headers = {"content-type": "application/scim+json", "authorization": f"Bearer {credential}"}
        url = f"{self.closed.suite.http_url}/scim/v2{path}"
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(method, url, json=body) as response,
        ):
            if response.status == 204:
                return 204, None
            assert response.content_type == "application/scim+json", await response.text()
            return response.status, await response.json(content_type=None)

    async def patch(self, path: str, *operations: Any) -> tuple[int, Any]:
        return await self.send("PATCH", path, {"schemas": [PATCH], "Operations": operations})

    async def roles(self, email: str) -> list[str]:
        path = f"/api/v1/companies/{self.company}/users"
        _, found = await self.closed.owner.rest("GET", path)
        roles = {each["email"]: each["roles"] for each in found["users"]}
        return [each["role"] for each in roles.get(email, ())]


async def tenant(closed: Closed, slug: str, issuer: str = "") -> Tenant:
    tenants = closed.owner.tenants
    company = (
        await tenants.CreateCompany(tenant_service_pb2.CreateCompanyRequest(slug=slug))
    ).company.id
    part = await tenants.CreateOrganization(
        tenant_service_pb2.CreateOrganizationRequest(company_id=company, slug=slug)
    )
    project = await tenants.CreateProject(
        tenant_service_pb2.CreateProjectRequest(organization_id=part.organization.id, slug=slug)
    )
    settings = {
        "name": "Corp",
        "issuer": issuer or "https://sso.corp.example",
        "clientId": CLIENT,
        "clientSecret": SECRET,
        "rules": [
            {"claim": "groups", "equals": "Builders", "role": "editor"},
            {"claim": "groups", "equals": "Leads", "role": "admin"},
            {
                "claim": "department",
                "equals": "research",
                "role": "viewer",
                "level": "project",
                "levelId": project.project.id,
            },
        ],
    }
    path = f"/api/v1/companies/{company}/identity-providers"
    status, made = await closed.owner.rest("POST", path, settings)
    assert status == 201, made
    key = await closed.key(project.project.id, "viewer", permissions=[f"scim:{made['id']}"])
    return Tenant(closed, company, project.project.id, str(made["id"]), key)


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    async with closed_suite(tmp_path_factory.mktemp("scim")) as made:
        yield made


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[OpenIdProvider]:
    async with openid_provider() as made:
        yield made


@pytest.fixture(scope="module")
async def corp(closed: Closed, provider: OpenIdProvider) -> Tenant:
    return await tenant(closed, "corp", provider.issuer)


def okta_user(name: str, external: str) -> Any:
    return {
        "schemas": [USER],
        "userName": name,
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "emails": [{"primary": True, "value": name, "type": "work"}],
        "displayName": "Ada Lovelace",
        "locale": "en-US",
        "externalId": external,
        "groups": [],
        "password": "1mz050nq",
        "active": True,
    }


def entra_user(name: str, external: str) -> Any:
    return {
        "schemas": [USER, ENTERPRISE],
        "externalId": external,
        "userName": name,
        "active": True,
        "emails": [{"primary": True, "type": "work", "value": name}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "Grace Hopper", "familyName": "Hopper", "givenName": "Grace"},
        "roles": [],
    }


async def created(corp: Tenant, body: Any, path: str = "/Users") -> str:
    status, made = await corp.send("POST", path, body)
    assert status == 201, made
    return str(made["id"])


@pytest.mark.feature("S1-118")
async def test_okta_provisions_a_user_that_logs_in_and_is_out_at_once(
    closed: Closed, provider: OpenIdProvider, corp: Tenant
) -> None:
    """Its group gives a role; a disabled user has no session and no key."""
    status, found = await corp.send("GET", "/Users?startIndex=1&count=2")
    assert (status, found["totalResults"], found["Resources"]) == (200, 0, [])
    ada = await created(corp, okta_user("ada@corp.example", "00u1"))
    filtered = "/Users?filter=userName%20eq%20%22ADA@corp.example%22&startIndex=1&count=100"
    _, found = await corp.send("GET", filtered)
    [user] = found["Resources"]
    assert (user["id"], user["externalId"], user["active"]) == (ada, "00u1", True)
    assert (user["displayName"], user["emails"][0]["value"]) == ("Ada Lovelace", "ada@corp.example")
    assert user["meta"]["location"] == f"{closed.suite.http_url}/scim/v2/Users/{ada}"
    members = [{"value": ada, "display": "ada@corp.example"}]
    group = {"schemas": [GROUP], "displayName": "Leads", "members": members}
    leads = await created(corp, group, "/Groups")
    assert await corp.roles("ada@corp.example") == ["admin"]
    browser = Browser(closed.suite.http_url)
    assert await browser.log_in(corp.provider) == "/apps"
    session = closed.caller(browser.cookies[ACCESS_COOKIE])
    _, me = await session.rest("GET", "/api/v1/auth/me")
    assert ada in str(me), me
    body = {"name": "robot", "role": "viewer"}
    path = f"/api/v1/projects/{corp.project}/api-keys"
    status, key = await session.rest("POST", path, body)
    assert status == 201, key
    robot = closed.caller(key["secret"])
    assert (await robot.rest("GET", "/api/v1/auth/me"))[0] == 200
    status, user = await corp.patch(f"/Users/{ada}", {"op": "replace", "value": {"active": False}})
    assert (status, user["active"]) == (200, False)
    assert (await session.rest("GET", "/api/v1/auth/me"))[0] == 401
    assert (await robot.rest("GET", "/api/v1/auth/me"))[0] == 401
    page = await Browser(closed.suite.http_url).log_in(corp.provider)
    assert reason_of(page) == "LOGIN_REFUSED"
    status, user = await corp.send("PUT", f"/Users/{ada}", okta_user("ada@corp.example", "00u1"))
    assert (status, user["active"]) == (200, True)
    assert (await robot.rest("GET", "/api/v1/auth/me"))[0] == 200
    assert await Browser(closed.suite.http_url).log_in(corp.provider) == "/apps"
    renamed = {"op": "replace", "value": {"id": leads, "displayName": "Builders"}}
    assert (await corp.patch(f"/Groups/{leads}", renamed))[0] == 204
    assert await corp.roles("ada@corp.example") == ["editor"]


async def test_a_change_of_groups_keeps_the_roles_of_other_claims(
    closed: Closed, provider: OpenIdProvider, corp: Tenant
) -> None:
    """On levels where no rule reads the groups; only a login shows the other claims."""
    kay = await created(corp, okta_user("kay@corp.example", "00u7"))
    own = {"sub": "00u7", "email": "kay@corp.example", "department": "research"}
    provider.claims = lambda claims: {**claims, **own}
    try:
        assert await Browser(closed.suite.http_url).log_in(corp.provider) == "/apps"
    finally:
        provider.restore()
    assert await corp.roles("kay@corp.example") == ["viewer"]
    group = {"schemas": [GROUP], "displayName": "Builders", "members": [{"value": kay}]}
    builders = await created(corp, group, "/Groups")
    assert sorted(await corp.roles("kay@corp.example")) == ["editor", "viewer"]
    left = {"op": "remove", "path": "members", "value": [{"value": kay}]}
    assert (await corp.patch(f"/Groups/{builders}", left))[0] == 204
    assert await corp.roles("kay@corp.example") == ["viewer"]


async def test_entra_changes_users_and_members(corp: Tenant) -> None:
    """By its names of operations, its texts for booleans, and its paths."""
    grace = await created(corp, entra_user("grace@corp.example", "obj-1"))
    query = "/Users?filter=externalId%20eq%20%22obj-1%22"
    assert (await corp.send("GET", query))[1]["totalResults"] == 1
    group = {"schemas": [GROUP], "externalId": "g-1", "displayName": "Builders", "members": []}
    builders = await created(corp, group, "/Groups")
    find = "/Groups?excludedAttributes=members&filter=displayName%20eq%20%22Builders%22"
    _, found = await corp.send("GET", find)
    assert builders in [each["id"] for each in found["Resources"]]
    assert all("members" not in each for each in found["Resources"])
    member = [{"$ref": None, "value": grace}]
    at = f"/Groups/{builders}"
    assert (await corp.patch(at, {"op": "Add", "path": "members", "value": member}))[0] == 204
    assert await corp.roles("grace@corp.example") == ["editor"]
    assert (await corp.send("GET", at))[1]["members"][0]["value"] == grace
    assert (await corp.patch(at, {"op": "Remove", "path": "members", "value": member}))[0] == 204
    assert await corp.roles("grace@corp.example") == []
    await corp.patch(at, {"op": "Add", "path": "members", "value": member})
    one = {"op": "remove", "path": f'members[value eq "{grace}"]'}
    assert (await corp.patch(at, one))[0] == 204
    assert (await corp.send("GET", at))[1]["members"] == []
    user = f"/Users/{grace}"
    address = 'emails[type eq "work"].value'
    status, changed = await corp.patch(
        user,
        {"op": "Replace", "path": "displayName", "value": "Rear Admiral"},
        {"op": "Replace", "path": address, "value": "hopper@corp.example"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Navy"},
        {"op": "Replace", "path": "active", "value": "False"},
    )
    assert (status, changed["active"], changed["displayName"]) == (200, False, "Rear Admiral")
    assert changed["emails"][0]["value"] == "hopper@corp.example"
    assert (await corp.send("DELETE", user))[0] == 204
    assert (await corp.send("GET", user))[0] == 404
    again = await created(corp, entra_user("grace@corp.example", "obj-2"))
    assert again == grace
    assert (await corp.send("DELETE", at))[0] == 204


async def test_a_company_sees_what_its_own_provider_provisioned(
    closed: Closed, corp: Tenant
) -> None:
    """Foreign and missing ids are the same; other callers are refused."""
    other = await tenant(closed, "other")
    mine = await created(corp, entra_user("mine@corp.example", "m"))
    group = await created(corp, {"schemas": [GROUP], "displayName": "Mine"}, "/Groups")
    for path in ("/Users", "/Groups"):
        assert (await other.send("GET", path))[1]["totalResults"] == 0
    for path, id in (("Users", mine), ("Groups", group)):
        for method, body in (("GET", None), ("PUT", {"userName": "a@b.c"}), ("DELETE", None)):
            foreign = await other.send(method, f"/{path}/{id}", body)
            missing = await other.send(method, f"/{path}/none", body)
            assert foreign[0] == missing[0] == 404
            assert str(foreign[1]).replace(id, "none") == str(missing[1])
    _, theirs = await other.send("POST", "/Groups", {"schemas": [GROUP], "displayName": "T"})
    status, _ = await other.patch(
        f"/Groups/{theirs['id']}", {"op": "add", "path": "members", "value": [{"value": mine}]}
    )
    assert status == 400
    stranger = await closed.key(other.project, "admin", permissions=[f"scim:{corp.provider}"])
    plain = await closed.key(corp.project, "admin")
    for caller, status in ((stranger, 403), (plain, 403), (closed.owner, 403)):
        assert (await corp.send("GET", "/Users", caller=caller))[0] == status
    status, refused = await corp.send("GET", "/Users", caller=closed.caller("nonsense"))
    assert (status, refused["schemas"], refused["status"]) == (401, [ERROR], "401")


async def test_errors_have_the_form_of_scim(corp: Tenant) -> None:
    """With the kind of the problem."""
    await created(corp, entra_user("twice@corp.example", "t"))
    operations = {"schemas": [PATCH], "Operations": [{"op": "x"}]}
    for method, path, body, status, kind in (
        ("POST", "/Users", entra_user("TWICE@corp.example", "u"), 409, "uniqueness"),
        ("POST", "/Users", {"schemas": [USER]}, 400, "invalidValue"),
        ("POST", "/Users", {"userName": "no address"}, 400, "invalidValue"),
        ("GET", "/Users?filter=userName%20sw%20%22a%22", None, 400, "invalidFilter"),
        ("GET", "/Users?count=x", None, 400, "invalidValue"),
        ("GET", "/Users?count=2147483648", None, 400, "invalidValue"),
        ("GET", "/Groups?startIndex=2147483648", None, 400, "invalidValue"),
        ("GET", "/Users?filter=userName%20eq%20%22%5Cu0000%22", None, 400, "invalidFilter"),
        ("PATCH", "/Users/none", operations, 400, "invalidSyntax"),
        ("PATCH", "/Users/none", {}, 400, "invalidSyntax"),
        ("GET", "/Users/none", None, 404, None),
    ):
        answer = await corp.send(method, path, body)
        assert (answer[0], answer[1]["status"]) == (status, str(status)), (method, path, answer)
        assert (answer[1]["schemas"], answer[1].get("scimType")) == ([ERROR], kind), answer
        assert answer[1]["detail"]


async def test_a_request_changes_a_bounded_number_of_members(corp: Tenant) -> None:
    """Each must be a user; one more than the limit is refused before they are looked up."""
    group = await created(corp, {"schemas": [GROUP], "displayName": "Many"}, "/Groups")
    known, many = "a member is no user", f"at most {SCIM_MEMBERS_MAX:,} members"
    for count, said in ((SCIM_MEMBERS_MAX, known), (SCIM_MEMBERS_MAX + 1, many)):
        members = [{"value": f"none-{number}"} for number in range(count)]
        added = {"op": "add", "path": "members", "value": members}
        status, refused = await corp.patch(f"/Groups/{group}", added)
        assert status == 400, refused
        assert said in refused["detail"]


async def test_a_provider_learns_what_is_served(corp: Tenant) -> None:
    """Its configuration, types and schemas."""
    _, config = await corp.send("GET", "/ServiceProviderConfig")
    assert (config["patch"]["supported"], config["bulk"]["supported"]) == (True, False)
    _, types = await corp.send("GET", "/ResourceTypes")
    assert [each["endpoint"] for each in types["Resources"]] == ["/Users", "/Groups"]
    _, schemas = await corp.send("GET", "/Schemas")
    assert [each["id"] for each in schemas["Resources"]] == [USER, GROUP]
