"""Logins by OpenID Connect: users and roles by rules, and what is refused."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import jwt
import pytest
from aiohttp import ClientSession, web
from cryptography.hazmat.primitives import serialization

from flowmesh.identity.limits import PROVIDER_RULES_MAX, PROVIDER_TEXT_MAX, PROVIDERS_MAX
from tests.features.closed import Caller, Closed, closed_suite
from tests.features.security.openid_provider import (
    CLIENT,
    SECRET,
    Browser,
    OpenIdProvider,
    openid_provider,
    reason_of,
)

ACCESS, REFRESH = "__Host-flowmesh-access", "__Secure-flowmesh-refresh"
REFUSED = "LOGIN_REFUSED"
UNAVAILABLE = "PROVIDER_UNAVAILABLE"


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    async with closed_suite(tmp_path_factory.mktemp("oidc")) as made:
        yield made


@pytest.fixture(scope="module")
async def provider() -> AsyncIterator[OpenIdProvider]:
    async with openid_provider() as made:
        yield made


def settings(provider: OpenIdProvider, **more: Any) -> dict[str, Any]:
    return {
        "name": "Corp",
        "issuer": provider.issuer,
        "clientId": CLIENT,
        "clientSecret": SECRET,
        "rules": [
            {"claim": "groups", "equals": "staff", "role": "viewer"},
            {"claim": "groups", "equals": "builders", "role": "editor"},
        ],
        **more,
    }


@pytest.fixture
async def offered(closed: Closed, provider: OpenIdProvider) -> AsyncIterator[str]:
    """A provider of the default company: its issuer is asked anew by each test."""
    provider.restore()
    path = "/api/v1/companies/co_default/identity-providers"
    status, made = await closed.owner.rest("POST", path, settings(provider))
    assert status == 201, made
    one = f"/api/v1/identity-providers/{made['id']}"
    status, tested = await closed.owner.rest("POST", f"{one}:test", {"claims": {}})
    assert status == 200, tested
    yield made["id"]
    assert (await closed.owner.rest("DELETE", one))[0] == 204


def session_of(closed: Closed, browser: Browser) -> Caller:
    return closed.caller(browser.cookies[ACCESS])


async def refreshed(closed: Closed, browser: Browser) -> tuple[int, Any]:
    body = {"refreshToken": browser.cookies[REFRESH]}
    status, answer = await closed.caller("").rest("POST", "/api/v1/auth/refresh", body)
    if status == 200:
        browser.cookies[REFRESH] = answer["refreshToken"]
        browser.cookies[ACCESS] = answer["accessToken"]
    return status, answer


async def old_check(closed: Closed) -> None:
    """Let the next refresh ask the provider."""
    connection = await asyncpg.connect(str(closed.suite.about["postgres"]))
    try:
        await connection.execute("update identity.sessions set checked_at = 'epoch'")
    finally:
        await connection.close()


async def test_a_login_maps_user_and_role(
    closed: Closed, provider: OpenIdProvider, offered: str
) -> None:
    """The widest matching rule counts, and a second login is of the same user."""
    status, listed = await closed.caller("").rest("GET", "/api/v1/auth/providers")
    assert (status, [each["id"] for each in listed["providers"]]) == (200, [offered])
    browser = Browser(closed.suite.http_url)
    assert await browser.log_in(offered) == "/apps"
    caller = session_of(closed, browser)
    status, me = await caller.rest("GET", "/api/v1/auth/me")
    assert (status, me["user"]["email"], me["user"]["name"]) == (200, "ada@corp.example", "Ada")
    role = {"level": "company", "levelId": "co_default", "role": "editor"}
    assert me["user"]["roles"] == [role]
    again = Browser(closed.suite.http_url)
    await again.log_in(offered)
    _, second = await session_of(closed, again).rest("GET", "/api/v1/auth/me")
    assert second["id"] == me["id"]
    status, sessions = await caller.rest("GET", "/api/v1/auth/sessions")
    assert [each["provider"] for each in sessions["sessions"]] == ["Corp", "Corp"]
    other = next(each["id"] for each in sessions["sessions"] if not each["current"])
    assert (await caller.rest("DELETE", f"/api/v1/auth/sessions/{other}"))[0] == 204
    assert (await session_of(closed, again).rest("GET", "/api/v1/auth/me"))[0] == 401


async def test_the_password_of_a_user_of_a_provider_is_none(closed: Closed, offered: str) -> None:
    """Not even the one that unknown users are compared with."""
    await Browser(closed.suite.http_url).log_in(offered)
    for password in ("the password of a user that does not exist", " "):
        body = {"email": "ada@corp.example", "password": password}
        status, _ = await closed.caller("").rest("POST", "/api/v1/auth/login", body)
        assert status == 401


async def test_a_refresh_brings_roles_and_the_end_of_a_user(
    closed: Closed, provider: OpenIdProvider, offered: str
) -> None:
    """A demotion counts with the next refresh, and a disabled user is out with it."""
    browser = Browser(closed.suite.http_url)
    await browser.log_in(offered)
    former = provider.user["groups"]
    provider.user["groups"] = ["staff"]
    await old_check(closed)
    status, answer = await refreshed(closed, browser)
    assert status == 200, answer
    _, me = await session_of(closed, browser).rest("GET", "/api/v1/auth/me")
    assert [each["role"] for each in me["user"]["roles"]] == ["viewer"]
    provider.user["groups"], provider.disabled = former, True
    await old_check(closed)
    assert (await refreshed(closed, browser))[0] == 401
    assert (await session_of(closed, browser).rest("GET", "/api/v1/auth/me"))[0] == 401


async def test_an_unreachable_provider_delays_a_refresh_and_ends_no_session(
    closed: Closed, provider: OpenIdProvider, offered: str
) -> None:
    """And passwords log in all the while."""
    browser = Browser(closed.suite.http_url)
    await browser.log_in(offered)
    provider.sign = lambda _: "no token"
    await old_check(closed)
    provider.metadata = lambda _: web.Response(status=500)
    path = f"/api/v1/identity-providers/{offered}:test"
    _, tested = await closed.owner.rest("POST", path, {"claims": {}})
    assert not tested["reachable"]
    status, answer = await refreshed(closed, browser)
    assert (status, answer["error"]["reason"]) == (503, UNAVAILABLE)
    assert reason_of(await Browser(closed.suite.http_url).log_in(offered)) == UNAVAILABLE
    body = {"email": "owner@example.com", "password": "correct horse battery staple"}
    assert (await closed.caller("").rest("POST", "/api/v1/auth/login", body))[0] == 200
    provider.restore()
    assert (await refreshed(closed, browser))[0] == 200


async def test_logout_both_ways(closed: Closed, provider: OpenIdProvider, offered: str) -> None:
    """A logout names the page of the provider, and a logout token of it ends the session here."""
    browser = Browser(closed.suite.http_url)
    await browser.log_in(offered)
    status, answer = await session_of(closed, browser).rest("POST", "/api/v1/auth/logout")
    assert status == 200
    assert answer["providerLogoutUrl"].startswith(f"{provider.issuer}/end?")
    await browser.log_in(offered)
    caller = session_of(closed, browser)
    token = provider.logout_token()
    for wrong in (
        provider.logout_token(aud="another"),
        provider.logout_token(nonce="n"),
        provider.logout_token(events={}),
        provider.logout_token(iat=1, exp=2),
        token[:-4] + "AAAA",
    ):
        assert await backchannel(closed, offered, wrong) == 400
        assert (await caller.rest("GET", "/api/v1/auth/me"))[0] == 200
    assert await backchannel(closed, offered, token) == 204
    ended = time.monotonic()
    while (await caller.rest("GET", "/api/v1/auth/me"))[0] == 200:
        assert time.monotonic() - ended < 1.0
    assert await backchannel(closed, offered, token) == 400


async def backchannel(closed: Closed, provider_id: str, token: str) -> int:
    url = f"{closed.suite.http_url}/login/{provider_id}/logout"
    async with ClientSession() as http, http.post(url, data={"logout_token": token}) as response:
        return response.status


async def test_an_answer_counts_once_and_in_its_browser(
    closed: Closed, provider: OpenIdProvider, offered: str
) -> None:
    """Also not with a code of another login, whose verifier is another."""
    mine, theirs = (Browser(closed.suite.http_url) for _ in range(2))
    _, to_provider = await mine.get(f"/login/{offered}")
    _, back = await mine.get(to_provider)
    _, page = await theirs.get(back)
    assert reason_of(page) == REFUSED
    await theirs.get(f"/login/{offered}")
    _, page = await theirs.get(back)
    assert (reason_of(page), ACCESS in theirs.cookies) == (REFUSED, False)
    kept = dict(mine.cookies)
    _, page = await mine.get(back)
    assert page == "/"
    user = session_of(closed, mine)
    assert (await user.rest("GET", "/api/v1/auth/me"))[0] == 200
    mine.cookies = kept
    _, page = await mine.get(back)
    assert reason_of(page) == REFUSED
    assert (await user.rest("GET", "/api/v1/auth/me"))[0] == 401
    _, to_provider = await mine.get(f"/login/{offered}")
    _, elsewhere = await theirs.get((await theirs.get(f"/login/{offered}"))[1])
    stolen = parse_qs(urlsplit(elsewhere).query)["code"][0]
    provider.answer = lambda answer: {**answer, "code": stolen}
    _, back = await mine.get(to_provider)
    _, page = await mine.get(back)
    assert reason_of(page) == REFUSED


FALSE_CLAIMS: dict[str, Any] = {
    "no nonce": lambda claims: {k: v for k, v in claims.items() if k != "nonce"},
    "another nonce": lambda claims: {**claims, "nonce": "n" * 43},
    "another issuer": lambda claims: {**claims, "iss": "https://evil.example"},
    "another audience": lambda claims: {**claims, "aud": "another"},
    "several audiences": lambda claims: {**claims, "aud": [CLIENT, "another"]},
    "another party": lambda claims: {**claims, "azp": "another"},
    "expired": lambda claims: {**claims, "iat": 1, "exp": 2},
    "of the future": lambda claims: {**claims, "iat": claims["iat"] + 3_600},
    "no subject": lambda claims: {k: v for k, v in claims.items() if k != "sub"},
    "another access token": lambda claims: {**claims, "at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    "no role": lambda claims: {**claims, "sub": "u-2", "email": "x@corp.example", "groups": []},
}


@pytest.mark.parametrize("twist", FALSE_CLAIMS)
async def test_false_claims_are_refused(
    closed: Closed, provider: OpenIdProvider, offered: str, twist: str
) -> None:
    """Signed by the provider, and all the same no login."""
    provider.claims = FALSE_CLAIMS[twist]
    browser = Browser(closed.suite.http_url)
    assert reason_of(await browser.log_in(offered)) == REFUSED
    assert ACCESS not in browser.cookies


async def test_a_token_that_the_provider_did_not_sign_is_refused(
    closed: Closed, provider: OpenIdProvider, offered: str
) -> None:
    """No signature, the public key or the secret of the client as a symmetric one, another key."""
    public = provider.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    other = OpenIdProvider()

    def hmac(key: bytes) -> Any:
        head = {"kid": "k1"}
        made = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)

        def sign(claims: dict[str, Any]) -> str:
            token = jwt.encode(claims, "x" * 32, algorithm="HS256", headers=head)
            text = token.rpartition(".")[0]
            signature = jwt.utils.base64url_encode(made.sign(text.encode(), key)).decode()
            return f"{text}.{signature}"

        return sign

    for sign in (
        lambda claims: jwt.encode(claims, "", algorithm="none"),
        hmac(public),
        hmac(SECRET.encode()),
        other.signed,
        lambda claims: "x" * 70_000,
        lambda _: "",
    ):
        provider.sign = sign
        assert reason_of(await Browser(closed.suite.http_url).log_in(offered)) == REFUSED


async def test_an_answer_of_another_provider_is_refused(
    closed: Closed, provider: OpenIdProvider, offered: str
) -> None:
    """The mix-up: `iss` is another one, or missing where the provider names itself."""
    for answer in (
        lambda given: {**given, "iss": "https://evil.example"},
        lambda given: {k: v for k, v in given.items() if k != "iss"},
        lambda given: {**given, "state": "another"},
        lambda given: {"error": "access_denied", "state": given["state"], "iss": given["iss"]},
    ):
        provider.answer = answer
        assert reason_of(await Browser(closed.suite.http_url).log_in(offered)) == REFUSED


@pytest.mark.long
async def test_documents_out_of_bounds_are_refused(
    closed: Closed, provider: OpenIdProvider, offered: str
) -> None:
    """Redirects, other issuers, plain schemes, huge documents, slow ones, ten thousand keys."""
    path = f"/api/v1/identity-providers/{offered}:test"
    moved = {"location": f"{provider.issuer}/keys"}

    async def problem() -> str:
        status, tested = await closed.owner.rest("POST", path, {"claims": {}})
        assert (status, tested["reachable"]) == (200, False), tested
        return str(tested["problem"])

    for metadata in (
        lambda _: web.Response(status=302, headers=moved),
        lambda found: {**found, "issuer": "https://evil.example"},
        lambda found: {**found, "token_endpoint": "ftp://evil.example"},
        lambda found: {k: v for k, v in found.items() if k != "jwks_uri"},
        lambda _: web.Response(body=b"[" * 100_000),
    ):
        provider.metadata = metadata
        assert await problem()
    provider.restore()
    for keys in (
        lambda found: {"keys": found["keys"] * 10_000},
        lambda found: {**found, "more": "x" * 10_000_000},
        lambda _: {"keys": "none"},
    ):
        provider.keys = keys
        assert await problem()
    provider.restore()
    provider.delay_s = 30.0
    begun = time.monotonic()
    assert "5000 ms" in await problem()
    assert time.monotonic() - begun < 10
    provider.restore()
    assert (await closed.owner.rest("POST", path, {"claims": {}}))[1]["reachable"]


async def test_an_unverified_address_is_no_address(
    closed: Closed, provider: OpenIdProvider, offered: str
) -> None:
    """And a verified one of a user with a password does not become that user."""
    owner = {"sub": "u-3", "email": "owner@example.com"}
    provider.claims = lambda claims: {**claims, **owner, "email_verified": False}
    browser = Browser(closed.suite.http_url)
    assert await browser.log_in(offered) == "/apps"
    _, me = await session_of(closed, browser).rest("GET", "/api/v1/auth/me")
    assert me["user"]["email"].endswith(".invalid")
    assert me["everywhere"] == []
    provider.claims = lambda claims: {**claims, **owner, "sub": "u-4"}
    assert reason_of(await Browser(closed.suite.http_url).log_in(offered)) == "USER_EXISTS"


async def test_an_unknown_key_is_asked_for_once_a_minute(
    closed: Closed, provider: OpenIdProvider, offered: str
) -> None:
    """However many tokens name it."""
    await Browser(closed.suite.http_url).log_in(offered)
    provider.asked.clear()
    head = {"kid": "another"}
    provider.sign = lambda claims: jwt.encode(claims, provider.key, algorithm="RS256", headers=head)
    pages = await asyncio.gather(
        *(Browser(closed.suite.http_url).log_in(offered) for _ in range(10))
    )
    assert {reason_of(page) for page in pages} == {REFUSED}
    assert provider.asked.count("keys") <= 1


async def test_only_pages_of_this_server_follow_a_login(closed: Closed, offered: str) -> None:
    """Neither addresses nor what browsers read as one."""
    for page in ("https://evil.example", "//evil.example", "/\\evil.example", "evil", "/a\tb"):
        browser = Browser(closed.suite.http_url)
        assert reason_of(await browser.log_in(offered, page)) == "REQUEST_INVALID"


async def test_settings_that_cannot_work_or_give_too_much(
    closed: Closed, provider: OpenIdProvider, offered: str
) -> None:
    """Each with its reason; a secret does not follow its provider to a new issuer."""
    path = f"/api/v1/identity-providers/{offered}"
    project = await closed.project("oidc-rules")
    admin = await closed.key(project.id, "admin")
    for body, reason in (
        (settings(provider, issuer="http://corp.example"), "PROVIDER_INVALID"),
        (settings(provider, clientId=""), "PROVIDER_INVALID"),
        (settings(provider, scopes=["a b"]), "PROVIDER_INVALID"),
        (settings(provider, rules=[{"role": "worker"}]), "PROVIDER_INVALID"),
        (settings(provider, rules=[{"role": "king"}]), "PROVIDER_INVALID"),
        (
            settings(provider, rules=[{"role": "viewer"}] * (PROVIDER_RULES_MAX + 1)),
            "PROVIDER_INVALID",
        ),
        (settings(provider, clientId="x" * (PROVIDER_TEXT_MAX + 1)), "PROVIDER_INVALID"),
        (settings(provider, issuer="https://evil.example", clientSecret=""), "PROVIDER_INVALID"),
        (
            settings(provider, rules=[{"role": "viewer", "level": "project", "levelId": "prj_x"}]),
            "PROJECT_NOT_FOUND",
        ),
    ):
        status, answer = await closed.owner.rest("PUT", path, body)
        assert answer["error"]["reason"] == reason, (status, body)
    status, answer = await closed.owner.rest("PUT", path, settings(provider), If_Match='"999"')
    assert answer["error"]["reason"] == "ETAG_MISMATCH"
    assert (await admin.rest("GET", path))[0] == 404
    status, shown = await closed.owner.rest("GET", path)
    assert (shown["hasSecret"], SECRET in str(shown)) == (True, False)
    changed = settings(provider, clientSecret="", disabled=True)
    assert (await closed.owner.rest("PUT", path, changed))[0] == 200
    browser = Browser(closed.suite.http_url)
    assert reason_of(await browser.log_in(offered)) == "IDENTITY_PROVIDER_NOT_FOUND"


async def test_providers_of_a_company_are_bounded(
    closed: Closed, provider: OpenIdProvider, offered: str
) -> None:
    """With the one that is offered."""
    path = "/api/v1/companies/co_default/identity-providers"
    made = []
    for _ in range(PROVIDERS_MAX - 1):
        status, answer = await closed.owner.rest("POST", path, settings(provider))
        assert status == 201, answer
        made.append(answer["id"])
    status, answer = await closed.owner.rest("POST", path, settings(provider))
    assert answer["error"]["reason"] == "PROVIDER_INVALID", (status, answer)
    for each in made:
        assert (await closed.owner.rest("DELETE", f"/api/v1/identity-providers/{each}"))[0] == 204


async def test_a_device_logs_in_by_the_code_that_a_user_approves(
    closed: Closed, provider: OpenIdProvider, offered: str
) -> None:
    """Once, and its session ends with the one of the provider that approved it."""
    anyone, browser = closed.caller(""), Browser(closed.suite.http_url)
    await browser.log_in(offered)
    user = session_of(closed, browser)
    _, begun = await anyone.rest("POST", "/api/v1/auth/device", {})
    complete = {"deviceCode": begun["deviceCode"]}
    status, answer = await anyone.rest("POST", "/api/v1/auth/device:complete", complete)
    assert (status, answer["error"]["reason"]) == (409, "LOGIN_PENDING")
    for code, refusal in (("AAAA-AAAA", 400), (begun["userCode"].lower(), 204)):
        approval = {"userCode": code}
        assert (await user.rest("POST", "/api/v1/auth/device:approve", approval))[0] == refusal
    assert (await anyone.rest("POST", "/api/v1/auth/device:approve", approval))[0] == 401
    status, session = await anyone.rest("POST", "/api/v1/auth/device:complete", complete)
    assert (status, session["user"]["email"]) == (200, "ada@corp.example")
    for code in (begun["deviceCode"][:-4] + "AAAA", "", "x"):
        body = {"deviceCode": code}
        status, answer = await anyone.rest("POST", "/api/v1/auth/device:complete", body)
        assert (status, answer["error"]["reason"]) == (401, REFUSED)
    device = closed.caller(session["accessToken"])
    assert (await device.rest("GET", "/api/v1/auth/me"))[0] == 200
    provider.disabled = True
    await old_check(closed)
    body = {"refreshToken": session["refreshToken"]}
    assert (await anyone.rest("POST", "/api/v1/auth/refresh", body))[0] == 401
    assert (await device.rest("GET", "/api/v1/auth/me"))[0] == 401
    assert (await user.rest("GET", "/api/v1/auth/me"))[0] == 401
