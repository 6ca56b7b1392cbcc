"""Pipelines of applications: steps, rules for errors, transactions, templates, both databases."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.checking import check
from tests.features.apps import RunningApp, running, written

Step = dict[str, Any]
TABLE = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, price REAL)"

_RULES = ("if", "on_error", "retry", "timeout")


def step(kind: str, name: str = "", /, **config: Any) -> Step:
    rules: Step = {key: config.pop(key) for key in _RULES if key in config}
    return {"name": name or kind, "type": f"step.{kind}", "config": config, **rules}


def app_text(routes: dict[str, Any], *, dsn: str = "a.db", table: str = TABLE, **rest: Any) -> str:
    """An application with a pipeline per route `METHOD /path`."""
    driver = "postgres" if dsn.startswith("postgres") else "sqlite"
    listed = []
    for place, pipeline in routes.items():
        method, _, path = place.partition(" ")
        body = pipeline if isinstance(pipeline, dict) else {"steps": pipeline}
        listed.append({"method": method, "path": path, "pipeline": body})
    config = {"driver": driver, "dsn": dsn, "migrations": [table]}
    modules = [
        {"name": "web", "type": "http.server", "config": {"address": ":0"}},
        {"name": "db", "type": "database.workflow", "config": config},
        *rest.pop("modules", []),
    ]
    workflows = {"http": {"routes": listed}}
    return json.dumps({"name": "lines", "modules": modules, "workflows": workflows, **rest})


def insert(**rules: Any) -> Step:
    query = "INSERT INTO items (name, price) VALUES ($1, $2)"
    params = ["{{ .name }}", "{{ .price }}"]
    return step("db_exec", "save", database="db", query=query, params=params, **rules)


BODY = step("request_parse", "parse", fields=["name", "price"])


async def _items(folder: Path, *, dsn: str = "a.db", table: str = TABLE) -> None:
    one = step(
        "db_query",
        "get",
        database="db",
        query="SELECT name, price FROM items WHERE id = ?",
        params=["{{ .id }}"],
        mode="single",
    )
    everything = step("db_query", "all", database="db", query="SELECT name FROM items ORDER BY id")
    routes = {
        "POST /items": [BODY, insert(), step("json_response", status=201)],
        "GET /items/{id}": [
            one,
            step(
                "conditional", "found", field="steps.get.found", routes={"true": "ok"}, default="no"
            ),
            step("json_response", "ok", body_from="steps.get.row"),
            step("json_response", "no", status=404, body={"id": "{{ .id }}"}),
        ],
        "PUT /items": [
            step("db_exec", "raise", database="db", query="UPDATE items SET price = price + 1"),
            step("json_response", body_from="steps.raise"),
        ],
        "GET /items": [everything, step("json_response", body_from="steps.all")],
    }
    async with running(written(folder, app_text(routes, dsn=dsn, table=table))) as app:
        for number in range(3):
            made = await app.call("POST", "/items", {"name": f"it's {number}", "price": number})
            assert made.status == 201, made.body
        again = await app.call("POST", "/items", {"name": "it's 0", "price": 9})
        assert (again.status, again.body["code"]) == (409, "ROW_CONFLICT")
        assert (await app.call("GET", "/items")).body["count"] == 3
        first = await app.call("GET", "/items/1")
        assert (first.status, first.body) == (200, {"name": "it's 0", "price": 0})
        assert (await app.call("PUT", "/items")).body["affected_rows"] == 3
        missing = await app.call("GET", "/items/77")
        assert (missing.status, missing.body) == (404, {"id": "77"})


@pytest.mark.feature("S1-41", "S1-53", "S1-54", "S1-46", "S1-52", "S1-55")
async def test_the_same_pipelines_run_on_sqlite(tmp_path: Path) -> None:
    """Rows are written, read and missing; a unique violation is 409."""
    await _items(tmp_path)


@pytest.mark.feature("S1-41")
async def test_the_same_pipelines_run_on_postgresql(tmp_path: Path, database: str) -> None:
    """The statements with $1 and ? are the same for PostgreSQL."""
    await _items(tmp_path, dsn=database, table=TABLE.replace("INTEGER", "SERIAL"))


@pytest.mark.feature("S1-85", "S1-47", "S1-45", "S1-48")
async def test_steps_pass_values_on(tmp_path: Path) -> None:
    """Set, transform, foreach and conditions work on the data of earlier steps."""
    routes = {
        "POST /sum": [
            step("request_parse", "parse", parse_body=True),
            step("set", "make", values={"who": "{{ upper .steps.parse.body.who }}", "n": 2}),
            step(
                "transform",
                "shape",
                source="steps.parse.body",
                operations=[
                    {"type": "map", "config": {"mappings": {"who": "name"}}},
                    {"type": "filter", "config": {"fields": ["name"]}},
                ],
            ),
            step("log", "note", message="hello {{ .who }}", **{"if": "steps.make.n == 2"}),
            step(
                "foreach",
                "each",
                items="steps.parse.body.list",
                steps=[step("set", "double", values={"text": "<{{ .item }}>"})],
            ),
            step(
                "json_response",
                body={
                    "who": "{{ .who }}",
                    "n": "{{ .n }}",
                    "shaped": "{{ .steps.shape.data }}",
                    "count": "{{ .steps.each.count }}",
                    "missing": "[{{ .nothing.there }}]",
                    "kind": '{{ default "none" .kind }}',
                    "first": "{{ (index .steps.each.results 0).steps.double.text }}",
                },
            ),
        ]
    }
    async with running(written(tmp_path, app_text(routes))) as app:
        answer = await app.call("POST", "/sum", {"who": "ann", "list": [1, 2, 3]})
        assert answer.body == {
            "who": "ANN",
            "n": 2,
            "shaped": {"name": "ann"},
            "count": 3,
            "missing": "[]",
            "kind": "none",
            "first": "<1>",
        }


@pytest.mark.feature("S1-50", "S1-16")
async def test_calls_are_retried_and_answers_parsed(tmp_path: Path) -> None:
    """A failing upstream is called again; its last error is 502 with the step's name."""
    calls: list[Any] = []

    async def upstream(request: web.Request) -> web.Response:
        calls.append(await request.json() if request.can_read_body else None)
        if request.path == "/down" or len(calls) == 1:
            return web.json_response({"error": "busy"}, status=503)
        return web.json_response({"seen": request.headers["X-Token"]})

    server = web.Application()
    server.router.add_route("*", "/{tail:.*}", upstream)
    runner = web.AppRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    base = f"http://127.0.0.1:{runner.addresses[0][1]}"
    retry = {"attempts": 3, "backoff": "1ms"}
    call = step(
        "http_call", "call", url=f"{base}/up", method="POST", headers={"X-Token": "t"}, retry=retry
    )
    down = step("http_call", "down", url=f"{base}/down")
    client = {"name": "client", "type": "httpclient.modular", "config": {"baseURL": base}}
    through = step("http_call", "through", url="/x", client="client", headers={"X-Token": "c"})
    routes = {
        "POST /up": [call, step("json_response", body_from="steps.call.body")],
        "GET /down": [down],
        "GET /client": [through, step("json_response", body_from="steps.through.body")],
    }
    try:
        async with running(written(tmp_path, app_text(routes, modules=[client]))) as app:
            assert (await app.call("POST", "/up", {})).body == {"seen": "t"}
            assert len(calls) == 2
            refused = await app.call("GET", "/down")
            assert (refused.status, refused.body["step"]) == (502, "down")
            assert (await app.call("GET", "/client")).body == {"seen": "c"}
    finally:
        await runner.cleanup()


