"""Serverless Workflow documents on the running suite."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import nats
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.embedded import EmbeddedServers
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from flowmesh.testing.world import World

ERRORS = "https://serverlessworkflow.io/spec/1.0.0/errors"


def document(
    *tasks: Json,
    name: str = "standard",
    namespace: str = "tests",
    version: str = "0.1.0",
    **more: Json,
) -> Json:
    about = {"dsl": "1.0.3", "namespace": namespace, "name": name, "version": version}
    return {"document": about, "do": list(tasks), **more}


def get(url: str, **more: Json) -> Json:
    return {"call": "http", "with": {"method": "get", "endpoint": url}, **more}


async def answer_of(suite: Suite, execution_id: str) -> Json:
    await suite.wait(execution_id)
    answer = await suite.get(f"/api/v1/executions/{execution_id}")
    return answer.json


def ended_with(found: Json) -> Json:
    """The output, or else the error, which an assertion shows then."""
    return found["output"] if found["status"] == "completed" else found["error"]


async def run(suite: Suite, definition: Json, given: Json = None) -> Json:
    workflow_id = await suite.define(definition)
    return await answer_of(suite, await suite.begin(workflow_id, given))


async def test_a_document_is_given_back_as_it_came(suite: Suite) -> None:
    """What is stored is the document itself, its expressions and its order included."""
    definition = document({"one": {"set": {"b": "${ .a }", "a": 1}}}, name="kept")
    workflow_id = await suite.define(definition)
    answer = await suite.get(f"/api/v1/workflows/{workflow_id}")
    assert answer.json["format"] == "serverless"
    assert answer.json["definition"] == definition
    assert list(answer.json["definition"]["do"][0]["one"]["set"]) == ["b", "a"]


async def test_data_context_and_output_flow(suite: Suite) -> None:
    """Input, output and export of tasks and of the workflow do what the standard says."""
    definition = document(
        {"first": {"input": {"from": ".order"}, "set": {"id": "${ .id }", "all": "${ $task.name }"},
                   "export": {"as": "${ $context + {seen: .} }"}, "output": {"as": ".id"}}},
        {"second": {"set": {"was": "${ . }", "seen": "${ $context.seen }",
                            "given": "${ $workflow.input.order.id }"}}},
        input={"from": "."},
        output={"as": "${ {result: ., id: $context.seen} }"},
    )  # fmt: skip
    found = await run(suite, definition, {"order": {"id": 7}})
    result = {"was": 7, "seen": 7, "given": 7}
    assert ended_with(found) == {"result": result, "id": 7}


async def test_a_try_tries_again_and_then_handles(suite: Suite, world: World) -> None:
    """Two retries with their pause, and the handler sees the error that was left."""
    world.answers("broken", status=503)
    policy = {"delay": {"milliseconds": 20}, "limit": {"attempt": {"count": 2}}}
    definition = document(
        {"attempt": {
            "try": [{"call": get(world.url("broken"))}],
            "catch": {
                "errors": {"with": {"type": f"{ERRORS}/communication", "status": 503}},
                "as": "problem", "retry": policy,
                "do": [{"handled": {"set": {"status": "${ $problem.status }", "n": "${ .n }"}}}],
            },
        }},
    )  # fmt: skip
    found = await run(suite, definition, {"n": 1})
    assert ended_with(found) == {"status": 503, "n": 1}
    assert len(world.calls("broken")) == 3


async def test_an_uncaught_error_is_passed_on(suite: Suite, world: World) -> None:
    """A filter that does not match lets the error through, as the error it was."""
    world.answers("gone", status=404)
    definition = document(
        {"attempt": {
            "try": [{"call": get(world.url("gone"))}],
            "catch": {"errors": {"with": {"status": 503}}},
        }},
    )  # fmt: skip
    found = await run(suite, definition)
    problem = found["error"]["details"]["problem"]
    assert (problem["type"], problem["status"]) == (f"{ERRORS}/communication", 404), problem
    assert problem["instance"] == "/do/0/attempt/try/0/call"


async def test_branches_run_side_by_side(suite: Suite, world: World) -> None:
    """A fork answers the list of its branches; when they compete, the first of them."""
    world.answers("slow", json="slow", delay_ms=1_500)
    branches = [{"slow": get(world.url("slow"))}, {"quick": {"set": {"who": "quick"}}}]
    both = document({"fork": {"fork": {"branches": branches}}}, name="both")
    found = await run(suite, both)
    assert ended_with(found) == ["slow", {"who": "quick"}]
    race = document({"fork": {"fork": {"compete": True, "branches": branches}}}, name="race")
    found = await run(suite, race)
    assert ended_with(found) == {"who": "quick"}


def called(name: str, **more: Json) -> Json:
    """A task that runs the workflow of this name."""
    workflow = {"namespace": "tests", "name": name, "version": "latest", **more.pop("workflow", {})}
    return {"run": {"workflow": workflow, **more.pop("run", {})}, **more}


async def test_a_workflow_runs_another(suite: Suite) -> None:
    """With the input that is said, and its output is that of the task; each knows the other."""
    doubles = {"double": {"set": {"n": "${ .n * 2 }"}}}
    await suite.define(document(doubles, name="doubles"))
    ask = called("doubles", workflow={"input": {"n": "${ .count }"}}, output={"as": ".n"})
    passed = called("doubles", **{"if": "${ . > 100 }"})
    found = await run(suite, document({"ask": ask}, {"pass": passed}, name="asks"), {"count": 4})
    assert ended_with(found) == 8
    events = await suite.events(found["executionId"])
    types = [event["type"] for event in events]
    assert types.count("ChildStarted") == types.count("ChildEnded") == 1


async def test_documents_of_one_name_in_two_namespaces_are_two_workflows(suite: Suite) -> None:
    """`run.workflow` reaches each by its namespace, name and the version of its document."""
    ids = []
    for namespace, version, said in (
        ("left", "1.0.0", "old"), ("left", "2.0.0", "left"), ("right", "1.0.0", "right"),
        ("default", "1.0.0", "default"),
    ):  # fmt: skip
        task = {"say": {"set": {"said": said}}}
        definition = document(task, name="twins", namespace=namespace, version=version)
        ids.append(await suite.define(definition))
    assert ids == ["left.twins", "left.twins", "right.twins", "twins"]

    def asked(namespace: str, version: str) -> Json:
        return called("twins", workflow={"namespace": namespace, "version": version})

    asks = [
        {"a": {**asked("left", "1.0.0"), "export": {"as": "${ [.said] }"}}},
        {"b": {**asked("left", "2.0.0"), "export": {"as": "${ $context + [.said] }"}}},
        {"c": {**asked("right", "1.0.0"), "export": {"as": "${ $context + [.said] }"}}},
        {"d": {**asked("default", "latest"), "output": {"as": "${ $context + [.said] }"}}},
    ]
    found = await run(suite, document(*asks, name="asks-twins"))
    assert ended_with(found) == ["old", "left", "right", "default"]


async def test_an_error_of_a_workflow_that_runs_can_be_handled(suite: Suite) -> None:
    """It is one of the runtime that says what failed below."""
    error = {"type": "https://example.com/out-of-stock", "status": 409}
    await suite.define(document({"stop": {"raise": {"error": error}}}, name="breaks"))
    catch = {
        "errors": {"with": {"type": f"{ERRORS}/runtime"}},
        "do": [{"told": {"set": {"why": "${ $error.detail }"}}}],
    }
    caught = {"try": [{"ask": called("breaks")}], "catch": catch}
    found = await run(suite, document({"caught": caught}, name="asks-in-vain"))
    assert "breaks failed" in ended_with(found)["why"]


async def test_a_workflow_that_is_not_awaited_runs_independently(suite: Suite) -> None:
    """The task answers what it was given as soon as the other has started."""
    await suite.define(document({"wait": {"wait": {"hours": 1}}}, name="lasts"))
    ask = called("lasts", run={"await": False}, input={"from": "${ {kept: .n} }"})
    found = await run(suite, document({"ask": ask}, name="leaves"), {"n": 1})
    assert ended_with(found) == {"kept": 1}
    below = [event for event in await suite.events(found["executionId"]) if event["data"]]
    started = next(e["data"]["childExecutionId"] for e in below if e["type"] == "ChildStarted")
    assert (await suite.execution(started))["status"] == "running"
    await suite.post(f"/api/v1/executions/{started}:terminate", {})


async def test_a_block_has_a_time_limit(suite: Suite) -> None:
    """A block that does not end within its timeout fails with the error of that name."""
    slow = {"do": [{"wait": {"wait": {"seconds": 60}}}], "timeout": {"after": "PT0.2S"}}
    found = await run(suite, document({"slow": slow}, name="limited"))
    assert found["error"]["class"] == f"{ERRORS}/timeout"
    caught = {"try": [{"slow": slow}], "catch": {"do": [{"late": {"set": {"late": True}}}]}}
    found = await run(suite, document({"caught": caught}, name="limited-and-caught"))
    assert ended_with(found) == {"late": True}


async def test_what_fails_in_time_fails_at_once(suite: Suite) -> None:
    """A block with a time limit fails as its task did, without waiting for its clock."""
    error = {"type": "https://example.com/out-of-stock", "status": 409}
    block = {"do": [{"stop": {"raise": {"error": error}}}], "timeout": {"after": {"minutes": 5}}}
    caught = {"try": [{"block": block}], "catch": {"do": [{"s": {"set": {"s": "${ $error }"}}}]}}
    found = await run(suite, document({"caught": caught}, name="fails-in-time"))
    instance = "/do/0/caught/try/0/block/do/0/stop"
    assert ended_with(found) == {"s": {**error, "instance": instance}}


async def test_loops_directives_and_conditions(suite: Suite) -> None:
    """A loop that data flows through, `exit`, `end`, `if` and a switch with its default."""
    definition = document(
        {"sum": {
            "for": {"each": "n", "in": "${ .numbers }", "at": "place"},
            "while": "${ (.total // 0) < 6 }",
            "do": [
                {"add": {"set": {"total": "${ (.total // 0) + $n }", "last": "${ $place }"}}},
                {"odd": {"if": "${ $n % 2 == 1 }", "set": {"total": 0}, "then": "exit"}},
            ],
        }},
        {"skipped": {"if": "${ .total == 0 }", "set": {"wrong": True}}},
        {"decide": {"switch": [
            {"small": {"when": ".total < 6", "then": "small"}}, {"else": {"then": "large"}},
        ]}},
        {"small": {"set": {"size": "small"}, "then": "end"}},
        {"large": {"do": [
            {"set": {"set": {"size": "large", "total": "${ .total }"}, "then": "end"}},
            {"never": {"set": {"wrong": True}}},
        ]}},
        {"behind": {"set": {"wrong": True}}},
    )  # fmt: skip
    found = await run(suite, definition, {"numbers": [2, 4, 6, 8]})
    assert ended_with(found) == {"size": "large", "total": 6}


async def test_events_are_signals(suite: Suite) -> None:
    """A listen ends with the signal of the event's type; its answer is a list."""
    heard = {"listen": {"to": {"one": {"with": {"type": "order.paid"}}}}}
    definition = document({"heard": heard}, {"after": {"set": {"sum": "${ .[0].sum }"}}})
    workflow_id = await suite.define(definition)
    execution_id = await suite.begin(workflow_id)
    signal = {"name": "order.paid", "payload": {"sum": 12}}
    answer = await suite.post(f"/api/v1/executions/{execution_id}:signal", signal)
    assert answer.status in (200, 202), answer.text
    found = await asyncio.wait_for(answer_of(suite, execution_id), 20)
    assert ended_with(found) == {"sum": 12}


