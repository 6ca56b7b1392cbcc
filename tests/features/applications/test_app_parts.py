"""Schedules, caches, traces, local objects and OpenAPI clients of applications."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from flowmesh.apps.data.sqlite import SqliteDatabase
from flowmesh.apps.scheduling.scheduler import Job, MemoryPositions, Scheduler, StoredPositions
from flowmesh.contract.json_value import Json
from flowmesh.embedded import EmbeddedServers
from flowmesh.triggers.schedule import Schedule
from tests.features.applications.test_app_messages import app, seen
from tests.features.apps import eventually, running, written

DAY_US = 86_400_000_000
pytestmark = pytest.mark.long


def app_of(*modules: Json, routes: list[Json] | None = None, **parts: Json) -> str:
    """An application with a server, modules and routes."""
    web_ = {"name": "web", "type": "http.server", "config": {"address": ":0"}}
    workflows = {"http": {"routes": routes or []}, **parts.pop("workflows", {})}
    document = {"name": "parts", "modules": [web_, *modules], "workflows": workflows, **parts}
    return json.dumps(document)


def delegate(path: str, service: str, operation: str = "") -> Json:
    """A route whose body is the input of an operation of a service."""
    config = {"service": service, "operation": operation, "input": "{{ .body }}"}
    return {
        "method": "POST",
        "path": path,
        "pipeline": [
            {"name": "in", "type": "step.request_parse", "config": {"parse_body": True}},
            {"name": "do", "type": "step.delegate", "config": config},
            {
                "name": "out",
                "type": "step.json_response",
                "config": {"body_from": "steps.do.result"},
            },
        ],
    }


class Clock:
    """A clock that a test moves."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


