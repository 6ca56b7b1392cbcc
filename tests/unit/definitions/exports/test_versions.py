"""Comparison of two versions without a server: differences, callers, moves."""

import orjson
import pytest

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract.json_value import Json
from flowmesh.definitions import Task, TaskRef, Workflow, compile_source, read_source, task_ref
from flowmesh.definitions.task_refs import is_task_ref
from flowmesh.definitions.versions import (
    Verdict,
    compatibility_of,
    diff_tasks,
    diff_workflows,
    obstacles_to_move,
)

TEXT, NUMBER, INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}


def native(kind: str, **spec: Json) -> bytes:
    metadata = {"name": "w"}
    return orjson.dumps(
        {"apiVersion": "workflow.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
    )


def workflow(*tasks: Json, **spec: Json) -> Workflow:
    reading = read_source(native("Workflow", tasks=list(tasks) or [node("a")], **spec))
    assert reading.problems == ()
    found = reading.resources[0].resource
    assert isinstance(found, Workflow)
    return found


def node(name: str, *dependencies: str, **more: Json) -> Json:
    return {"id": name, "taskRef": "noop", "dependsOn": list(dependencies), **more}


def shape(*required: str, **members: Json) -> Json:
    return {"type": "object", "required": list(required), "properties": members}


def lines(old: Workflow, new: Workflow) -> list[str]:
    return [difference.text() for difference in diff_workflows(old, new)]


@pytest.mark.parametrize(
    ("text", "ref"),
    [
        ("a", TaskRef("own", "a")),
        ("a@3", TaskRef("own", "a", 3)),
        ("x/a", TaskRef("x", "a")),
        ("x/a@12", TaskRef("x", "a", 12)),
    ],
)
def test_a_reference_says_what_it_means(text: str, ref: TaskRef) -> None:
    """Name, version, namespace."""
    assert task_ref(text, "own") == ref


@pytest.mark.parametrize("text", ["", "@1", "a@", "a@0", "a@01", "a@x", "a/", "/a", "a/b/c", "a b"])
def test_an_invalid_reference_is_reported(text: str) -> None:
    """With the path and what would be right."""
    assert not is_task_ref(text)
    reading = read_source(native("Workflow", tasks=[{"id": "a", "taskRef": text}]))
    (problem,) = reading.problems
    assert (problem.code, problem.place) == ("ID_INVALID", "tasks[0].taskRef")
    assert "name@version" in problem.message


def test_the_same_in_another_order_does_not_differ() -> None:
    """Neither tasks nor members."""
    one = workflow(node("a"), node("b", "a", input={"x": 1, "y": 2}))
    assert lines(one, workflow(node("b", "a", input={"y": 2, "x": 1}), node("a"))) == []


def test_differences_are_listed_by_part() -> None:
    """Of nodes, edges and policies, in bodies too; 1 is not 1.0."""
    inner = node("ship", input={"n": 1})
    each = {"id": "each", "map": {"items": [1], "concurrency": 5, "tasks": [inner]}}
    old = workflow(node("a"), node("b", "a"), each, timeout="1s")
    inner = node("ship", input={"n": 1.0})
    each = {"id": "each", "map": {"items": [1], "concurrency": 6, "tasks": [inner]}}
    new = workflow(node("a", critical=False), node("b"), each, node("c"), timeout="2s")
    assert lines(old, new) == [
        "policy timeout_ms: 1000 -> 2000",
        "policy a critical: True -> False",
        "edge a -> b removed",
        "node each body.concurrency: 5 -> 6",
        "node each/ship input.n: 1 -> 1.0",
        "node c added",
        "policy c added",
    ]


def test_a_secret_is_not_shown() -> None:
    """Only that it is another one."""

    def steps(secret: str) -> Workflow:
        hooks = {"onComplete": "http://x/", "secret": secret}
        document = {"id": "w", "steps": [{"id": "a"}], "webhooks": hooks}
        found = read_source(orjson.dumps(document)).resources[0].resource
        assert isinstance(found, Workflow)
        return found

    (line,) = lines(steps("whsec_one"), steps("whsec_two"))
    assert line.startswith("callback secret: 'sha256:")
    assert "whsec" not in line


def test_tasks_differ_by_what_they_do_and_take() -> None:
    """Address, retries, schemas, visibility."""

    def task(**spec: Json) -> Task:
        http = {"url": spec.pop("url")}
        found = read_source(native("WorkflowTask", type="http", http=http, **spec)).resources[0]
        assert isinstance(found.resource, Task)
        return found.resource

    old = task(url="http://x/", inputSchema=TEXT)
    new = task(url="http://y/", inputSchema=NUMBER, visibility="public", timeout="1s")
    assert [difference.text() for difference in diff_tasks(old, new)] == [
        "task visibility: 'namespace' -> 'public'",
        "task config.url: 'http://x/' -> 'http://y/'",
        "policy timeout_ms: nothing -> 1000",
        "schema input type: 'string' -> 'number'",
    ]


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (shape(a=TEXT), shape(a=TEXT), Verdict.COMPATIBLE),
        (shape(a=INTEGER), shape(a=NUMBER), Verdict.COMPATIBLE),
        (shape(a=TEXT), shape(a=TEXT, b=NUMBER), Verdict.COMPATIBLE),
        (shape("a", a=TEXT), shape(a=TEXT), Verdict.COMPATIBLE),
        (shape(a=TEXT), None, Verdict.COMPATIBLE),
        (shape(a=TEXT), shape("b", a=TEXT, b=NUMBER), Verdict.BREAKING),
        (shape(a=TEXT), shape("a", a=TEXT), Verdict.BREAKING),
        (shape(a=NUMBER), shape(a=INTEGER), Verdict.BREAKING),
        (shape("a", a=NUMBER), shape("a", a=TEXT), Verdict.BREAKING),
        (shape(a={"enum": [1, 2]}), shape(a={"enum": [1]}), Verdict.BREAKING),
        (
            shape(a=TEXT, b=TEXT),
            {**shape(a=TEXT), "additionalProperties": False},
            Verdict.BREAKING,
        ),
        (None, shape(a=TEXT), Verdict.UNKNOWN),
    ],
)
def test_the_new_input_must_accept_old_values(old: Json, new: Json, verdict: Verdict) -> None:
    """Wider is compatible; narrower and newly required breaks callers."""
    found = compatibility_of(workflow(inputSchema=old), workflow(inputSchema=new))
    assert (found.input, found.verdict) == (verdict, verdict), found.reasons


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (shape("a", a=NUMBER), shape("a", a=INTEGER), Verdict.COMPATIBLE),
        (shape("a", a=TEXT), shape("a", a=TEXT, b=TEXT), Verdict.COMPATIBLE),
        (None, shape(a=TEXT), Verdict.COMPATIBLE),
        (shape("a", a=TEXT), shape(a=TEXT), Verdict.BREAKING),
        (shape("a", a=INTEGER), shape("a", a=NUMBER), Verdict.BREAKING),
        (shape(a=TEXT, b=TEXT), shape(a=TEXT), Verdict.BREAKING),
        (
            shape(a={"type": "array", "items": shape(b=TEXT, c=TEXT)}),
            shape(a={"type": "array", "items": shape(b=TEXT)}),
            Verdict.BREAKING,
        ),
        (shape(a=TEXT), None, Verdict.UNKNOWN),
    ],
)
def test_the_new_output_must_fit_the_old_schema(old: Json, new: Json, verdict: Verdict) -> None:
    """Narrower and more is compatible; less breaks callers."""
    found = compatibility_of(workflow(outputSchema=old), workflow(outputSchema=new))
    assert (found.output, found.verdict) == (verdict, verdict), found.reasons