async def started(suite: Suite, name: str, count: int = 1) -> list[Json]:
    """Executions of a workflow, oldest first, as soon as there are so many."""
    found: list[Json] = []

    async def there() -> bool:
        nonlocal found
        found = (await suite.get(f"/api/v1/executions?workflow={name}")).json["executions"]
        return len(found) >= count

    await until(f"{count} executions of {name}", there, within_s=20)
    return [await answer_of(suite, each["executionId"]) for each in reversed(found)]


async def armed(suite: Suite, name: str, count: int) -> None:
    async def there() -> bool:
        answer = await suite.get(f"/api/v1/workflows/{name}/triggers")
        return len(answer.json["triggers"]) == count

    await until(f"{count} triggers of {name}", there, within_s=20)


@pytest.mark.feature("S3-91")
async def test_an_event_of_the_schedule_starts_an_execution(suite: Suite) -> None:
    """One for each event, whose list is its input."""
    wanted = [{"with": {"type": "standard.paid"}}, {"with": {"source": "/standard"}}]
    definition = document(
        {"kept": {"set": {"sum": "${ $workflow.input[0].data.sum }", "event": "${ .[0] }"}}},
        name="on-paid-or-of-standard",
        schedule={"on": {"any": wanted}},
    )
    workflow_id = await suite.define(definition)
    await armed(suite, workflow_id, 2)
    event = {"type": "standard.paid", "source": "/standard", "id": "e-1", "data": {"sum": 12}}
    answer = await suite.post("/api/v1/events", event)
    assert (answer.status, answer.json["triggers"]) == (202, 1), answer.text
    answer = await suite.post("/api/v1/events", {**event, "type": "other", "id": "e-2"})
    assert (answer.status, answer.json["triggers"]) == (202, 1), answer.text
    answer = await suite.post("/api/v1/events", {**event, "type": "other", "source": "/"})
    assert (answer.status, answer.json["triggers"]) == (202, 0), answer.text
    outputs = [each["output"] for each in await started(suite, workflow_id, 2)]
    kept = {each["event"]["id"]: each["event"] for each in outputs}
    assert [each["sum"] for each in outputs] == [12, 12]
    assert {**kept["e-1"], **event, "specversion": "1.0"} == kept["e-1"]
    assert kept["e-2"]["type"] == "other"
    await suite.delete(f"/api/v1/workflows/{workflow_id}")


