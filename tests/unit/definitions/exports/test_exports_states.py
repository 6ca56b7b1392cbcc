"""Workflows in the Amazon States Language: written documents and named refusals."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmesh.contract import NEVER_RETRIED
from flowmesh.contract.json_value import Json
from flowmesh.definitions import check, read_source
from flowmesh.definitions.exports import export_source, write_yaml
from flowmesh.definitions.exports.states.conditions import rules_of
from flowmesh.definitions.exports.states.values import path_to
from flowmesh.errors import Invalid
from flowmesh.expressions import RenderError, compile_condition
from flowmesh.standards.choices import holds
from tests.draws import draws
from tests.unit.definitions.factories import http, node, resource, steps, task, workflow
from tests.unit.definitions.formats.test_graph_json import decision, edge, graph, made

SPACE = "the Amazon States Language has no place for "


def once(node_id: str, ref: str = "t", **more: Json) -> Json:
    """Return a task of the library with a single attempt."""
    return node(node_id, ref, **{"retry": {"maxAttempts": 1}, **more})


def source_of(*resources: Json) -> bytes:
    return write_yaml(resources).encode()


def written(source: bytes) -> Json:
    """Return the document, which reads back without problems except for tasks of the library."""
    document = export_source(source, "", "states")[-1]
    reading = read_source(json.dumps(document).encode())
    found = [*reading.problems, *check(reading, lambda _name: None)]
    assert [each for each in found if each.code != "TASK_NOT_FOUND"] == []
    return document


def states(*tasks: Json, **spec: Json) -> Json:
    return written(source_of(workflow(*tasks, **spec)))["States"]


def refused(source: bytes) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        export_source(source, "", "states")
    assert caught.value.reason == "FEATURE_UNSUPPORTED"
    violations = caught.value.violations
    assert all(each.description.startswith(SPACE) for each in violations)
    return [(each.field, each.description.removeprefix(SPACE)) for each in violations]


def test_tasks_after_one_another_are_states_in_a_row() -> None:
    """References become paths, and only the outputs that are read are kept."""
    document = written(
        source_of(
            workflow(
                once("a", input={"id": "{{input.id}}"}, name="First"),
                once("b-1", "u", input={"to": "{{tasks.a.output.x[0]}}"}, timeout="30s"),
                output={"b": '{{tasks["b-1"].output}}'},
                timeout="2m",
                description="What it does",
            )
        )
    )
    made_of = document["States"]
    assert document["Name"] == "w"
    assert (document["Comment"], document["TimeoutSeconds"]) == ("What it does", 120)
    assert list(made_of) == ["w:input", "a", "b-1", "w:output"]
    assert made_of["w:input"]["Parameters"] == {"input.$": "$", "tasks": {}, "marks": {}}
    assert made_of["a"] == {
        "Type": "Task",
        "Comment": "First",
        "Resource": "flowmesh:t",
        "Parameters": {"id.$": "$.input.id"},
        "ResultPath": "$.tasks.a.output",
        "Next": "b-1",
    }
    assert made_of["b-1"]["Parameters"] == {"to.$": "$.tasks.a.output.x[0]"}
    assert made_of["b-1"]["ResultPath"] == "$.tasks['b-1'].output"
    assert made_of["b-1"]["TimeoutSeconds"] == 30
    assert made_of["w:output"]["Parameters"] == {"b.$": "$.tasks['b-1'].output"}


def test_parallel_nodes_are_a_parallel() -> None:
    """By default the other branches finish after a failure, which their branch returns."""
    tasks = (once("a"), once("b"), once("c", dependsOn=["a", "b"]))
    found = states(*tasks)
    assert [next(iter(each["States"])) for each in found["branches"]["Branches"]] == ["a", "b"]
    assert found["branches"]["Branches"][0]["States"]["a"]["Catch"] == [
        {"ErrorEquals": ["States.ALL"], "ResultPath": "$.marks.failure", "Next": "failed"}
    ]
    assert found["branches:ended"]["Default"] == "c"
    canceled = states(*tasks, onFailure="CANCEL")
    assert "Catch" not in canceled["branches"]["Branches"][0]["States"]["a"]
    assert canceled["branches"]["Next"] == "c"


def test_retries_and_fallbacks() -> None:
    """In whole seconds; failure classes by the names that errors have there."""
    found = states(
        once("a", retry={"maxAttempts": 3, "initialDelay": "2s", "retryOn": ["Mine", "Timeout"]}),
        once(
            "b",
            dependsOn=["a"],
            onFailure="CONTINUE",
            fallback={"n": 0},
            retry={"initialDelay": "5s", "maxDelay": "1s", "jitter": 1, "retryOn": ["*"]},
        ),
        once("c", input={"n": "{{tasks.b.output.n}}"}),
    )
    names = ["Mine", "States.Timeout", "States.Http.StatusCode.408"]
    one = {"IntervalSeconds": 2, "MaxAttempts": 2, "BackoffRate": 2.0}
    assert found["a"]["Retry"] == [{"ErrorEquals": names, **one}]
    every = {"IntervalSeconds": 1, "MaxAttempts": 3, "BackoffRate": 1, "JitterStrategy": "FULL"}
    assert found["b"]["Retry"] == [
        {"ErrorEquals": list(NEVER_RETRIED), "MaxAttempts": 0},
        {"ErrorEquals": ["States.ALL"], **every},
    ]
    catch = {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "b:fallback"}
    assert found["b"]["Catch"] == [catch]
    assert found["b:fallback"] == {
        "Type": "Pass", "Result": {"n": 0}, "ResultPath": "$.tasks.b.output", "Next": "c",
    }  # fmt: skip


def test_maps_groups_delays_and_other_workflows() -> None:
    """Each as the state that does the same."""
    found = states(
        {"id": "m", "map": {"items": "{{input.xs}}", "concurrency": 5,
                            "tasks": [once("x", input={"i": "{{item.v}}", "at": "{{index}}"})]}},
        node("d", "delay", input={"duration": "1m"}, dependsOn=["m"]),
        {"id": "g", "dependsOn": ["d"], "group": {"tasks": [once("p"), node("q")]}},
        {"id": "s", "dependsOn": ["g"],
         "subworkflow": {"workflow": "other", "version": 3, "input": {"all": "{{input}}"}}},
        output="{{tasks.s.output}}",
    )  # fmt: skip
    each = found["m"]["ItemProcessor"]["States"]
    assert (found["m"]["ItemsPath"], found["m"]["MaxConcurrency"]) == ("$.input.xs", 5)
    assert each["x"]["Parameters"] == {"i.$": "$.item.v", "at.$": "$.index"}
    assert each["m:output"]["InputPath"] == "$.tasks.x.output"
    assert found["d"] == {"Type": "Wait", "Seconds": 60, "Next": "g"}
    assert found["g"]["Branches"][0]["States"]["g:output"]["Parameters"] == {
        "output.$": "States.Array($.tasks.p.output, $.tasks.q.output)"
    }
    assert found["s"]["Resource"] == "arn:aws:states:::states:startExecution.sync:2"
    arn = "arn:aws:states:us-east-1:000000000000:stateMachine:other:3"
    assert found["s"]["Parameters"] == {"StateMachineArn": arn, "Input": {"all.$": "$.input"}}
    assert found["w:output"]["InputPath"] == "$.tasks.s.output"


def route(**more: Json) -> Json:
    """Return a decision between x and y, and z otherwise."""
    conditions = [
        {"id": "x", "expression": "input.n > 1"},
        {"id": "y", "expression": "input.n == 1"},
    ]
    return {"id": "d", "decision": {"conditions": conditions, "default": ["z"], **more}}


def on(label: str, node_id: str, **more: Json) -> Json:
    return once(node_id, dependsOn=[{"task": "d", "on": label}], **more)


def test_a_decision_chooses_one_of_its_branches() -> None:
    """Its conditions are tried in their order; what joins the branches waits for the one."""
    join = once("j", dependsOn=["a", "b"], join="ALL")
    found = states(route(), on("x", "a"), on("z", "b"), join)
    assert [each["Next"] for each in found["d"]["Choices"]] == ["a", "w:skipped", "b"]
    assert found["d"]["Default"] == "d-failed"
    assert found["a"]["Next"] == found["b"]["Next"] == "j"
    assert found["w:skipped"] == {"Type": "Pass", "Result": None, "End": True}


@pytest.mark.parametrize(
    ("tasks", "what"),
    [
        ((route(match="ALL"), on("x", "a")), ("d", "a decision with match: all")),
        (
            (route(), on("x", "a"), on("x", "b")),
            ("d", "a decision that begins several tasks at once"),
        ),
        (
            (route(), on("x", "a"), once("b", dependsOn=["d"])),
            ("b", "a task beside or behind a decision that others choose too"),
        ),
        (
            (route(), on("x", "a"), on("y", "b"), once("j", dependsOn=["a", "b"])),
            ("j", "a task that waits for all that d chooses among"),
        ),
        (
            (once("o"), route() | {"dependsOn": ["o"]}, on("x", "a"), on("y", "b"),
             once("j", dependsOn=["a", "b", "o"], join="ALL")),
            ("j", "a join that waits for more than d chooses among"),
        ),
        (
            (route(), on("x", "a", input={"by": "{{tasks.d.output}}"})),
            ("d", "the output of a decision that is read"),
        ),
        (
            (route(), on("x", "a"), once("j", dependsOn=["a", {"task": "d", "on": "x"}])),
            ("j", "an edge with a condition"),
        ),
    ],
)  # fmt: skip
def test_decisions_that_are_no_choice_are_refused(
    tasks: tuple[Json, ...], what: tuple[str, str]
) -> None:
    """If not exactly one branch runs, or a node waits for other branches too."""
    assert what in refused(source_of(workflow(*tasks)))


def test_items_that_are_written_out_are_made_first() -> None:
    """A state before the map puts them into its input."""
    found = states({"id": "m", "map": {"items": [1, 2], "tasks": [once("x")]}})
    assert list(found) == ["w:input", "m:list", "m", "w:output"]
    assert (found["m:list"]["Result"], found["m"]["ItemsPath"]) == ([1, 2], "$.items")
    computed = workflow({"id": "m", "map": {"items": ["{{input.a}}"], "tasks": [once("x")]}})
    assert refused(source_of(computed)) == [("m", "items of a map that are computed")]


def test_templates_are_functions_where_they_are_more_than_a_reference() -> None:
    """Texts with braces and quotes in them, lists, constants."""
    given_to = {
        "text": "it's {{input.a}} of {x} \\ {{ 'q' }}",
        "list": ["{{input.a}}", 1, {"k": ["'"]}],
        "json": "{{ input.a | toJson }}",
        "objects": [{"id": "{{execution.id}}"}, 2],
        "constant": "{{ 1.5 }}",
        "plain": {"a": [None]},
    }
    assert states(once("a", input=given_to))["a"]["Parameters"] == {
        "text.$": "States.Format('it\\'s {} of \\{x\\} \\\\ q', $.input.a)",
        "list.$": 'States.Array($.input.a, 1, States.StringToJson(\'{"k":["\\\'"]}\'))',
        "json.$": "States.JsonToString($.input.a)",
        "objects": [{"id.$": "$$.Execution.Id"}, 2],
        "constant": 1.5,
        "plain": {"a": [None]},
    }


def test_step_json_reads_the_context_as_outputs_and_input() -> None:
    """A request, a worker's task with its params, its timeout."""
    found = written(
        steps(
            http("a", params={"method": "POST", "body": {"id": "{{context.id}}"}}),
            {"id": "b", "action": "mail.send", "dependencies": ["a"], "timeout": 5000,
             "params": {"to": "{{context.a.mail}}", "by": "{{context.who}}"}},
        )
    )["States"]  # fmt: skip
    assert found["a"]["Resource"] == "arn:aws:states:::http:invoke"
    assert found["a"]["Parameters"] == {
        "ApiEndpoint": "http://service/", "Method": "POST",
        "RequestBody": {"id.$": "$.input.id"},
    }  # fmt: skip
    assert found["a"]["ResultSelector"] == {"output.$": "$.ResponseBody"}
    assert (found["b"]["Resource"], found["b"]["TimeoutSeconds"]) == ("mail.send", 5)
    assert found["b"]["Parameters"] == {"to.$": "$.tasks.a.output.mail", "by.$": "$.input.who"}


