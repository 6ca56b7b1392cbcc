"""Durable pipelines: runs of applications that are executions of a suite."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.durable.names import workflow_of
from flowmesh.apps.offline.checking import check, silent_log
from flowmesh.apps.runtime.application import Application
from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid, Unavailable
from flowmesh.sdk import Client, NodeStatus, Status
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World
from tests.features import natives
from tests.features.application_hosts.durable_cases import (
    BODY,
    CASES,
    COUNT,
    INSERT,
    SAVE,
    SAVED,
    app,
    document,
    requests,
    route,
    step,
)
from tests.features.apps import Answer, RunningApp, eventually, running, written

NOW: Json = {"wait": "0s"}


@pytest.fixture
def attached(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A suite whose address is in the environment."""
    monkeypatch.setenv("FLOWMESH_ADDRESS", suite.grpc_address)
    return suite


@pytest.fixture
async def client(suite: Suite) -> AsyncIterator[Client]:
    async with await Client.connect(suite.grpc_address) as connected:
        yield connected


def durable(path: str, *steps: Json, method: str = "POST", **rules: Json) -> Json:
    return route(path, {"durable": True, "steps": list(steps), **rules}, method)


def name_of(request: pytest.FixtureRequest) -> str:
    """The name of an application of one test."""
    return str(request.node.name).replace("_", "-")[-38:].strip("-")


async def rows(found: RunningApp) -> int:
    answer = await found.call("GET", "/count")
    return int(answer.body["n"])


COUNTED = route(
    "/count",
    [COUNT, step("answer", "json_response", body={"n": '{{ index .steps.count.rows 0 "n" }}'})],
    "GET",
)


def shown(answer: Answer) -> Json:
    """An answer without what differs between two runs of anything."""
    body = answer.body if not isinstance(answer.body, bytes) else answer.body.decode()
    if isinstance(body, dict):
        body = {k: v for k, v in body.items() if k != "lastUpdate"}
    return answer.status, answer.headers.get("Content-Type"), answer.headers.get("X-Found"), body


async def answers(folder: Path, side: str, world: World) -> list[Json]:
    """Return the answers of all cases by an application of one side."""
    text = document(durable=side == "durable")
    where = folder / side
    where.mkdir()
    environment = {"WORLD": world.address, "SIDE": side}
    for _ in range(CASES):
        world.answers(f"{side}-flaky", status=503, times=2)
        world.answers(f"{side}-flaky", json={"ok": side != ""}, times=1)
    world.answers(f"{side}-price", make=lambda call: {"price": call.json["n"]})
    world.answers(f"{side}-broken", status=503)
    world.answers(f"{side}-slow", delay_ms=300)
    async with running(written(where, text), environment=environment) as found:
        return [shown(await found.call("POST", path, body)) for path, body in requests()]


@pytest.mark.long
@pytest.mark.feature("S1-46", "S1-49", "S1-51", "S1-54", "S1-55", "S1-85")
async def test_inline_and_durable_runs_answer_the_same(
    tmp_path: Path, attached: Suite, world: World
) -> None:
    """200 requests to 23 pipelines with all kinds of steps, rules and failures."""
    inline = await answers(tmp_path, "inline", world)
    durably = await answers(tmp_path, "durable", world)
    assert len(inline) == CASES
    statuses = Counter(status for status, *_ in inline)
    assert {200, 201, 203, 404, 409, 422, 502, 504} <= set(statuses)
    for number, (one, other) in enumerate(zip(inline, durably, strict=True)):
        text = json.dumps(other).replace("durable-", "inline-")
        assert text == json.dumps(one), (number, list(requests())[number])
    assert len(world.calls("inline-price")) == len(world.calls("durable-price")) > 30
    assert len(world.calls("inline-flaky")) == len(world.calls("durable-flaky")) > 10


