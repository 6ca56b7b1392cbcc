"""A workflow as graph JSON. A step of no graph type becomes a custom node with an action, a native
task the data of a custom node; positions are those of the drawing.
"""

import re

from flowmesh.definitions.drawing.picture import picture_of
from flowmesh.definitions.drawing.svg import Placed, placed
from flowmesh.definitions.exports.parts import (
    Document,
    cache_of,
    common_of,
    nodes_by_id,
    outcome_of,
    params_of,
    policies_of,
    policy,
    scheduling_of,
    variables_of,
    webhooks,
)
from flowmesh.definitions.exports.unsupported import UnsupportedFeatures
from flowmesh.definitions.model import Dialect, Join, Node, Task, Workflow
from flowmesh.definitions.scopes import Scope
from flowmesh.definitions.sources import Resolve

# Members of a native task that are not in the data of its node.
_NOT_DATA = frozenset({"id", "name", "dependsOn", "join"})


def graph_documents(
    workflow: Workflow, document: Document, unsupported: UnsupportedFeatures, _resolve: Resolve
) -> list[Document]:
    drawn = placed(picture_of(workflow))
    source_nodes = nodes_by_id(workflow, document)
    found: Document = {"id": workflow.id, "name": workflow.name}
    spec = document.get("spec", document)
    if spec.get("description"):
        found["description"] = spec["description"]
    if workflow.dialect is Dialect.NATIVE and spec.get("templates", "native") != "native":
        unsupported.add("templates in the Go form")
    found["version"] = 1
    found |= _graph(workflow, drawn, source_nodes, unsupported)
    for key, schema in (
        ("inputSchema", workflow.input_schema),
        ("outputSchema", workflow.output_schema),
    ):
        if schema is not None:
            found[key] = schema
    if workflow.has_output:
        found["output"] = workflow.output
    if workflow.parallelism:
        found["maxConcurrency"] = workflow.parallelism
    if workflow.timeout_ms:
        found["timeout"] = workflow.timeout_ms
    found |= policies_of(workflow)
    if workflow.labels:
        found["labels"] = workflow.labels
    found |= common_of(workflow) | variables_of(workflow)
    if members := webhooks(workflow.callbacks):
        found["webhooks"] = members
    metadata = document.get("metadata", {})
    if workflow.dialect is Dialect.NATIVE:
        metadata = {key: metadata[key] for key in ("annotations", "namespace") if key in metadata}
    if metadata:
        found["metadata"] = metadata
    return [found]


def _graph(
    workflow: Workflow,
    drawn: Placed,
    source_nodes: dict[str, Document],
    unsupported: UnsupportedFeatures,
) -> Document:
    scope = Scope(workflow.nodes)
    made, edges = [], []
    for index, node in enumerate(scope.nodes):
        x, y = drawn.corner(index)
        shown = source_nodes.get(node.id, {})
        metadata = dict(shown.get("metadata") or {})
        position = metadata.pop("position", None) or {"x": round(x), "y": round(y)}
        kind, data, members = "custom", {}, {}
        if workflow.dialect is Dialect.NATIVE:
            data = {key: value for key, value in shown.items() if key not in _NOT_DATA}
        else:
            kind, data = _data(node, unsupported)
            members = scheduling_of(node) | outcome_of(node)
            if node.cache is not None:
                members |= cache_of(node.cache, node.cache.ttl_ms)
        each: Document = {"id": node.id, "type": kind, "name": node.name}
        if shown.get("description"):
            each["description"] = shown["description"]
        each |= {
            "workflowId": workflow.id,
            "version": 1,
            "position": position,
            "data": data,
        } | members
        # Dependencies implied by templates become edges too.
        sources = [scope.graph.ids[before] for before in scope.graph.dependencies[index]]
        if node.join is not (Join.ALL if len(sources) > 1 else Join.STRICT):
            each["join"] = node.join.value
        if node.join_count > 1 or node.join_required:
            counted: Document = {"type": node.join.value, "count": node.join_count}
            required = {"required": list(node.join_required)} if node.join_required else {}
            each["join"] = counted | required
        if metadata:
            each["metadata"] = metadata
        made.append(each)
        edges += [_edge(node, source, unsupported) for source in sources]
    return {"nodes": made, "edges": edges}


def _edge(node: Node, source: str, unsupported: UnsupportedFeatures) -> Document:
    written: Document = {"id": f"{source}->{node.id}", "source": source, "target": node.id}
    rules = [edge for edge in node.edges if edge.source == source]
    if len(rules) > 1:
        unsupported.add(f"several outcomes of {source} on one edge", node.id)
    for rule in rules:
        if rule.on_failure:
            written["type"] = "error"
        elif rule.label:
            written["outcome"] = rule.label
    return written


def _data(node: Node, unsupported: UnsupportedFeatures) -> tuple[str, Document]:
    kind = "custom"
    data: Document = {}
    if node.task is None or node.body is not None:
        unsupported.add("a node with a body, or a task that is not written into it", node.id)
    else:
        kind, data = _task(node, node.task, unsupported)
    if node.retry is not None:
        data["retryPolicy"] = policy(node.retry)
    if node.timeout_ms:
        data["timeout"] = node.timeout_ms
    return kind, data


def _task(node: Node, task: Task, unsupported: UnsupportedFeatures) -> tuple[str, Document]:
    config = task.config
    if task.dialect is not Dialect.STEPS:
        unsupported.add(f"a task that is no step, {task.type}", node.id)
        return "custom", {}
    if task.executor == "http.request":
        members = {
            key: config[key] for key in ("url", "method", "headers", "body") if key in config
        }
        return "http", members | ({"sendContext": True} if config.get("send_context") else {})
    if task.executor == "function":
        code = str(config["code"])
        named = re.search(rf"\b{re.escape(node.id)}\b", code) is None
        # Code with the name of the function would be read as its declaration.
        return "function", ({"functionName": node.id} if named else {}) | {"functionCode": code}
    if task.executor == "delay":
        value = config["duration"]
        kind = "fixed" if isinstance(value, int) else "expression"
        return "delay", {"delayType": kind, "delayValue": value}
    return "custom", {"action": task.executor, "params": params_of(task)}
