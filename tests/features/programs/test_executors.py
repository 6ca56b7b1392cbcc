"""Tasks that work on databases, services, events and code, on a suite that knows some of each."""

import json
import sqlite3
import time
from collections.abc import AsyncIterator

import asyncpg
import grpc
import nats
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.embedded import EmbeddedServers
from flowmesh.executors.databases import Connections
from flowmesh.sdk import Client, TaskContext, Worker
from flowmesh.testing.databases import fresh_database
from flowmesh.testing.polling import allowed_s, until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features import crunching
from tests.features.graphs import code, graph, ran
from tests.features.natives import YAML, applied, apply, execute, refusal, resource, text, workflow
from tests.features.steps import step
from tests.features.steps import workflow as step_workflow
from tests.integration.worker.payments import CHARGE, SERVICE, serving
from tests.tidy import sources

TABLE = "create table orders (id integer primary key, name text not null)"
DATABASES = """
[local]
url = "sqlite:shop.db"
statements = ["select", "insert", "update", "delete"]
tables = ["orders"]

[shop]
url = "{postgres}"
statements = ["select", "insert", "update", "delete"]
tables = ["orders"]

[reports]
url = "{postgres}"
tables = ["orders"]
"""


@pytest.fixture(scope="module")
async def postgres(servers: EmbeddedServers) -> AsyncIterator[str]:
    """The address of a database with a table of orders."""
    async with fresh_database(servers.postgres) as address:
        connection = await asyncpg.connect(address)
        await connection.execute(TABLE)
        await connection.close()
        yield address


@pytest.fixture(scope="module")
async def equipped(
    tmp_path_factory: pytest.TempPathFactory, postgres: str, servers: EmbeddedServers
) -> AsyncIterator[Suite]:
    """A suite whose worker knows databases, on a bus that the tests can listen to."""
    folder = tmp_path_factory.mktemp("equipped")
    with sqlite3.connect(folder / "shop.db") as opened:
        opened.execute(TABLE)
    file = folder / "databases.toml"
    file.write_text(DATABASES.format(postgres=postgres))
    environment = {
        "FLOWMESH_DATABASES": str(file),
        "FLOWMESH_NATS": servers.nats,
        "FLOWMESH_BUS_PREFIX": "equipped",
        "FLOWMESH_PYTHON_MEMORY_MIB": "128",
        "FLOWMESH_PYTHON_PROCESSES": "2",
    }
    async with Suite(folder / "data", environment=environment) as running:
        yield running


def task(name: str, kind: str, block: str, config: Json, **spec: Json) -> Json:
    return resource("WorkflowTask", name, type=kind, **{block: config}, **spec)


def one(name: str, made: Json, value: Json = "{{input}}", **node: Json) -> list[Json]:
    """A task and a workflow of it alone, both under the name."""
    return [made, workflow(name, {"id": name, "taskRef": name, "input": value, **node})]


def counted(metrics: str, name: str, **labels: str) -> float:
    """The value of a metric as it is scraped; 0 where it is not there yet."""
    wanted = name + "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}"
    lines = (line.rpartition(" ") for line in metrics.splitlines())
    return next((float(value) for found, _, value in lines if found == wanted), 0.0)


async def outcome(suite: Suite, name: str, value: Json = None) -> Json:
    """The execution of a workflow that is there, when it has ended."""
    started = await execute(suite, name, value)
    return await suite.wait(started.json["executionId"])


def crud(connection: str) -> list[Json]:
    """Tasks for the four common operations, and a workflow of all of them."""

    def one(step: str, kind: str, statement: str, **parameters: Json) -> Json:
        config = {"connection": connection, "statement": statement, "parameters": parameters}
        return task(f"{connection}-{step}", kind, "db", config)

    order, name = "{{input.id}}", "{{input.name}}"
    steps = ["insert", "update", "read", "delete", "rest"]
    nodes = [
        {
            "id": step,
            "taskRef": f"{connection}-{'read' if step == 'rest' else step}",
            "input": "{{input}}",
            "dependsOn": [steps[index - 1]] if index else [],
        }
        for index, step in enumerate(steps)
    ]
    return [
        one("insert", "db.exec", "insert into orders values (:id, :name)", id=order, name=name),
        one("update", "db.exec", "update orders set name = name || '!' where id = :id", id=order),
        one("read", "db.query", "select id, name from orders where id = :id", id=order),
        one("delete", "db.exec", "delete from orders where id = :id", id=order),
        workflow(f"{connection}-crud", *nodes),
    ]