@pytest.fixture(scope="module")
async def publishing(tmp_path_factory: Any, servers: EmbeddedServers) -> AsyncIterator[Suite]:
    """A suite on a bus that the tests can listen to."""
    environment = {"FLOWMESH_NATS": servers.nats, "FLOWMESH_BUS_PREFIX": "standard"}
    folder = tmp_path_factory.mktemp("publishing")
    async with Suite(folder / "data", environment=environment) as running:
        yield running


def emits(**attributes: Json) -> Json:
    return {"emit": {"event": {"with": {"type": "order.told", "source": "/shop", **attributes}}}}


@pytest.mark.feature("S3-94")
async def test_an_event_is_emitted(publishing: Suite, servers: EmbeddedServers) -> None:
    """To subscribers and triggers, each item of a loop as an event of its own; it is the output."""
    heard_by = document(
        {"keep": {"set": {"n": "${ .[0].data.n }", "of": "${ .[0].subject }"}}},
        name="hears-what-is-told",
        schedule={"on": {"one": {"with": {"type": "order.told"}}}},
    )
    hearing = await publishing.define(heard_by)
    await armed(publishing, hearing, 1)
    client = await nats.connect(servers.nats)
    heard = await client.subscribe("events.>")
    await client.flush()
    tell = emits(subject="o-${ $n }", data={"n": "${ $n }"}, room=7)
    loop = {"for": {"each": "n", "in": ".numbers"}, "do": [{"tell": tell}]}
    found = await run(publishing, document({"all": loop}, name="tells"), {"numbers": [1, 2]})
    messages = [await heard.next_msg(timeout=10) for _ in range(2)]
    events = [json.loads(message.data) for message in messages]
    assert {message.subject for message in messages} == {"events.default.order.told"}
    assert [(each["subject"], each["data"], each["room"]) for each in events] == [
        ("o-1", {"n": 1}, 7),
        ("o-2", {"n": 2}, 7),
    ]
    assert ended_with(found) == events[1]
    assert events[0]["id"] != events[1]["id"]
    assert all(each["id"].startswith(found["executionId"]) for each in events)
    assert messages[0].headers is not None
    assert messages[0].headers["Nats-Msg-Id"] == events[0]["id"]
    outputs = [each["output"] for each in await started(publishing, hearing, 2)]
    assert sorted(each["n"] for each in outputs) == [1, 2]
    assert {each["of"] for each in outputs} == {"o-1", "o-2"}
    await client.close()


