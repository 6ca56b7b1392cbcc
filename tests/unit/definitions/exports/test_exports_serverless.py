"""Workflows as documents of Serverless Workflow: equal behavior, or a named refusal."""

import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from flowmesh.contract.json_value import Json
from flowmesh.definitions import read_source
from flowmesh.definitions.exports import export_source, write_yaml
from flowmesh.definitions.exports.serverless.conditions import condition_program
from flowmesh.definitions.exports.serverless.jq import wrapped
from flowmesh.definitions.exports.unsupported import UnsupportedExpression
from flowmesh.definitions.model import Workflow
from flowmesh.errors import Invalid
from flowmesh.expressions import RenderError, compile_condition
from flowmesh.sandbox import Sandbox, SandboxFailure
from flowmesh.standards.jq_values import unwrap
from tests.draws import draws
from tests.unit.definitions.exports.test_exports import converted, refused
from tests.unit.definitions.factories import documents, http, node, problems, steps, task, workflow
from tests.unit.definitions.formats.cncf import Drawn, outcome, ran, same
from tests.unit.definitions.formats.test_graph_json import edge, graph, made

RUNS = [{"n": 2, "list": ["a", 1.5]}, {"n": 4, "list": []}]


@pytest.fixture
async def box() -> AsyncIterator[Sandbox]:
    async with Sandbox() as running:
        yield running


def written(*nodes: Json, **spec: Json) -> Json:
    """Return the document of a native workflow whose tasks are in the library."""
    source = documents(workflow(*nodes, **spec))
    return export_source(source, "", "serverless")[0]


def tasks(document: Json) -> dict[str, Json]:
    return {name: each for item in document["do"] for name, each in item.items()}


@pytest.mark.parametrize("seed", range(draws(24)))
async def test_written_documents_behave_alike(seed: int, box: Sandbox) -> None:
    """The same status and output at the same time, and the same inputs of tasks."""
    drawn = Drawn(seed)
    source = write_yaml(drawn.resources).encode()
    out = converted(source, "serverless")
    assert [problem for problem in problems(out) if problem.code != "TASK_NOT_FOUND"] == []
    assert converted(out, "serverless") == out
    for number, given in enumerate(RUNS):
        answers = drawn.answers(seed * 10 + number)
        before = await ran(source, given, answers, box)
        after = await ran(out, given, answers, box)
        assert same(drawn, before, after), (outcome(before), outcome(after))


RACE = [
    *(task(name, type=name) for name in ("quick", "slow", "late")),
    workflow(
        {"id": "r", "race": {"tasks": [
            node("s", "slow", input={"x": "{{input.n}}"}),
            node("q", "quick", retry={"maxAttempts": 2, "initialDelay": "1s"}),
            node("l", "late", dependsOn=["q"], input={"q": "{{tasks.q.output}}"}),
        ]}},
        node("e", "delay", input={"duration": "1s"}, dependsOn=["r"]),
        output="{{tasks.r.output}}",
    ),
]  # fmt: skip


@pytest.mark.parametrize("slow_s", [1, 5])
@pytest.mark.parametrize("fails", ["", "slow", "quick", "late", "all"])
async def test_a_race_is_won_by_the_same(slow_s: int, fails: str, box: Sandbox) -> None:
    """Also after failures; a race without a winner fails."""
    source = write_yaml(RACE).encode()
    answers: dict[str, list[Json]] = {
        "slow": [{"output": "slow", "after": f"{slow_s}s"}],
        "quick": [{"failure": {"class": "ServerError"}}, {"output": "quick", "after": "1s"}],
        "late": [{"output": "late", "after": "1s"}],
    }
    for name in answers:
        if fails in (name, "all"):
            answers[name] = [{"failure": {"class": "Mine"}, "after": "500ms"}]
    before = await ran(source, {"n": 1}, answers, box)
    after = await ran(converted(source, "serverless"), {"n": 1}, answers, box)
    assert outcome(before) == outcome(after)
    assert before.status == ("failed" if fails == "all" else "completed")


