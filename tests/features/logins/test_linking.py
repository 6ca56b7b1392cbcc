"""Users with a password that a provider does not take over, and roles that others do not see."""

from collections.abc import AsyncIterator

import pytest

from tests.features.closed import PASSWORD, Closed
from tests.features.security.openid_provider import (
    CLIENT,
    SECRET,
    Browser,
    OpenIdProvider,
    openid_provider,
    reason_of,
)

EMAIL = "ada@corp.example"


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[OpenIdProvider]:
    async with openid_provider() as made:
        yield made


async def company(closed: Closed, slug: str) -> str:
    status, made = await closed.owner.rest("POST", "/api/v1/companies", {"slug": slug})
    assert status == 201, made
    return str(made["id"])


async def set_role(closed: Closed, company_id: str, user_id: str, role: str = "") -> None:
    """Give a role on a company; without one, take it."""
    method, body = ("PUT", {"role": role}) if role else ("DELETE", None)
    path = f"/api/v1/companies/{company_id}/members/{user_id}"
    assert (await closed.owner.rest(method, path, body))[0] == 204


async def test_a_user_with_roles_in_two_companies_does_not_move(
    closed: Closed, provider: OpenIdProvider
) -> None:
    """The admins of one company would log in as a user of the other; the password stays."""
    mine, theirs = await company(closed, "linking"), await company(closed, "linked")
    form = {"email": EMAIL, "role": "viewer"}
    _, invited = await closed.owner.rest("POST", f"/api/v1/companies/{mine}/invitations", form)
    form = {"email": EMAIL, "password": PASSWORD, "invitation": invited["token"]}
    status, session = await closed.caller("").rest("POST", "/api/v1/auth/register", form)
    assert status == 201, session
    user = session["user"]["id"]
    await set_role(closed, theirs, user, "editor")
    settings = {
        "name": "Corp",
        "issuer": provider.issuer,
        "clientId": CLIENT,
        "clientSecret": SECRET,
        "rules": [{"role": "viewer"}],
        "linkByEmail": True,
    }
    path = f"/api/v1/companies/{mine}/identity-providers"
    status, made = await closed.owner.rest("POST", path, settings)
    assert status == 201, made
    page = await Browser(closed.suite.http_url).log_in(made["id"])
    assert reason_of(page) == "USER_EXISTS"
    caller = closed.caller(session["accessToken"])
    assert (await caller.rest("GET", "/api/v1/auth/me"))[0] == 200
    login = {"email": EMAIL, "password": PASSWORD}
    assert (await closed.caller("").rest("POST", "/api/v1/auth/login", login))[0] == 200
    await set_role(closed, theirs, user)
    assert await Browser(closed.suite.http_url).log_in(made["id"]) == "/apps"
    assert (await caller.rest("GET", "/api/v1/auth/me"))[0] == 401
    assert (await closed.caller("").rest("POST", "/api/v1/auth/login", login))[0] == 401


async def test_the_users_of_a_company_have_its_roles_only(closed: Closed) -> None:
    """A role in another company is not shown to the admins of this one."""
    one, other = await company(closed, "one"), await company(closed, "other")
    me = (await closed.owner.rest("GET", "/api/v1/auth/me"))[1]["id"]
    for id in (one, other):
        status, listed = await closed.owner.rest("GET", f"/api/v1/companies/{id}/users")
        roles = {"level": "company", "levelId": id, "role": "owner"}
        shown = {each["id"]: each["roles"] for each in listed["users"]}
        assert (status, shown[me]) == (200, [roles])
