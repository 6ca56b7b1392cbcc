"""Plugins of logins: their claims are read by the rules of an identity provider."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flowmesh.plugins.project import write_project
from flowmesh.testing.suite import Suite
from tests.features.closed import Closed, closed_suite
from tests.features.plugins.market import Market
from tests.features.security.openid_provider import (
    CLIENT,
    SECRET,
    Browser,
    OpenIdProvider,
    openid_provider,
    reason_of,
)

pytestmark = pytest.mark.long
PROVIDERS = "/api/v1/companies/co_default/identity-providers"
PLUGINS = "/api/v1/plugins"


@pytest.fixture
async def closed(tmp_path: Path) -> AsyncIterator[Closed]:
    """A closed suite with the project of a new plugin in its catalogue."""
    market = Market(tmp_path)
    write_project(tmp_path / "teams", "teams", "login")
    market.publish(tmp_path / "teams")
    async with closed_suite(tmp_path, kind=Suite, **market.environment) as made:
        yield made


@pytest.fixture
async def provider() -> AsyncIterator[OpenIdProvider]:
    async with openid_provider() as made:
        yield made


def settings(provider: OpenIdProvider) -> dict[str, Any]:
    return {
        "name": "Corp",
        "issuer": provider.issuer,
        "clientId": CLIENT,
        "clientSecret": SECRET,
        "hook": "teams",
        "rules": [{"claim": "hook.teams", "equals": "build", "role": "editor"}],
    }


async def installed(closed: Closed) -> None:
    """Install the plugin for all projects, which is the only way."""
    status, refused = await closed.owner.rest("POST", PLUGINS, {"name": "teams"})
    assert (status, refused["error"]["reason"]) == (409, "PLUGIN_SHARED"), refused
    project = await closed.project("shop")
    body = {"name": "teams", "allProjects": True}
    admin = await closed.key(project.id, "admin")
    status, refused = await admin.rest("POST", PLUGINS, body)
    assert (status, refused["error"]["reason"]) == (403, "ROLE_REQUIRED"), refused
    status, made = await closed.owner.rest("POST", PLUGINS, body)
    assert (status, made["state"], made["allProjects"]) == (202, "ready", True), made
    status, given = await admin.rest("GET", PLUGINS)
    assert [each["name"] for each in given["plugins"]] == ["teams"]
    status, refused = await admin.rest("DELETE", f"{PLUGINS}/teams")
    assert (status, refused["error"]["reason"]) == (409, "PLUGIN_SHARED"), refused


@pytest.mark.feature("S1-193")
async def test_a_plugin_maps_the_claims_of_a_login(
    closed: Closed, provider: OpenIdProvider
) -> None:
    """Its result is one claim, which rules read; an error refuses the login, with a sentence."""
    status, refused = await closed.owner.rest("POST", PROVIDERS, settings(provider))
    assert (status, refused["error"]["reason"]) == (400, "PROVIDER_INVALID")
    assert "no login plugin `teams`" in refused["error"]["message"]
    await installed(closed)
    status, made = await closed.owner.rest("POST", PROVIDERS, settings(provider))
    assert (status, made["hook"]) == (201, "teams"), made

    provider.user["groups"] = ["team-build", "printers"]
    browser = Browser(closed.suite.http_url)
    assert await browser.log_in(made["id"]) == "/apps"
    caller = closed.caller(browser.cookies["__Host-flowmesh-access"])
    _, me = await caller.rest("GET", "/api/v1/auth/me")
    assert [each["role"] for each in me["user"]["roles"]] == ["editor"]
    provider.user["groups"] = 7
    assert reason_of(await Browser(browser.url).log_in(made["id"])) == "LOGIN_REFUSED"

    test = f"/api/v1/identity-providers/{made['id']}:test"
    own = {"claims": {"sub": "u-2", "hook": {"teams": ["build"]}}}
    status, tested = await closed.owner.rest("POST", test, own)
    assert (status, tested["roles"]) == (200, []), tested
    status, tested = await closed.owner.rest("POST", test, {"claims": {"groups": 7}})
    assert (status, tested["reachable"], tested["roles"]) == (200, False, [])
    sentence = "the plugin teams of the provider refused it: 'int' object is not iterable"
    assert tested["problem"].startswith(sentence)

    removal = f"{PLUGINS}/teams?allProjects=true"
    status, used = await closed.owner.rest("DELETE", removal)
    sentence = f"teams is used by 1 provider: identity provider {made['id']}"
    assert (status, used["error"]["message"]) == (409, sentence)
    path = f"/api/v1/identity-providers/{made['id']}"
    assert (await closed.owner.rest("DELETE", path))[0] == 204
    assert (await closed.owner.rest("DELETE", removal))[0] == 204
