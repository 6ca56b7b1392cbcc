"""Members of documents, and the problems of wrong ones."""

from typing import Any

import pytest

from flowmesh.contract.durations import duration_ms
from flowmesh.definitions import Workflow, errors_in, read_source
from flowmesh.definitions.model import NATIVE_RETRY, STEPS_RETRY, Priority, Retry
from tests.unit.definitions.factories import (
    codes,
    documents,
    http,
    node,
    problems,
    refusals,
    resource,
    steps,
    task,
    workflow,
)


def read_workflow(source: bytes) -> Workflow:
    (read,) = read_source(source).resources
    assert isinstance(read.resource, Workflow)
    return read.resource


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500ms", 500),
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h", 3_600_000),
        ("1h30m", 5_400_000),
        ("1.5s", 1_500),
        ("0s", 0),
        ("30", None),
        ("s", None),
        ("-1s", None),
        ("1 s", None),
        ("1d", 86_400_000),
        ("1d12h", 129_600_000),
        ("PT5S", 5_000),
        ("P1DT0.25S", 86_400_250),
        ("PT", None),
        ("P1M", None),
        ("pt5s", None),
        ("", None),
        ("9" * 70 + "s", None),
        ("1S", None),
        ("٣s", None),
    ],
)
def test_durations_have_units(text: str, expected: int | None) -> None:
    """A bare number is no duration."""
    assert duration_ms(text) == expected


def test_unknown_members_of_step_json_are_kept_with_a_warning() -> None:
    """They do not keep the workflow from being registered."""
    source = steps({"id": "a", "ui": {"x": 1}, "params": {}}, color="red")
    found = problems(source)
    assert [(p.place, p.warning) for p in found] == [("steps[0].ui", True), ("color", True)]
    assert found[0].line == 1


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (workflow(node("a"), extra=1), "extra"),
        (workflow(node("a", extra=1)), "tasks[0].extra"),
        (workflow(node("a", retry={"maxattempts": 1})), "tasks[0].retry.maxattempts"),
        (workflow(node("a")) | {"status": {}}, "status"),
        (task("t", inputschema={}), "inputschema"),
        (
            resource("WorkflowTask", "t", type="http", http={"url": "http://x/", "uri": 1}),
            "http.uri",
        ),
    ],
)
def test_unknown_members_of_resources_are_refused(source: dict[str, Any], place: str) -> None:
    """At the unknown key."""
    assert refusals(documents(source)) == [("DEFINITION_INVALID", place)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"[]", ("DEFINITION_INVALID", "")),
        (b"7", ("DEFINITION_INVALID", "")),
        (b"{}", ("DEFINITION_INVALID", "")),
        (b'{"id": "w", "steps": {}}', ("DEFINITION_INVALID", "steps")),
        (b'{"id": "w", "steps": []}', ("GRAPH_EMPTY", "steps")),
        (b'{"id": "w", "steps": [1]}', ("DEFINITION_INVALID", "steps[0]")),
        (b'{"steps": [{"id": "a"}]}', ("DEFINITION_INVALID", "id")),
        (b'{"id": 7, "steps": [{"id": "a"}]}', ("DEFINITION_INVALID", "id")),
        (b'{"id": "a b", "steps": [{"id": "a"}]}', ("ID_INVALID", "id")),
        (steps({"name": "x"}), ("DEFINITION_INVALID", "steps[0].id")),
        (steps({"id": "a\u200bb"}), ("ID_INVALID", "steps[0].id")),
        (steps({"id": "x" * 129}), ("ID_INVALID", "steps[0].id")),
        (steps({"id": "a", "name": "x" * 513}), ("DEFINITION_INVALID", "steps[0].name")),
        (steps({"id": "a", "dependencies": "b"}), ("DEFINITION_INVALID", "steps[0].dependencies")),
        (
            steps({"id": "a", "dependencies": [1]}),
            ("DEFINITION_INVALID", "steps[0].dependencies[0]"),
        ),
        (steps({"id": "a", "critical": "no"}), ("DEFINITION_INVALID", "steps[0].critical")),
        (steps({"id": "a", "priority": "URGENT"}), ("DEFINITION_INVALID", "steps[0].priority")),
        (steps({"id": "a", "params": []}), ("DEFINITION_INVALID", "steps[0].params")),
        (steps({"id": "a"}, maxConcurrency=-1), ("DEFINITION_INVALID", "maxConcurrency")),
        (steps({"id": "a"}, maxConcurrency=1.5), ("DEFINITION_INVALID", "maxConcurrency")),
        (steps({"id": "a"}, labels={"a": 1}), ("DEFINITION_INVALID", "labels.a")),
        (
            steps({"id": "a"}, webhooks={"onStep": "ftp://x"}),
            ("DEFINITION_INVALID", "webhooks.onStep"),
        ),
        (steps({"id": "a", "timeout": 0}), ("TIMEOUT_INVALID", "steps[0].timeout")),
        (steps({"id": "a", "timeout": "5s"}), ("TIMEOUT_INVALID", "steps[0].timeout")),
        (
            steps({"id": "a", "action": "http.request"}),
            ("DEFINITION_INVALID", "steps[0].params.url"),
        ),
        (
            steps(http("a", params={"url": "file:///x"})),
            ("DEFINITION_INVALID", "steps[0].params.url"),
        ),
        (
            steps(http("a", params={"method": "FETCH"})),
            ("DEFINITION_INVALID", "steps[0].params.method"),
        ),
        (
            steps(http("a", params={"headers": {"a": []}})),
            ("DEFINITION_INVALID", "steps[0].params.headers.a"),
        ),
        (steps({"id": "a", "action": "delay"}), ("DEFINITION_INVALID", "steps[0].params.duration")),
        (
            steps({"id": "a", "action": "delay", "params": {"duration": -1}}),
            ("TIMEOUT_INVALID", "steps[0].params.duration"),
        ),
        (steps({"id": "a", "action": "transform"}), ("DEFINITION_INVALID", "steps[0].params.code")),
        (
            steps(
                {"id": "a", "action": "transform", "params": {"code": "return 1", "pipeline": []}}
            ),
            ("DEFINITION_INVALID", "steps[0].params.code"),
        ),
        (
            steps({"id": "a", "action": "condition"}),
            ("DEFINITION_INVALID", "steps[0].params.expression"),
        ),
        (steps({"id": "a", "action": "a b"}), ("ID_INVALID", "steps[0].action")),
    ],
)
def test_step_json_of_wrong_types_is_refused_where_it_is_wrong(
    source: bytes, expected: tuple[str, str]
) -> None:
    """One problem, one place."""
    assert refusals(source) == [expected]


