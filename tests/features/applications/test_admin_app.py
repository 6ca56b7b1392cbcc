"""The administration of applications, an application itself: on the host, against the suite."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from flowmesh.apps.document.loading import Loading, load
from flowmesh.testing.suite import Suite
from tests.features.apps import ROOT, SECRET, eventually

FOLDER = ROOT / "examples" / "apps" / "admin"
PASSWORD = "correct horse"
HELLO = """\
name: hello
modules:
- {name: web, type: http.server, config: {address: ":0"}}
- {name: router, type: http.router}
- {name: hello, type: http.handler, config: {path: /hello, method: GET, body: {hello: world}}}
"""


def test_most_routes_are_steps_without_a_delegate() -> None:
    """At least 60 % of the pipelines parse, query and answer; the others ask the suite."""
    document = load(FOLDER / "app.yaml", Loading(environment={"JWT_SECRET": SECRET}))
    assert not document.findings.failed
    routes = [each for each in document.routes if each.path.startswith("/api/v1/")]
    pipelines = [each.pipeline for each in routes if each.pipeline is not None]
    asking = {"step.delegate", "step.http_call"}
    plain = [each for each in pipelines if not asking & {step.type for step in each.steps}]
    assert len(routes) >= 45
    assert len(plain) / len(pipelines) >= 0.6


class Admin:
    """Calls of one user of the administration."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str = "") -> None:
        self._session, self._url = session, url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def of(self, token: str) -> "Admin":
        return Admin(self._session, self._url, token)

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self._session.request(
            method, f"{self._url}/api/v1{path}", json=body, headers=self._headers
        ) as answer:
            is_json = answer.content_type.endswith("json")
            return answer.status, await (answer.json() if is_json else answer.text())


@pytest.fixture
async def admin(suite: Suite) -> AsyncIterator[Admin]:
    """The administration, hosted by the suite that it administers."""
    files = {
        each.name: {"text": each.read_text()}
        for each in FOLDER.iterdir()
        if each.name != "app.yaml" and ".test." not in each.name
    }
    body = {
        "document": (FOLDER / "app.yaml").read_text(),
        "files": files,
        "environment": {
            "JWT_SECRET": SECRET,
            "SETUP_TOKEN": SECRET,
            "FLOWMESH_URL": suite.http_url,
            "PORT": "0",
        },
    }
    deployed = await suite.request("POST", "/api/v1/apps/admin:deploy", body)
    assert deployed.status in (201, 202), deployed.text

    async def address_of() -> str:
        app = (await suite.get("/api/v1/apps/admin")).json
        return str(app.get("addresses", {}).get("web", ""))

    address = await eventually(address_of, within_s=60)
    async with aiohttp.ClientSession() as session:
        yield Admin(session, f"http://{address}")
    await suite.request("DELETE", "/api/v1/apps/admin")


@pytest.mark.long
@pytest.mark.feature("S1-120", "S1-114")
async def test_the_administration_deploys_an_application(admin: Admin, suite: Suite) -> None:
    """Companies, versions, deployments, releases, each with a record; viewers only read."""
    user = {
        "email": "ann@a.example",
        "password": PASSWORD,
        "name": "Ann",
        "setupToken": SECRET,
    }
    status, answer = await admin.call("POST", "/auth/setup", user)
    assert status == 201, answer
    ann = admin.of(answer["access_token"])
    viewer = {"email": "bob@a.example", "password": PASSWORD, "name": "Bob", "role": "viewer"}
    assert (await ann.call("POST", "/auth/users", viewer))[0] == 201
    _, login = await admin.call("POST", "/auth/login", viewer)
    bob = admin.of(login["access_token"])
    company = {"name": "acme"}
    assert (await bob.call("POST", "/admin/companies", company))[0] == 403
    assert await ann.call("POST", "/admin/companies", company) == (201, {"id": 1})
    assert await bob.call("GET", "/admin/companies") == (200, [{"id": 1, **company}])
    change = {"document": HELLO}
    assert (await bob.call("PUT", "/admin/workflows/hello", change))[0] == 403
    assert await ann.call("PUT", "/admin/workflows/hello", change) == (
        200,
        {"name": "hello", "version": 1},
    )
    assert await ann.call("POST", "/admin/workflows/hello/deploy") == (
        200,
        {"version": 1, "release": 1},
    )
    _, state = await bob.call("GET", "/admin/workflows/hello/status")
    assert state["state"] == "running"
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{state['addresses']['web']}/hello") as answered,
    ):
        assert await answered.json() == {"hello": "world"}
    await ann.call("PUT", "/admin/workflows/hello", {"document": "modules: 1"})
    status, refused = await ann.call("POST", "/admin/workflows/hello/deploy")
    assert (status, refused["error"]["reason"]) == (409, "RELEASE_REFUSED")
    _, releases = await bob.call("GET", "/admin/workflows/hello/releases")
    assert [each["state"] for each in releases] == ["refused", "serving"]
    assert (await ann.call("POST", "/admin/workflows/hello/stop"))[1] == {"status": "stopped"}
    _, audit = await ann.call("GET", "/admin/audit")
    assert [each["action"].partition(".")[2] for each in audit] == [
        "create",
        "change",
        "deploy",
        "change",
        "stop",
    ]
    assert (await bob.call("GET", "/admin/audit"))[0] == 403
    await suite.request("DELETE", "/api/v1/apps/hello")
