"""Routes for operators follow the users of the application; files the middlewares of the server."""

from pathlib import Path
from typing import Any

import pytest

from flowmesh.apps.http.messages import Request
from tests.features.apps import SECRET, RunningApp, running, written

PARTS = """
name: guarded
modules:
- {name: web, type: http.server, config: {address: ":0"}}
- {name: routes, type: http.router}
- {name: engine, type: statemachine.engine, config: {adminPath: /machine}}
- {name: hooks, type: webhook.sender, config: {url: "http://127.0.0.1:9/"}}
"""
USERS = f"""
- {{name: auth, type: auth.jwt, config: {{secret: {SECRET}, setupToken: {SECRET}}}}}
workflows: {{http: {{routes: [
  {{method: POST, path: /auth/register, handler: auth}},
  {{method: POST, path: /auth/setup, handler: auth}}]}}}}
"""
KEY = "- {name: key, type: http.middleware.auth, config: {authType: ApiKey, secretKey: k-1}}\n"
PATHS = ("/machine/instances", "/machine/dead-letters", "/webhooks/dead-letters")


async def statuses(app: RunningApp, headers: dict[str, str] | None = None) -> set[int]:
    return {(await app.call("GET", path, headers=headers)).status for path in PATHS}


def account(name: str) -> Any:
    return {"email": f"{name}@example.com", "name": name, "password": "correct horse 9"}


@pytest.mark.feature("S1-73", "S1-32")
async def test_with_users_operators_have_the_role_admin(tmp_path: Path) -> None:
    """Without a token 401, with that of another role 403; a write is refused alike."""
    async with running(written(tmp_path, PARTS + USERS)) as app:
        assert await statuses(app) == {401}
        assert await statuses(app, {"Authorization": "Bearer x.y.z"}) == {401}
        assert (await app.call("POST", "/machine/dead-letters/1/retry")).status == 401
        assert (await app.call("POST", "/webhooks/dead-letters/1/retry")).status == 401
        made = await app.call("POST", "/auth/setup", {**account("root"), "setupToken": SECRET})
        admin = {"Authorization": f"Bearer {made.body['token']}"}
        assert await statuses(app, admin) == {200}
        user = (await app.call("POST", "/auth/register", account("ada"))).body["token"]
        assert await statuses(app, {"Authorization": f"Bearer {user}"}) == {403}


async def test_without_users_the_credentials_of_the_middleware_count(tmp_path: Path) -> None:
    """An application with a key admits its holders."""
    async with running(written(tmp_path, PARTS + KEY)) as app:
        assert await statuses(app) == {401}
        assert await statuses(app, {"X-API-Key": "k-1"}) == {200}


async def test_without_any_credentials_only_this_machine_is_answered(tmp_path: Path) -> None:
    """A request of another machine, or that a proxy has forwarded, is refused."""
    async with running(written(tmp_path, PARTS)) as app:
        assert await statuses(app) == {200}
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
            assert await statuses(app, {name: "203.0.113.7"}) == {403}
        for client, status in (("127.0.0.1", 200), ("203.0.113.7", 403)):
            for path in PATHS:
                request = Request(method="GET", path=path, headers=[], client=client)
                assert (await app.application.call(request)).status == status


@pytest.mark.feature("S1-19")
@pytest.mark.parametrize("router", ["", "- {name: site, type: http.router}\n"])
async def test_files_are_served_within_the_middlewares_of_the_server(
    tmp_path: Path, router: str
) -> None:
    """Headers are set, and a missing key is refused, also where no router leads to the files."""
    text = f"""
name: site
modules:
- {{name: web, type: http.server, config: {{address: ":0", middlewares: [headers, key]}}}}
{router}- {{name: headers, type: http.middleware.securityheaders}}
{KEY}- {{name: files, type: static.fileserver, config: {{root: public}}}}
"""
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "index.html").write_text("<p>hello")
    async with running(written(tmp_path, text)) as app:
        assert (await app.call("GET", "/index.html")).status == 401
        found = await app.call("GET", "/index.html", headers={"X-API-Key": "k-1"})
        assert (found.status, found.body) == (200, b"<p>hello")
        assert found.headers["X-Frame-Options"] == "DENY"