def test_times_of_step_json_are_in_ms() -> None:
    """A text, as in other formats, is refused with the right form."""
    source = steps({"id": "a", "action": "delay", "params": {"duration": "5s"}, "timeout": "1m"})
    assert {problem.message for problem in errors_in(problems(source))} == {
        "duration must be a whole number of ms such as 5000, not '5s'",
        "timeout must be a whole number of ms such as 5000, not '1m'",
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (resource("Pod", "p"), ("DEFINITION_INVALID", "kind")),
        (workflow(node("a")) | {"apiVersion": "v1"}, ("DEFINITION_INVALID", "apiVersion")),
        (
            {
                "apiVersion": "workflow.io/v1",
                "kind": "Workflow",
                "metadata": {"name": "w"},
                "spec": {},
            },
            ("DEFINITION_INVALID", "tasks"),
        ),
        (workflow(), ("GRAPH_EMPTY", "tasks")),
        (workflow({"id": "a"}), ("DEFINITION_INVALID", "tasks[0].taskRef")),
        (workflow(node("a")) | {"metadata": {}}, ("DEFINITION_INVALID", "metadata.name")),
        (workflow(node("a", timeout="5")), ("TIMEOUT_INVALID", "tasks[0].timeout")),
        (workflow(node("a", timeout=5)), ("TIMEOUT_INVALID", "tasks[0].timeout")),
        (workflow(node("a", timeout="0s")), ("TIMEOUT_INVALID", "tasks[0].timeout")),
        (workflow(node("a", timeout="999999h")), ("TIMEOUT_INVALID", "tasks[0].timeout")),
        (
            workflow(node("a", retry={"maxAttempts": 0})),
            ("RETRY_INVALID", "tasks[0].retry.maxAttempts"),
        ),
        (
            workflow(node("a", retry={"maxAttempts": 1001})),
            ("RETRY_INVALID", "tasks[0].retry.maxAttempts"),
        ),
        (
            workflow(node("a", retry={"maxAttempts": 1.5})),
            ("RETRY_INVALID", "tasks[0].retry.maxAttempts"),
        ),
        (
            workflow(node("a", retry={"multiplier": 0.5})),
            ("RETRY_INVALID", "tasks[0].retry.multiplier"),
        ),
        (
            workflow(node("a", retry={"initialDelay": 100})),
            ("RETRY_INVALID", "tasks[0].retry.initialDelay"),
        ),
        (workflow(node("a", retry={"jitter": 2})), ("RETRY_INVALID", "tasks[0].retry.jitter")),
        (
            workflow(node("a", retry={"retryOn": ["E"] * 33})),
            ("RETRY_INVALID", "tasks[0].retry.retryOn"),
        ),
        (
            workflow(node("a", retry={"retryOn": [1]})),
            ("RETRY_INVALID", "tasks[0].retry.retryOn[0]"),
        ),
        (workflow(node("a", retry=[])), ("DEFINITION_INVALID", "tasks[0].retry")),
        (resource("WorkflowTask", "t"), ("DEFINITION_INVALID", "type")),
        (resource("WorkflowTask", "t", type="http"), ("DEFINITION_INVALID", "http")),
        (
            resource("WorkflowTask", "t", type="delay", delay={"duration": 5}),
            ("TIMEOUT_INVALID", "delay.duration"),
        ),
        (
            resource("WorkflowTask", "transform", type="noop"),
            ("DEFINITION_INVALID", "metadata.name"),
        ),
    ],
)
def test_resources_of_wrong_types_are_refused_where_they_are_wrong(
    source: dict[str, Any], expected: tuple[str, str]
) -> None:
    """Paths leave out the `spec` that all resources have."""
    assert refusals(documents(source)) == [expected]


