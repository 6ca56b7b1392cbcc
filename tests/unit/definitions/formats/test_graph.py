"""Cycles, unknown and repeated names, and the analysis of valid graphs."""

import pytest

from flowmesh.api.definition.v1 import definition_pb2
from flowmesh.definitions import Workflow, analyse, compile_source, read_source
from flowmesh.definitions.problems import refuse
from flowmesh.errors import Invalid
from tests.unit.definitions.factories import (
    codes,
    documents,
    node,
    problems,
    refusals,
    steps,
    workflow,
)


def chain(*edges: str) -> bytes:
    """Return steps from `a:b,c` (a depends on b and c)."""
    given = []
    for edge in edges:
        name, _, dependencies = edge.partition(":")
        given.append({"id": name, "dependencies": [d for d in dependencies.split(",") if d]})
    return steps(*given)


def message(source: bytes) -> str:
    with pytest.raises(Invalid) as refused:
        refuse(problems(source))
    return refused.value.message


@pytest.mark.parametrize(
    ("edges", "circle"),
    [
        (["task-a:task-b", "task-b:task-a"], "task-a → task-b → task-a"),
        (["a:a"], "a → a"),
        (["a:b", "b:c", "c:a", "d:a"], "a → b → c → a"),
        (["z", "d:c", "c:b,z", "b:c"], "c → b → c"),
        (["x:a", "a:b", "b:a"], "a → b → a"),
    ],
)
def test_a_circle_is_shown_as_the_way_around_it(edges: list[str], circle: str) -> None:
    """In the exact words of the documents, from its first node in definition order."""
    assert message(chain(*edges)) == f"Circular dependency: {circle}"
    assert codes(chain(*edges)) == {"GRAPH_CYCLE"}


def test_a_circle_of_resources_is_shown_alike() -> None:
    """Explicit dependencies and those that templates imply make circles together."""
    source = documents(
        workflow(
            node("task-a", dependsOn=["task-b"]),
            node("task-b", input={"x": "{{tasks.task-a.output.x}}"}),
        )
    )
    assert message(source) == "Circular dependency: task-a → task-b → task-a"
    itself = documents(workflow(node("a", input="{{tasks.a.output}}")))
    assert message(itself) == "Circular dependency: a → a"


def test_the_circle_comes_first_among_several_problems() -> None:
    """The message begins with it and says how many more there are."""
    source = documents(workflow(node("a", "nope", dependsOn=["b"]), node("b", dependsOn=["a"])))
    assert message(source) == "Circular dependency: a → b → a (and 1 more)"
    with pytest.raises(Invalid) as refused:
        refuse(problems(source))
    assert refused.value.reason == "WORKFLOW_INVALID"
    assert {v.code for v in refused.value.violations} == {"GRAPH_CYCLE", "TASK_NOT_FOUND"}


def test_a_circle_of_ten_thousand_is_found() -> None:
    """And shown in part."""
    count = 10_000
    source = chain(*(f"n{i}:n{(i + 1) % count}" for i in range(count)))
    text = message(source)
    assert text.startswith("Circular dependency: n0 → n1 → ")
    assert text.endswith(" → n9999 → n0")
    assert len(text) < 1_000


def test_unknown_names_are_refused_with_a_suggestion() -> None:
    """At the place of the name."""
    source = chain("fetch-user", "send:fetch-usr")
    assert refusals(source) == [("GRAPH_UNKNOWN_NODE", "steps[1].dependencies[0]")]
    assert "did you mean 'fetch-user'?" in message(source)


def test_an_id_may_be_used_once() -> None:
    """The second one is the problem."""
    assert refusals(chain("a", "b", "a")) == [("GRAPH_DUPLICATE_NODE", "steps[2].id")]


def test_repeated_dependencies_count_once() -> None:
    """They are no problem."""
    (read,) = read_source(chain("a", "b:a,a,a")).resources
    assert isinstance(read.resource, Workflow)
    analysis = analyse(read.resource)
    assert list(analysis.nodes[1].dependencies) == ["a"]


def analysed(source: bytes, most: int = 0) -> definition_pb2.Analysis:
    (read,) = read_source(source).resources
    assert isinstance(read.resource, Workflow)
    return analyse(read.resource, most)


def test_the_sample_has_exactly_its_three_groups() -> None:
    """(fetch-user, fetch-orders) → (process-data) → (send-confirmation), by templates alone."""
    source = documents(
        workflow(
            node("fetch-user"),
            node("fetch-orders"),
            node(
                "process-data",
                input=["{{tasks.fetch-user.output}}", "{{tasks.fetch-orders.output}}"],
            ),
            node("send-confirmation", dependsOn=["process-data"]),
        )
    )
    analysis = analysed(source)
    assert [list(group.nodes) for group in analysis.groups] == [
        ["fetch-user", "fetch-orders"],
        ["process-data"],
        ["send-confirmation"],
    ]
    assert list(analysis.roots) == ["fetch-user", "fetch-orders"]
    assert list(analysis.leaves) == ["send-confirmation"]
    assert list(analysis.convergence_points) == ["process-data"]
    assert list(analysis.branch_points) == []
    assert [list(path.nodes) for path in analysis.paths] == [
        ["fetch-user", "process-data", "send-confirmation"],
        ["fetch-orders", "process-data", "send-confirmation"],
    ]
    assert list(analysis.critical_path) == ["fetch-user", "process-data", "send-confirmation"]
    assert (analysis.depth, analysis.path_count) == (3, 2)


def layers(count: int) -> bytes:
    """Return layers of two nodes, each behind both of the layer before: 2^count paths."""
    edges = ["a0", "b0"]
    for layer in range(1, count):
        edges += [f"{name}{layer}:a{layer - 1},b{layer - 1}" for name in "ab"]
    return chain(*edges)


def test_paths_are_counted_exactly_and_spelled_out_up_to_a_cap() -> None:
    """2^62 of them are counted as fast as two; beyond 63 bits the count is -1."""
    analysis = analysed(layers(62), 7)
    assert (analysis.path_count, len(analysis.paths)) == (2**62, 7)
    assert analysed(layers(63)).path_count == -1
    assert len(analysed(layers(20)).paths) == 100
    assert len(analysed(layers(20), 100_000).paths) == 1_000


def test_a_decision_waits_for_what_it_reads() -> None:
    """Its conditions are references like those of templates."""
    source = (
        "apiVersion: workflow.io/v1\nkind: Workflow\nmetadata: {name: w}\nspec:\n  tasks:\n"
        "    - {id: a, taskRef: noop}\n"
        "    - {id: b, decision: {conditions: [{id: big, expression: tasks.a.output > 1}]}}\n"
    )
    plan = compile_source(source.encode())
    assert list(plan.nodes[1].dependencies) == [0]
