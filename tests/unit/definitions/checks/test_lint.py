"""Lint warnings: given and not given."""

import time

import orjson
import pytest

from flowmesh.definitions import Task, read_source
from flowmesh.definitions.lint import IGNORE, lint, strict
from flowmesh.definitions.model import Dialect
from flowmesh.definitions.planning.compile import no_library
from flowmesh.definitions.secrets import masked, masked_url, names_secret

NATIVE = "apiVersion: workflow.io/v1\nkind: Workflow\nmetadata: {name: w%s}\nspec:\n  tasks:\n"
STEPS = "id: w\nsteps:\n"
POST = "action: http.request, timeout: 9, params: {method: POST, url: 'http://a'}"


def codes(source: str) -> list[str]:
    return [problem.code for problem in lint(read_source(source.encode()), no_library)]


def steps(*items: str) -> list[str]:
    return codes(STEPS + "".join(f"  - {{{item}}}\n" for item in items))


def native(*items: str, more: str = "") -> list[str]:
    return codes(NATIVE % "" + "".join(f"    - {{{item}}}\n" for item in items) + more)


def test_a_task_of_the_library_may_bring_the_timeout() -> None:
    """Or the node; a task without an external call needs none."""
    calling = Task("http", "http.request", {"method": "GET", "url": "http://a"}, Dialect.NATIVE)
    source = (NATIVE % "") + "    - {id: a, taskRef: calling}\n    - {id: b, taskRef: noop}\n"
    (found,) = lint(read_source(source.encode()), {"calling": calling}.get)
    assert (found.code, found.place, found.warning) == ("LINT_TIMEOUT", "tasks[0]", True)
    limited = source.replace("calling}", "calling, timeout: 1s}")
    assert lint(read_source(limited.encode()), {"calling": calling}.get) == ()


def test_a_last_effect_needs_no_compensation() -> None:
    """Only one that something behind it may fail after."""
    assert steps(f"id: a, {POST}", "id: b, action: own, timeout: 9, dependencies: [a]") == [
        "LINT_COMPENSATION"
    ]
    assert steps(f"id: a, {POST}", "id: b, dependencies: [a]") == []
    assert steps("id: b, action: own, timeout: 9", f"id: a, {POST}, dependencies: [b]") == []
    after = "id: b, action: own, timeout: 9, critical: false, dependencies: [a]"
    assert steps(f"id: a, {POST}", after) == []
    assert steps(f"id: a, critical: false, {POST}", after.replace("critical: false, ", "")) == []


def test_a_workflow_that_handles_failures_has_no_finding() -> None:
    """An edge for failures counts as handling."""
    task = "apiVersion: workflow.io/v1\nkind: WorkflowTask\nmetadata: {name: t}\nspec: "
    task += "{type: http, timeout: 9s, http: {method: POST, url: 'http://a'}}\n---\n"
    flow = task + NATIVE % "" + "    - {id: a, taskRef: t}\n"
    flow += "    - {id: b, taskRef: t, dependsOn: [a]}\n"
    assert codes(flow) == ["LINT_COMPENSATION"]
    undo = "    - {id: undo, taskRef: noop, dependsOn: [{task: b, on: failure}]}\n"
    assert codes(flow + undo) == []


def test_dead_nodes_take_along_what_waits_for_them() -> None:
    """But not what joins on another way."""
    dead = "id: a, taskRef: noop, condition: 'false'"
    assert native(dead, "id: b, taskRef: noop, dependsOn: [a]") == ["LINT_DEAD_NODE"] * 2
    both = "id: c, taskRef: noop, dependsOn: [a, b], join: ANY"
    assert native(dead, "id: b, taskRef: noop", both) == ["LINT_DEAD_NODE"]
    never = "id: a, action: condition, params: {expression: '1 > 2'}"
    assert steps(never, "id: b, dependencies: [a]") == ["LINT_DEAD_NODE"]
    assert native("id: a, taskRef: noop, condition: 'true'") == []
    assert native("id: a, taskRef: noop, condition: input.x") == []