@pytest.mark.feature("S3-95")
@pytest.mark.parametrize("connection", ["local", "shop"])
async def test_a_workflow_works_on_an_outside_database(equipped: Suite, connection: str) -> None:
    """Insert, update, select and delete, on SQLite and on PostgreSQL, with hostile values."""
    await applied(equipped, *crud(connection))
    name = "Robert'); drop table orders; --"
    ended = await outcome(equipped, f"{connection}-crud", {"id": 7, "name": name})
    assert ended["status"] == "completed", ended
    results = {step: result["result"] for step, result in ended["stepResults"].items()}
    assert results == {
        "insert": {"rows": [], "count": 1},
        "update": {"rows": [], "count": 1},
        "read": {"rows": [{"id": 7, "name": f"{name}!"}], "count": 1},
        "delete": {"rows": [], "count": 1},
        "rest": {"rows": [], "count": 0},
    }


@pytest.mark.feature("S3-95")
async def test_a_connection_does_what_it_is_for_and_no_more(equipped: Suite) -> None:
    """One that may only read does not write; no view shows where it leads."""
    config = {"connection": "reports", "statement": "delete from orders"}
    await applied(
        equipped,
        task("wipe", "db.exec", "db", config),
        workflow("wiping", {"id": "wipe", "taskRef": "wipe"}),
    )
    ended = await outcome(equipped, "wiping")
    error = ended["stepResults"]["wipe"]["error"]
    assert (error["class"], "may not be used to delete" in error["message"]) == (
        "ValidationError",
        True,
    )
    shown = (await equipped.get("/api/v1/workflows/wiping")).text + str(ended)
    assert "postgresql://" not in shown


async def test_a_statement_that_cannot_run_is_refused_with_its_place(equipped: Suite) -> None:
    """When it is registered, not when it is needed."""
    config = {"connection": "shop", "statement": "select * from orders where id = {{input.id}}"}
    answer = await apply(equipped, task("wrong", "db.query", "db", config))
    assert refusal(answer) == (400, "SQL_FORBIDDEN")
    assert answer.json["error"]["details"][0]["field"].endswith("db.statement")


async def test_a_grpc_method_is_called_with_json(equipped: Suite) -> None:
    """Known by reflection; its status is the class of a failure, and retried as such."""
    async with serving() as payments:
        config = {
            "target": payments.address,
            "tls": False,
            "request": {"orderId": "{{input.id}}", "cents": "{{input.cents}}"},
        }
        charge = task("charge-rpc", "grpc.call", "grpc", {**config, "method": CHARGE})
        await applied(equipped, *one("charge-rpc", charge))
        ended = await outcome(equipped, "charge-rpc", {"id": "o1", "cents": 700})
        assert ended["stepResults"]["charge-rpc"]["result"]["paymentId"] == "pay-o1"
        flaky = task(
            "flaky-rpc",
            "grpc.call",
            "grpc",
            {**config, "method": f"{SERVICE}/Fail"},
            retry={"maxAttempts": 3, "initialDelay": "10ms", "retryOn": ["ServerError"]},
        )
        await applied(equipped, *one("flaky-rpc", flaky))
        payments.failures = [grpc.StatusCode.ABORTED, grpc.StatusCode.NOT_FOUND]
        ended = await outcome(equipped, "flaky-rpc", {"id": "o1", "cents": 1})
        assert ended["stepResults"]["flaky-rpc"]["error"]["class"] == "ClientError"
        keys = [metadata["idempotency-key"] for _, metadata in payments.calls[1:]]
        assert (len(keys), len(set(keys))) == (2, 1)


