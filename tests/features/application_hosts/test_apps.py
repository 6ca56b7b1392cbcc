"""Applications from configuration files run: servers, resources, users, pipelines, databases."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
import yaml

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.offline.checking import silent_log
from flowmesh.apps.runtime.application import Application
from flowmesh.errors import FlowmeshError
from tests.features.apps import ROOT, SECRET, RunningApp, running, written

SHOP = ROOT / "examples" / "apps" / "shop" / "app.yaml"
SEED = """\
name: "Example Workflow"
modules:
  - name: "http-server"
    type: "http.server"
    config: {address: ":${PORT:-8080}"}
  - name: "jwt-auth"
    type: "auth.jwt"
    config: {secret: "${JWT_SECRET}", token_expiry: "24h"}
  - name: "health"
    type: "health.checker"
    config: {path: "/healthz"}
  - name: "metrics"
    type: "metrics.collector"
    config: {path: "/metrics", namespace: "myapp"}
  - name: "api-router"
    type: "http.router"
    config:
      routes: [{path: "/api/v1/users", method: "GET", handler: "user-handler"}]
workflows:
  - name: "main-workflow"
    type: "http"
    config:
      endpoints:
        - path: "/health"
          method: "GET"
          response: {statusCode: 200, body: '{"status": "ok"}'}
triggers:
  - name: "http-trigger"
    type: "http"
    config: {route: "/api/v1/orders", method: "POST", workflow: "order-workflow", action: "go"}
"""


@pytest.fixture(scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningApp]:
    folder = tmp_path_factory.mktemp("shop")
    async with running(SHOP, environment={"DATABASE": str(folder / "shop.db")}) as app:
        yield app


async def token(app: RunningApp, address: str) -> dict[str, str]:
    body = {"email": address, "password": "correct horse"}
    answer = await app.call("POST", "/api/auth/register", body)
    assert answer.status == 201, answer.body
    return {"Authorization": f"Bearer {answer.body['token']}"}


@pytest.mark.feature("S1-01", "S1-94", "S1-95", "S1-10", "S1-63", "S1-64")
async def test_the_example_of_the_format_runs_with_two_warnings(tmp_path: Path) -> None:
    """Fixed answers, health and metrics are served; unresolved names answer 501."""
    async with running(written(tmp_path, SEED)) as app:
        assert [each.code for each in app.application.findings] == [
            "HANDLER_UNRESOLVED",
            "WORKFLOW_UNRESOLVED",
        ]
        health = await app.call("GET", "/health")
        assert (health.status, health.body) == (200, {"status": "ok"})
        assert (await app.call("GET", "/healthz")).status == 200
        assert (await app.call("GET", "/api/v1/users")).status == 501
        assert (await app.call("POST", "/api/v1/orders", {})).status == 501
        assert (await app.call("DELETE", "/health")).headers["Allow"] == "GET, HEAD, OPTIONS"
        metrics = (await app.call("GET", "/metrics")).body.decode()
        assert 'myapp_http_requests_total{method="GET",route="/health",status="200"} 1.0' in metrics


WATCHED = """\
modules:
  - {name: web, type: http.server, config: {address: ":0"}}
  - {name: health, type: health.checker}
  - {name: files, type: static.fileserver, config: {root: public, prefix: /files}}
"""


@pytest.mark.feature("S1-64")
async def test_an_unhealthy_module_makes_the_application_unhealthy(tmp_path: Path) -> None:
    """The answer names the module; the process is alive, and healthy again when the module is."""
    public = tmp_path / "public"
    public.mkdir()
    async with running(written(tmp_path, WATCHED)) as app:
        assert (await app.call("GET", "/readyz")).status == 200
        public.rmdir()
        for path in ("/healthz", "/readyz"):
            answer = await app.call("GET", path)
            assert (answer.status, answer.body["checks"]["files"]["status"]) == (503, "unhealthy")
        assert (await app.call("GET", "/livez")).status == 200
        public.mkdir()
        assert (await app.call("GET", "/readyz")).status == 200


ROUTED = """\
modules:
  - {name: web, type: http.server, config: {address: ":0"}}
  - name: router
    type: http.router
    config:
      routes:
        - {path: /hello, method: GET, handler: hello}
        - {path: "/hello/{name}", method: PUT, handler: named}
  - {name: hello, type: http.handler, config: {body: hello, contentType: text/plain}}
  - {name: named, type: http.handler, config: {body: named, contentType: text/plain}}