@pytest.mark.feature("S1-49", "S1-85")
async def test_a_slow_run_is_read_at_its_location(
    tmp_path: Path, attached: Suite, world: World, request: pytest.FixtureRequest
) -> None:
    """202 with the execution and its place after `wait`; there the run answers as it would have."""
    ask = step("ask", "http_call", url="${WORLD}/slow", method="POST")
    answer = step("answer", "json_response", status=201, body="{{ .steps.ask.body }}")
    routes = [durable("/slow", BODY, ask, answer, wait="50ms"), durable("/other", SAVE)]
    text = app(routes, name_of(request))
    world.answers("slow", json={"late": True})
    world.hold("slow")
    async with running(written(tmp_path, text), environment={"WORLD": world.address}) as found:
        first = await found.call("POST", "/slow", {"item": "a"})
        place, id = first.headers["Location"], first.body["executionId"]
        assert (first.status, first.body["status"]) == (202, "running")
        assert first.headers["Retry-After"] == "1"
        assert place.endswith(f"/{id}")
        assert (await found.call("GET", place)).body == first.body
        reading = asyncio.create_task(found.call("GET", f"{place}?wait=20"))
        await world.called("slow")
        world.release("slow")
        ended = await reading
        assert (ended.status, ended.body) == (201, {"late": True})
        assert ended.headers["Flowmesh-Execution"] == id
        assert (await found.call("GET", f"{place}?wait=soon")).status == 400
        for foreign in (place[:-3] + "zzz", place.replace("slow", "other")):
            assert (await found.call("GET", foreign)).status == 404
    assert len(world.calls("slow")) == 1


