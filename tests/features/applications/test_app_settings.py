"""Settings of modules do what they say: clients, proxies, databases, machines, buses, events."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.checking import check
from flowmesh.contract.json_value import Json
from flowmesh.testing.polling import pause
from tests.features.applications.test_app_parts import app_of, delegate
from tests.features.apps import RunningApp, eventually, running, written


class Upstream:
    """A server that fails as often as it is told."""

    def __init__(self) -> None:
        self.failures = 0
        self.ill = False
        self.calls: list[web.Request] = []
        self.at_once = 0
        self.most = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.calls.append(request)
        if request.path == "/health":
            return web.Response(status=500 if self.ill else 204)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await pause(0.02)
        self.at_once -= 1
        if self.failures:
            self.failures -= 1
            return web.Response(status=503)
        return web.json_response({"ok": True})


@asynccontextmanager
async def upstream() -> AsyncIterator[tuple[Upstream, str]]:
    found = Upstream()
    server = web.Application()
    server.add_routes([web.route("*", "/{rest:.*}", found.handle)])
    runner = web.AppRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield found, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def step(path: str, kind: str, method: str = "POST", **config: Json) -> Json:
    """Return a route with one step, and an answer of its output."""
    steps = [
        {"name": "in", "type": "step.request_parse", "config": {"parse_body": True}},
        {"name": "do", "type": kind, "config": config},
        {"name": "out", "type": "step.json_response", "config": {"body_from": "steps.do"}},
    ]
    return {"method": method, "path": path, "pipeline": steps}


@pytest.mark.feature("S1-16")
async def test_a_client_repeats_and_bounds_its_calls(tmp_path: Path) -> None:
    """Retries of the client and of a step, connections at once, plain bodies, and the log."""
    async with upstream() as (server, url):
        config = {
            "baseURL": url,
            "retry": {"attempts": 3, "backoff": "1ms"},
            "max_idle_conns_per_host": 2,
            "disable_compression": True,
            "verbose": True,
            "verbose_options": {"log_headers": True},
            "headers": {"X-Api-Key": "hidden"},
        }
        call = {"url": "/x", "client": "client"}
        routes = [
            step("/get", "step.http_call", **call, method="GET"),
            step("/post", "step.http_call", **call, method="POST"),
            step("/own", "step.http_call", **call, method="GET", retry={"attempts": 1}),
        ]
        for each, method in zip(routes, ("GET", "POST", "GET"), strict=True):
            each["pipeline"][1]["config"]["method"] = method
            each["method"] = "POST"
        client = {"name": "client", "type": "httpclient.modular", "config": config}
        async with running(written(tmp_path, app_of(client, routes=routes))) as app:
            server.failures = 2
            assert (await app.call("POST", "/get", {})).status == 200
            assert len(server.calls) == 3
            server.failures = 1
            # A POST may have had its effect.
            assert (await app.call("POST", "/post", {})).status == 502
            server.failures = 1
            assert (await app.call("POST", "/own", {})).status == 502
            assert {each.headers["Accept-Encoding"] for each in server.calls} == {"identity"}
            await asyncio.gather(*(app.call("POST", "/get", {}) for _ in range(6)))
            assert server.most == 2
            found = app.application.built.log.read(module="client", limit=1)[0]
            assert (found["status"], found["headers"]["X-Api-Key"]) == (200, "***")


@pytest.mark.feature("S1-18")
async def test_a_backend_has_its_breaker_and_its_health_check(tmp_path: Path) -> None:
    """Failures in a row open the circuit for its time; an unhealthy backend gets no requests."""
    async with upstream() as (server, url):
        rules = {"circuit_breaker": {"failure_threshold": 2, "open_timeout": "200ms"}}
        config: Json = {
            "backend_services": {"a": url},
            "default_backend": "a",
            "backend_configs": {"a": rules},
        }
        proxy = {"name": "proxy", "type": "reverseproxy", "config": config}
        router = {"name": "router", "type": "http.router"}
        async with running(written(tmp_path, app_of(router, proxy))) as app:
            server.failures = 2
            statuses = [(await app.call("GET", "/x")).status for _ in range(4)]
            assert (statuses, len(server.calls)) == ([503] * 4, 2)

            async def closed() -> bool:
                return (await app.call("GET", "/x")).status == 200

            await eventually(closed)
        checking = {"endpoint": "/health", "interval": "10ms", "expected_status_codes": [204]}
        config["backend_configs"] = {"a": {"health_check": checking}}
        health = {"name": "health", "type": "health.checker"}
        async with running(written(tmp_path, app_of(router, proxy, health))) as app:
            assert (await app.call("GET", "/x")).status == 200
            server.ill = True

            async def refused() -> bool:
                found = await app.call("GET", "/x")
                return found.status == 503 and found.body["code"] == "BACKEND_OPEN"

            await eventually(refused)
            checks = (await app.call("GET", "/healthz")).body["checks"]
            assert checks["proxy"]["message"] == "unhealthy backends: a"
            server.ill = False
            await eventually(lambda: _answers(app, "/x"))


async def _answers(app: RunningApp, path: str) -> bool:
    return (await app.call("GET", path)).status == 200


@pytest.mark.feature("S1-71", "S1-53", "S1-83", "S1-35")
async def test_databases_and_what_stands_on_them(tmp_path: Path) -> None:
    """A journal without WAL, rows of RETURNING as asked, and a list of what is loaded."""
    exec_ = {"database": "db", "query": "INSERT INTO t VALUES ('x') RETURNING id"}
    routes = [
        step("/rows", "step.db_exec", **exec_),
        step("/none", "step.db_exec", **exec_, returning=False),
    ]
    migrations = ["CREATE TABLE t (id TEXT)"]
    modules: list[Json] = [
        {
            "name": "db",
            "type": "storage.sqlite",
            "config": {"dbPath": "a.db", "walMode": False, "migrations": migrations},
        },
        {"name": "loaded", "type": "workflow.registry", "config": {"storageBackend": "db"}},
    ]
    named: Json = {"steps": [{"name": "s", "type": "step.set", "config": {"values": {}}}]}
    text = app_of(*modules, routes=routes, pipelines={"tidy": named})
    async with running(written(tmp_path, text)) as app:
        assert (await app.call("POST", "/rows", {})).body["rows"] == [{"id": "x"}]
        assert "rows" not in (await app.call("POST", "/none", {})).body
        assert not (tmp_path / "a.db-wal").exists()
        with closing(sqlite3.connect(tmp_path / "a.db")) as file:
            assert file.execute("PRAGMA journal_mode").fetchone() == ("delete",)
            rows = file.execute("SELECT name, kind FROM workflow_registry").fetchall()
        assert ("tidy", "pipeline") in rows


@pytest.mark.feature("S1-32", "S1-80", "S1-30")
async def test_machines_schemas_and_resources(tmp_path: Path) -> None:
    """Ended instances go after their time, schemas are of their draft, fields have roles."""
    seven = {"type": "array", "items": [{"type": "string"}], "additionalItems": False}
    four = {"type": "number", "maximum": 3, "exclusiveMaximum": True}
    modules: list[Json] = [
        {"name": "engine", "type": "statemachine.engine", "config": {"instanceTTL": "50ms"}},
        {
            "name": "schemas",
            "type": "jsonschema.modular",
            "config": {"draft": 7, "schemas": {"pair": seven}},
        },
        {
            "name": "things",
            "type": "api.handler",
            "config": {"resourceName": "things", "fieldMapping": {"id": "key", "state": "phase"}},
        },
    ]
    definition = {
        "name": "d",
        "initialState": "a",
        "states": {"a": {}, "b": {"isFinal": True}},
        "transitions": {"go": {"fromState": "a", "toState": "b"}},
    }
    routes = [
        {"path": "/things", "handler": "things"},
        {"path": "/things/{id}", "handler": "things"},
        delegate("/get", "engine", "get"),
    ]
    machine = {"engine": "engine", "definitions": [definition]}
    trigger = {"method": "POST", "path": "/go", "workflow": "d", "action": "go"}
    text = app_of(
        *modules,
        routes=routes,
        workflows={"statemachine": machine},
        triggers={"http": {"routes": [trigger]}},
    )
    async with running(written(tmp_path, text)) as app:
        assert (await app.call("POST", "/validate/pair", ["a"])).status == 200
        assert (await app.call("POST", "/validate/pair", ["a", 1])).status == 422
        assert (await app.call("POST", "/validate/pair", [1])).status == 422
        made = await app.call("POST", "/things", {"key": "k-1", "phase": "hot"})
        assert (made.body["id"], made.body["state"]) == ("k-1", "hot")
        assert (await app.call("PUT", "/things/k-1", {"phase": "cold"})).body["state"] == "cold"
        assert (await app.call("POST", "/go", {"id": "i-1"})).body["state"] == "b"

        async def gone() -> bool:
            return (await app.call("POST", "/get", {"id": "i-1"})).status == 404

        await eventually(gone)
    for draft, schema, valid in ((4, four, True), ("2020-12", four, False), (7, seven, True)):
        config = {"draft": draft, "schemas": {"a": schema}}
        module = {"name": "s", "type": "jsonschema.modular", "config": config}
        problems = check(written(tmp_path, app_of(module)), Loading(environment={})).problems
        assert (not [each for each in problems if not each.warning]) == valid, draft


@pytest.mark.feature("S1-67")
async def test_the_event_log_writes_what_it_is_asked_to(tmp_path: Path) -> None:
    """Starts, requests, runs and stops, by level and type, in files of either format."""
    targets = [
        {"type": "file", "path": "logs/all.ndjson", "format": "json"},
        {"type": "file", "path": "logs/errors.txt", "format": "text", "level": "ERROR"},
        {"type": "console", "enabled": False},
    ]
    config = {"outputTargets": targets, "bufferSize": 1_000, "flushInterval": "1h"}
    events = {"name": "events", "type": "eventlogger.modular", "config": config}
    routes = [
        step("/ok", "step.set", values={"a": 1}),
        step("/bad", "step.db_exec", database="db", query="DELETE FROM none"),
    ]
    db = {"name": "db", "type": "database.workflow", "config": {"driver": "sqlite", "dsn": "a.db"}}
    async with running(written(tmp_path, app_of(events, db, routes=routes))) as app:
        assert (await app.call("POST", "/ok", {})).status == 200
        assert (await app.call("POST", "/bad", {})).status == 422
        # They wait for the end of the buffer, or of the interval.
        assert not (tmp_path / "logs").exists()
    lines = (tmp_path / "logs" / "all.ndjson").read_bytes().splitlines()
    found = [orjson.loads(each) for each in lines]
    assert [each["type"].removeprefix("com.flowmesh.") for each in found] == [
        "application.starting",
        "pipeline.completed",
        "request.served",
        "pipeline.failed",
        "request.served",
        "application.stopped",
    ]
    assert {each["source"] for each in found} == {"/apps/parts"}
    assert found[2]["data"] | {"ms": 0, "bytes": 0} == {
        "method": "POST",
        "route": "/ok",
        "status": 200,
        "ms": 0,
        "bytes": 0,
    }
    errors = (tmp_path / "logs" / "errors.txt").read_text().splitlines()
    assert len(errors) == 1
    assert "com.flowmesh.pipeline.failed pipeline=POST /bad" in errors[0]


@pytest.mark.feature("S1-67")
async def test_the_event_log_leaves_out_levels_and_details(tmp_path: Path) -> None:
    """Above its level, without metadata, and at once beyond its buffer."""
    config = {
        "logLevel": "ERROR",
        "includeMetadata": False,
        "bufferSize": 1,
        "outputTargets": [{"type": "file", "path": "e.ndjson"}],
    }
    events = {"name": "events", "type": "eventlogger.modular", "config": config}
    routes = [step("/bad", "step.http_call", url="http://127.0.0.1:9")]
    async with running(written(tmp_path, app_of(events, routes=routes))) as app:
        assert (await app.call("POST", "/bad", {})).status == 502
        assert (tmp_path / "e.ndjson").stat().st_size > 0
    lines = (tmp_path / "e.ndjson").read_bytes().splitlines()
    kinds = [orjson.loads(each)["type"].rpartition("flowmesh.")[2] for each in lines]
    assert kinds == ["pipeline.failed", "request.served"]
    assert set(orjson.loads(lines[0])) == {"specversion", "id", "type", "data"}


@pytest.mark.parametrize(
    ("kind", "config", "word"),
    [
        ("eventlogger.modular", {"logLevel": "LOUD"}, "logLevel"),
        ("eventlogger.modular", {"format": "xml"}, "format"),
        ("eventlogger.modular", {"outputTargets": [{"type": "syslog"}]}, "console or file"),
        ("eventlogger.modular", {"outputTargets": [{"type": "file"}]}, "needs a path"),
        ("httpclient.modular", {"retry": {"tries": 2}}, "attempts and backoff"),
        ("httpclient.modular", {"verbose_options": {"log_to_file": True}}, "log_body"),
        ("api.handler", {"fieldMapping": {"name": "n"}}, "id, state"),
        ("eventbus.modular", {"engine": "kafka", "retentionDays": 3}, "retentionDays"),
        ("statemachine.engine", {"redisURL": "http://a"}, "redisURL"),
        (
            "dynamic.component",
            {"source": "def execute(p):\n    return p\n", "requires": ["x"]},
            "x",
        ),
    ],
)
def test_a_setting_that_cannot_be_honoured_is_refused(
    kind: str, config: Json, word: str, tmp_path: Path
) -> None:
    """The error names the key, and what would be right."""
    text = app_of({"name": "part", "type": kind, "config": config})
    problems = check(written(tmp_path, text), Loading(environment={})).problems
    errors = [each.message for each in problems if not each.warning]
    assert len(errors) == 1
    assert word in errors[0], errors


@pytest.mark.feature("S1-40")
async def test_an_event_bus_has_its_workers(tmp_path: Path) -> None:
    """So many receivers run at once, whatever the subscriptions."""
    async with upstream() as (server, url):
        bus = {"name": "bus", "type": "eventbus.modular", "config": {"workerCount": 2}}
        handlers = [
            {
                "name": f"h{n}",
                "type": "messaging.handler",
                "config": {"topic": "t", "pipeline": "p"},
            }
            for n in range(6)
        ]
        send = {"name": "go", "type": "step.http_call", "config": {"url": f"{url}/x"}}
        publish = step("/publish", "step.publish", topic="t", payload={})
        text = app_of(bus, *handlers, routes=[publish], pipelines={"p": {"steps": [send]}})
        async with running(written(tmp_path, text)) as app:
            assert (await app.call("POST", "/publish", {})).status == 200

            async def all_done() -> bool:
                return len(server.calls) == 6 and not server.at_once

            await eventually(all_done)
        assert server.most == 2