def test_a_verdict_says_why_and_where() -> None:
    """The path into the value, and a sentence."""
    items = {"type": "array", "items": shape(n=NUMBER)}
    narrower = {"type": "array", "items": shape(n=INTEGER)}
    found = compatibility_of(
        workflow(inputSchema=shape(items=items)), workflow(inputSchema=shape(items=narrower))
    )
    (reason,) = found.reasons
    assert (reason.side, reason.path) == ("input", "items[0].n")
    assert reason.message == "the callers' value may have a fraction"


def plan(*tasks: Json) -> plan_pb2.Plan:
    return compile_source(native("Workflow", tasks=list(tasks)))


def test_an_execution_moves_where_what_has_started_is_unchanged() -> None:
    """Nodes that have not started may differ."""
    old = plan(node("a"), node("b", "a"), node("c", "b"))
    new = plan(node("x"), node("c"), node("b", "a"), node("a"), node("d", "c"))
    assert obstacles_to_move(old, new, ["a", "b"]) == []
    assert obstacles_to_move(old, new, ["a", "b", "c"]) == [
        "c has started and differs in edges before it"
    ]
    assert obstacles_to_move(old, plan(node("a")), ["a", "b"]) == [
        "b has started and is not in the new plan"
    ]


def test_a_started_body_must_be_unchanged() -> None:
    """Named once, however many of its items have started."""

    def each(value: int) -> Json:
        inner = {"id": "t", "taskRef": "transform", "input": {"source": [value], "pipeline": []}}
        return {"id": "each", "map": {"items": [1, 2], "tasks": [inner]}}

    started = ["each", "each[0]/t", "each[1]/t"]
    assert obstacles_to_move(plan(each(1)), plan(each(1), node("a")), started) == []
    assert obstacles_to_move(plan(each(1)), plan(each(2)), started) == [
        "each has started and differs in body"
    ]


def test_changed_failure_handling_keeps_an_execution_on_its_plan() -> None:
    """Policies, compensation and joins are compared; a started execution cannot move."""
    undo = {"taskRef": "transform", "input": {"source": 1, "pipeline": []}}
    old = workflow(node("a"), node("b", "a", join="ANY"))
    new = workflow(
        node("a", onFailure="HOLD", undo=undo),
        node("b", "a", join={"count": 1, "required": ["a"]}),
        onFailure="STOP",
    )
    told = "\n".join(lines(old, new))
    for part in ("on_failure", "undo", "join", "STOP", "HOLD"):
        assert part in told
    moved = obstacles_to_move(plan(node("a")), plan(node("a", undo=undo)), ["a"])
    assert moved == ["a has started and differs in compensation"]