@pytest.mark.feature("S1-54", "S1-85", "S1-90")
async def test_a_repeated_key_is_the_same_execution(
    tmp_path: Path, attached: Suite, request: pytest.FixtureRequest
) -> None:
    """At once, later, and after a release that changed the pipeline; another body is refused."""
    name = name_of(request)
    item = {"item": "lamp", "price": 3}
    key = {"Idempotency-Key": "order-7"}
    first = written(tmp_path, app([durable("/orders", BODY, SAVE, SAVED), COUNTED], name))
    async with running(first) as found:
        both = await asyncio.gather(*(found.call("POST", "/orders", item, key) for _ in range(5)))
        ids = {each.headers["Flowmesh-Execution"] for each in both}
        assert len(ids) == 1
        assert {(each.status, each.body["id"]) for each in both} == {(201, 1)}
        other = await found.call("POST", "/orders", {"item": "other"}, key)
        assert (other.status, other.body["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
        long = {"Idempotency-Key": "k" * 256}
        assert (await found.call("POST", "/orders", item, long)).status == 422
    more = step("more", "set", values={"more": 1})
    second = written(tmp_path, app([durable("/orders", BODY, more, SAVE, SAVED), COUNTED], name))
    async with running(second) as found:
        again = await found.call("POST", "/orders", item, {**key, "User-Agent": "another"})
        assert (again.status, again.body) == (201, {"id": 1})
        assert {again.headers["Flowmesh-Execution"]} == ids
        assert await rows(found) == 1
        without = await found.call("POST", "/orders", item)
        assert without.status == 409


@pytest.mark.feature("S1-85")
async def test_values_that_differ_are_drawn_once(
    tmp_path: Path, attached: Suite, client: Client, request: pytest.FixtureRequest
) -> None:
    """A UUID and a time of a computed step are the same after the steps that follow them."""
    draw = step("draw", "set", values={"item": "{{ uuidv4 }}", "at": "{{ now }}", "price": 1})
    read = step("read", "db_query", database="db", query="SELECT item FROM orders")
    answer = step(
        "answer",
        "json_response",
        body={"drawn": "{{ .steps.draw.item }}", "stored": "{{ .steps.read.rows }}"},
    )
    routes = [durable("/draw", draw, SAVE, read, answer)]
    name = name_of(request)
    async with running(written(tmp_path, app(routes, name))) as found:
        got = await found.call("POST", "/draw")
        assert got.body["stored"] == [{"item": got.body["drawn"]}]
        handle = client.handle(got.headers["Flowmesh-Execution"])
        assert (await handle.describe()).workflow_id.startswith(f"app.{name}.")
        history = await client.download_history(handle.id)
        steps = [r.name for e in history.events for r in e.journal_appended.records]
        assert steps == ["save", "read"]


@pytest.mark.feature("S1-191")
async def test_a_request_stops_at_a_breakpoint_and_continues(
    tmp_path: Path, attached: Suite, client: Client, request: pytest.FixtureRequest
) -> None:
    """The input of a request starts again under a breakpoint; before it, nothing happens."""
    name = name_of(request)
    routes = [durable("/orders", BODY, SAVE, SAVED), COUNTED]
    async with running(written(tmp_path, app(routes, name))) as found:
        asked = await found.call("POST", "/orders", {"item": "a"})
        first = await client.handle(asked.headers["Flowmesh-Execution"]).describe()
        given: Json = first.input
        given["request"]["text"] = given["request"]["text"].replace('"a"', '"b"')
        handle = await client.start(first.workflow_id, given, stop_everywhere=True)

        async def stopped() -> bool:
            return (await handle.describe()).node("run").held

        await eventually(stopped)
        assert await rows(found) == 1
        await handle.continue_node("run")
        output: Json = await handle.result(20)
        assert output["response"]["body"] == {"id": 2}
        assert await rows(found) == 2


async def test_headers_with_credentials_are_not_stored(
    tmp_path: Path, attached: Suite, client: Client, request: pytest.FixtureRequest
) -> None:
    """The input of the execution has the other headers, the query and the body."""
    name = name_of(request)
    async with running(
        written(tmp_path, app([durable("/orders", BODY, SAVE, SAVED)], name))
    ) as one:
        secret = {"Authorization": "Bearer s3cret", "Cookie": "a=s3cret", "X-Shop": "north"}
        asked = await one.call("POST", "/orders?page=2", {"item": "a"}, secret)
        stored = await client.handle(asked.headers["Flowmesh-Execution"]).describe()
    text = json.dumps(stored.input)
    assert "north" in text
    assert "page=2" in text
    assert "s3cret" not in text


BAD: Mapping[str, tuple[Json, str]] = {
    "word": ({"durable": "yes"}, "durable is true or false"),
    "wait": ({"durable": True, "wait": "1m"}, "wait is at most 30 s"),
    "unit": ({"durable": True, "wait": "soon"}, "wait "),
    "inline": ({"wait": "1s"}, "wait is of durable pipelines"),
}


@pytest.mark.parametrize(("rules", "message"), BAD.values(), ids=BAD)
def test_wrong_rules_are_refused(tmp_path: Path, rules: Json, message: str) -> None:
    """With place and what would be right."""
    text = app([route("/x", {"steps": [BODY], **rules})])
    checked = check(written(tmp_path, text), Loading(environment={}))
    found = [each for each in checked.problems if not each.warning]
    assert [each.message.startswith(message) for each in found] == [True]
    assert found[0].line > 0


def test_without_a_suite_a_durable_pipeline_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check warns; a start is refused, and says how to attach one."""
    monkeypatch.delenv("FLOWMESH_ADDRESS", raising=False)
    path = written(tmp_path, app([durable("/x", BODY)]))
    checked = check(path, Loading(environment={}))
    assert [each.code for each in checked.problems if each.code == "SUITE_MISSING"]
    assert checked.valid
    document = load(path, Loading(environment={}, required=True))
    with pytest.raises(Invalid, match="FLOWMESH_ADDRESS"):
        Application(document, log=silent_log("x"))


async def test_an_unreachable_suite_prevents_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its address and the variable; the modules are stopped again."""
    monkeypatch.setattr("flowmesh.apps.durable.suite.CONNECT_S", 0.2)
    monkeypatch.setenv("FLOWMESH_ADDRESS", "127.0.0.1:1")
    path = written(tmp_path, app([durable("/x", BODY)]))
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        async with running(path):
            raise AssertionError


@pytest.mark.feature("S1-90", "S1-91")
async def test_triggers_start_workflows_of_the_suite(
    tmp_path: Path, attached: Suite, client: Client, request: pytest.FixtureRequest
) -> None:
    """By requests and messages; a repeated cause starts nothing; unknown names answer 501."""
    name = name_of(request)
    flow = natives.workflow(name, {"id": "noop", "taskRef": "noop"})
    await natives.applied(attached, flow)
    broker: Json = {"name": "broker", "type": "messaging.broker"}
    tell = route(
        "/tell",
        [BODY, step("send", "publish", topic="go", payload={"n": "{{ .price }}"})],
    )
    triggers = {
        "http": {
            "routes": [
                {"path": "/go", "method": "POST", "workflow": name, "action": "run"},
                {"path": "/wait", "method": "POST", "workflow": name, "wait": True},
                {"path": "/no", "method": "POST", "workflow": f"{name}-no"},
            ]
        },
        "event": {"subscriptions": [{"topic": "go", "workflow": name, "action": "run"}]},
    }
    text = app([tell], name, modules=[broker], triggers=triggers)
    async with running(written(tmp_path, text)) as found:
        key = {"Idempotency-Key": "1"}
        one = await found.call("POST", "/go", {"n": 1}, key)
        two = await found.call("POST", "/go", {"n": 1}, key)
        assert (one.status, one.body) == (202, two.body)
        assert (await client.handle(one.body["executionId"]).wait(20)).status is Status.COMPLETED
        assert (await found.call("POST", "/wait", {"n": 2})).status == 200
        refused = await found.call("POST", "/no", {"n": 2})
        assert (refused.status, refused.body["code"]) == (501, "NOT_IMPLEMENTED")
        assert (await found.call("POST", "/tell", {"price": 9})).status == 200

        async def started() -> bool:
            count = await client.count_executions(f'workflow = "{name}"')
            return count.count == 3

        await eventually(started)


@pytest.mark.feature("S1-89", "S1-91")
async def test_an_integration_runs_durably(
    tmp_path: Path, attached: Suite, client: Client, world: World, request: pytest.FixtureRequest
) -> None:
    """Its calls are steps of an execution, with keys; retries are timers of the engine."""
    name = name_of(request)
    world.answers("pay", status=503, times=1)
    world.answers("pay", json={"paid": 5})
    integration = {
        "registry": "registry",
        "connectors": [
            {"name": "bank", "type": "http", "config": {"baseURL": world.address}},
            {"name": "own", "type": "database", "config": {"database": "db"}},
        ],
        "steps": [
            {
                "name": "pay",
                "connector": "bank",
                "action": "POST /pay",
                "input": {"n": "${data.n}"},
                "retryCount": 2,
                "retryDelay": "10ms",
            },
            {
                "name": "note",
                "connector": "own",
                "action": INSERT,
                "input": {"params": ["paid", "${pay.paid}"]},
            },
        ],
    }
    triggers = {"http": {"routes": [{"path": "/pay", "method": "POST", "workflow": "integration"}]}}
    text = app(
        [COUNTED],
        name,
        modules=[{"name": "registry", "type": "workflow.registry"}],
        workflows={"integration": integration},
        triggers=triggers,
    )
    async with running(written(tmp_path, text)) as found:
        key = {"Idempotency-Key": "5"}
        begun = await found.call("POST", "/pay", {"n": 5}, key)
        assert begun.status == 202
        assert (await found.call("POST", "/pay", {"n": 5}, key)).body == begun.body
        assert (await found.call("POST", "/pay", {"n": 6}, key)).status == 422
        ended = await found.call("GET", begun.headers["Location"] + "?wait=20")
        assert ended.body["pay"] == {"paid": 5}
        assert await rows(found) == 1
    handle = client.handle(begun.body["executionId"])
    assert (await handle.describe()).node("run").status is NodeStatus.COMPLETED
    keys = [call.key for call in world.calls("pay")]
    assert len(set(keys)) == 2
    assert all(key.startswith(handle.id) for key in keys)


@pytest.mark.long
@pytest.mark.feature("S1-93", "S1-91")
async def test_two_hosts_start_one_run_for_each_cause(
    tmp_path: Path, attached: Suite, client: Client, request: pytest.FixtureRequest
) -> None:
    """Instants of a schedule trigger and messages of the suite start durable pipelines once."""
    name = name_of(request)
    note = {"durable": True, "steps": [step("note", "set", values={"seen": "{{ .scheduledAt }}"})]}
    took = {**note, "trigger": {"type": "event", "config": {"topic": "go"}}}
    text = app(
        [route("/tell", [step("send", "publish", topic="go", payload={"n": 1})])],
        name,
        modules=[{"name": "broker", "type": "messaging.broker", "config": {"engine": "suite"}}],
        pipelines={"tick": note, "took": took},
        triggers={"schedule": {"jobs": [{"cron": "* * * * * *", "workflow": "tick"}]}},
    )
    folders = [tmp_path / side for side in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    async with (
        running(written(folders[0], text)) as one,
        running(written(folders[1], text)),
    ):
        assert (await one.call("POST", "/tell")).status == 200

        async def ticked() -> bool:
            where = f'workflow = "{workflow_of(name, "tick")}"'
            return (await client.count_executions(where)).count >= 3

        await eventually(ticked)
    instants = []
    async for each in client.list_executions(workflow_id=workflow_of(name, "tick")):
        given: Json = (await client.handle(each.id).describe()).input
        instants.append(given["trigger"]["scheduledAt"])
    assert len(instants) == len(set(instants)) >= 3
    count = await client.count_executions(f'workflow = "{workflow_of(name, "took")}"')
    assert count.count == 1