def test_an_output_is_used_where_anything_reads_it() -> None:
    """A template, a condition, the workflow's own output; in a map by the map."""
    get = "id: a, taskRef: transform, input: {source: 1, pipeline: []}"
    wait = "id: b, taskRef: noop, dependsOn: [a]"
    assert native(get, wait) == ["LINT_UNUSED_OUTPUT"]
    assert native(get, "id: b, taskRef: noop, input: '{{tasks.a.output}}'") == []
    assert native(get, "id: b, taskRef: noop, condition: tasks.a.output > 1") == []
    assert native(get) == []
    assert native(get, more="  output: {x: 1}\n") == ["LINT_UNUSED_OUTPUT"]
    assert native(get, more="  output: '{{tasks.a.output}}'\n") == []
    assert native(f"id: m, map: {{items: [1], tasks: [{{{get}}}]}}") == []


def test_codes_can_be_ignored_in_the_document() -> None:
    """By an annotation that names them."""
    source = NATIVE.replace("{name: w%s}", "{name: w, annotations: {%s: 'X, LINT_DEAD_NODE'}}")
    tasks = "    - {id: a, taskRef: noop, condition: 'false', input: {token: abc}}\n"
    assert codes(source % IGNORE + tasks) == ["LINT_SECRET"]


def test_strict_makes_errors_of_warnings() -> None:
    """So that they can fail a build."""
    found = lint(read_source((STEPS + "  - {id: a, action: own}\n").encode()), no_library)
    assert [problem.warning for problem in strict(found)] == [False]


def test_warnings_come_in_the_order_of_the_text() -> None:
    """With line and column each."""
    source = STEPS + "  - {id: a, action: own}\n  - {id: b, params: {token: x}}\n"
    found = lint(read_source(source.encode()), no_library)
    assert [(p.code, p.line, p.column) for p in found] == [
        ("LINT_TIMEOUT", 3, 5),
        ("LINT_SECRET", 4, 22),
    ]


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("Authorization", True), ("x-api-key", True), ("apiKey", True), ("dbPassword", True),
        ("client_secret", True), ("accessToken", True), ("token", True), ("Cookie", True),
        ("nextPageToken", False), ("tokens_used", False), ("secretary", False), ("monkey", False),
        ("description", False), ("key", False), ("author", False),
    ],
)  # fmt: skip
def test_names_of_secrets(name: str, secret: bool) -> None:
    """Values under them count as secrets."""
    assert names_secret(name) is secret


@pytest.mark.parametrize(
    "value",
    [
        "{{input.token}}", "Bearer {{input.token}}", "", "${TOKEN}", "<your token>", "***", 7, None,
    ],
)  # fmt: skip
def test_harmless_values_under_secret_names(value: object) -> None:
    """Templates, placeholders, and values that are no text."""
    document = {"id": "w", "steps": [{"id": "a", "params": {"token": value}}]}
    reading = read_source(orjson.dumps(document))
    assert lint(reading, no_library) == ()


def test_values_are_masked_wherever_they_are() -> None:
    """By name and by form, in objects, lists, texts and URLs."""
    key = "AKIAIOSFODNN7EXAMPLE"
    assert masked({"a": [{"password": "x"}], "b": f"use {key}!", "token": 5, "n": None}) == {
        "a": [{"password": "***"}],
        "b": "use ***!",
        "token": "***",
        "n": None,
    }
    assert masked_url("https://me:pw@a.b/c?api_key=1&x=2") == "https://me:***@a.b/c?api_key=***&x=2"
    assert masked_url("https://a.b/c?x=a%20b") == "https://a.b/c?x=a%20b"


@pytest.mark.parametrize("before", ["", "for ", "(", "a-", "eyJ-"])
def test_a_signed_token_is_found_wherever_it_begins(before: str) -> None:
    """Also behind what may stand in one."""
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmVk"
    found = masked(f"{before}{token} is it")
    assert found.endswith("*** is it")
    assert "eyJzdWIi" not in found


@pytest.mark.parametrize("rest", ["", ".eyJ", ".eyJzdWIiOiIxIn0.", " "])
def test_repeated_token_prefixes_are_scanned_once(rest: str) -> None:
    """A text of a definition has up to 8 MiB, and nothing else happens meanwhile."""
    text = "-eyJhbGciOiJI" * 40_000 + rest
    started = time.perf_counter()
    assert masked(text) == text
    assert time.perf_counter() - started < 5