async def test_requests_of_steps_are_sent_as_they_were(box: Sandbox) -> None:
    """Values in paths, queries, headers and bodies, with their encoding."""
    source = steps(
        http(
            "a", params={"url": "http://x/{b}/1?q={{context.s}}#{{context.s}}", "method": "DELETE"}
        ),
        http(
            "b",
            "a",
            params={
                "url": "http://x/{{context.a.id}}/{{context.s}}",
                "method": "POST",
                "headers": {"X-S": "{{context.n}}", "Y": "a{{context.a.id}}", "Z": "${"},
                "body": {"all": ["{{context.a}}", "n{{context.n}}"], "${": 1},
            },
        ),
        {"id": "w", "action": "delay", "params": {"duration": 1500}, "dependencies": ["b"]},
    )
    out = converted(source, "serverless")
    given = {"s": "a/é ..?", "n": None}
    for text in (given, {"s": "..", "n": 1.5}, {"s": {"deep": [1]}, "n": "x"}, {"s": "x"}):
        reports = []
        for each, name in ((source, "http.request"), (out, "")):
            answer = {"output": {"id": "i d"}}
            mocks = {name: answer} if name else {"a": answer, "b": answer}
            report = await dry_run_of(each, text, mocks, box)
            calls = [(c.method, c.url, headers_of(c), c.body) for c in report.calls]
            reports.append((report.status, calls, report.duration_ms))
        assert reports[0] == reports[1]


def headers_of(call: Any) -> Json:
    return {name: value for name, value in call.headers.items() if name != "Idempotency-Key"}


async def dry_run_of(source: bytes, given: Json, mocks: Json, box: Sandbox) -> Any:
    from flowmesh.definitions import compile_source
    from flowmesh.dryrun.run import dry_run
    from flowmesh.dryrun.source import stand_ins

    plan = compile_source(source)
    found, after = stand_ins(mocks, None, plan)
    return await dry_run(plan, given, sandbox=box, mocks=found, signals=after)


ATOMS = ("input.a", "input.b", "input.c.d", "input['a']", "input.l[0]", "tasks.t-1.output.a", "1",
         "2.5", "-1", "'x'", "true", "null", "size(input.a)", "size(input.l)", "has(input.a)",
         "has(input.c.d)", "has(tasks.t-1.output.a)", "input.a in input.l", "'a' in input",
         "input.b in input.a")  # fmt: skip
DATA: tuple[Json, ...] = (
    None, True, False, 0, 1, 1.0, 2.5, -1, "x", "é😀", "", [], [1], ["x", None], {}, {"d": 1}
)  # fmt: skip


def condition(draw: random.Random, depth: int = 0) -> str:
    kind = draw.choice(["atom", "compare", "compare", "and", "or", "not"]) if depth < 3 else "atom"
    if kind == "atom":
        return draw.choice(ATOMS)
    inner = [condition(draw, depth + 1) for _ in range(2)]
    match kind:
        case "compare":
            mark = draw.choice(["==", "!=", "<", "<=", ">", ">=", "in"])
            return f"{draw.choice(ATOMS[:13])} {mark} {draw.choice(ATOMS[:13])}"
        case "not":
            return f"!({inner[0]})"
    return f"({inner[0]}) {'&&' if kind == 'and' else '||'} ({inner[1]})"


async def test_conditions_hold_and_fail_for_the_same_data(box: Sandbox) -> None:
    """For any values; incomparable values are an error in both."""
    draw = random.Random(7)
    for _ in range(150):
        source = condition(draw)
        given = {name: draw.choice(DATA) for name in "abcl" if draw.random() < 0.8}
        outputs = {"t-1": draw.choice(DATA)}
        scope = {"input": given, "tasks": {n: {"output": v} for n, v in outputs.items()}}
        compiled = compile_condition(source, dialect="cel", steps=["t-1"], roots=("input", "tasks"))
        assert compiled is not None
        try:
            expected: Json = compiled.evaluate(scope)
        except RenderError:
            expected = "an error"
        program = unwrap(wrapped(condition_program(source, ["t-1"])))
        variables = {"workflow": {"input": given}, "context": outputs}
        try:
            found = (await box.evaluate("jq", program, None, variables, 5_000))[0]
        except SandboxFailure:
            found = "an error"
        assert found == expected, (source, given, outputs)


@pytest.mark.parametrize(
    "source",
    ["input.a + 1 == 2", "input.a.startsWith('x')", "input.l.exists(x, x == 1)", "'\\n' == input.a",
     "input.a ? true : false", "execution.id == 'x'", "has(tasks.a.output)", "1u == 1",
     "[1] == [1]", "tasks.a.status == 'x'", "input.l[input.a] == 1"],
)  # fmt: skip
def test_other_conditions_are_refused(source: str) -> None:
    """Conditions without a counterpart, or with a surprising one."""
    with pytest.raises(UnsupportedExpression):
        condition_program(source, ["a"])