"""


@pytest.mark.feature("S1-11", "S1-12")
async def test_a_router_leads_to_the_handler_of_method_and_path(tmp_path: Path) -> None:
    """Another method answers 405 with those that are allowed, another path 404."""
    async with running(written(tmp_path, ROUTED)) as app:
        assert (await app.call("GET", "/hello")).body == b"hello"
        assert (await app.call("PUT", "/hello/ada", {})).body == b"named"
        wrong = await app.call("DELETE", "/hello")
        assert (wrong.status, wrong.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
        assert (await app.call("GET", "/hello/ada")).status == 405
        assert (await app.call("GET", "/other")).status == 404


NOTES = """\
modules:
  - {name: web, type: http.server, config: {address: ":0"}}
  - {name: db, type: database.workflow, config: {driver: sqlite, dsn: notes.db}}
  - {name: store, type: persistence.store, config: {database: db}}
  - {name: notes, type: api.handler, config: {resourceName: notes}}
workflows:
  http:
    routes:
      - {method: POST, path: /notes, handler: notes}
      - {method: GET, path: "/notes/{id}", handler: notes}
"""


@pytest.mark.feature("S1-42")
async def test_a_resource_is_written_through_and_outlives_a_restart(tmp_path: Path) -> None:
    """When the answer arrives, another connection reads the row; the next start serves it."""
    path = written(tmp_path, NOTES)
    async with running(path) as app:
        made = await app.call("POST", "/notes", {"text": "kept"})
        assert made.status == 201
        with closing(sqlite3.connect(tmp_path / "notes.db")) as other:
            tables = [name for (name,) in other.execute("SELECT name FROM sqlite_schema")]
            assert "resources" in tables, tables
            rows = other.execute("SELECT id, body FROM resources").fetchall()
    assert [(id, "kept" in body) for id, body in rows] == [(made.body["id"], True)]
    async with running(path) as app:
        again = await app.call("GET", f"/notes/{made.body['id']}")
    assert (again.status, again.body["data"]["text"]) == (200, "kept")


@pytest.mark.feature("S1-26", "S1-20", "S1-30", "S1-31", "S1-52", "S1-53", "S1-54", "S1-55")
async def test_a_buyer_orders_and_sees_only_own_orders(shop: RunningApp) -> None:
    """Commands and queries run their pipelines for the caller of the token."""
    ann, bob = await token(shop, "ann@shop.example"), await token(shop, "bob@shop.example")
    made = await shop.call("POST", "/api/orders", {"product": "p-1", "amount": 2}, ann)
    assert made.status == 201
    place = made.headers["Location"]
    assert (await shop.call("GET", place, headers=ann)).body == {
        "id": made.body["id"],
        "product": "p-1",
        "amount": 2,
        "status": "new",
    }
    assert (await shop.call("GET", place, headers=bob)).status == 404
    assert (await shop.call("GET", place)).status == 401
    assert len((await shop.call("GET", "/api/orders", headers=ann)).body) == 1


@pytest.mark.feature("S1-44")
async def test_wrong_bodies_are_refused_with_the_step(shop: RunningApp) -> None:
    """All violations come at once, and nothing is stored."""
    who = await token(shop, "eve@shop.example")
    answer = await shop.call("POST", "/api/orders", {"amount": 0}, who)
    assert (answer.status, answer.body["step"]) == (422, "check")
    assert {each["keyword"] for each in answer.body["violations"]} == {"required", "minimum"}
    broken = await shop.call("POST", "/api/orders", b'{"a": 1, "a": 2}', who)
    assert (broken.status, broken.body["code"]) == (400, "JSON_INVALID")
    large = await shop.call("POST", "/api/orders", b" " * (1 << 21), who)
    assert large.status == 413
    assert (await shop.call("GET", "/api/orders", headers=who)).body == []


@pytest.mark.feature("S1-53")
async def test_sql_in_a_parameter_is_data(shop: RunningApp) -> None:
    """An injection that would select the orders of every buyer finds none."""
    victim = await token(shop, "victor@shop.example")
    made = await shop.call("POST", "/api/orders", {"product": "p-1", "amount": 1}, victim)
    assert made.status == 201
    who = await token(shop, "mallory@shop.example")
    for id in ("x' OR '1'='1' OR '1'='1", "x' OR 1=1 --", made.body["id"]):
        path = f"/api/orders/{quote(id)}"
        assert (await shop.call("GET", path, headers=who)).status == 404, id


@pytest.mark.feature("S1-29")
async def test_a_resource_is_listed_filtered_and_sorted(shop: RunningApp) -> None:
    """The seed is served with filters of fields and an entity tag."""
    names = [e["data"]["name"] for e in (await shop.call("GET", "/api/products?sort=price")).body]
    assert names == ["Lamp", "Chair", "Desk"]
    by_stock = (await shop.call("GET", "/api/products?sort=stock")).body
    assert [each["id"] for each in by_stock] == ["p-3", "p-2", "p-1"]
    assert len((await shop.call("GET", "/api/products?stock=0")).body) == 1
    one = await shop.call("GET", "/api/products/p-1")
    tag = {"If-None-Match": one.headers["ETag"]}
    assert (await shop.call("GET", "/api/products/p-1", headers=tag)).status == 304
    assert (await shop.call("GET", "/api/products/p-9")).status == 404


@pytest.mark.feature("S1-21", "S1-24", "S1-25")
async def test_middlewares_set_their_headers(shop: RunningApp) -> None:
    """CORS for the listed origin, an id for each request, security headers where named."""
    origin = {"Origin": "https://shop.example", "X-Request-ID": "given-1"}
    answer = await shop.call("GET", "/api/products", headers=origin)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example"
    assert answer.headers["X-Request-ID"] == "given-1"
    preflight = {**origin, "Access-Control-Request-Method": "POST"}
    asked = await shop.call("OPTIONS", "/api/orders", headers=preflight)
    assert (asked.status, "POST" in asked.headers["Access-Control-Allow-Methods"]) == (204, True)
    other = await shop.call("GET", "/api/products", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other.headers
    refused = await shop.call("POST", "/api/orders", {})
    assert (refused.status, refused.headers["X-Frame-Options"]) == (401, "DENY")


@pytest.mark.feature("S1-26")
async def test_refresh_tokens_rotate_and_logout_revokes(shop: RunningApp) -> None:
    """A reused refresh token ends its family; a forged or revoked token is refused."""
    body = {"email": "rita@shop.example", "password": "correct horse"}
    first = (await shop.call("POST", "/api/auth/register", body)).body
    again = await shop.call("POST", "/api/auth/register", {**body, "email": "RITA@shop.example"})
    assert again.status == 409
    refresh = {"refresh_token": first["refreshToken"]}
    second = await shop.call("POST", "/api/auth/refresh", refresh)
    assert second.status == 200
    assert (await shop.call("POST", "/api/auth/refresh", refresh)).status == 401
    old = {"Authorization": f"Bearer {second.body['token']}"}
    assert (await shop.call("GET", "/api/auth/profile", headers=old)).status == 401
    login = await shop.call("POST", "/api/auth/login", body)
    who = {"Authorization": f"Bearer {login.body['token']}"}
    assert (await shop.call("GET", "/api/auth/profile", headers=who)).body["email"] == body["email"]
    assert (await shop.call("POST", "/api/auth/logout", headers=who)).status == 200
    assert (await shop.call("GET", "/api/auth/profile", headers=who)).status == 401
    as_access = {"Authorization": f"Bearer {login.body['refreshToken']}"}
    assert (await shop.call("GET", "/api/auth/profile", headers=as_access)).status == 401
    wrong = await shop.call("POST", "/api/auth/login", {**body, "password": "wrong"})
    assert wrong.status == 401


@pytest.mark.feature("S1-76", "S1-65")
async def test_the_openapi_document_lists_every_route(shop: RunningApp) -> None:
    """The document is valid OpenAPI 3.1, in JSON and YAML; the logs are one query."""
    from openapi_spec_validator import validate

    document = (await shop.call("GET", "/api/openapi.json")).body
    validate(document)
    assert {"/api/orders", "/api/orders/{id}", "/api/products"} <= set(document["paths"])
    assert document["paths"]["/api/orders"]["post"]["security"] == [{"bearer": []}]
    as_yaml = yaml.safe_load((await shop.call("GET", "/api/openapi.yaml")).body)
    assert as_yaml == document
    lines = (await shop.call("GET", "/logs?module=host&q=listens")).body
    assert b"web listens on" in lines
    assert SECRET.encode() not in (await shop.call("GET", "/logs?limit=1000")).body


@pytest.mark.feature("S1-41", "S1-28")
async def test_users_and_rows_outlive_a_restart(tmp_path: Path) -> None:
    """An answered write is there after the next start."""
    environment = {"DATABASE": str(tmp_path / "shop.db")}
    body = {"email": "kim@shop.example", "password": "correct horse"}
    async with running(SHOP, environment=environment) as app:
        who = await token(app, body["email"])
        order = await app.call("POST", "/api/orders", {"product": "p-2", "amount": 1}, who)
    async with running(SHOP, environment=environment) as app:
        login = await app.call("POST", "/api/auth/login", body)
        assert login.status == 200
        who = {"Authorization": f"Bearer {login.body['token']}"}
        found = await app.call("GET", order.headers["Location"], headers=who)
        assert found.status == 200


@pytest.mark.long
@pytest.mark.feature("S1-06", "S1-08", "S1-22")
async def test_a_stop_lets_running_requests_end(tmp_path: Path) -> None:
    """SIGTERM closes the listener, the running request is answered, and the exit code is 0."""
    path = written(
        tmp_path,
        "modules:\n"
        "  - {name: web, type: http.server, config: {address: ':0'}}\n"
        "  - {name: log, type: http.middleware.logging}\n"
        "  - {name: db, type: storage.sqlite, config: {dbPath: a.db}}\n"
        "workflows:\n  http:\n    routes:\n"
        "      - path: /slow\n        method: GET\n        middlewares: [log]\n"
        "        pipeline:\n          steps:\n"
        "            - type: step.db_query\n              config:\n                database: db\n"
        "                query: >-\n                  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL\n"
        "                  SELECT i + 1 FROM n WHERE i < 400000) SELECT max(i) AS last FROM n\n",
    )
    command = [sys.executable, "-m", "flowmesh.suite", "app", "run", str(path)]
    if not (ROOT / "services/flowmesh/suite/__main__.py").exists():
        code = "from flowmesh.suite.main import main; main()"
        command = [sys.executable, "-c", code, "app", "run", str(path)]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "FLOWMESH_CORE": "pure"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    line = (await process.stdout.readline()).decode()
    url = line.rpartition(" ")[2].strip()
    async with aiohttp.ClientSession() as session:
        running_call = asyncio.create_task(_body(session, f"{url}/slow"))
        while b"starting" not in await process.stderr.readline():
            pass
        await asyncio.wait([running_call], timeout=0.1)
        process.send_signal(signal.SIGTERM)
        assert await running_call == {"rows": [{"last": 400_000}], "count": 1}
    rest = await process.stderr.read()
    assert await process.wait() == 0
    assert b"GET /slow 200" in rest


async def _body(session: aiohttp.ClientSession, url: str) -> object:
    async with session.get(url) as answer:
        return await answer.json()


@pytest.mark.feature("S1-07")
async def test_a_failed_start_names_the_module_and_stops_the_others(tmp_path: Path) -> None:
    """A port that is taken and a database that is away are errors with the module's name."""
    text = (
        "modules:\n  - {name: web, type: http.server, config: {address: ':0'}}\n"
        "  - name: db\n    type: database.workflow\n"
        "    config: {driver: postgres, dsn: 'postgres://u@127.0.0.1:9/x'}\n"
    )
    path = written(tmp_path, text)
    document = load(path, Loading(environment={}))
    application = Application(document, log=silent_log("app"))
    with pytest.raises(FlowmeshError, match=r"the module db \(database.workflow\) did not start"):
        await application.start()
    assert application.addresses["web"].endswith(":0")