@pytest.mark.feature("S3-31", "S3-65", "S3-114")
async def test_functions_in_javascript_and_typescript_return_values(equipped: Suite) -> None:
    """In native resources, step JSON and graph JSON; types are left out, schemas enforced."""
    typed = (
        "interface Line { price: number; count: number }\n"
        "const total = (lines: Line[]): number =>\n"
        "  lines.reduce((sum: number, line: Line) => sum + line.price * line.count, 0);\n"
        "return { total: total(input.lines as Line[]) };"
    )
    config = {"code": typed, "language": "TYPESCRIPT"}
    await applied(equipped, *one("typed", task("typed", "function", "function", config)))
    lines = {"lines": [{"price": 2, "count": 3}, {"price": 1, "count": 4}]}
    ended = await outcome(equipped, "typed", lines)
    assert ended["stepResults"]["typed"]["result"] == {"total": 10}
    plain = {"code": "return input.lines.length"}
    out = {"type": "string"}
    made = task("plain", "function", "function", plain, outputSchema=out)
    await applied(equipped, *one("plain", made))
    failed = await outcome(equipped, "plain", lines)
    assert failed["stepResults"]["plain"]["error"]["class"] == "ValidationError"
    params = {"code": "return (context.lines as any[]).length", "language": "typescript"}
    steps = await equipped.run(step_workflow(step("count", "function", params)), lines)
    assert steps["stepResults"]["count"]["result"] == 2
    typed_graph = graph(code("g", "return (1 as number) + 1", language="typescript"))
    found, _ = await ran(equipped, typed_graph)
    assert found["stepResults"]["g"]["result"] == 2
    refused = {"code": "enum E { A }\nreturn 1", "language": "TYPESCRIPT"}
    answer = await apply(equipped, task("enum", "function", "function", refused))
    assert "an enum" in answer.json["error"]["message"]


@pytest.mark.feature("S3-65", "S3-33", "S3-74", "S3-122")
async def test_a_function_with_a_handler_goes_to_the_worker_that_has_it(equipped: Suite) -> None:
    """And so does a task of a type of one's own."""
    async with Client(equipped.grpc_address) as client:
        worker = Worker(client)

        @worker.task("prices.double")
        async def double(value: Json) -> Json:
            return {"price": value["price"] * 2}

        async with worker:
            handler = {"handlerId": "prices.double"}
            made = task("handled", "function", "function", handler)
            own = resource("WorkflowTask", "own", type="prices.double")
            nodes = [
                {"id": "handled", "taskRef": "handled", "input": "{{input}}"},
                {"id": "own", "taskRef": "own", "input": "{{tasks.handled.output}}"},
            ]
            await applied(equipped, made, own, workflow("handling", *nodes))
            ended = await outcome(equipped, "handling", {"price": 3})
    assert ended["stepResults"]["own"]["result"] == {"price": 12}


@pytest.mark.long
@pytest.mark.feature("S3-36", "S4-57", "S4-88")
async def test_python_over_its_limits_ends_and_harms_no_other(equipped: Suite) -> None:
    """Processor time, memory and time, with more such tasks than processes; others go on."""
    codes = {
        "spin": ("while True: pass", {"cpuSeconds": 1}, "ResourceLimit"),
        "hoard": ("a = []\nwhile True: a.append(bytearray(1 << 20))", {}, "ResourceLimit"),
        "late": ("import time\ntime.sleep(60)", {}, "Timeout"),
        "greedy": ("return 1", {"memoryMiB": 1_000}, "ValidationError"),
    }
    hostile = {}
    for name, (script, limits, _) in codes.items():
        config = {"code": script, "limits": limits}
        timeout = "2s" if name == "late" else "60s"
        made = task(name, "python", "python", config, timeout=timeout)
        await applied(equipped, *one(name, made))
        hostile[name] = (await execute(equipped, name)).json["executionId"]
    fast = task("fast", "function", "function", {"code": "return input.n * 2"})
    await applied(equipped, *one("fast", fast))
    started = time.monotonic()
    for number in range(20):
        ended = await outcome(equipped, "fast", {"n": number})
        assert ended["stepResults"]["fast"]["result"] == number * 2
    assert time.monotonic() - started < allowed_s(3.0)
    for name, (_, _, class_) in codes.items():
        ended = await equipped.wait(hostile[name])
        assert ended["stepResults"][name]["error"]["class"] == class_, name
    config = {"code": "import math\nprint('rooting', input['n'])\nreturn math.isqrt(input['n'])"}
    await applied(equipped, *one("root", task("root", "python", "python", config)))
    ended = await outcome(equipped, "root", {"n": 17})
    assert ended["stepResults"]["root"]["result"] == 4
    assert (await metadata(equipped, ended))["log"] == [{"level": "info", "message": "rooting 17"}]