@pytest.mark.parametrize(
    "wrong",
    [{"type": "${ .no }"}, {"type": "${ .hostile }"}, {"time": "${ .hostile }"}, {"id": "${ 7 }"},
     {"type": "flowmesh.${ .n }"}, {"data": "${ \"x\" * 300000 }"}],
)  # fmt: skip
async def test_what_is_no_event_fails_the_task(publishing: Suite, wrong: Json) -> None:
    """Where an expression gives it; nothing is sent."""
    definition = document({"tell": emits(**wrong)}, name=f"tells-{next(iter(wrong))}")
    found = await run(publishing, definition, {"hostile": "a.> b", "n": 1})
    assert found["error"]["class"] == f"{ERRORS}/validation"


async def test_a_dry_run_notes_the_event_and_sends_nothing(publishing: Suite) -> None:
    """The subject and the event stand among the calls; the rest is done with the event."""
    definition = document({"tell": emits(data={"n": "${ .n }"})}, {"is": {"set": "${ .data }"}})
    body = {"definition": json.dumps(definition), "input": {"n": 3}}
    answer = await publishing.post("/api/v1/workflows:dryRun", body)
    assert answer.status == 200, answer.text
    [call] = answer.json["calls"]
    assert (call["method"], call["url"]) == ("PUBLISH", "nats:order.told")
    assert (call["body"]["data"], answer.json["output"]) == ({"n": 3}, {"n": 3})