@pytest.mark.feature("S1-96")
def test_the_files_of_a_list_are_applications_of_their_own(tmp_path: Path) -> None:
    """A file of applications names others, each with its own modules."""
    from flowmesh.apps.document.loading import apps_in

    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\nmodules: []\n")
    listed = written(tmp_path, "applications:\n  - {name: a, config: a.yaml}\n  - b.yaml\n")
    names = [load(each, Loading(environment={})).name for each in apps_in(listed)]
    assert names == ["a", "b"]


@pytest.mark.feature("S1-20", "S1-23")
async def test_basic_credentials_keys_and_rates(tmp_path: Path) -> None:
    """A user logs in with each request, a key opens its route, and a fast caller gets 429."""
    routes = [
        {"method": "POST", "path": "/auth/register", "handler": "auth"},
        {"method": "GET", "path": "/basic", "handler": "ok", "middlewares": ["basic"]},
        {"method": "GET", "path": "/key", "handler": "ok", "middlewares": ["key"]},
        {"method": "GET", "path": "/slow", "handler": "ok", "middlewares": ["limit"]},
    ]
    modules = [
        {"name": "web", "type": "http.server", "config": {"address": ":0"}},
        {"name": "auth", "type": "auth.jwt", "config": {"secret": SECRET}},
        {
            "name": "ok",
            "type": "http.handler",
            "config": {"body": "fine", "contentType": "text/plain"},
        },
        {"name": "basic", "type": "http.middleware.auth", "config": {"authType": "Basic"}},
        {
            "name": "key",
            "type": "http.middleware.auth",
            "config": {"authType": "ApiKey", "secretKey": "k-123"},
        },
        {
            "name": "limit",
            "type": "http.middleware.ratelimit",
            "config": {"requestsPerMinute": 1, "burstSize": 2},
        },
    ]
    text = yaml.safe_dump({"modules": modules, "workflows": {"http": {"routes": routes}}})
    async with running(written(tmp_path, text)) as app:
        body = {"email": "a@b.example", "password": "correct horse"}
        assert (await app.call("POST", "/auth/register", body)).status == 201
        good = aiohttp.encode_basic_auth("a@b.example", "correct horse")
        bad = aiohttp.encode_basic_auth("a@b.example", "wrong horse")
        assert (await app.call("GET", "/basic", headers={"Authorization": good})).body == b"fine"
        refused = await app.call("GET", "/basic", headers={"Authorization": bad})
        assert (refused.status, refused.headers["WWW-Authenticate"][:5]) == (401, "Basic")
        assert (await app.call("GET", "/key", headers={"X-API-Key": "k-123"})).status == 200
        assert (await app.call("GET", "/key", headers={"X-API-Key": "k-124"})).status == 401
        statuses = [(await app.call("GET", "/slow")).status for _ in range(3)]
        assert statuses == [200, 200, 429]
        limited = await app.call("GET", "/slow")
        assert int(limited.headers["Retry-After"]) in range(1, 61)


