"""Logins at a real Keycloak: user and role, refresh, logout both ways, and a disabled user."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flowmesh.embedded.ports import free_port
from flowmesh.testing.polling import until
from tests.features.closed import Closed, closed_suite
from tests.features.security.keycloak import CLIENT, EMAIL, SAML_CLIENT, SECRET, Keycloak, keycloak
from tests.features.security.openid_provider import Browser
from tests.features.security.test_oidc import ACCESS, old_check, refreshed, session_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


class Login:
    """A suite, Keycloak, and the provider that joins them."""

    def __init__(self, closed: Closed, at: Keycloak, provider_id: str) -> None:
        self.closed, self.at, self.provider_id = closed, at, provider_id

    async def browser(self) -> Browser:
        """Return a browser whose user has logged in."""
        browser = Browser(self.closed.suite.http_url)
        _, page = await browser.get(f"/login/{self.provider_id}?next=/apps")
        back = await self.at.submit(page)
        status, shown = await browser.get(back)
        assert (status, shown) == (303, "/apps")
        return browser

    async def me(self, browser: Browser) -> tuple[int, Any]:
        return await session_of(self.closed, browser).rest("GET", "/api/v1/auth/me")


@pytest.fixture(scope="module")
async def login(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Login]:
    folder: Path = tmp_path_factory.mktemp("keycloak")
    port = free_port()
    async with closed_suite(folder) as closed:
        settings = {
            "name": "Corp",
            "issuer": Keycloak(f"http://127.0.0.1:{port}").issuer,
            "clientId": CLIENT,
            "clientSecret": SECRET,
            "rules": [
                {"claim": "roles", "equals": "staff", "role": "viewer"},
                {"claim": "roles", "equals": "builders", "role": "editor"},
            ],
        }
        path = "/api/v1/companies/co_default/identity-providers"
        status, made = await closed.owner.rest("POST", path, settings)
        assert status == 201, made
        backchannel = f"{closed.suite.http_url}/login/{made['id']}/logout"
        async with keycloak(folder, port, backchannel) as at:
            yield Login(closed, at, made["id"])


@pytest.mark.feature("S1-118")
async def test_a_login_maps_user_and_role(login: Login) -> None:
    """The claims are those of an ID token of Keycloak."""
    browser = await login.browser()
    status, me = await login.me(browser)
    assert (status, me["user"]["email"], me["user"]["name"]) == (200, EMAIL, "Ada Lovelace")
    assert [each["role"] for each in me["user"]["roles"]] == ["editor"]


async def test_a_refresh_follows_the_roles_of_keycloak(login: Login) -> None:
    """One that is taken away there is gone here."""
    browser = await login.browser()
    user = await login.at.user()
    builders = await login.at.admin("GET", "/roles/builders")
    path = f"/users/{user['id']}/role-mappings/realm"
    await login.at.admin("DELETE", path, [builders])
    await old_check(login.closed)
    assert (await refreshed(login.closed, browser))[0] == 200
    _, me = await login.me(browser)
    assert [each["role"] for each in me["user"]["roles"]] == ["viewer"]
    await login.at.admin("POST", path, [builders])


async def test_a_logout_here_ends_the_session_there(login: Login) -> None:
    """The address is that of a page that Keycloak has."""
    browser = await login.browser()
    user = await login.at.user()
    status, answer = await session_of(login.closed, browser).rest("POST", "/api/v1/auth/logout")
    assert status == 200
    async with (
        aiohttp.ClientSession() as http,
        http.get(answer["providerLogoutUrl"], allow_redirects=False) as response,
    ):
        assert response.status in (200, 302), await response.text()
    await login.at.admin("POST", f"/users/{user['id']}/logout")


async def test_a_logout_there_ends_the_session_here(login: Login) -> None:
    """Keycloak calls back with a logout token."""
    browser = await login.browser()
    user = await login.at.user()
    await login.at.admin("POST", f"/users/{user['id']}/logout")

    await until("the end of the session", partial(_ended, login, browser), within_s=5)


async def test_a_user_disabled_there_is_out_with_the_next_refresh(login: Login) -> None:
    """And its access token is no longer valid either."""
    browser = await login.browser()
    user = await login.at.user()
    await login.at.admin("PUT", f"/users/{user['id']}", {**user, "enabled": False})
    await old_check(login.closed)
    assert (await refreshed(login.closed, browser))[0] == 401
    assert (await login.me(browser))[0] == 401
    assert browser.cookies[ACCESS]
    await login.at.admin("PUT", f"/users/{user['id']}", {**user, "enabled": True})


@pytest.mark.feature("S1-118")
async def test_a_saml_login_maps_user_and_role_and_ends_both_ways(login: Login) -> None:
    """The same user of Keycloak by the other protocol, whose sessions end on either side."""
    closed, at = login.closed, login.at
    settings = {
        "name": "Corp SAML",
        "kind": "saml",
        "issuer": at.issuer,
        "clientId": SAML_CLIENT,
        "ssoUrl": f"{at.issuer}/protocol/saml",
        "sloUrl": f"{at.issuer}/protocol/saml",
        "certificates": [await at.certificate()],
        "rules": [{"claim": "roles", "equals": "builders", "role": "editor"}],
    }
    # Keycloak states the same address for both protocols, which belongs to the user of the first.
    users = {"email": "ada.saml@corp.example"}
    user = await at.user()
    await at.admin("PUT", f"/users/{user['id']}", {**user, **users})
    path = "/api/v1/companies/co_default/identity-providers"
    status, made = await closed.owner.rest("POST", path, settings)
    assert status == 201, made
    page = f"/login/{made['id']}"
    await at.add_saml_client(f"{closed.suite.http_url}{page}")
    for there in (True, False):
        browser = Browser(closed.suite.http_url)
        _, location = await browser.get(f"{page}?next=/apps")
        status, shown = await browser.post(f"{page}/acs", await at.fields(location))
        assert (status, shown) == (303, "/apps")
        status, me = await login.me(browser)
        assert (status, me["user"]["email"]) == (200, users["email"])
        assert [each["role"] for each in me["user"]["roles"]] == ["editor"]
        if there:
            await at.admin("POST", f"/users/{user['id']}/logout")
            await until("the end", partial(_ended, login, browser), within_s=5)
            continue
        _, answer = await session_of(closed, browser).rest("POST", "/api/v1/auth/logout")
        async with (
            aiohttp.ClientSession() as http,
            http.get(answer["providerLogoutUrl"]) as response,
        ):
            assert response.status == 200, await response.text()
    await at.admin("PUT", f"/users/{user['id']}", {**user, "email": EMAIL})


async def _ended(login: Login, browser: Browser) -> bool:
    return (await login.me(browser))[0] == 401
