"""Logins at a real Keycloak: user and role, refresh, logout both ways, and a disabled user."""

import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import pytest

from flowmesh.embedded.ports import free_port
from flowmesh.testing.polling import until
from tests.features.closed import Closed, closed_suite
from tests.features.security.keycloak import (
    CLIENT,
    EMAIL,
    SAML_CLIENT,
    SECRET,
    Keycloak,
    Stopwatch,
    keycloak,
    timed,
)
from tests.features.security.openid_provider import Browser
from tests.features.security.test_oidc import ACCESS, old_check, refreshed, session_of

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

PROVIDERS = "/api/v1/companies/co_default/identity-providers"
LOGINS, SERVER_MS_MAX = 10, 50.0
_SECONDS = re.compile(r'flowmesh_http_request_seconds_sum\{route="/login/[^"]*"\} (\S+)')


def oidc(issuer: str) -> dict[str, Any]:
    """Return the settings of Keycloak as a provider of OpenID Connect."""
    return {
        "name": "Corp",
        "issuer": issuer,
        "clientId": CLIENT,
        "clientSecret": SECRET,
        "rules": [
            {"claim": "roles", "equals": "staff", "role": "viewer"},
            {"claim": "roles", "equals": "builders", "role": "editor"},
        ],
    }


async def saml(at: Keycloak) -> dict[str, Any]:
    """Return the settings of Keycloak as a provider of SAML."""
    return {
        "name": "Corp SAML",
        "kind": "saml",
        "issuer": at.issuer,
        "clientId": SAML_CLIENT,
        "ssoUrl": f"{at.issuer}/protocol/saml",
        "sloUrl": f"{at.issuer}/protocol/saml",
        "certificates": [await at.certificate()],
        "rules": [{"claim": "roles", "equals": "builders", "role": "editor"}],
    }


async def created(closed: Closed, settings: dict[str, Any]) -> str:
    """Create a provider; return its id."""
    status, made = await closed.owner.rest("POST", PROVIDERS, settings)
    assert status == 201, made
    return str(made["id"])


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

    @asynccontextmanager
    async def readdressed(self, email: str) -> AsyncIterator[Any]:
        """Give the user another address in Keycloak until the end of the block.

        An address belongs to the user of one provider, also if two are of the same Keycloak.
        """
        user = await self.at.user()
        await self.at.admin("PUT", f"/users/{user['id']}", {**user, "email": email})
        try:
            yield user
        finally:
            await self.at.admin("PUT", f"/users/{user['id']}", {**user, "email": EMAIL})

    async def me(self, browser: Browser) -> tuple[int, Any]:
        return await session_of(self.closed, browser).rest("GET", "/api/v1/auth/me")


@pytest.fixture(scope="module")
async def login(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Login]:
    folder: Path = tmp_path_factory.mktemp("keycloak")
    port = free_port()
    async with closed_suite(folder) as closed:
        issuer = Keycloak(f"http://127.0.0.1:{port}").issuer
        provider_id = await created(closed, oidc(issuer))
        backchannel = f"{closed.suite.http_url}/login/{provider_id}/logout"
        async with keycloak(folder, port, backchannel) as at:
            yield Login(closed, at, provider_id)


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


@pytest.fixture(scope="module")
async def saml_page(login: Login) -> str:
    """Return the page that begins a login by SAML at the same Keycloak."""
    page = f"/login/{await created(login.closed, await saml(login.at))}"
    await login.at.add_saml_client(f"{login.closed.suite.http_url}{page}")
    return page


@pytest.mark.feature("S1-118")
async def test_a_saml_login_maps_user_and_role_and_ends_both_ways(
    login: Login, saml_page: str
) -> None:
    """The same user of Keycloak by the other protocol, whose sessions end on either side."""
    async with login.readdressed("ada.saml@corp.example") as user:
        for there in (True, False):
            browser = Browser(login.closed.suite.http_url)
            _, location = await browser.get(f"{saml_page}?next=/apps")
            fields = await login.at.fields(location)
            assert await browser.post(f"{saml_page}/acs", fields) == (303, "/apps")
            status, me = await login.me(browser)
            assert (status, me["user"]["email"]) == (200, "ada.saml@corp.example")
            assert [each["role"] for each in me["user"]["roles"]] == ["editor"]
            if there:
                await login.at.admin("POST", f"/users/{user['id']}/logout")
                await until("the end", partial(_ended, login, browser), within_s=5)
                continue
            caller = session_of(login.closed, browser)
            _, answer = await caller.rest("POST", "/api/v1/auth/logout")
            async with (
                aiohttp.ClientSession() as http,
                http.get(answer["providerLogoutUrl"]) as response,
            ):
                assert response.status == 200, await response.text()


async def test_the_part_of_the_server_in_a_login_by_openid_connect(login: Login) -> None:
    """The median of its requests, without the time in which Keycloak answers them."""
    took = []
    async with timed(login.at) as watch, login.readdressed("ada.timed@corp.example"):
        issuer = Keycloak(watch.url).issuer
        page = f"/login/{await created(login.closed, oidc(issuer))}"
        for _ in range(LOGINS):
            meter, browser = Meter(login.closed, watch), Browser(login.closed.suite.http_url)
            _, location = await meter.of(browser.get(f"{page}?next=/apps"))
            back = await login.at.submit(location)
            assert await meter.of(browser.get(back)) == (303, "/apps")
            took.append(meter.seconds * 1_000)
    assert watch.seconds > 0
    _check("OpenID Connect", took)


async def test_the_part_of_the_server_in_a_login_by_saml(login: Login, saml_page: str) -> None:
    """The median of its requests; the browser carries the answer of Keycloak."""
    took = []
    async with login.readdressed("ada.saml@corp.example"):
        for _ in range(LOGINS):
            meter, browser = Meter(login.closed), Browser(login.closed.suite.http_url)
            _, location = await meter.of(browser.get(f"{saml_page}?next=/apps"))
            fields = await login.at.fields(location)
            shown = await meter.of(browser.post(f"{saml_page}/acs", fields))
            assert shown == (303, "/apps")
            took.append(meter.seconds * 1_000)
    _check("SAML", took)


class Meter:
    """Adds up the time of Flowmesh in the routes of logins, without that of the provider."""

    def __init__(self, closed: Closed, watch: Stopwatch | None = None) -> None:
        self._closed, self._watch = closed, watch
        self.seconds = 0.0

    async def of(self, request: Awaitable[tuple[int, str]]) -> tuple[int, str]:
        """Add the time of a request; return its answer."""
        before = await self._until_now()
        answer = await request
        self.seconds += await self._until_now() - before
        return answer

    async def _until_now(self) -> float:
        text = await self._closed.owner.text("/metrics")
        served = sum(float(each) for each in _SECONDS.findall(text))
        return served - (self._watch.seconds if self._watch else 0.0)


def _check(protocol: str, took: list[float]) -> None:
    """Compare the times of logins with the bound."""
    assert min(took) > 0, took
    print(f"\nlogin by {protocol}: {median(took):.1f} ms of the server, median of {len(took)}")
    assert median(took) <= SERVER_MS_MAX, took


async def _ended(login: Login, browser: Browser) -> bool:
    return (await login.me(browser))[0] == 401
