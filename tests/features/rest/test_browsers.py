"""Browsers: cookies, pages of other origins, WebSocket credentials and cross-origin reads.

The suite serves pages of any origin (`*`), so that nothing but the rules of cookies protects them.
"""

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from typing import Any

import aiohttp
import pytest

from flowmesh.gateway.routes import ROUTES, SOCKETS
from flowmesh.runtime.http.cors import REQUEST_HEADERS
from tests.features.closed import PASSWORD, Closed, closed_suite

AUTH = "/api/v1/auth"
ACCESS, REFRESH = "__Host-flowmesh-access", "__Secure-flowmesh-refresh"
UI, FOREIGN = "https://ui.example.com", "https://evil.example"
LOGIN = {"email": "owner@example.com", "password": PASSWORD}
FORBIDDEN = (403, "ORIGIN_NOT_ALLOWED")


@pytest.fixture(scope="module")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Closed]:
    folder = tmp_path_factory.mktemp("browsers")
    settings: dict[str, Any] = {
        "FLOWMESH_CORS_ORIGINS": UI,
        "FLOWMESH_HTTP_ORIGINS": "*",
        "FLOWMESH_TRUSTED_PROXY": "127.0.0.0/8",
    }
    async with closed_suite(folder, **settings) as made:
        yield made


class Answer:
    """A response with its body and its cookies."""

    def __init__(self, response: aiohttp.ClientResponse, body: Any) -> None:
        self.status, self.headers, self.body = response.status, response.headers, body
        self.set = SimpleCookie()
        for line in response.headers.getall("set-cookie", []):
            self.set.load(line)

    @property
    def refusal(self) -> tuple[int, str]:
        return self.status, self.body["error"]["reason"]

    @property
    def cookies(self) -> dict[str, str]:
        return {name: morsel.value for name, morsel in self.set.items()}


async def sent(
    closed: Closed,
    method: str,
    path: str,
    *,
    cookies: dict[str, str] | str = "",
    headers: dict[str, str] | None = None,
    **body: Any,
) -> Answer:
    """Send a request as a browser does: with its cookies, and without any other credential."""
    if not isinstance(cookies, str):
        cookies = "; ".join(f"{name}={value}" for name, value in cookies.items())
    every = dict(headers or {}) | ({"cookie": cookies} if cookies else {})
    url = f"{closed.suite.http_url}{path}"
    async with (
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
        http.request(method, url, headers=every, **body) as response,
    ):
        is_json = "json" in response.headers.get("content-type", "")
        return Answer(response, await response.json(content_type=None) if is_json else None)


async def logged_in(closed: Closed) -> dict[str, str]:
    answer = await sent(closed, "POST", f"{AUTH}/login", json=LOGIN | {"cookie": True})
    assert answer.status == 200, answer.body
    return answer.cookies


def own(closed: Closed) -> dict[str, str]:
    return {"origin": closed.suite.http_url}


@pytest.mark.feature("S1-112")
async def test_a_browser_logs_in_by_cookie(closed: Closed) -> None:
    """The tokens are out of reach of scripts; refresh replaces them and logout clears them."""
    answer = await sent(closed, "POST", f"{AUTH}/login", json=LOGIN | {"cookie": True})
    assert not {"accessToken", "refreshToken"} & set(answer.body)
    access, refresh = answer.set[ACCESS], answer.set[REFRESH]
    for cookie, path, site in ((access, "/", "Lax"), (refresh, f"{AUTH}/refresh", "Strict")):
        assert (cookie["httponly"], cookie["secure"], cookie["domain"]) == (True, True, "")
        assert (cookie["path"], cookie["samesite"]) == (path, site)
    assert answer.headers["cache-control"] == "no-store"

    cookies = answer.cookies
    me = await sent(closed, "GET", f"{AUTH}/me", cookies={ACCESS: cookies[ACCESS]})
    assert me.body["user"]["email"] == LOGIN["email"]
    answer = await sent(closed, "POST", f"{AUTH}/refresh", cookies=cookies, headers=own(closed))
    assert (answer.status, set(answer.cookies)) == (200, {ACCESS, REFRESH})
    assert not {"accessToken", "refreshToken"} & set(answer.body)
    cookies = answer.cookies
    answer = await sent(closed, "POST", f"{AUTH}/logout", cookies=cookies, headers=own(closed))
    assert (answer.status, answer.cookies) == (204, {ACCESS: "", REFRESH: ""})
    assert {morsel["max-age"] for morsel in answer.set.values()} == {"0"}
    assert (await sent(closed, "GET", f"{AUTH}/me", cookies=cookies)).status == 401


