"""A workflow as native resources: itself, and a WorkflowTask for each task written into a node.

Templates of native resources see the input and outputs of tasks, so readers of the shared context
of step JSON are refused. Editor data of a node, such as positions, is left out.
"""

from flowmesh.definitions.exports.parts import (
    Document,
    cache_of,
    common_of,
    native_policy,
    nodes_by_id,
    outcome_of,
    policies_of,
    scheduling_of,
    variables_of,
)
from flowmesh.definitions.exports.unsupported import UnsupportedFeatures
from flowmesh.definitions.formats.graph.nodes import NATIVE_KEYS
from flowmesh.definitions.formats.native.resources import API_VERSION
from flowmesh.definitions.model import (
    NO_RETRY,
    Dialect,
    Join,
    Node,
    Task,
    Workflow,
)
from flowmesh.definitions.references import has_template, texts_of
from flowmesh.definitions.sources import Resolve

# WorkflowTask types by executor; their configuration stands under the same name.
_TYPES = {"http.request": "http", "function": "function", "transform": "transform"}

# Executors that other formats write in their own way.
_NOT_NATIVE = frozenset(
    {"approval", "decision", "signal", "condition", "webhook", "subworkflow", "continueAsNew"}
)
_OUTCOMES = frozenset({"success", "failure"})


def native_documents(
    workflow: Workflow, document: Document, unsupported: UnsupportedFeatures, _resolve: Resolve
) -> list[Document]:
    tasks: list[Document] = []
    spec: Document = {}
    if document.get("description"):
        spec["description"] = document["description"]
    source_nodes = nodes_by_id(workflow, document)
    spec["tasks"] = [
        _node(workflow, node, source_nodes.get(node.id, {}), tasks, unsupported)
        for node in workflow.nodes
    ]
    for key, schema in (
        ("inputSchema", workflow.input_schema),
        ("outputSchema", workflow.output_schema),
    ):
        if schema is not None:
            spec[key] = schema
    if workflow.has_output:
        spec["output"] = workflow.output
    if workflow.parallelism:
        spec["parallelism"] = workflow.parallelism
    if workflow.timeout_ms:
        spec["timeout"] = f"{workflow.timeout_ms}ms"
    spec |= policies_of(workflow) | common_of(workflow) | variables_of(workflow)
    callbacks = workflow.callbacks
    if callbacks.on_complete or callbacks.on_failure or callbacks.on_step:
        unsupported.add("callbacks of executions")
    metadata: Document = {"name": workflow.id}
    if workflow.labels:
        metadata["labels"] = workflow.labels
    written = document.get("metadata") or {}
    metadata |= {key: written[key] for key in ("annotations", "namespace") if key in written}
    return [*tasks, _resource("Workflow", metadata, spec)]


def _resource(kind: str, metadata: Document, spec: Document) -> Document:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _node(
    workflow: Workflow,
    node: Node,
    shown: Document,
    tasks: list[Document],
    unsupported: UnsupportedFeatures,
) -> Document:
    found: Document = {"id": node.id}
    if node.name != node.id:
        found["name"] = node.name
    data = shown.get("data", {})
    if shown.get("type") == "custom" and any(key in data for key in NATIVE_KEYS):
        found |= {key: value for key, value in data.items() if key != "id"} | scheduling_of(node)
    else:
        found |= _made(workflow, node, tasks, unsupported)
    if node.dependencies:
        found["dependsOn"] = [
            _dependency(node, source, unsupported) for source in node.dependencies
        ]
    if node.join is not Join.STRICT:
        found["join"] = node.join.value
    if node.join_count > 1 or node.join_required:
        found["join"] = {"mode": node.join.value.upper(), "count": node.join_count}
        if node.join_required:
            found["join"]["required"] = list(node.join_required)
    return found


def _dependency(node: Node, source: str, unsupported: UnsupportedFeatures) -> str | Document:
    for edge in node.edges:
        if edge.source == source and (edge.label or edge.on_failure):
            if edge.label in _OUTCOMES:
                unsupported.add(f"a label {edge.label!r}, which is an outcome", node.id)
            return {"task": source, "on": edge.label or "failure"}
    return source


def _made(
    workflow: Workflow, node: Node, tasks: list[Document], unsupported: UnsupportedFeatures
) -> Document:
    found = _does(workflow, node, tasks, unsupported)
    runs = node.task is not None and node.task.executor not in ("noop", "delay")
    if node.retry is not None or runs:
        # Native tasks are retried by default.
        found["retry"] = native_policy(node.retry or NO_RETRY)
    if node.timeout_ms:
        found["timeout"] = f"{node.timeout_ms}ms"
    if node.cache is not None:
        found |= cache_of(node.cache, f"{node.cache.ttl_ms}ms")
    return found | scheduling_of(node) | outcome_of(node)


def _does(
    workflow: Workflow, node: Node, tasks: list[Document], unsupported: UnsupportedFeatures
) -> Document:
    task = node.task
    given: Document = {"input": node.input} if node.has_input else {}
    if task is None:
        unsupported.add("a body that no native task has", node.id)
        return {}
    if task.executor == "noop":
        return {"taskRef": "noop", **given}
    if task.executor == "delay":
        value = task.config.get("duration")
        if has_template(value) or not isinstance(value, int):
            unsupported.add("a delay that is computed from the context", node.id)
        return {"taskRef": "delay", "input": {"duration": f"{value}ms"}}
    if task.executor in _NOT_NATIVE:
        unsupported.add(f"a node of type {task.type}", node.id)
        return {}
    if _reads_context(node, task):
        unsupported.add("a node that reads the context", node.id)
        return {}
    name = f"{workflow.id}.{node.id}"
    tasks.append(_resource("WorkflowTask", {"name": name}, _spec(node, task, unsupported)))
    return {"taskRef": name, **given}


def _spec(node: Node, task: Task, unsupported: UnsupportedFeatures) -> Document:
    kind = _TYPES.get(task.executor, "")
    spec: Document = {"type": kind or task.executor}
    if kind:
        if "authentication" in task.config or "input_key" in task.config:
            unsupported.add("authentication, or a template of a webhook", node.id)
        spec[kind] = task.config
    for key, schema in (("inputSchema", task.input_schema), ("outputSchema", task.output_schema)):
        if schema is not None:
            spec[key] = schema
    return spec


def _reads_context(node: Node, task: Task) -> bool:
    if task.dialect is Dialect.NATIVE:
        return any("context" in text for text in texts_of(node.input))
    if task.executor == "http.request":
        return bool(task.config.get("send_context")) or has_template(task.config)
    return True