async def ran(
    positions: Any, clock: Clock, moments: list[int], catch_up: Any = "skip"
) -> list[int]:
    """The instants that a daily job fires at while a clock stands at each of these moments."""
    found: list[int] = []

    async def run(instant: int) -> None:
        found.append(instant // DAY_US)

    made = Scheduler(
        name="s", positions=positions, log=lambda *_, **__: None, check_s=0.05, now_us=clock
    )
    made.add(
        Job(name="j", schedule=Schedule("0 0 * * *"), run=run, catch_up=catch_up, overlap="allow")
    )
    await made.start()
    await made.open()
    for moment in moments:
        clock.at = moment
        await made.look()
    await made.close()
    return found


@pytest.mark.feature("S1-72", "S1-93")
async def test_each_instant_fires_once_also_when_the_clock_goes_back(tmp_path: Path) -> None:
    """A clock that is set back fires nothing again; what was missed is caught up as asked."""
    at = 100 * DAY_US
    clock = Clock(at - 10)
    moments = [at - 10, at + 5, at - 100, at + 10, at + DAY_US]
    assert await ran(MemoryPositions(), clock, moments) == [100, 101]
    for catch_up, expected in (("skip", []), ("once", [103]), ("all", [101, 102, 103])):
        database = SqliteDatabase(name="d", path=f"{catch_up}.db", folder=tmp_path)
        await database.start()
        stored = StoredPositions(database, "s")
        assert await ran(stored, Clock(at + 1), [at + 1], catch_up) == []
        late = at + 3 * DAY_US + 3_600_000_000
        assert await ran(stored, Clock(late), [late], catch_up) == expected, catch_up
        assert await ran(stored, Clock(late), [late], catch_up) == []
        await database.stop()


@pytest.mark.feature("S1-72", "S1-88", "S1-93", "S1-05")
async def test_jobs_of_schedulers_triggers_and_pipelines_run(tmp_path: Path) -> None:
    """Every way to write a job starts its handler, workflow or pipeline each second."""
    every = "* * * * * *"
    job_pipeline: Json = {
        "steps": [
            {
                "name": "save",
                "type": "step.db_exec",
                "config": {
                    "database": "db",
                    "query": "INSERT INTO seen (value, topic) VALUES (?, ?)",
                    "params": ["pipeline", "{{ .scheduledAt }}"],
                },
            }
        ]
    }

    def named(value: str, **rest: Json) -> Json:
        copy: Json = json.loads(json.dumps(job_pipeline))
        copy["steps"][0]["config"]["params"][0] = value
        return {**copy, **rest}

    text = app(
        modules=[
            {"name": "clock", "type": "scheduler.modular", "config": {"storageType": "db"}},
            {"name": "job", "type": "messaging.handler", "config": {"pipeline": "by-job"}},
        ],
        pipelines={
            "by-job": named("job"),
            "by-trigger": named("trigger"),
            "by-itself": named("itself", trigger={"type": "schedule", "config": {"cron": every}}),
        },
        workflows={
            "scheduler": {"jobs": [{"scheduler": "clock", "job": "job", "config": {"cron": every}}]}
        },
        triggers={"schedule": {"jobs": [{"cron": every, "workflow": "by-trigger"}]}},
    )
    async with running(written(tmp_path, text)) as found:

        async def all_ran() -> bool:
            rows = (await found.call("GET", "/seen")).body
            return {row["value"] for row in rows} >= {"job", "trigger", "itself"}

        assert await eventually(all_ran)
        rows = (await found.call("GET", "/seen")).body
        assert len({(row["value"], row["topic"]) for row in rows}) == len(rows)


ORDER = {"type": "object", "required": ["amount"], "properties": {"amount": {"minimum": 1}}}


@pytest.mark.feature("S1-80")
async def test_named_schemas_validate_documents(tmp_path: Path) -> None:
    """POST /validate/NAME and `step.validate` judge by that schema, inline or of a file."""
    (tmp_path / "name.json").write_text('{"type": "string", "maxLength": 3}')
    named = {"order": ORDER, "name": "name.json"}
    module = {"name": "schemas", "type": "jsonschema.modular", "config": {"schemas": named}}
    check = {"schema": "order", "source": "steps.in.body"}
    pipeline = [
        {"name": "in", "type": "step.request_parse", "config": {"parse_body": True}},
        {"name": "check", "type": "step.validate", "config": check},
        {"name": "out", "type": "step.json_response", "config": {"body": {"taken": True}}},
    ]
    route = {"method": "POST", "path": "/orders", "pipeline": pipeline}
    async with running(written(tmp_path, app_of(module, routes=[route]))) as found:
        good = await found.call("POST", "/validate/order", {"amount": 1})
        assert (good.status, good.body["valid"]) == (200, True)
        bad = await found.call("POST", "/validate/order", {"amount": 0})
        assert (bad.status, [each["keyword"] for each in bad.body["violations"]]) == (
            422,
            ["minimum"],
        )
        assert (await found.call("POST", "/validate/name", b'"abcd"')).status == 422
        assert (await found.call("POST", "/validate/none", {})).status == 404
        assert (await found.call("POST", "/orders", {"amount": 2})).body == {"taken": True}
        assert (await found.call("POST", "/orders", {})).status == 422


@pytest.mark.feature("S1-70", "S1-71")
@pytest.mark.parametrize("kind", ["storage.local", "storage.sqlite"])
async def test_objects_are_stored_listed_and_never_outside(tmp_path: Path, kind: str) -> None:
    """Put, get, list, delete, restart; keys that lead elsewhere, links included, are refused."""
    config = {"rootDir": "files"} if kind == "storage.local" else {"dbPath": "o.db"}
    store = {"name": "store", "type": kind, "config": config}
    routes = [delegate(f"/{each}", "store", each) for each in ("put", "get", "list", "delete")]
    async with running(written(tmp_path, app_of(store, routes=routes))) as found:
        await found.call("POST", "/put", {"key": "a/b.txt", "content": "text"})
        binary = {"key": "a/c", "base64": "/w=="}
        assert (await found.call("POST", "/put", binary)).body["size"] == 1
        got = (await found.call("POST", "/get", {"key": "a/b.txt"})).body
        assert (got["content"], got["size"]) == ("text", 4)
        assert (await found.call("POST", "/get", {"key": "a/c"})).body["base64"] == "/w=="
        listed = (await found.call("POST", "/list", {"prefix": "a/b"})).body["objects"]
        assert listed == [{"key": "a/b.txt", "size": 4}]
        for key in ("../x", "/etc/passwd", "a/../../x", "", "a//b", "a\\b"):
            assert (await found.call("POST", "/get", {"key": key})).status == 422, key
        assert (await found.call("POST", "/delete", {"key": "a/c"})).body["deleted"] is True
        assert (await found.call("POST", "/get", {"key": "a/c"})).status == 404
        if kind == "storage.sqlite":
            assert (tmp_path / "o.db").read_bytes()[:15] == b"SQLite format 3"
        if kind == "storage.local":
            (tmp_path / "files" / "out").symlink_to(tmp_path)
            answer = await found.call("POST", "/get", {"key": "out/app.yaml"})
            assert answer.status == 422
    async with running(tmp_path / "app.yaml") as again:
        assert (await again.call("POST", "/get", {"key": "a/b.txt"})).body["content"] == "text"


def cache_routes() -> list[Json]:
    def one(operation: str, **config: Json) -> Json:
        return {
            "method": "POST",
            "path": f"/{operation}",
            "pipeline": [
                {"name": "in", "type": "step.request_parse", "config": {"parse_body": True}},
                {
                    "name": "c",
                    "type": "step.cache",
                    "config": {"operation": operation, "key": "{{ .body.key }}", **config},
                },
                {"name": "out", "type": "step.json_response", "config": {"body_from": "steps.c"}},
            ],
        }

    return [one("get"), one("set", value="{{ .body.value }}", ttl="100ms"), one("delete")]


@pytest.mark.feature("S1-79")
@pytest.mark.parametrize("engine", ["memory", "redis"])
async def test_a_cached_value_ends_with_its_time(
    tmp_path: Path, servers: EmbeddedServers, engine: str
) -> None:
    """Values are kept until their time, or a delete; another application does not see them."""
    config = {"engine": engine, "redisURL": servers.redis}
    cache = {"name": "cache", "type": "cache.modular", "config": config}
    async with running(written(tmp_path, app_of(cache, routes=cache_routes()))) as found:
        await found.call("POST", "/set", {"key": "a", "value": {"n": 1}})
        got = (await found.call("POST", "/get", {"key": "a"})).body
        assert (got["hit"], got["value"]) == (True, {"n": 1})

        async def gone() -> bool:
            return not (await found.call("POST", "/get", {"key": "a"})).body["hit"]

        assert await eventually(gone)
        await found.call("POST", "/set", {"key": "b", "value": 2})
        assert (await found.call("POST", "/delete", {"key": "b"})).body["deleted"] is True
        assert (await found.call("POST", "/get", {"key": "b"})).body["hit"] is False


async def test_the_last_used_values_stay() -> None:
    """A full cache forgets the value that was not used for the longest time."""
    from flowmesh.apps.modules.outbound.caches import MemoryCache

    made = MemoryCache(items_max=2, ttl_s=60, cleanup_s=60)
    await made.set("a", 1)
    await made.set("b", 2)
    await made.get("a")
    await made.set("c", 3)
    assert [await made.get(key) for key in "abc"] == [1, None, 3]


@asynccontextmanager
async def served(handle: Any) -> AsyncIterator[str]:
    """A server with one handler for everything."""
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.feature("S1-66")
async def test_spans_of_requests_steps_and_messages_are_one_trace(tmp_path: Path) -> None:
    """The collector gets the trace of the caller: request, pipeline, steps, message."""
    got: list[ExportTraceServiceRequest] = []

    async def collect(request: web.Request) -> web.Response:
        got.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response()

    async with served(collect) as url:
        otel = {
            "name": "traces",
            "type": "observability.otel",
            "config": {"endpoint": url, "serviceName": "shop"},
        }
        handler = {
            "name": "h",
            "type": "messaging.handler",
            "config": {"topic": "t", "pipeline": "save"},
        }
        trace = "0af7651916cd43dd8448eb211c80319c"
        async with running(written(tmp_path, app(modules=[otel, handler]))) as found:
            headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
            await found.call("POST", "/publish/t", {"value": "1"}, headers)
            await seen(found, 1)
    spans = [s for e in got for r in e.resource_spans for s in r.scope_spans[0].spans]
    ours = {each.name: each for each in spans if each.trace_id.hex() == trace}
    expected = {"POST /publish/{topic}", "pipeline POST /publish/{topic}", "step send"}
    assert expected | {"message t", "pipeline save", "step save"} <= set(ours)
    assert ours["step send"].parent_span_id == ours["pipeline POST /publish/{topic}"].span_id
    assert ours["POST /publish/{topic}"].parent_span_id.hex() == "b7ad6b7169203331"
    names = {a.value.string_value for r in got[0].resource_spans for a in r.resource.attributes}
    assert "shop" in names


PETS = {
    "openapi": "3.1.0",
    "paths": {
        "/pets/{id}": {
            "parameters": [{"$ref": "#/components/parameters/id"}],
            "get": {
                "operationId": "getPet",
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}
                        }
                    }
                },
            },
            "put": {
                "operationId": "putPet",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}
                    },
                },
                "responses": {"204": {}},
            },
        }
    },
    "components": {
        "parameters": {
            "id": {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
        },
        "schemas": {
            "Pet": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}},
            }
        },
    },
}