@pytest.mark.feature("S3-92")
async def test_an_interval_of_the_schedule_starts_executions(suite: Suite) -> None:
    """Again and again, with an empty input."""
    definition = document(
        {"tell": {"set": {"given": "${ $workflow.input }"}}},
        name="each-second",
        schedule={"every": {"seconds": 1}},
    )
    workflow_id = await suite.define(definition)
    found = await started(suite, workflow_id, 2)
    assert found[0]["output"] == {"given": {}}
    await suite.delete(f"/api/v1/workflows/{workflow_id}")


@pytest.mark.feature("S3-93")
async def test_a_request_has_a_token_of_its_client(suite: Suite, world: World) -> None:
    """From the authority, for all tasks of the client, and replaced when it is refused."""
    world.answers("realms/a/oauth2/token", json={"access_token": "t-1"}, times=1)
    world.answers("realms/a/oauth2/token", json={"access_token": "t-2"})
    world.answers("realms/a/basic", json={"access_token": "b-1"})
    client = {"id": "me", "secret": "${ .secret }"}
    oauth2 = {
        "authority": f"{world.address}/realms/{{realm}}/",
        "grant": "client_credentials",
        "client": client,
        "scopes": ["api", "${ .scope }"],
        "audiences": ["shop"],
    }
    by_header = {
        **oauth2,
        "client": {**client, "authentication": "client_secret_basic"},
        "endpoints": {"token": "basic", "introspection": "/no"},
    }
    endpoint = {"uri": world.url("safe"), "authentication": {"use": "mine"}}
    asks = {
        "call": "http",
        "with": {"method": "get", "endpoint": endpoint},
        "output": {"as": "$input"},
    }
    other = {**endpoint, "authentication": {"oauth2": by_header}}
    asks_so = {"call": "http", "with": {"method": "get", "endpoint": other, "output": "response"}}
    definition = document(
        {"one": asks}, {"two": asks}, {"three": asks_so},
        name="signed", use={"authentications": {"mine": {"oauth2": oauth2}}},
    )  # fmt: skip
    given = {"secret": "s&1", "scope": "more", "realm": "a"}
    found = await run(suite, definition, given)
    assert found["status"] == "completed", found
    proofs = [call.headers["authorization"] for call in world.calls("safe")]
    assert proofs == ["Bearer t-1", "Bearer t-1", "Bearer b-1"]
    assert not any("flowmesh" in name for call in world.calls("safe") for name in call.headers)
    assert "flowmesh" not in json.dumps(ended_with(found))
    (fetched,) = world.calls("realms/a/oauth2/token")
    assert fetched.text == (
        "grant_type=client_credentials&scope=api+more&audience=shop"
        "&client_id=me&client_secret=s%261"
    )
    assert "authorization" not in fetched.headers
    (fetched,) = world.calls("realms/a/basic")
    assert fetched.text == "grant_type=client_credentials&scope=api+more&audience=shop"
    assert fetched.headers["authorization"] == f"Basic {b64encode(b'me:s%261').decode()}"
    world.answers("safe", status=401, times=1)
    found = await run(suite, definition, given)
    assert found["status"] == "completed", found
    assert [call.headers["authorization"] for call in world.calls("safe")][3:5] == [
        "Bearer t-1",
        "Bearer t-2",
    ]

    body = {"definition": json.dumps(definition), "input": given}
    answer = await suite.post("/api/v1/workflows:dryRun", body)
    assert answer.json["status"] == "completed", answer.text
    calls = answer.json["calls"]
    assert [call["method"] for call in calls] == ["POST", "GET", "GET", "POST", "GET"]
    assert not any(secret in json.dumps(calls) for secret in ("s&1", "s%261"))
    assert len(world.calls("safe")) == 7