def test_lines_and_columns_point_into_the_source() -> None:
    """At the value that is wrong, and at the key where a member is not known."""
    source = documents(workflow(node("a"), node("b", retry={"maxAttempts": 0}), extra=1))
    found = {problem.place: problem for problem in errors_in(problems(source))}
    lines = source.decode().splitlines()
    wrong = found["tasks[1].retry.maxAttempts"]
    assert lines[wrong.line - 1][wrong.column - 1 :] == "0"
    unknown = found["extra"]
    assert lines[unknown.line - 1][unknown.column - 1 :] == "extra: 1"


def test_places_in_one_of_several_documents_name_it() -> None:
    """By its number from 0."""
    source = documents(workflow(node("a")), task("t", extra=1))
    assert refusals(source) == [("DEFINITION_INVALID", "documents[1].extra")]


def test_a_resource_may_be_in_a_source_once() -> None:
    """A duplicate would be ambiguous."""
    assert codes(documents(task("t"), task("t"))) == {"DEFINITION_INVALID"}


def test_retry_defaults_are_those_of_the_dialect() -> None:
    """Native tasks retry; steps do not unless they say so, and then count the first attempt."""
    read = read_workflow(steps({"id": "a"}, {"id": "b", "retryPolicy": {"maxAttempts": 5}}))
    assert read.nodes[0].retry is None
    assert read.nodes[1].retry == Retry(5, 1_000, 2.0, 30_000)
    assert STEPS_RETRY.max_attempts == 3
    native = read_workflow(documents(workflow(node("a", retry={"initialDelay": "1s"}))))
    assert native.nodes[0].retry == Retry(4, 1_000, 2.0, 30_000)
    assert NATIVE_RETRY.initial_delay_ms == 100


def test_optional_members_of_steps_are_read() -> None:
    """`critical`, `priority`, `timeout`, `queue`, `maxConcurrency`, `webhooks`."""
    more = {"critical": False, "priority": "high", "timeout": 50, "queue": "q"}
    source = steps({"id": "a", **more}, maxConcurrency=2, webhooks={"onStep": "http://x/"})
    read = read_workflow(source)
    (step,) = read.nodes
    assert (step.critical, step.priority, step.timeout_ms, step.queue) == (
        False,
        Priority.HIGH,
        50,
        "q",
    )
    assert (read.parallelism, read.callbacks.on_step) == (2, "http://x/")


@pytest.mark.parametrize("count", [10_000, 10_001])
def test_ten_thousand_nodes_are_the_limit(count: int) -> None:
    """One more is refused before anything else is looked at."""
    source = steps(*({"id": f"n{index}"} for index in range(count)))
    assert codes(source) == (set() if count == 10_000 else {"GRAPH_TOO_LARGE"})


def test_the_digest_is_of_the_content_not_of_the_text() -> None:
    """The order of keys, white space and YAML or JSON make no difference; a value does."""

    def digest(source: bytes) -> str:
        return read_source(source).resources[0].digest

    one = digest(b'{"id": "w", "steps": [{"id": "a", "name": "x"}]}')
    assert digest(b'{ "steps":[{"name":"x","id":"a"}],"id":"w"}') == one
    assert digest(b"id: w\nsteps:\n- {id: a, name: x}\n") == one
    assert digest(b'{"id": "w", "steps": [{"id": "a", "name": "y"}]}') != one