async def _count(app: RunningApp) -> int:
    count: int = (await app.call("GET", "/items")).body["count"]
    return count


async def test_rules_for_errors_skip_jump_and_compensate(tmp_path: Path) -> None:
    """A skipped step leaves its error, a jump continues elsewhere, a compensation undoes."""
    again = step("db_exec", "again", database="db", query="INSERT INTO items (name) VALUES ('a')")
    undo = step("db_exec", "undo", database="db", query="DELETE FROM items WHERE name = 'a'")
    first = {**again, "name": "first"}
    listed = step("db_query", "all", database="db", query="SELECT name FROM items")
    routes = {
        "POST /skip": [first, {**again, "on_error": "skip"}, step("json_response")],
        "POST /jump": [
            {**again, "on_error": "other"},
            step("json_response", "never", status=500),
            step("json_response", "other", status=202, body={"why": "{{ .steps.again._error }}"}),
        ],
        "POST /undo": {
            "steps": [
                step("db_exec", "b", database="db", query="INSERT INTO items (name) VALUES ('b')"),
                again,
            ],
            "on_error": "compensate",
            "compensation": [
                undo,
                step(
                    "db_exec", "drop-b", database="db", query="DELETE FROM items WHERE name = 'b'"
                ),
            ],
        },
        "POST /together": {
            "transaction": True,
            "steps": [
                step("db_exec", "c", database="db", query="INSERT INTO items (name) VALUES ('c')"),
                again,
            ],
        },
        "GET /items": [listed, step("json_response", body_from="steps.all")],
    }
    async with running(written(tmp_path, app_text(routes))) as app:
        skipped = await app.call("POST", "/skip")
        assert (skipped.status, skipped.body["_skipped"]) == (200, True)
        jumped = await app.call("POST", "/jump")
        assert (jumped.status, "unique" in jumped.body["why"]) == (202, True)
        assert (await app.call("POST", "/together")).status == 409
        assert await _count(app) == 1
        undone = await app.call("POST", "/undo")
        assert (undone.status, undone.body["violations"]) == (409, [{"compensated": True}])
        assert await _count(app) == 0
        assert (await app.call("POST", "/together")).status == 200
        assert await _count(app) == 2