async def test_no_token_is_an_error_of_authentication(suite: Suite, world: World) -> None:
    """Where the authority refuses it; a client that is no text is one of validation."""
    world.answers("oauth2/token", status=400, json={"error": "invalid_client"})
    client = {"id": "${ .id }", "secret": "s"}
    oauth2 = {"authority": world.address, "grant": "client_credentials", "client": client}
    endpoint = {"uri": world.url("safe"), "authentication": {"oauth2": oauth2}}
    asks = {"call": "http", "with": {"method": "get", "endpoint": endpoint}}
    for given, class_ in (({"id": "me"}, "authentication"), ({}, "validation")):
        found = await run(suite, document({"asks": asks}, name="unsigned"), given)
        assert found["error"]["class"] == f"{ERRORS}/{class_}"
    assert world.calls("safe") == []


async def test_functions_scripts_and_tasks_of_the_library(suite: Suite) -> None:
    """A function is run over its arguments, a script answers what it returns."""
    double = {"run": {"script": {"language": "js", "code": "return {n: n * 2}",
                                 "arguments": {"n": "${ .value }"}}}}  # fmt: skip
    definition = document(
        {"twice": {"call": "double", "with": {"value": "${ .n }"}, "output": {"as": ".n"}}},
        {"library": {"call": "standard-echo", "with": {"got": "${ . }"}}},
        use={"functions": {"double": double}},
    )
    code = "return {echo: input.got}"
    task = {"apiVersion": "workflow.io/v1", "kind": "WorkflowTask",
            "metadata": {"name": "standard-echo"},
            "spec": {"type": "function", "function": {"code": code}}}  # fmt: skip
    answer = await suite.post("/api/v1/tasks", task)
    assert answer.status in (200, 201), answer.text
    found = await run(suite, definition, {"n": 21})
    assert ended_with(found) == {"echo": 42}


@pytest.mark.parametrize(
    ("task", "class_"),
    [
        ({"set": {"a": "${ .a.b.c }"}}, "expression"),
        ({"set": {"a": 1}, "output": {"schema": {"document": {"type": "array"}}}}, "validation"),
        ({"set": {"a": 1}, "input": {"schema": {"document": {"required": ["z"]}}}}, "validation"),
        ({"for": {"in": "${ 7 }"}, "do": [{"x": {"set": {}}}]}, "validation"),
    ],
)
async def test_what_goes_wrong_has_the_type_of_the_standard(
    suite: Suite, task: Json, class_: str
) -> None:
    """Expressions, schemas and types of values fail with the errors the standard names."""
    found = await run(
        suite,
        document({"wrong": task}, name=f"wrong-{next(iter(task))}-{len(str(task))}"),
        {"a": 1},
    )
    assert found["error"]["class"] == f"{ERRORS}/{class_}"