@pytest.mark.feature("S1-75")
async def test_operations_of_an_openapi_document_are_a_service(tmp_path: Path) -> None:
    """Inputs and answers are checked by their schemas; the document comes from its address."""

    async def pets(request: web.Request) -> web.Response:
        if request.path == "/openapi.json":
            return web.json_response(PETS)
        if request.method == "PUT":
            return web.Response(status=204)
        number = int(request.path.rpartition("/")[2])
        assert request.headers["Authorization"] == "Bearer t"
        return web.json_response({"name": "Rex"} if number == 1 else {"nam": "?"})

    async with served(pets) as url:
        config = {
            "specUrl": f"{url}/openapi.json",
            "baseURL": url,
            "auth": {"type": "bearer", "token": "t"},
            "fieldMapping": {"petId": "id"},
        }
        client = {"name": "pets", "type": "openapi.consumer", "config": config}
        routes = [delegate("/get", "pets", "getPet"), delegate("/put", "pets", "putPet")]
        routes.append(delegate("/no", "pets", "nothing"))
        async with running(written(tmp_path, app_of(client, routes=routes))) as found:
            assert (await found.call("POST", "/get", {"petId": 1})).body["body"] == {"name": "Rex"}
            assert (await found.call("POST", "/get", {"id": 2})).status == 502
            assert (await found.call("POST", "/get", {"id": "x"})).status == 422
            put = await found.call("POST", "/put", {"id": 1, "body": {"name": 7}})
            assert (put.status, put.body["violations"][0]["field"]) == (422, "name")
            assert (await found.call("POST", "/put", {"id": 1, "name": "A"})).body["status"] == 204
            assert (await found.call("POST", "/no", {})).status == 404
