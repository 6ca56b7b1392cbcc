"""The V1 admin API over REST: tenants, members, invitations, users and API keys."""

from typing import Any

import pytest

from tests.features.closed import PASSWORD, Caller, Closed

BIDI, FOUR_BYTES = "\u202eadmin", "\U0001f600"


async def done(caller: Caller, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """Send a request that must succeed; return its JSON."""
    status, answer = await caller.rest(method, f"/api/v1{path}", body, **headers)
    assert 200 <= status < 300, (method, path, status, answer)
    return answer


async def refused(
    caller: Caller, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, str]:
    """Send a request that must fail; return its status and reason."""
    status, answer = await caller.rest(method, f"/api/v1{path}", body, **headers)
    assert status >= 400, (method, path, status, answer)
    return status, answer["error"]["reason"]


async def user(closed: Closed, email: str, path: str, role: str) -> tuple[Caller, str]:
    """Invite a user, register it, and return its caller and id."""
    invited = await done(
        closed.owner, "POST", f"{path}/invitations", {"email": email, "role": role}
    )
    body = {"email": email, "password": PASSWORD, "invitation": invited["token"]}
    opened = await done(closed.caller(""), "POST", "/auth/register", body)
    return closed.caller(opened["accessToken"]), opened["user"]["id"]


@pytest.mark.feature("S1-110", "S1-113")
async def test_a_company_holds_organizations_and_projects(closed: Closed) -> None:
    """Each level is created, listed, read, changed and deleted under its parent."""
    owner = closed.owner
    company = await done(owner, "POST", "/companies", {"slug": "acme", "name": "Acme Inc."})
    below = f"/companies/{company['id']}"
    organization = await done(owner, "POST", f"{below}/organizations", {"slug": "sales"})
    assert organization["companyId"] == company["id"]
    inside = f"/organizations/{organization['id']}"
    body = {"slug": "shop", "namespace": "acme-shop"}
    project = await done(owner, "POST", f"{inside}/projects", body)
    assert (project["organizationId"], project["namespace"]) == (organization["id"], "acme-shop")
    assert company["createdAt"].endswith("Z")

    for path, kind, made in (
        ("/companies", "companies", company),
        (f"{below}/organizations", "organizations", organization),
        (f"{inside}/projects", "projects", project),
    ):
        assert made in (await done(owner, "GET", path))[kind]
        own = f"/{kind}/{made['id']}"
        assert await done(owner, "GET", own) == made
        changed = await done(owner, "PATCH", own, {"name": "New"}, if_match=f'"{made["etag"]}"')
        assert (changed["name"], changed["slug"]) == ("New", made["slug"])
        stale = await refused(owner, "PATCH", own, {"name": "Old"}, if_match=f'"{made["etag"]}"')
        assert stale == (409, "ETAG_MISMATCH")
        assert (await done(owner, "GET", own))["name"] == "New"

    for path, reason in (
        (f"/projects/{project['id']}", "PROJECT_NOT_FOUND"),
        (inside, "ORGANIZATION_NOT_FOUND"),
        (below, "COMPANY_NOT_FOUND"),
    ):
        assert await refused(owner, "DELETE", path, if_match='"7"') == (409, "ETAG_MISMATCH")
        await done(owner, "DELETE", path)
        assert await refused(owner, "GET", path) == (404, reason)


@pytest.mark.feature("S1-113")
async def test_a_response_has_its_etag_as_a_header(closed: Closed) -> None:
    """The header of a read fits `If-Match` unchanged."""
    headers = {"authorization": f"Bearer {closed.owner.credential}"}
    read = await closed.suite.get("/api/v1/companies/co_default", headers=headers)
    tag = {"if-match": {key.lower(): value for key, value in read.headers.items()}["etag"]}
    path, body = "/api/v1/companies/co_default", {"name": "Default"}
    changed = await closed.suite.request("PATCH", path, body, headers=headers | tag)
    assert changed.status == 200, changed.text
    again = await closed.suite.request("PATCH", path, body, headers=headers | tag)
    assert again.status == 409


@pytest.mark.feature("S1-113")
async def test_lists_have_pages(closed: Closed) -> None:
    """Pages follow each other without gap and repetition; a foreign token is refused."""
    owner = closed.owner
    company = await done(owner, "POST", "/companies", {"slug": "paged"})
    path = f"/companies/{company['id']}/organizations"
    slugs = [f"org-{number}" for number in range(5)]
    for slug in slugs:
        await done(owner, "POST", path, {"slug": slug})
    found, token = [], ""
    for _ in range(3):
        page = await done(owner, "GET", f"{path}?pageSize=2&pageToken={token}")
        found += [each["slug"] for each in page["organizations"]]
        token = page["nextPageToken"]
    assert (found, token) == (slugs, "")
    first = await done(owner, "GET", f"{path}?pageSize=2")
    other = f"/companies?pageToken={first['nextPageToken']}"
    assert (await refused(owner, "GET", other))[0] == 400


@pytest.mark.feature("S1-110")
async def test_a_repeated_creation_is_one(closed: Closed) -> None:
    """With the same idempotency key the first object is returned, with another one a conflict."""
    owner, body = closed.owner, {"slug": "once"}
    first = await done(owner, "POST", "/companies", body, idempotency_key="k-1")
    assert await done(owner, "POST", "/companies", body, idempotency_key="k-1") == first
    assert await refused(owner, "POST", "/companies", body) == (409, "SLUG_TAKEN")


@pytest.mark.feature("S1-110")
async def test_another_tenant_cannot_be_read(closed: Closed) -> None:
    """Foreign and missing objects have the same answer on every route with an id."""
    owner = closed.owner
    mine = await done(owner, "POST", "/companies", {"slug": "mine"})
    theirs = await done(owner, "POST", "/companies", {"slug": "theirs"})
    organization = await done(
        owner, "POST", f"/companies/{theirs['id']}/organizations", {"slug": "secret-unit"}
    )
    project = await done(
        owner, "POST", f"/organizations/{organization['id']}/projects", {"slug": "secret-plan"}
    )
    member, _ = await user(closed, "mine@example.com", f"/companies/{mine['id']}", "owner")
    key = await closed.key(project["id"], "viewer")
    key_id = (await done(owner, "GET", f"/projects/{project['id']}/api-keys"))["keys"][0]["id"]
    invitation = await done(
        owner,
        "POST",
        f"/projects/{project['id']}/invitations",
        {"email": "theirs@example.com", "role": "viewer"},
    )
    for method, path, foreign, body in (
        ("GET", "/companies/{}", theirs["id"], None),
        ("PATCH", "/companies/{}", theirs["id"], {"name": "x"}),
        ("DELETE", "/companies/{}", theirs["id"], None),
        ("GET", "/companies/{}/organizations", theirs["id"], None),
        ("POST", "/companies/{}/organizations", theirs["id"], {"slug": "x"}),
        ("GET", "/companies/{}/members", theirs["id"], None),
        ("GET", "/companies/{}/users", theirs["id"], None),
        ("GET", "/companies/{}/invitations", theirs["id"], None),
        ("GET", "/organizations/{}", organization["id"], None),
        ("PATCH", "/organizations/{}", organization["id"], {"name": "x"}),
        ("DELETE", "/organizations/{}", organization["id"], None),
        ("GET", "/organizations/{}/projects", organization["id"], None),
        ("POST", "/organizations/{}/projects", organization["id"], {"slug": "x"}),
        ("GET", "/projects/{}", project["id"], None),
        ("PATCH", "/projects/{}", project["id"], {"name": "x"}),
        ("DELETE", "/projects/{}", project["id"], None),
        ("GET", "/projects/{}/members", project["id"], None),
        ("GET", "/projects/{}/api-keys", project["id"], None),
        ("POST", "/projects/{}/api-keys", project["id"], {"name": "x", "role": "viewer"}),
        ("POST", "/projects/{}/invitations", project["id"], {"email": "x@y.z", "role": "viewer"}),
        ("DELETE", "/invitations/{}", invitation["id"], None),
        ("GET", "/invitations/{}", invitation["id"], None),
        ("GET", "/api-keys/{}", key_id, None),
        ("PATCH", "/api-keys/{}", key_id, {"name": "x"}),
        ("POST", "/api-keys/{}:rotate", key_id, None),
        ("DELETE", "/api-keys/{}", key_id, None),
    ):
        missing = f"{foreign[:-1]}{'x' if foreign[-1] != 'x' else 'y'}"
        answers = [
            await member.rest(method, f"/api/v1{path.format(id)}", body)
            for id in (foreign, missing)
        ]
        assert answers[0][0] == answers[1][0] == 404, (method, path, answers)
        texts = [str(answer) for _, answer in answers]
        assert texts[0].replace(foreign, "") == texts[1].replace(missing, "")
        assert "secret" not in texts[0]
    companies = await done(member, "GET", "/companies")
    assert [each["slug"] for each in companies["companies"]] == ["mine"]
    assert (await key.rest("GET", f"/api/v1/projects/{project['id']}"))[0] == 200


@pytest.mark.feature("S1-111", "S1-113")
async def test_members_have_roles_on_a_level(closed: Closed) -> None:
    """A member is invited, listed, promoted, demoted and removed; a demotion holds at once."""
    project = await closed.project("staffed")
    path = f"/projects/{project.id}"
    member, user_id = await user(closed, "member@example.com", path, "viewer")
    members = (await done(closed.owner, "GET", f"{path}/members"))["members"]
    roles = {each["user"]["email"]: (each["role"], each["level"]) for each in members}
    assert roles["member@example.com"] == ("viewer", "project")
    assert "owner@example.com" not in roles
    operators = (await done(closed.owner, "GET", "/members"))["members"]
    assert [each["user"]["email"] for each in operators] == ["owner@example.com"]
    assert await refused(member, "GET", "/members") == (403, "ROLE_REQUIRED")
    one = await done(closed.owner, "GET", f"{path}/members/{user_id}")
    assert one in members
    assert (await refused(closed.owner, "GET", f"{path}/members/usr_missing"))[0] == 404
    key = {"name": "k", "role": "viewer"}
    assert await refused(member, "POST", f"{path}/api-keys", key) == (403, "ROLE_REQUIRED")
    await done(closed.owner, "PUT", f"{path}/members/{user_id}", {"role": "admin"})
    await done(member, "POST", f"{path}/api-keys", key)
    await done(closed.owner, "PUT", f"{path}/members/{user_id}", {"role": "editor"})
    assert await refused(member, "POST", f"{path}/api-keys", key) == (403, "ROLE_REQUIRED")
    await done(closed.owner, "DELETE", f"{path}/members/{user_id}")
    assert await refused(member, "GET", path) == (403, "ROLE_REQUIRED")


@pytest.mark.long
@pytest.mark.feature("S1-111")
async def test_no_one_widens_its_own_role(closed: Closed) -> None:
    """An admin makes no owner and no wider key; the last owner of a company stays."""
    company = await done(closed.owner, "POST", "/companies", {"slug": "narrow"})
    path = f"/companies/{company['id']}"
    admin, admin_id = await user(closed, "narrow-admin@example.com", path, "admin")
    owner, owner_id = await user(closed, "narrow-owner@example.com", path, "owner")
    wide = (403, "ROLE_TOO_WIDE")
    invite = {"email": "more@example.com", "role": "owner"}
    assert await refused(admin, "PUT", f"{path}/members/{admin_id}", {"role": "owner"}) == wide
    assert await refused(admin, "POST", f"{path}/invitations", invite) == wide
    assert await refused(admin, "DELETE", f"{path}/members/{owner_id}") == wide
    assert (await refused(admin, "DELETE", path))[1] == "ROLE_REQUIRED"
    me = (await done(closed.owner, "GET", "/auth/me"))["user"]["id"]
    await done(closed.owner, "DELETE", f"{path}/members/{me}")
    last = await refused(owner, "DELETE", f"{path}/members/{owner_id}")
    assert last == (409, "LAST_OWNER")
    key = await closed.key((await closed.project("narrow-keys")).id, "admin")
    assert (await refused(key, "GET", path))[0] == 404


@pytest.mark.feature("S1-113")
async def test_api_keys_are_rotated_and_deleted(closed: Closed) -> None:
    """Both secrets serve during the overlap; a deleted key is refused at once."""
    project = await closed.project("keyed")
    path = f"/projects/{project.id}/api-keys"
    body = {"name": "ci", "role": "editor", "expiresAt": "2100-01-01T00:00:00Z"}
    made = await done(closed.owner, "POST", path, body)
    assert made["expiresAt"] == "2100-01-01T00:00:00.000000Z"
    listed = (await done(closed.owner, "GET", path))["keys"]
    assert [each["id"] for each in listed] == [made["id"]]
    assert "secret" not in listed[0]
    own = f"/api-keys/{made['id']}"
    shown = {key: value for key, value in made.items() if key != "secret"}
    assert await done(closed.owner, "GET", own) == shown
    changed = await done(closed.owner, "PATCH", own, {"name": "cd", "networks": ["127.0.0.0/8"]})
    assert changed == shown | {"name": "cd", "networks": ["127.0.0.0/8"]}
    assert (await refused(closed.owner, "PATCH", own, {"networks": ["x"]}))[0] == 400
    elsewhere = {"networks": ["10.0.0.0/8"]}
    await done(closed.owner, "PATCH", own, elsewhere)
    assert (await refused(closed.caller(made["secret"]), "GET", "/auth/me"))[0] == 401
    await done(closed.owner, "PATCH", own, {"networks": []})
    rotated = await done(closed.owner, "POST", f"/api-keys/{made['id']}:rotate")
    first, second = closed.caller(made["secret"]), closed.caller(rotated["secret"])
    for caller in (first, second):
        assert (await done(caller, "GET", "/auth/me"))["kind"] == "key"
    await done(closed.owner, "DELETE", f"/api-keys/{made['id']}")
    for caller in (first, second):
        assert await refused(caller, "GET", "/auth/me") == (401, "CREDENTIALS_INVALID")


@pytest.mark.long
@pytest.mark.feature("S1-113")
async def test_users_of_a_company_are_listed_and_disabled(closed: Closed) -> None:
    """A disabled user is refused at once and cannot log in, until it is enabled again."""
    caller, user_id = await user(closed, "leaver@example.com", "/companies/co_default", "viewer")
    users = (await done(closed.owner, "GET", "/companies/co_default/users"))["users"]
    assert "leaver@example.com" in [each["email"] for each in users]
    login = {"email": "leaver@example.com", "password": PASSWORD}
    await done(closed.owner, "POST", f"/users/{user_id}:disable")
    assert (await refused(caller, "GET", "/auth/me"))[0] == 401
    assert (await refused(closed.caller(""), "POST", "/auth/login", login))[0] == 401
    await done(closed.owner, "POST", f"/users/{user_id}:enable")
    await done(closed.caller(""), "POST", "/auth/login", login)


@pytest.mark.feature("S1-113")
async def test_an_invitation_is_withdrawn(closed: Closed) -> None:
    """It is listed without its token; after its deletion the token is refused."""
    path = "/companies/co_default/invitations"
    body = {"email": "invited@example.com", "role": "viewer"}
    made = await done(closed.owner, "POST", path, body)
    listed = (await done(closed.owner, "GET", path))["invitations"]
    assert [each["email"] for each in listed if each["id"] == made["id"]] == [body["email"]]
    assert all("token" not in each for each in listed)
    assert await done(closed.owner, "GET", f"/invitations/{made['id']}") in listed
    await done(closed.owner, "DELETE", f"/invitations/{made['id']}")
    registration = {"email": body["email"], "password": PASSWORD, "invitation": made["token"]}
    anyone = closed.caller("")
    closed_for_them = await refused(anyone, "POST", "/auth/register", registration)
    assert closed_for_them == (403, "REGISTRATION_CLOSED")


@pytest.mark.feature("S1-111")
async def test_the_role_matrix_is_served(closed: Closed) -> None:
    """Each role with its permissions, the same as the checks use."""
    roles = (await done(closed.owner, "GET", "/roles"))["roles"]
    permissions = {role["name"]: role["permissions"] for role in roles}
    assert permissions["viewer"] == ["read"]
    assert permissions["editor"] == ["read", "run", "edit"]
    assert permissions["worker"] == ["work"]
    assert "own" in permissions["owner"]
    assert "own" not in permissions["admin"]


@pytest.mark.parametrize(
    "slug",
    [
        "",
        "admin",
        "api",
        "-a",
        "a-",
        "A",
        "a b",
        "a/b",
        "..",
        "a" * 64,
        BIDI,
        FOUR_BYTES,
        "ａ",
        "a\u0000",
    ],
)
async def test_a_bad_slug_is_refused_on_every_level(closed: Closed, slug: str) -> None:
    """Reserved, mixed-case, bidirectional, 4-byte, full-width and over-long slugs."""
    for path in (
        "/companies",
        "/companies/co_default/organizations",
        "/organizations/org_default/projects",
    ):
        status, reason = await refused(closed.owner, "POST", path, {"slug": slug})
        assert (status, reason) in ((400, "SLUG_INVALID"), (400, "STRING_HAS_NUL"))


@pytest.mark.parametrize("depth", [4, 10_000])
async def test_there_are_three_levels(closed: Closed, depth: int) -> None:
    """A path with more levels is no route, at any depth."""
    path = "/companies/co_default" + "/organizations/org_default" * depth
    status, answer = await closed.owner.rest("GET", f"/api/v1{path}")
    assert status in (404, 414, 431, 400), answer