@pytest.mark.long
@pytest.mark.parametrize(
    "site",
    [
        {"origin": FOREIGN},
        {"origin": "null"},
        {"origin": FOREIGN, "sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {},
    ],
)
async def test_a_foreign_page_changes_nothing_by_cookie(
    closed: Closed, site: dict[str, str]
) -> None:
    """JSON, a form post, text/plain and an empty body, on routes of every kind."""
    cookies = await logged_in(closed)
    form = {"content-type": "application/x-www-form-urlencoded"}
    plain = {"content-type": "text/plain"}
    for body in (
        {"json": {"slug": "forged"}, "headers": site},
        {"data": "slug=forged", "headers": site | form},
        {"data": '{"slug": "forged"}', "headers": site | plain},
        {"data": b"", "headers": site},
    ):
        answer = await sent(closed, "POST", "/api/v1/companies", cookies=cookies, **body)
        assert answer.refusal == FORBIDDEN, body
    for method, path in (
        ("DELETE", "/api/v1/companies/co_default"),
        ("POST", f"{AUTH}/logout"),
        ("POST", f"{AUTH}/refresh"),
        ("POST", "/workflows/any/execute"),
        ("PUT", "/api/v1/payloads"),
    ):
        answer = await sent(closed, method, path, cookies=cookies, headers=site)
        assert answer.refusal == FORBIDDEN, path
    companies = (await closed.owner.rest("GET", "/api/v1/companies"))[1]["companies"]
    assert "forged" not in [each["slug"] for each in companies]
    assert (await sent(closed, "GET", f"{AUTH}/me", cookies=cookies)).status == 200


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain"])
async def test_a_form_is_no_json(closed: Closed, kind: str) -> None:
    """A page needs a preflight request for JSON, so other types are refused on own pages too."""
    cookies, body = await logged_in(closed), '{"slug": "typed"}'
    headers = own(closed) | {"content-type": kind}
    for path in ("/api/v1/companies", f"{AUTH}/login"):
        answer = await sent(closed, "POST", path, cookies=cookies, headers=headers, data=body)
        assert answer.refusal == (415, "CONTENT_TYPE_UNSUPPORTED")


@pytest.mark.parametrize("origin", ["own", UI])
async def test_own_and_listed_pages_change_by_cookie(closed: Closed, origin: str) -> None:
    """The same request as above, from the console or a listed page."""
    cookies = await logged_in(closed)
    headers = own(closed) if origin == "own" else {"origin": origin}
    slug = {"slug": "own-page" if origin == "own" else "listed-page"}
    answer = await sent(
        closed, "POST", "/api/v1/companies", cookies=cookies, headers=headers, json=slug
    )
    assert answer.status == 201, answer.body


async def test_tossed_cookies_are_refused(closed: Closed) -> None:
    """Two values of a name, and a refresh token of another session than that of the page."""
    mine, other = await logged_in(closed), await logged_in(closed)
    twice = f"{ACCESS}={other[ACCESS]}; {ACCESS}={mine[ACCESS]}"
    answer = await sent(closed, "GET", f"{AUTH}/me", cookies=twice)
    assert answer.refusal == (401, "CREDENTIALS_INVALID")
    path, headers = f"{AUTH}/refresh", own(closed)
    for tossed in (
        {REFRESH: other[REFRESH]},
        {ACCESS: "x.y.z", REFRESH: other[REFRESH]},
        {ACCESS: mine[ACCESS], REFRESH: other[REFRESH]},
    ):
        answer = await sent(closed, "POST", path, cookies=tossed, headers=headers)
        assert answer.status == 401
        assert not any(answer.cookies.values())
    answer = await sent(closed, "POST", path, cookies=mine, headers=headers)
    assert answer.status == 200


async def shaken(closed: Closed, *protocols: str, **headers: str) -> str | int:
    """Open a WebSocket; return the accepted subprotocol, or the status of the refusal."""
    url = f"{closed.suite.http_url}/api/v1/events/ws"
    async with aiohttp.ClientSession() as http:
        try:
            async with http.ws_connect(url, protocols=protocols, headers=headers) as socket:
                return socket.protocol or ""
        except aiohttp.WSServerHandshakeError as refused:
            return refused.status


@pytest.mark.feature("S1-112")
async def test_a_socket_takes_its_token_by_subprotocol(closed: Closed) -> None:
    """`flowmesh` is accepted and the token never echoed; a wrong token is 401."""
    token = closed.owner.credential
    for offered in (
        ("flowmesh", f"flowmesh.bearer.{token}"),
        (f"flowmesh.bearer.{token}", "flowmesh"),
    ):
        assert await shaken(closed, *offered) == "flowmesh"
    assert await shaken(closed, "flowmesh", f"flowmesh.bearer.{token[:-9]}") == 401
    assert await shaken(closed, "flowmesh", "flowmesh.bearer.") == 401
    assert await shaken(closed, "flowmesh") == 401


async def test_a_socket_by_cookie_is_of_an_own_page(closed: Closed) -> None:
    """A foreign page cannot open one with the cookies of the user (hijacking)."""
    cookie = {"cookie": f"{ACCESS}={(await logged_in(closed))[ACCESS]}"}
    assert await shaken(closed, **cookie, **own(closed)) == ""
    assert await shaken(closed, **cookie, origin=UI) == ""
    for headers in ({"origin": FOREIGN}, {"origin": "null"}, {}):
        assert await shaken(closed, **cookie, **headers) == 403


async def test_events_are_read_by_header_or_cookie(closed: Closed) -> None:
    """An EventSource sends cookies, and a script with fetch a header."""
    cookie = f"{ACCESS}={(await logged_in(closed))[ACCESS]}"
    bearer = f"Bearer {closed.owner.credential}"
    async with aiohttp.ClientSession() as http:
        for headers in ({"cookie": cookie}, {"authorization": bearer}):
            url = f"{closed.suite.http_url}/api/v1/events"
            async with http.get(url, headers=headers | {"origin": UI}) as stream:
                assert stream.status == 200
                assert stream.headers["access-control-allow-origin"] == UI
                assert await stream.content.readline()


async def test_listed_origins_may_read_responses(closed: Closed) -> None:
    """A preflight is answered for the exact origin; errors are readable; `*` is never sent."""
    asked = {"access-control-request-method": "PATCH", "origin": UI}
    answer = await sent(closed, "OPTIONS", "/api/v1/companies/co_default", headers=asked)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == UI
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "If-Match" in answer.headers["access-control-allow-headers"]
    assert answer.headers["vary"] == "Origin"
    answer = await sent(closed, "GET", "/api/v1/companies", headers={"origin": UI})
    assert answer.status == 401
    assert answer.headers["access-control-allow-origin"] == UI
    assert "ETag" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    "origin",
    [FOREIGN, "null", "https://ui.example.com.evil.example", "http://ui.example.com", f"{UI}:444"],
)
async def test_other_origins_may_not_read_responses(closed: Closed, origin: str) -> None:
    """A look-alike, another scheme or port is refused, also beside a `*` in the other list."""
    asked = {"access-control-request-method": "POST", "origin": origin}
    for method, headers in (("OPTIONS", asked), ("GET", {"origin": origin})):
        answer = await sent(closed, method, "/api/v1/companies", headers=headers)
        found = {name.lower() for name in answer.headers}
        assert not {name for name in found if name.startswith("access-control")}
        assert answer.headers["vary"] == "Origin"


async def test_a_trusted_proxy_names_the_client(closed: Closed) -> None:
    """A key of a network works through the proxy, as the proxy states the address."""
    project = await closed.project("proxied")
    outside = await closed.key(project.id, "viewer", networks=["10.0.0.0/8"])
    assert (await outside.rest("GET", f"{AUTH}/me"))[0] == 401
    assert (await outside.rest("GET", f"{AUTH}/me", x_forwarded_for="10.1.2.3"))[0] == 200


def test_every_header_of_a_route_passes_a_preflight() -> None:
    """The list of CORS and the headers that the routes read agree."""
    read = {name.lower() for route in (*ROUTES, *SOCKETS) for name in _headers(route)}
    assert read <= {name.lower() for name in REQUEST_HEADERS}


def _headers(route: Any) -> list[str]:
    return [header.name for header in route.rules().headers.values()]
