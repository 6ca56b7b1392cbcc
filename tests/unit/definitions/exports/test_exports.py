"""A definition in another format has the same plan, or is refused with its unsupported features."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract.json_value import Json
from flowmesh.definitions import compile_source, read_source
from flowmesh.definitions.exports import export_source, write_yaml
from flowmesh.definitions.reading.yaml_text import read_yaml
from flowmesh.errors import Invalid
from flowmesh.sdk import Workflow
from tests.unit.definitions.factories import http, node, steps, task, workflow
from tests.unit.definitions.formats.test_graph_json import decision, edge, graph, made

EXAMPLES = Path(__file__).parents[4] / "examples"
IDS = [f"n{number}" for number in range(8)]
DURATIONS = st.sampled_from(["0ms", "150ms", "2s", "1h"])


def documents(*given: Json) -> bytes:
    return write_yaml(given).encode()


def bare(plan: plan_pb2.Plan) -> plan_pb2.Plan:
    """Return the plan without the names of its document."""
    plan.dialect = plan_pb2.DIALECT_UNSPECIFIED
    plan.digest = plan.version_digest = ""
    return plan


def plan_of(source: bytes) -> plan_pb2.Plan:
    return bare(compile_source(source))


def converted(source: bytes, target: str) -> bytes:
    return documents(*export_source(source, "", target))


def refused(source: bytes, target: str) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        export_source(source, "", target)
    assert caught.value.reason == "FEATURE_UNSUPPORTED"
    return [(each.field, each.description) for each in caught.value.violations]


CHOICE = {"conditions": [{"id": "yes", "expression": "input.n > 1"}], "default": ["no"]}


@st.composite
def native_nodes(draw: st.DrawFn, ids: list[str], depth: int = 0) -> list[Json]:
    """Generate tasks of a graph: each after some earlier ones, with outcomes and joins."""
    found: list[Json] = []
    for index, name in enumerate(ids[: draw(st.integers(1, len(ids)))]):
        before = draw(st.lists(st.sampled_from(ids[:index]), unique=True)) if index else []
        outcome = draw(st.sampled_from(["", "", "failure", "yes", "no"]))
        said: Json = {"dependsOn": [*before]} if before else {}
        if before and outcome:
            said["dependsOn"][0] = {"task": before[0], "on": outcome}
        if draw(st.booleans()):
            said["join"] = draw(st.sampled_from(["STRICT", "ALL", "ANY"]))
        if draw(st.booleans()):
            said["condition"] = "input.n > 1"
        if draw(st.booleans()):
            said["critical"] = draw(st.booleans())
        kind = draw(st.sampled_from(["call", "call", "call", "decision", "body"]))
        if kind == "decision":
            found.append({"id": name, "decision": CHOICE, **said})
            continue
        if kind == "body" and depth < 2:
            inner = draw(native_nodes([f"{name}m{i}" for i in range(3)], depth + 1))
            bodies: Json = {
                "map": {"items": "{{input.list}}", "tasks": inner},
                "group": {"tasks": inner},
                "race": {"tasks": inner},
                "loop": {"while": "state.n < 3", "state": {"n": 0}, "tasks": inner},
                "try": {"tasks": inner, "catch": [{"tasks": [node(f"{name}c")]}]},
            }
            body = draw(st.sampled_from(sorted(bodies)))
            found.append({"id": name, body: bodies[body], **said})
            continue
        ref = draw(st.sampled_from(["noop", "shared", "delay", "transform"]))
        given_to: Json = {
            "noop": None,
            "shared": {f"of_{n}": f"{{{{tasks.{n}.output}}}}" for n in before},
            "delay": {"duration": "5s"},
            "transform": {"source": "{{input.list}}", "pipeline": [{"operation": "reverse"}]},
        }[ref]
        if given_to is not None:
            said["input"] = given_to
        if draw(st.booleans()):
            said["timeout"] = "3s"
            said["priority"] = draw(st.sampled_from(["LOW", "HIGH"]))
            said["queue"] = "q"
            said["name"] = f"Node {name}"
        if draw(st.booleans()):
            said["retry"] = {
                "maxAttempts": draw(st.integers(1, 9)),
                "initialDelay": draw(DURATIONS),
                "multiplier": draw(st.sampled_from([1, 2, 1.5])),
                "retryOn": draw(st.sampled_from([[], ["Timeout", "Mine"]])),
                "jitter": draw(st.sampled_from([0, 0.5])),
            }
        found.append(node(name, ref, **said))
    return found


@st.composite
def step_documents(draw: st.DrawFn) -> Json:
    listed: list[Json] = []
    for index, name in enumerate(IDS[: draw(st.integers(1, len(IDS)))]):
        before = draw(st.lists(st.sampled_from(IDS[:index]), unique=True)) if index else []
        action, params = draw(
            st.sampled_from(
                [
                    ("http.request", {"url": "http://x/{{context.id}}"}),
                    ("http.request", {"url": "http://x/", "method": "POST"}),
                    ("http.request", {"url": "http://x/", "method": "PUT", "body": {"a": 1}}),
                    ("delay", {"duration": 5}),
                    ("delay", {"duration": "{{context.wait}}"}),
                    ("function", {"code": "return context.a"}),
                    ("function", {"code": "function n1() {} return 2"}),
                    ("transform", {"code": "return input", "inputKey": "a"}),
                    ("transform", {"pipeline": [{"operation": "reverse"}]}),
                    ("condition", {"expression": "context.a > 1"}),
                    ("webhook", {"url": "http://x/", "payload": {"a": "{{context.b}}"}}),
                    ("mine", {"to": "{{context.a}}"}),
                    ("noop", {}),
                ]
            )
        )
        said: Json = {"id": name, "action": action, "params": params, "dependencies": before}
        if draw(st.booleans()):
            said |= {"retryPolicy": {"maxAttempts": 2}, "timeout": 50, "critical": False}
        if draw(st.booleans()):
            said |= {"description": "what it does", "metadata": {"owner": "ada"}}
        listed.append(said)
    return {"id": "w", "name": "W", "steps": listed, "maxConcurrency": 3, "timeout": 9_000}


@settings(max_examples=60, deadline=None)
@given(native_nodes(IDS), st.booleans())
def test_native_to_graph_json_and_back_is_the_same_plan(nodes: list[Json], more: bool) -> None:
    """With any members of nodes; resources of tasks are unchanged."""
    spec: Json = {"output": {"a": "{{input.n}}"}, "timeout": "1h", "parallelism": 2} if more else {}
    source = documents(task("shared", timeout="9s"), workflow(*nodes, **spec))
    as_graph = converted(source, "graph")
    assert plan_of(as_graph) == plan_of(source)
    assert plan_of(converted(as_graph, "native")) == plan_of(source)


@settings(max_examples=60, deadline=None)
@given(step_documents())
def test_step_json_to_graph_json_and_back_is_the_same_plan(document: Json) -> None:
    """And the same document in all descriptive members."""
    source = json.dumps(document).encode()
    as_graph = converted(source, "graph")
    assert plan_of(as_graph) == plan_of(source)
    back = export_source(as_graph, "", "steps")[0]
    assert plan_of(json.dumps(back).encode()) == plan_of(source)
    for step, written in zip(back["steps"], document["steps"], strict=True):
        assert step.get("description") == written.get("description")
        assert step["metadata"].get("owner") == written.get("metadata", {}).get("owner")


def test_a_document_in_its_format_is_unchanged() -> None:
    """Unknown members included."""
    document = json.loads(graph(made("a", colour="red"), mine=[1]))
    assert export_source(json.dumps(document).encode(), "", "graph") == [document]
    assert export_source(json.dumps(document).encode(), "", "") == [document]


def test_positions_survive_step_json() -> None:
    """In the metadata of the steps, where graph JSON finds them again."""
    source = graph(made("a", data={"taskType": "t"}), made("b"), edges=(edge("a>b"),))
    back = export_source(converted(source, "steps"), "", "graph")[0]
    assert [each["position"] for each in back["nodes"]] == [{"x": 10, "y": 2.5}] * 2


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
    | st.sampled_from(["no", "012", "1e3", "0o17", "null", "~", "-", "a\nb\n", "<<", "=", " x "]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab<0: ", max_size=4), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(JSON_VALUES)
def test_yaml_is_read_back_as_what_was_written(value: Json) -> None:
    """Strings that look like something else included."""
    again = {"twice": value, "same": value}
    assert read_yaml(write_yaml([again, {"b": 1}])) == [again, {"b": 1}]


@pytest.mark.parametrize(
    ("source", "target", "what"),
    [
        (
            graph(decision(("a", "true")), made("x"), edges=(edge("d>x", condition="a"),)),
            "steps",
            [
                ("d", "step JSON has no place for a decision"),
                ("x", "step JSON has no place for an edge with a condition"),
            ],
        ),
        (
            graph(made("a"), made("b"), edges=(edge("a>b", type="error"),)),
            "steps",
            [("b", "step JSON has no place for an edge that is taken on failure")],
        ),
        (
            graph(made("w", "webhook")),
            "steps",
            [("w", "step JSON has no place for a node that waits for a signal")],
        ),
        (
            documents(workflow(node("a", "t", condition="input.x"))),
            "steps",
            [
                ("a", "step JSON has no place for a task of the library (t)"),
                ("a", "step JSON has no place for a condition of a node"),
            ],
        ),
        (
            steps(http("a", params={"url": "http://x/{{context.b}}"})),
            "native",
            [("a", "a native resource has no place for a node that reads the context")],
        ),
        (
            graph(made("a"), made("b"), made("c", join="any"), edges=(edge("a>c"), edge("b>c"))),
            "native",
            [
                ("a", "a native resource has no place for a node that reads the context"),
                ("b", "a native resource has no place for a node that reads the context"),
                ("c", "a native resource has no place for a node that reads the context"),
            ],
        ),
    ],
)
def test_unsupported_features_of_a_format_are_refused_by_name(
    source: bytes, target: str, what: list[tuple[str, str]]
) -> None:
    """All of it at once; nothing is left out silently."""
    assert sorted(refused(source, target)) == sorted(what)


def test_steps_that_read_no_context_become_tasks_of_the_library() -> None:
    """With the retries that step JSON gives them: none."""
    source = steps(http("a"), {"id": "b", "dependencies": ["a"]})
    written = export_source(source, "", "native")
    assert [each["kind"] for each in written] == ["WorkflowTask", "Workflow"]
    plan, back = plan_of(source), plan_of(documents(*written))
    assert [n.id for n in back.nodes] == [n.id for n in plan.nodes]
    assert [n.retry for n in back.nodes] == [n.retry for n in plan.nodes]


def test_a_workflow_of_the_builder_round_trips() -> None:
    """It makes native resources, which are converted as others are."""
    flow = Workflow("built", input_schema={"type": "object"})
    first = flow.http("fetch", "http://service/{{input.id}}", input={"id": flow.input["id"]})
    flow.http("store", "http://service/", method="POST", input={"row": first.output})
    each = flow.map("each", flow.input["rows"])
    each.use("rest", "noop", depends_on=[])
    source = documents(*flow.as_resources())
    assert plan_of(converted(converted(source, "graph"), "native")) == plan_of(source)


@pytest.mark.parametrize(
    "path",
    sorted(
        path
        for path in (*EXAMPLES.rglob("*.yaml"), *EXAMPLES.glob("demo/workflows/*.json"))
        if ".test." not in path.name
        and not any(path.is_relative_to(EXAMPLES / each) for each in ("apps", "kubernetes"))
    ),
    ids=lambda path: path.name,
)
def test_the_examples_round_trip(path: Path) -> None:
    """Each as graph JSON and back."""
    source = path.read_bytes()
    kinds = [read.kind for read in read_source(source).resources]
    if kinds.count("Workflow") == 1:
        assert plan_of(converted(source, "graph")) == plan_of(source)
    assert len(read_yaml(converted(source, "graph").decode())) == len(kinds)