def test_a_chain_and_a_fork() -> None:
    """Steps in sequence are the list, parallel steps a fork."""
    document = written(
        node("a"), node("b", dependsOn=["a"]), node("c", dependsOn=["a"]),
        node("d", dependsOn=["b", "c"]), onFailure="CANCEL",
    )  # fmt: skip
    assert list(tasks(document)) == ["a", "beside b", "d"]
    branches = tasks(document)["beside b"]["fork"]["branches"]
    assert [list(each) for each in branches] == [["b"], ["c"]]
    assert document["document"] == {
        "dsl": "1.0.3", "namespace": "default", "name": "w", "version": "0.1.0"
    }  # fmt: skip


def test_a_call_with_templates_and_a_limit() -> None:
    """With the output in the context, under the id of the node."""
    document = written(node("a", "t", input={"x": "{{input.x}}", "y": 1}, timeout="90s"))
    call = tasks(document)["a"]
    assert (call["call"], call["with"]["y"]) == ("t", 1)
    assert call["with"]["x"].endswith('($workflow.input | at("x")) }')
    assert call["timeout"] == {"after": {"seconds": 90}}
    assert call["export"] == {"as": '${ $context + {"a": .} }'}


def test_retries_are_a_try_around_one_attempt() -> None:
    """Without any, the policy of the library applies."""
    assert "metadata" not in tasks(written(node("a", "t")))["a"]
    policy = {"maxAttempts": 4, "initialDelay": "1s", "multiplier": 1, "jitter": 0.5}
    found = tasks(written(node("a", "t", retry=policy)))["a"]
    assert found["try"][0]["a"]["metadata"] == {"flowmesh.io/attempts": 1}
    assert found["catch"]["retry"] == {
        "delay": {"milliseconds": 500},
        "jitter": {"from": {"milliseconds": 0}, "to": {"milliseconds": 500}},
        "backoff": {"constant": {}},
        "limit": {"attempt": {"count": 3}},
    }
    once = tasks(written(node("a", "t", retry={"maxAttempts": 1})))["a"]
    assert (once["call"], once["metadata"]) == ("t", {"flowmesh.io/attempts": 1})


def test_attempts_in_the_metadata_of_a_call_are_one() -> None:
    """More attempts need a try."""
    document = written(node("a", "t", retry={"maxAttempts": 1}))
    tasks(document)["a"]["metadata"]["flowmesh.io/attempts"] = 2
    found = [problem.code for problem in problems(json.dumps(document).encode())]
    assert "RETRY_INVALID" in found


def test_waits_and_other_workflows() -> None:
    """Signals are events, sub-workflows are run in the namespace of the document."""
    document = written(
        {"id": "q", "wait": {"event": "go"}, "timeout": "5s"},
        {"id": "s", "subworkflow": {"workflow": "other", "version": 2, "input": {"a": 1}},
         "dependsOn": ["q"]},
        node("p", "delay", input={"duration": "1h"}, dependsOn=["s"]),
    )  # fmt: skip
    found = tasks(document)
    assert found["q"]["listen"] == {"to": {"one": {"with": {"type": "go"}}}}
    assert found["s"]["run"]["workflow"] == {
        "namespace": "default", "name": "other", "version": "2", "input": {"a": 1}
    }  # fmt: skip
    assert found["p"]["wait"] == {"hours": 1}
    assert problems(json.dumps(document).encode()) == []


def test_the_id_of_a_workflow_says_the_namespace_of_the_document() -> None:
    """Its own and that of the workflows it runs, and the document has the same id again."""
    resource = workflow({"id": "s", "subworkflow": {"workflow": "stock.take", "input": {}}})
    resource["metadata"] |= {"name": "shop.order", "labels": {"namespace": "shop"}}
    document = export_source(documents(resource), "", "serverless")[0]
    about, called = document["document"], tasks(document)["s"]["run"]["workflow"]
    assert (about["namespace"], about["name"], about.get("tags")) == ("shop", "order", None)
    assert (called["namespace"], called["name"]) == ("stock", "take")
    [read] = read_source(json.dumps(document).encode()).resources
    assert isinstance(read.resource, Workflow)
    assert read.resource.id == "shop.order"