@pytest.mark.feature("S1-14", "S1-19")
async def test_proxies_and_files(tmp_path: Path) -> None:
    """Requests are forwarded by the longest prefix; files are served, and nothing above them."""
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "index.html").write_text("<h1>home</h1>")
    (tmp_path / "public" / "a.txt").write_text("0123456789")
    (tmp_path / "public" / ".hidden").write_text("no")
    (tmp_path / "secret.txt").write_text("no")
    (tmp_path / "public" / "out.txt").symlink_to(tmp_path / "secret.txt")
    async with running(SHOP, environment={"DATABASE": str(tmp_path / "s.db")}) as shop:
        modules = [
            {"name": "web", "type": "http.server", "config": {"address": ":0"}},
            {"name": "router", "type": "http.router"},
            {
                "name": "simple",
                "type": "http.simple_proxy",
                "config": {
                    "targets": {
                        "/api": shop.url,
                        "/api/products/down": "http://127.0.0.1:9",
                        "/down": "http://127.0.0.1:9",
                    }
                },
            },
            {"name": "files", "type": "static.fileserver", "config": {"root": "public"}},
        ]
        async with running(written(tmp_path, yaml.safe_dump({"modules": modules}))) as front:
            assert len((await front.call("GET", "/api/products?stock=0")).body) == 1
            body = {"email": "p@b.example", "password": "correct horse"}
            assert (await front.call("POST", "/api/auth/register", body)).status == 201
            assert (await front.call("GET", "/down/x")).status == 502
            assert (await front.call("GET", "/api/products/p-1")).status == 200
            assert (await front.call("GET", "/api/products/down/x")).status == 502
            part = await front.call("GET", "/a.txt", headers={"Range": "bytes=2-4"})
            assert (part.status, part.body) == (206, b"234")
            assert (await front.call("GET", "/some/page")).body == b"<h1>home</h1>"
            for path in ("/.hidden", "/out.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/a%00"):
                assert (await front.call("GET", path)).status == 404, path


@pytest.mark.feature("S1-09", "S1-76")
async def test_the_tests_of_the_example_pass() -> None:
    """`app test` runs the requests of a file, and reports the first difference."""
    from flowmesh.apps.offline.testing import run_tests

    file = SHOP.parent / "shop.test.yaml"
    results = await run_tests(file, Loading(environment={}))
    assert [each.failure for each in results] == ["", "", ""]
