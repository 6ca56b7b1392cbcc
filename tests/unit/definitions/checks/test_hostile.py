"""Any input gives a result or a refusal with a known reason, never another exception."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flowmesh.definitions import analyse, check, compile_source, read_source
from flowmesh.definitions.model import Workflow
from flowmesh.errors import REASONS, FlowmeshError
from tests.draws import draws

WORDS = [
    "id", "steps", "action", "params", "url", "method", "headers", "body", "code", "expression",
    "dependencies", "dependsOn", "retryPolicy", "maxAttempts", "retry", "timeout", "spec", "tasks",
    "taskRef", "input", "inputSchema", "outputSchema", "$ref", "properties", "type", "metadata",
    "name", "kind", "apiVersion", "http", "transform", "pipeline", "condition", "Workflow",
    "map", "items", "concurrency", "{{item}}", "{{item.a}}", "{{index}}",
    "WorkflowTask", "workflow.io/v1", "a", "b", "http.request", "delay", "duration", "webhooks",
    "{{input.a}}", "{{tasks.a.output.b}}", "{{", "#/", "http://x/", "allOf", "labels", "output",
]  # fmt: skip
words = st.sampled_from(WORDS)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words | st.text()
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=6),
    max_leaves=30,
)
nodes = st.lists(st.dictionaries(words, values, max_size=6), max_size=4)


def survive(source: bytes, content_type: str = "") -> None:
    reading = read_source(source, content_type)
    found = [*reading.problems, *check(reading, lambda _: None)]
    assert all(problem.code in REASONS for problem in found)
    with contextlib.suppress(FlowmeshError):
        compile_source(source, content_type)
    for read in reading.resources:
        if isinstance(read.resource, Workflow) and not found:
            analyse(read.resource)


@given(st.binary(max_size=200), st.sampled_from(["", "application/yaml", "application/json"]))
@settings(max_examples=draws(200), deadline=None)
def test_any_bytes_are_answered(source: bytes, content_type: str) -> None:
    """As what they are."""
    survive(source, content_type)


@given(st.text(alphabet="{}[]:,-&*!#|>'\"%@` \nab1", max_size=80))
@settings(max_examples=draws(300), deadline=None)
def test_any_punctuation_is_answered(text: str) -> None:
    """YAML has much of it."""
    survive(text.encode(), "application/yaml")


@given(values, nodes)
@settings(max_examples=draws(200), deadline=None)
def test_any_step_json_is_answered(extra: Any, given_nodes: Any) -> None:
    """Known words in places they do not belong."""
    document = {"id": "w", "steps": given_nodes, "webhooks": extra}
    survive(json.dumps(document).encode())


@given(values, nodes, values, st.sampled_from(["Workflow", "WorkflowTask"]))
@settings(max_examples=draws(300), deadline=None)
def test_any_resource_is_answered(schema: Any, given_nodes: Any, more: Any, kind: str) -> None:
    """Schemas, templates and types of any shape included."""
    spec = {"tasks": given_nodes, "inputSchema": schema, "output": more, "type": "http"}
    document = {
        "apiVersion": "workflow.io/v1",
        "kind": kind,
        "metadata": {"name": "w"},
        "spec": {**spec, "http": more, "outputSchema": schema, "retry": more},
    }
    survive(json.dumps(document).encode())


@given(leaves, nodes, leaves)
@settings(max_examples=draws(150), deadline=None)
def test_any_map_is_answered(items: Any, given_nodes: Any, more: Any) -> None:
    """And any map within it."""
    within = {"id": "a", "map": {"items": items, "tasks": given_nodes, "concurrency": more}}
    each = {"id": "each", "map": {"items": items, "tasks": [within, *given_nodes]}}
    last = {"id": "b", "taskRef": "noop", "input": more}
    document = {
        "apiVersion": "workflow.io/v1",
        "kind": "Workflow",
        "metadata": {"name": "w"},
        "spec": {"tasks": [each, last]},
    }
    survive(json.dumps(document).encode())


@given(values, values, values)
@settings(max_examples=draws(200), deadline=None)
def test_any_flow_between_any_schemas_is_answered(need: Any, produced: Any, flowing: Any) -> None:
    """Data flow checks accept any schema."""

    def resource(kind: str, name: str, spec: Any) -> dict[str, Any]:
        return {
            "apiVersion": "workflow.io/v1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": spec,
        }

    given_tasks = [
        {"id": "a", "taskRef": "p"},
        {"id": "b", "taskRef": "n", "input": flowing},
        {"id": "c", "taskRef": "n", "input": "{{tasks.a.output}}"},
    ]
    documents = [
        resource("WorkflowTask", "p", {"type": "echo", "outputSchema": produced}),
        resource("WorkflowTask", "n", {"type": "echo", "inputSchema": need}),
        resource("Workflow", "w", {"tasks": given_tasks}),
    ]
    survive("\n---\n".join(map(json.dumps, documents)).encode(), "application/yaml")