async def test_endless_jumps_and_reads_are_stopped(tmp_path: Path) -> None:
    """A jump back ends at 1,000 steps; a long read leaves the loop and does not stop others."""
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) "
        "SELECT max(i) AS last FROM n"
    )
    routes = {
        "GET /loop": [
            step("set", "again", values={"x": "1"}),
            step("conditional", "back", field="x", routes={"1": "again"}),
        ],
        "GET /long": [
            step("db_query", "long", database="db", query=endless),
            step("json_response", body_from="steps.long.rows"),
        ],
        "GET /fast": [step("json_response", body={"ok": True})],
        "GET /many": [
            step(
                "db_query",
                "many",
                database="db",
                query=endless.replace("2000000", "20").replace("max(i) AS last", "i"),
                max_rows=10,
            )
        ],
    }
    async with running(written(tmp_path, app_text(routes))) as app:
        loop = await app.call("GET", "/loop")
        assert (loop.status, loop.body["code"]) == (500, "STEP_LIMIT")
        many = await app.call("GET", "/many")
        assert (many.status, many.body["code"]) == (413, "ROWS_TOO_LARGE")
        long = asyncio.create_task(app.call("GET", "/long"))
        fast = [await app.call("GET", "/fast") for _ in range(20)]
        assert {each.status for each in fast} == {200}
        assert not long.done()
        assert (await long).body == [{"last": 2_000_000}]


@pytest.mark.long
@pytest.mark.feature("S1-61")
async def test_no_answer_is_mixed_up_under_load(tmp_path: Path) -> None:
    """3,000 reads and writes at 256 connections: each gets its own row."""
    one = step(
        "db_query", "get", database="db", query="SELECT id, name FROM items WHERE id = ?",
        params=["{{ .id }}"], mode="single",
    )  # fmt: skip
    routes = {
        "GET /items/{id}": [one, step("json_response", body_from="steps.get.row")],
        "POST /items": [
            BODY,
            insert(),
            step("json_response", body={"id": "{{ .steps.save.last_id }}", "name": "{{ .name }}"}),
        ],
    }
    async with running(written(tmp_path, app_text(routes))) as app:
        gate = asyncio.Semaphore(256)

        async def write(number: int) -> tuple[int, str]:
            async with gate:
                answer = await app.call("POST", "/items", {"name": f"n{number}", "price": 1})
            assert answer.body["name"] == f"n{number}"
            return answer.body["id"], answer.body["name"]

        made = dict(await asyncio.gather(*map(write, range(1_000))))
        assert len(made) == 1_000

        async def read(id: int) -> bool:
            async with gate:
                answer = await app.call("GET", f"/items/{id}")
            return bool(answer.body == {"id": id, "name": made[id]})

        assert all(await asyncio.gather(*(read(1 + number % 1_000) for number in range(2_000))))


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ([step("db_query", database="db", query="SELECT * FROM {{ .table }}")], "SQL_FORBIDDEN"),
        ([step("db_query", database="db", query="DELETE FROM items")], "SQL_FORBIDDEN"),
        ([step("db_exec", database="db", query="DROP TABLE items")], "SQL_FORBIDDEN"),
        ([step("db_exec", database="db", query="DELETE FROM items; SELECT 1")], "SQL_FORBIDDEN"),
        ([step("db_query", database="db", query="SELECT ?")], "SQL_FORBIDDEN"),
        ([step("db_query", database="dbx", query="SELECT 1")], "SERVICE_UNKNOWN"),
        ([step("db_query", database="web", query="SELECT 1")], "SERVICE_KIND"),
        ([step("set", values={"a": "{{ .x "})], "TEMPLATE_INVALID"),
        ([step("set", values={"a": "{{ lowr .x }}"})], "TEMPLATE_INVALID"),
        ([step("set", values={"a": "{{ .steps.gone.x }}"})], "STEP_UNKNOWN"),
        ([step("conditional", field="a", routes={"1": "nowhere"})], "STEP_UNKNOWN"),
        ([step("publish", topic="t")], "WIRING_MISSING"),
        ([step("pipeline", name="none")], "SERVICE_UNKNOWN"),
        ([step("validate", strategy="json_schema", schema={"type": "objekt"})], "SCHEMA_INVALID"),
        ([step("set", values={}, **{"if": "a =="})], "EXPRESSION_INVALID"),
        ([step("json_response", status=999)], "APP_CONFIG_INVALID"),
    ],
)
def test_mistakes_in_steps_are_found_at_load(tmp_path: Path, steps: list[Step], code: str) -> None:
    """Nothing of this reaches a request."""
    found = check(written(tmp_path, app_text({"GET /x": steps})), Loading(environment={}))
    assert code in {each.code for each in found.problems if not each.warning}, found.problems
    assert all(each.line for each in found.problems)


@pytest.mark.parametrize("routes", [("GET /a/{x}", "GET /a/{y}"), ("GET /a", "GET /a")])
def test_routes_that_collide_are_found_at_load(tmp_path: Path, routes: tuple[str, str]) -> None:
    """Two routes of the same requests are an error, with any names of parameters."""
    listed = [
        {"method": "GET", "path": each.partition(" ")[2], "response": {"body": "x"}}
        for each in routes
    ]
    text = app_text({}, workflows={"http": {"routes": listed}})
    found = check(written(tmp_path, text), Loading(environment={}))
    assert [each.code for each in found.problems] == ["ROUTE_CONFLICT"]
