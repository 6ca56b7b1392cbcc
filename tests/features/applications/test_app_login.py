"""auth.modular: cookie sessions, and login at OAuth2 providers."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.checking import check
from flowmesh.contract.json_value import Json
from tests.features.apps import SECRET, Answer, RunningApp, running, written

USER = {"email": "ada@example.com", "name": "Ada", "password": "correct horse 9"}


@dataclass
class Provider:
    """An OAuth2 provider that answers what a test says, and checks what it is asked."""

    url: str = ""
    user: dict[str, Json] = field(default_factory=dict)
    challenges: dict[str, str] = field(default_factory=dict)

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        verifier = str(form["code_verifier"]).encode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
        known = self.challenges.get(str(form["code"])) == digest
        if not known or (form["client_id"], form["client_secret"]) != ("app", "app-secret"):
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"access_token": "t-1", "token_type": "Bearer"})

    async def about(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer t-1"
        return web.json_response(self.user)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    found = Provider()
    server = web.Application()
    server.add_routes([web.post("/token", found.token), web.get("/user", found.about)])
    runner = web.AppRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()


def app_of(**auth: Json) -> str:
    paths = ("register", "login", "logout", "oauth2/{provider}", "oauth2/{provider}/callback", "me")
    routes = [{"path": f"/auth/{path}", "handler": "auth"} for path in paths]
    private: Json = {
        "method": "GET",
        "path": "/private",
        "middlewares": ["signed-in"],
        "pipeline": {
            "steps": [
                {
                    "name": "out",
                    "type": "step.json_response",
                    "config": {"body": {"email": "{{ .request.auth.email }}"}},
                }
            ]
        },
    }
    routes += [private, {**private, "method": "POST"}]
    modules = [
        {"name": "web", "type": "http.server", "config": {"address": ":0"}},
        {"name": "routes", "type": "http.router"},
        {"name": "db", "type": "database.workflow", "config": {"driver": "sqlite", "dsn": "a.db"}},
        {"name": "users", "type": "auth.user-store", "config": {"database": "db"}},
        {"name": "auth", "type": "auth.modular", "config": {"jwt": {"secret": SECRET}, **auth}},
        {"name": "signed-in", "type": "http.middleware.auth"},
    ]
    return json.dumps({"modules": modules, "workflows": {"http": {"routes": routes}}})


def cookie(answer: Answer, name: str) -> tuple[str, str]:
    """Return the pair of a cookie that an answer sets, and its attributes."""
    for key, value in answer.headers.items():
        if key.lower() == "set-cookie" and value.startswith(f"{name}="):
            pair, _, rest = value.partition("; ")
            return pair, rest
    raise AssertionError(f"no cookie {name}")


@pytest.mark.feature("S1-27")
async def test_a_session_of_a_cookie_lasts_until_its_logout(tmp_path: Path) -> None:
    """The cookie opens protected routes, also after a restart, and no longer after the logout."""
    session = {"cookie_name": "sid", "max_age": "1h", "same_site": "strict", "store": "database"}
    path = written(tmp_path, app_of(session=session))
    async with running(path) as app:
        assert (await app.call("GET", "/private")).status == 401
        pair, rest = cookie(await app.call("POST", "/auth/register", USER), "sid")
        assert rest == "Path=/; Max-Age=3600; SameSite=Strict; Secure; HttpOnly"
        given = {"Cookie": f"other=1; {pair}"}
        assert (await app.call("GET", "/private", headers=given)).body == {"email": USER["email"]}
        assert (await app.call("GET", "/auth/me", headers=given)).body["name"] == "Ada"
        for value in ("sid=", "sid=x", f"{pair}x", pair.replace("sid", "session")):
            found = await app.call("GET", "/private", headers={"Cookie": value})
            assert found.status == 401
        # A page of another origin sends it too, and cannot use it to write.
        foreign = {**given, "Origin": "https://evil.example"}
        assert (await app.call("POST", "/private", {}, foreign)).status == 401
        own = {**given, "Origin": app.url}
        assert (await app.call("POST", "/private", {}, own)).status == 200
    async with running(path) as app:
        assert (await app.call("GET", "/private", headers=given)).status == 200
        ended = await app.call("POST", "/auth/logout", headers=given)
        assert cookie(ended, "sid")[1].startswith("Path=/; Max-Age=0;")
        assert (await app.call("GET", "/private", headers=given)).status == 401


@pytest.mark.feature("S1-27")
async def test_a_cookie_is_no_token_and_a_token_no_cookie(tmp_path: Path) -> None:
    """Each is of its kind, so that a script that reads one cannot use it as the other."""
    async with running(written(tmp_path, app_of(session={"secure": False}))) as app:
        answer = await app.call("POST", "/auth/register", USER)
        pair, rest = cookie(answer, "session")
        assert "Secure" not in rest
        bearer = {"Authorization": f"Bearer {pair.partition('=')[2]}"}
        assert (await app.call("GET", "/private", headers=bearer)).status == 401
        swapped = {"Cookie": f"session={answer.body['token']}"}
        assert (await app.call("GET", "/private", headers=swapped)).status == 401


async def begun(app: RunningApp, provider: Provider) -> tuple[str, dict[str, str]]:
    """Begin a login; return its state and the headers of its browser."""
    answer = await app.call("GET", "/auth/oauth2/acme")
    assert answer.status == 302
    place = urlsplit(answer.headers["location"])
    query = {key: each[0] for key, each in parse_qs(place.query).items()}
    assert f"{place.scheme}://{place.netloc}{place.path}" == f"{provider.url}/authorize"
    assert (query["client_id"], query["scope"]) == ("app", "openid email")
    assert query["redirect_uri"] == f"{app.url}/auth/oauth2/acme/callback"
    provider.challenges["c-1"] = query["code_challenge"]
    return query["state"], {"Cookie": cookie(answer, "oauth2")[0]}


def acme(provider: Provider, **more: Json) -> Json:
    named = {
        "client_id": "app",
        "client_secret": "app-secret",
        "auth_url": f"{provider.url}/authorize",
        "token_url": f"{provider.url}/token",
        "user_info_url": f"{provider.url}/user",
        "scopes": ["openid", "email"],
        **more,
    }
    return {"providers": {"acme": named}}


@pytest.mark.feature("S1-27")
async def test_a_provider_logs_its_users_in(provider: Provider, tmp_path: Path) -> None:
    """The callback begins a session of a new user, and later of the same one."""
    provider.user = {"sub": "7", "email": "bob@example.com", "email_verified": True, "name": "Bob"}
    path = written(tmp_path, app_of(oauth2=acme(provider), session={}))
    ids = set()
    async with running(path) as app:
        for _ in range(2):
            state, browser = await begun(app, provider)
            back = f"/auth/oauth2/acme/callback?code=c-1&state={state}"
            answer = await app.call("GET", back, headers=browser)
            assert (answer.status, answer.body["user"]["name"]) == (200, "Bob")
            ids.add(answer.body["user"]["id"])
            bearer = {"Authorization": f"Bearer {answer.body['token']}"}
            seen = await app.call("GET", "/private", headers=bearer)
            assert seen.body == {"email": "bob@example.com"}
        assert len(ids) == 1
        assert (await app.call("GET", "/auth/oauth2/none")).status == 404


@pytest.mark.feature("S1-27")
async def test_a_foreign_or_false_callback_logs_nobody_in(
    provider: Provider, tmp_path: Path
) -> None:
    """Another browser, another state, a wrong code, an unverified address, a taken address."""
    provider.user = {"sub": "7", "email": USER["email"], "email_verified": False}
    async with running(written(tmp_path, app_of(oauth2=acme(provider)))) as app:
        state, browser = await begun(app, provider)
        back = f"/auth/oauth2/acme/callback?code=c-1&state={state}"
        assert (await app.call("GET", back)).status == 403
        other = {"Cookie": "oauth2=other"}
        assert (await app.call("GET", back, headers=other)).body["code"] == "LOGIN_FOREIGN"
        forged = back.replace(f"state={state}", f"state={state}x")
        assert (await app.call("GET", forged, headers=browser)).status == 403
        wrong = back.replace("c-1", "c-2")
        assert (await app.call("GET", wrong, headers=browser)).status == 401
        denied = f"/auth/oauth2/acme/callback?error=access_denied&state={state}"
        assert (await app.call("GET", denied, headers=browser)).status == 401
        assert (await app.call("GET", back, headers=browser)).status == 403
        provider.user["email_verified"] = True
        await app.call("POST", "/auth/register", USER)
        taken = await app.call("GET", back, headers=browser)
        assert (taken.status, taken.body["code"]) == (409, "USER_EXISTS")


@pytest.mark.feature("S1-27")
@pytest.mark.parametrize(
    ("auth", "word"),
    [
        ({"session": {"cookie": "a"}}, "cookie_name"),
        ({"session": {"store": "redis"}}, "session.store"),
        ({"session": {"same_site": "none", "secure": False}}, "secure"),
        ({"session": {"secure": "yes"}}, "secure"),
        ({"session": {"max_age": "soon"}}, "session.max_age"),
        ({"session": {"cookie_name": "a;b"}}, "cookie_name"),
        ({"jwt": {"algorithm": "none"}}, "jwt.algorithm"),
        ({"jwt": {"expires": "1h"}}, "'expires'"),
        ({"oauth2": {"provider": {}}}, "providers"),
        ({"oauth2": {"providers": {"a": {"client_id": "x"}}}}, "client_secret"),
        ({"password": {"min_length": 4}}, "min_length"),
    ],
)
def test_a_part_that_cannot_be_honoured_is_refused(auth: Json, word: str, tmp_path: Path) -> None:
    """Unknown keys and values of every part are errors."""
    path = written(tmp_path, app_of(**auth))
    errors = [e for e in check(path, Loading(environment={})).problems if not e.warning]
    assert [each.code for each in errors] == ["APP_CONFIG_INVALID"]
    assert word in errors[0].message