@pytest.mark.feature("S3-94")
async def test_an_event_is_published_to_subscribers(
    equipped: Suite, servers: EmbeddedServers
) -> None:
    """As a CloudEvent with a payload of one's own, under the prefix and nowhere else."""
    config = {"subject": "orders.{{input.what}}", "data": {"order": "{{input.id}}", "paid": True}}
    await applied(equipped, *one("announce", task("announce", "publish", "publish", config)))
    event = {"type": "orders.paid", "filter": "event.data.paid", "input": "{{event.data}}"}
    waiting = workflow("on-paid", {"id": "a", "taskRef": "noop"})
    waiting["spec"]["triggers"] = [{"id": "paid", "event": event}]
    await applied(equipped, waiting)
    client = await nats.connect(servers.nats)
    heard = await client.subscribe("events.>")
    await client.flush()
    ended = await outcome(equipped, "announce", {"id": 7, "what": "paid"})
    assert ended["status"] == "completed", ended
    message = await heard.next_msg(timeout=10)

    async def started() -> list[Json]:
        found = await equipped.get("/api/v1/executions?workflow=on-paid")
        return list(found.json["executions"])

    await until("started by the event", started, within_s=20)
    assert len(await started()) == 1
    event = json.loads(message.data)
    assert message.subject == "events.default.orders.paid"
    assert (event["specversion"], event["type"]) == ("1.0", "orders.paid")
    assert event["data"] == {"order": 7, "paid": True}
    assert message.headers is not None
    assert message.headers["Nats-Msg-Id"] == event["id"]
    for hostile in ("a.>", "*", "a b", "..", "x\r\nPUB equipped.x 1", "$JS.API", ""):
        failed = await outcome(equipped, "announce", {"id": 7, "what": hostile})
        assert failed["stepResults"]["announce"]["error"]["class"] == "ValidationError", hostile
    await client.close()


async def metadata(suite: Suite, execution: Json) -> Json:
    """What is known besides of the only node of an execution."""
    shown = await suite.get(f"/api/v1/executions/{execution['executionId']}/nodes")
    return shown.json["nodes"][0]["metadata"]


async def test_a_log_line_stays_with_its_node(equipped: Suite) -> None:
    """Its message, level and fields."""
    config = {"message": "order {{input.id}}", "level": "WARNING", "fields": {"n": "{{input.id}}"}}
    await applied(equipped, *one("say", task("say", "log", "log", config)))
    ended = await outcome(equipped, "say", {"id": 7})
    line = {"level": "warning", "message": "order 7", "fields": {"n": 7}}
    assert (await metadata(equipped, ended))["log"] == [line]


@pytest.mark.feature("S3-37", "S4-89")
async def test_an_earlier_result_stands_for_a_later_one(equipped: Suite, postgres: str) -> None:
    """The second read makes no query: it sees what was there at the first; both are counted."""
    text = "select count(*) as n from orders where id >= :id"
    config = {"connection": "shop", "statement": text, "parameters": {"id": "{{input.id}}"}}
    cache = {"ttl": "1h", "key": "{{input.id}}"}
    made = task("count-orders", "db.query", "db", config)
    await applied(equipped, *one("count-orders", made, cache=cache))
    connection = await asyncpg.connect(postgres)
    found, hits = [], []
    for order in (1001, 1002):
        ended = await outcome(equipped, "count-orders", {"id": 1000, "at": order})
        found.append(ended["stepResults"]["count-orders"]["result"]["rows"])
        hits.append((await metadata(equipped, ended) or {}).get("cached", False))
        await connection.execute("insert into orders values ($1, 'x')", order)
    assert (found, hits) == ([[{"n": 0}], [{"n": 0}]], [False, True])
    other = await outcome(equipped, "count-orders", {"id": 1001, "at": 0})
    assert other["stepResults"]["count-orders"]["result"]["rows"] == [{"n": 2}]
    await connection.execute("delete from orders where id > 1000")
    await connection.close()
    scraped = (await equipped.get("/metrics")).text
    assert counted(scraped, "flowmesh_result_cache_total", outcome="hit") == 1
    assert counted(scraped, "flowmesh_result_cache_total", outcome="miss") == 2