def test_graph_json_is_written_by_its_edges() -> None:
    """A worker's node and a native one."""
    source = graph(
        made("a", data={"taskType": "mine", "n": 1}),
        made("b", data={"taskRef": "t", "retry": {"maxAttempts": 1}}),
        edges=(edge("a>b"),),
    )
    found = written(source)["States"]
    assert [each["Type"] for each in found.values()] == ["Pass", "Task", "Task", "Pass"]
    assert (found["a"]["Resource"], found["a"]["Parameters"]) == ("mine", {"n": 1})
    assert found["b"]["Resource"] == "flowmesh:t"


def test_a_document_stays_as_it_is() -> None:
    """A written document is already in its format."""
    document = written(source_of(workflow(once("a"))))
    assert export_source(json.dumps(document).encode(), "", "states") == [document]


RETRIES = (
    "the retries of a task that its node does not repeat, by default from 100 ms (set a retry "
    "from 1s on, or maxAttempts: 1)"
)
TANGLED = (once("a"), once("b"), once("c", dependsOn=["a"]), once("d", dependsOn=["a", "b"]))


@pytest.mark.parametrize(
    ("source", "what"),
    [
        (source_of(workflow(node("a", "t"))), [("a", RETRIES)]),
        (
            source_of(workflow(once("a", timeout="1500ms"), node("d", "delay",
                                                                 input={"duration": "20ms"}))),
            [("a", "a timeout of 1500 ms, not in whole seconds"),
             ("d", "a delay of 20 ms, not in whole seconds")],
        ),
        (
            source_of(workflow(*TANGLED)),
            [("", "nodes that are neither in series nor side by side (a, b, c, d)")],
        ),
        (
            source_of(workflow(once("a", input={"x": "{{ upper(input.n) }}"}))),
            [("a", "the function upper of templates")],
        ),
        (
            source_of(workflow(once("a", input=["{{input.x}}"]))),
            [("a", "an input that is neither an object nor one reference")],
        ),
        (
            source_of(workflow(once("a", condition="size(input.x) > 2"))),
            [("a", "the function size in a condition")],
        ),
        (
            source_of(workflow(once("a", condition="input.x > input.y"))),
            [("a", "a comparison that is not of a value with a constant")],
        ),
        (
            source_of(workflow(once("a"), once("b"), onFailure="STOP")),
            [("", "a workflow that stops when a node fails (onFailure: STOP)")],
        ),
        (
            source_of(task("t", type="condition", condition={"expression": "input.x"}),
                      workflow(once("a"))),
            [("a", "a task that decides whether what is behind it runs (condition: can)")],
        ),
        (
            source_of(workflow(node("a", "transform", input={"source": "{{input.x}}",
                                                             "pipeline": []}))),
            [("a", "the built-in task transform"), ("a", RETRIES)],
        ),
        (
            source_of(workflow({"id": "l", "loop": {"while": "state.n < 3", "state": {"n": 0},
                                                    "tasks": [node("x")]}})),
            [("l", "a state machine, a loop or a try")],
        ),
        (
            source_of(workflow({"id": "r", "race": {"tasks": [node("x"), node("y")]}})),
            [("r", "a race")],
        ),
        (
            source_of(workflow(once("a"), once("b", dependsOn=[{"task": "a", "on": "failure"}]))),
            [("b", "an edge that is taken on failure")],
        ),
        (
            graph(decision(("a", "true")), made("x"), edges=(edge("d>x", condition="a"),)),
            [("d", "a task of type decision"), ("x", "an edge with a condition")],
        ),
        (
            graph(made("a"), made("b"), made("c"), edges=(edge("a>c"), edge("b>c"))),
            [("c", "the join 'all', which runs where one before it failed ('strict' does not)")],
        ),
        (
            steps(http("a", params={"url": "http://x/{{context.b}}"}),
                  {"id": "f", "action": "function", "params": {"code": "return 1"}}),
            [("a", "templates in the url of a request"), ("f", "a task of type function")],
        ),
        (
            steps({"id": "a", "action": "t"},
                  {"id": "b", "action": "t", "params": {"x": "{{context.a.n}}"}}),
            [("b", "a template that reads context.a.n, of a node it does not wait for")],
        ),
        (
            source_of(resource("Workflow", "w" * 90, tasks=[node("a")])),
            [("w" * 90 + suffix, "a name of more than 80 characters")
             for suffix in (":output", ":input")],
        ),
    ],
)  # fmt: skip
def test_unsupported_features_are_refused_by_name(
    source: bytes, what: list[tuple[str, str]]
) -> None:
    """All features at once; none is dropped silently."""
    assert sorted(refused(source)) == sorted(what)