def test_descriptions_and_settings_are_written() -> None:
    """And read back as they were."""
    spec = {
        "description": "What it does", "timeout": "2m", "output": "{{input}}",
        "inputSchema": {"type": "object"}, "outputSchema": {"type": "object"},
        "triggers": [{"id": "schedule", "cron": {"expression": "0 2 * * *", "input": {}}}],
    }  # fmt: skip
    resource = workflow(node("a", name="The first"), **spec)
    labels = {"namespace": "shop", "version": "1.2.0", "team": "a"}
    resource["metadata"] |= {"labels": labels, "annotations": {"x": "y"}}
    source = documents(resource)
    document = export_source(source, "", "serverless")[0]
    about = document["document"]
    assert (about["namespace"], about["version"]) == ("default", "1.2.0")
    assert about["tags"] == {"namespace": "shop", "team": "a"}
    assert (about["summary"], about["metadata"]) == ("What it does", {"annotations": {"x": "y"}})
    assert tasks(document)["a"]["metadata"] == {"name": "The first"}
    read = read_source(json.dumps(document).encode()).resources[0].resource
    before = read_source(source).resources[0].resource
    assert isinstance(read, Workflow)
    assert isinstance(before, Workflow)
    for name in ("id", "labels", "timeout_ms", "input_schema", "output_schema"):
        assert getattr(read, name) == getattr(before, name)
    assert [(each.id, each.source, each.input) for each in read.triggers] == [
        (each.id, each.source, each.input) for each in before.triggers
    ]


def test_graph_json_is_written_too() -> None:
    """Of native tasks, with the joins that graphs have."""
    call = {"taskRef": "t", "input": {}}
    document = json.loads(
        graph(made("a", data=call), made("b", data=call), made("c", data=call),
              edges=(edge("a>b"), edge("b>c")))
    )  # fmt: skip
    found = export_source(json.dumps(document).encode(), "", "serverless")[0]
    assert list(tasks(found)) == ["a", "b", "c"]