@pytest.mark.feature("S1-170", "S1-174", "S4-53")
async def test_the_same_key_twice_has_one_effect_and_the_same_answer(
    equipped: Suite, world: World
) -> None:
    """Of a start with an idempotency key; and of the calls that its attempts make."""
    flaky = {"method": "POST", "url": world.url("once"), "body": {"pay": 1}}
    world.answers("once", status=503, times=1)
    retry = {"maxAttempts": 3, "initialDelay": "10ms"}
    made = resource("WorkflowTask", "pay-once", type="http", http=flaky, retry=retry)
    await applied(equipped, *one("pay-once", made))
    key = {"Idempotency-Key": "order-7"}
    starts = [
        await equipped.post("/workflows/pay-once/execute", {"input": {}}, headers=key)
        for _ in range(3)
    ]
    assert starts[0].json["status"] == "completed", starts[0].text
    assert all((each.status, each.json) == (200, starts[0].json) for each in starts)
    keys = [call.headers["idempotency-key"] for call in world.calls("once")]
    assert (len(keys), len(set(keys))) == (2, 1)
    other = {"Idempotency-Key": "order-8"}
    answer = await equipped.post("/workflows/pay-once/execute", {"input": {}}, headers=other)
    assert answer.json["executionId"] != starts[0].json["executionId"]
    assert world.calls("once")[-1].headers["idempotency-key"] not in keys


@pytest.mark.feature("S3-95", "S3-94")
async def test_a_dry_run_lists_calls_and_makes_none(equipped: Suite) -> None:
    """Statements, methods and subjects, with their values."""
    statement = "insert into orders values (:id, 'x')"
    calls = [
        ("db.exec", "db", {"connection": "no", "statement": statement, "parameters": {"id": 1}}),
        ("grpc.call", "grpc", {"target": "no.where:1", "method": CHARGE, "request": {"a": 1}}),
        ("publish", "publish", {"subject": "a.b", "data": [1]}),
    ]
    tasks = [task(f"dry-{kind}", kind, block, config) for kind, block, config in calls]
    nodes = [{"id": kind, "taskRef": f"dry-{kind}"} for kind, _, _ in calls]
    source = text(*tasks, workflow("dry", *nodes))
    answer = await equipped.post("/api/v1/workflows:dryRun", {"definition": source, "input": {}})
    assert answer.status == 200, answer.text
    listed = {call["node"]: call for call in answer.json["calls"]}
    assert listed["db.exec"]["body"]["statement"] == statement
    assert listed["db.exec"]["body"]["parameters"]["id"] == 1
    assert listed["grpc.call"]["url"] == f"grpc://no.where:1/{CHARGE}"
    assert listed["publish"]["body"]["data"] == [1]


@pytest.mark.long
@pytest.mark.feature("S4-56")
@pytest.mark.parametrize("mode", ["inline", "thread", "process"])
async def test_what_a_handler_logs_and_counts_is_seen_in_the_trace(
    equipped: Suite, mode: str
) -> None:
    """Wherever it runs, and where it fails as well."""
    kind = f"noting.{mode}"
    async with Client(equipped.grpc_address) as client:
        worker = Worker(client)
        if mode == "inline":

            @worker.task(kind)
            async def here(value: Json, context: TaskContext) -> int:
                return crunching.notes(value, context)
        else:
            worker.task(kind, pool="process" if mode == "process" else "")(crunching.notes)
        async with worker:
            made = resource("WorkflowTask", kind, type=kind)
            await applied(equipped, *one(kind, made))
            done = await outcome(equipped, kind, {"n": 3})
            lost = await outcome(equipped, kind, {"n": 0})
    line = {"level": "info", "message": "working", "fields": {"n": 3}}
    trace = await equipped.get(f"/api/v1/executions/{done['executionId']}/trace")
    noted = trace.json["tasks"][0]["metadata"]
    assert noted == {"log": [line], "metrics": {"items": 5}}
    assert lost["stepResults"][kind]["error"]["details"]["log"][0]["message"] == "working"