PLACES = st.sampled_from(["input.a", 'input["b c"]', "input.d.e[0]", "input.missing", "input.a.b"])
CONSTANTS = st.sampled_from(["1", "-2.5", "'x'", '"y"', "true", "false", "null", "0"])
SIGNS = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
ORDERED = st.sampled_from(["1", "-2.5", "'x'", "0"])
COMPARISONS = (
    st.tuples(PLACES, st.sampled_from(["==", "!="]), CONSTANTS).map(" ".join)
    | st.tuples(PLACES, SIGNS, ORDERED).map(" ".join)
    | st.tuples(ORDERED, SIGNS, PLACES).map(" ".join)
    | PLACES
)
CEL = st.recursive(
    COMPARISONS,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(" ".join).map("({})".format)
        | inner.map(lambda each: f"!({each})")
    ),
    max_leaves=5,
)
SAMPLES: list[Json] = [None, True, False, 0, 1, 1.0, -2.5, 3, "x", "y", "", [1], {}, ["x"]]
VALUES = st.sampled_from(SAMPLES)
DATA = st.fixed_dictionaries(
    {}, optional={"a": VALUES, "b c": VALUES, "d": st.fixed_dictionaries({"e": st.lists(VALUES)})}
)


@settings(max_examples=draws(500), deadline=None)
@given(CEL, DATA)
def test_a_condition_and_its_rules_come_to_the_same(source: str, data: Json) -> None:
    """True, false, or neither if it fails."""
    rules = rules_of(source, lambda keys: path_to(*keys))
    scope = {"input": data}
    found = (holds(rules.holds, scope, {}), holds(rules.fails, scope, {}))
    condition = compile_condition(source, dialect="cel")
    assert condition is not None
    try:
        wanted = condition.evaluate(scope)
    except RenderError:
        assert found == (False, False)
    else:
        assert found == (wanted, not wanted)
