"""A workflow as graph JSON. A step that is none of its types is a custom node with an action, a
task of the library a custom node with its reference; positions are those of the drawing.
"""

import re

from flowmesh.definitions.drawing.picture import picture_of
from flowmesh.definitions.drawing.svg import Placed, placed
from flowmesh.definitions.exports.lost import Lost
from flowmesh.definitions.exports.parts import (
    Document,
    params_of,
    policy,
    said_of,
    webhooks,
    written_nodes,
)
from flowmesh.definitions.model import Dialect, GroupBody, Join, MapBody, Node, Task, Workflow
from flowmesh.definitions.scopes import Scope


def graph_document(workflow: Workflow, document: Document, lost: Lost) -> Document:
    drawn = placed(picture_of(workflow))
    people = written_nodes(workflow, document)
    found: Document = {"id": workflow.id, "name": workflow.name}
    spec = document.get("spec", document)
    if spec.get("description"):
        found["description"] = spec["description"]
    found["version"] = 1
    found |= _graph(workflow, Scope(workflow.nodes), drawn, people, lost)
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
    if workflow.labels:
        found["labels"] = workflow.labels
    if said := webhooks(workflow.callbacks):
        found["webhooks"] = said
    metadata = document.get("metadata", {})
    if workflow.dialect is Dialect.NATIVE:
        metadata = {key: metadata[key] for key in ("annotations", "namespace") if key in metadata}
    if metadata:
        found["metadata"] = metadata
    return found


def _graph(
    workflow: Workflow,
    scope: Scope,
    drawn: Placed,
    people: dict[str, Document],
    lost: Lost,
) -> Document:
    made, edges = [], []
    for index, node in enumerate(scope.nodes):
        x, y = drawn.corner(index)
        shown = people.get(node.id, {})
        metadata = dict(shown.get("metadata") or {})
        position = metadata.pop("position", None) or {"x": round(x), "y": round(y)}
        kind, data = _data(workflow, scope, node, drawn.inner.get(index), lost)
        each: Document = {"id": node.id, "type": kind, "name": node.name}
        if shown.get("description"):
            each["description"] = shown["description"]
        each |= {"workflowId": workflow.id, "version": 1, "position": position, "data": data}
        each |= said_of(node)
        # Those that templates imply are drawn too.
        sources = [scope.graph.ids[before] for before in scope.graph.dependencies[index]]
        if len(sources) > 1 and node.join is not Join.ALL:
            each["join"] = node.join.value
        if metadata:
            each["metadata"] = metadata
        made.append(each)
        failing = {edge.source for edge in node.edges if edge.on_failure}
        if any(edge.label for edge in node.edges):
            lost.note("an edge that a label of its source opens", node.id)
        for source in sources:
            edge: Document = {"id": f"{source}->{node.id}", "source": source, "target": node.id}
            edges.append(edge | ({"type": "error"} if source in failing else {}))
    return {"nodes": made, "edges": edges}


def _data(
    workflow: Workflow, scope: Scope, node: Node, inner: Placed | None, lost: Lost
) -> tuple[str, Document]:
    kind = "custom"
    data: Document = {}
    if isinstance(node.body, MapBody) and inner is not None:
        body = {"items": node.input, "concurrency": node.body.concurrency}
        data["map"] = body | _graph(workflow, scope.bodies[node.path], inner, {}, lost)
    elif node.body is not None:
        what = "a group" if isinstance(node.body, GroupBody) else "a state machine"
        lost.note(f"{what} of nodes", node.id)
    elif node.task is not None:
        kind, data = _task(node, node.task, lost)
    else:
        data["taskRef"] = node.task_ref
        if node.has_input:
            data["input"] = node.input
    if node.condition:
        data["condition"] = node.condition
    if node.retry is not None:
        data["retryPolicy"] = policy(node.retry)
    if node.timeout_ms:
        data["timeout"] = node.timeout_ms
    return kind, data


def _task(node: Node, task: Task, lost: Lost) -> tuple[str, Document]:
    config = task.config
    if task.dialect is not Dialect.STEPS:
        lost.note(f"a task that is no step, {task.type}", node.id)
        return "custom", {}
    if task.executor == "http.request":
        said = {key: config[key] for key in ("url", "method", "headers", "body") if key in config}
        return "http", said | ({"sendContext": True} if config.get("send_context") else {})
    if task.executor == "function":
        code = str(config["code"])
        named = re.search(rf"\b{re.escape(node.id)}\b", code) is None
        # Code that has the name of the function would be taken for its declaration.
        return "function", ({"functionName": node.id} if named else {}) | {"functionCode": code}
    if task.executor == "delay":
        value = config["duration"]
        kind = "fixed" if isinstance(value, int) else "expression"
        return "delay", {"delayType": kind, "delayValue": value}
    return "custom", {"action": task.executor, "params": params_of(task)}