_WORKFLOWS: list[tuple[list[Json], dict[str, Json], str]] = [
    ([node("a"), node("b"), node("c", dependsOn=["a"]), node("d", dependsOn=["a", "b"])], {},
     "nodes that are neither in series nor side by side"),
    ([node("a", "transform", input={"source": [], "pipeline": []})], {},
     "the built-in transform"),
    ([node("a", input={"x": 1})], {}, "an input of a node that does nothing"),
    ([node("a", "x@2")], {}, "a task of the library called x@2"),
    ([node("a", "t", input="{{input}}")], {}, "an input that is no object"),
    ([node("a", "t", input={"a": "{{upper(input.x)}}"})], {}, "the template function upper"),
    ([node("a", "t", input={"a": "{{execution.attempt}}"})], {}, "the reference execution"),
    ([node("a", "t", condition="input.a + 1 > 2")], {}, "'+' in a condition"),
    ([node("a", "t", retry={"maxAttempts": 3, "multiplier": 3})], {}, "delays grow by 3"),
    ([node("a", "t", retry={"maxAttempts": 9, "maxDelay": "1s"})], {}, "a longest delay"),
    ([node("a", "t", retry={"maxAttempts": 9, "jitter": 0.5})], {}, "jitter of delays"),
    ([node("a", "t", retry={"maxAttempts": 2, "maxElapsed": "1s"})], {}, "a limit of the time"),
    ([node("a", "t", retry={"maxAttempts": 2, "retryOn": ["Mine"]})], {}, "failure classes"),
    ([node("a", "t", retry={"maxAttempts": 2, "retryOn": ["*"]})], {}, "failure classes"),
    ([node("a", "delay", input={"duration": "{{input.d}}"})], {}, "a delay that is computed"),
    ([{"id": "a", "map": {"items": "{{input.l}}", "tasks": [node("b")]}}], {}, "a map"),
    ([{"id": "a", "race": {"tasks": [node("b", "t", condition="true")]}}], {},
     "a race of nodes that may be skipped"),
    ([{"id": "a", "race": {"tasks": [
        node("s"), node("b", dependsOn=["s"]), node("c", dependsOn=["s"])]}}], {},
     "a race in which a branch ends with several"),
    ([{"id": "a", "group": {"tasks": [node("b")]}},
      {"id": "c", "group": {"tasks": [node("b")]}}], {}, "an id that several nodes have"),
    ([{"id": "a", "loop": {"while": "false", "tasks": [node("b")]}}], {}, "a loop, or a try"),
    ([{"id": "a", "wait": {"event": "e", "correlate": "k"}}], {}, "a wait with a key"),
    ([{"id": "a", "subworkflow": {"workflow": "x", "wait": False, "input": {}}}], {},
     "a sub-workflow with `wait: false`"),
    ([{"id": "a", "subworkflow": {"workflow": "x"}}], {}, "whose input is no object"),
    ([{"id": "a", "decision": {"conditions": [{"id": "y", "expression": "size([1]) > 0"}]}}],
     {}, "'[' in a condition"),
    ([node("a", "t"),
      node("b", dependsOn=[{"task": "a", "on": "x"}, {"task": "a", "on": "y"}])],
     {}, "several edges from a"),
    ([{"id": "a", "approval": {"title": "May I?"}}], {}, "into the workflow (approval)"),
    ([node("a", "t"), node("b", "t", dependsOn=["a"]),
      node("c", dependsOn=["a", "b"], join="ALL")], {},
     "a join 'all' of nodes after one another"),
    ([node("a"), node("b"), node("c", dependsOn=["a", "b"], join="ANY")], {},
     "a join that does not wait for all"),
    ([node("a")], {"triggers": [{"id": "t", "cron": {"expression": "0 2 * * *"}}]},
     "a schedule with the id 't'"),
    ([node("a")], {"triggers": [{"id": "t", "event": {"type": "x"}}]}, "a trigger that is no"),
    ([node("a")], {"onFailure": "STOP"}, "`onFailure: STOP`"),
    ([node("a")], {"outputSchema": {"type": "object"}}, "an output schema without an output"),
]  # fmt: skip
REFUSED = [(documents(workflow(*nodes, **spec)), what) for nodes, spec, what in _WORKFLOWS]
REFUSED += [
    (graph(made("s", "trigger", data={"triggerType": "manual", "config": {}})), "type trigger"),
    (steps(http("a", params={"method": "POST"})), "a request that sends the context"),
    (steps(http("a", params={"url": "{{context.u}}"})), "a url that begins with a template"),
    (steps(http("a", params={"body": "x"})), "a body of a request"),
    (steps(http("a"), http("b", params={"url": "http://x/{{context.a}}"})), "not known before it"),
    (steps({"id": "a", "action": "mine", "params": {}}), "written into the workflow (mine)"),
    (steps({"id": "a", "action": "function", "params": {"code": "return 1"}}), "(function)"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "what"), REFUSED, ids=[what for _, what in REFUSED])
def test_unsupported_features_are_refused_by_name(source: bytes, what: str) -> None:
    """Each feature of workflows that documents lack."""
    found = [text for _, text in refused(source, "serverless")]
    assert any(what in text for text in found), found


def test_all_unsupported_features_are_reported_at_once() -> None:
    """With the nodes concerned."""
    source = documents(
        workflow(node("a", "x@1"), node("b", "t", queue="q", priority="HIGH"), parallelism=2)
    )
    assert sorted(refused(source, "serverless")) == [
        ("", "Serverless Workflow has no place for a limit of how many nodes run at once"),
        ("a", "Serverless Workflow has no place for a task of the library called x@1"),
        ("b", "Serverless Workflow has no place for a priority"),
        ("b", "Serverless Workflow has no place for a queue"),
    ]


@pytest.mark.parametrize("name", ["my.own.flow", "a_b", "x" * 64, "-a"])
def test_a_name_that_the_standard_does_not_know_is_refused(name: str) -> None:
    """It would be another workflow under another name."""
    resource = workflow(node("a"))
    resource["metadata"]["name"] = name
    with pytest.raises(Invalid, match="the name"):
        export_source(documents(resource), "", "serverless")


def test_expressions_that_are_written_are_jq() -> None:
    """Each is compiled by the reader."""
    document = written(node("a", "t", input={"x": "{{input.a.b[0]}} and {{execution.id}}"}))
    assert problems(json.dumps(document).encode()) == [
        each for each in problems(json.dumps(document).encode()) if each.code == "TASK_NOT_FOUND"
    ]