@pytest.mark.feature("S3-32", "S3-66", "S3-67", "S3-93", "S3-118")
async def test_an_http_task_authenticates_and_retries(equipped: Suite, world: World) -> None:
    """The four ways, in native resources and step JSON; a token is fetched once for all calls."""
    world.answers("token", json={"access_token": "t-1", "expires_in": 3600})
    client = {"clientId": "me", "clientSecret": "{{input.secret}}", "tokenUrl": world.url("token")}
    ways: dict[str, tuple[Json, str | None]] = {
        "basic": ({"username": "ada", "password": "{{input.secret}}"}, "Basic YWRhOnB3"),
        "bearer": ({"token": "{{input.secret}}"}, "Bearer pw"),
        "apiKey": ({"name": "X-Key", "value": "{{input.secret}}"}, None),
        "oauth2": (client, "Bearer t-1"),
    }
    made: list[Json] = []
    for kind, (config, _) in ways.items():
        http = {
            "method": "GET",
            "url": world.url(kind),
            "authentication": {"type": kind, "config": config},
        }
        retry = {"maxAttempts": 2, "initialDelay": "10ms"}
        made.append(resource("WorkflowTask", f"by-{kind}", type="http", http=http, retry=retry))
        world.answers(kind, status=503, times=1)
    nodes = [{"id": kind, "taskRef": f"by-{kind}", "input": "{{input}}"} for kind in ways]
    await applied(equipped, *made, workflow("proving", *nodes))
    ended = await outcome(equipped, "proving", {"secret": "pw"})
    assert ended["status"] == "completed", ended
    for kind, (_, authorization) in ways.items():
        calls = world.calls(kind)
        assert [call.headers.get("authorization") for call in calls] == [authorization] * 2
    assert world.calls("apiKey")[0].headers["x-key"] == "pw"
    assert len(world.calls("token")) == 1
    bearer = {"type": "bearer", "config": {"token": "{{context.secret}}"}}
    params = {"method": "GET", "url": world.url("steps"), "authentication": bearer}
    await equipped.run(step_workflow(step("call", "http.request", params)), {"secret": "s"})
    assert world.calls("steps")[0].headers["authorization"] == "Bearer s"


async def test_the_example_runs_as_it_is_written(equipped: Suite) -> None:
    """All of its tasks, in one workflow."""
    folder = sources.ROOT / "examples" / "executors"
    Connections.read(str(folder / "databases.toml"))
    example = (folder / "discount.yaml").read_bytes()
    stored = await equipped.post("/api/v1/workflows", data=example, headers=YAML)
    assert stored.status == 201, stored.text
    config = {"connection": "shop", "statement": "insert into orders values (77, 'Nadia')"}
    undo = {**config, "statement": "update orders set name = 'Nadia' where id = 77"}
    for name, one_of in (("seed", config), ("undo", undo)):
        await applied(equipped, *one(name, task(name, "db.exec", "db", one_of)))
    await outcome(equipped, "seed")
    for cached in (False, True):
        ended = await outcome(equipped, "discount-order", {"id": 77})
        assert ended["status"] == "completed", ended
        shown = await equipped.get(f"/api/v1/executions/{ended['executionId']}/nodes")
        nodes = {node["nodeId"]: node for node in shown.json["nodes"]}
        assert nodes["compute"]["output"] == {"share": "0.05"}
        assert nodes["compute"]["metadata"].get("cached", False) is cached
        await outcome(equipped, "undo")
