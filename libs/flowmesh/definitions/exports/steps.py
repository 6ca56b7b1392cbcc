"""A workflow as step JSON: actions that depend on one another and share a context."""

from flowmesh.definitions.exports.parts import (
    Document,
    cache_of,
    common_of,
    nodes_by_id,
    outcome_of,
    params_of,
    policy,
    scheduling_of,
    webhooks,
)
from flowmesh.definitions.exports.unsupported import UnsupportedFeatures
from flowmesh.definitions.model import (
    Compensation,
    Dialect,
    FailurePolicy,
    Join,
    Node,
    Workflow,
)
from flowmesh.definitions.sources import Resolve

_ELSEWHERE = {
    "decision": "a decision",
    "signal": "a node that waits for a signal",
}


def steps_documents(
    workflow: Workflow, document: Document, unsupported: UnsupportedFeatures, _resolve: Resolve
) -> list[Document]:
    found: Document = {"id": workflow.id, "name": workflow.name}
    spec = document.get("spec", document)
    if spec.get("description"):
        found["description"] = spec["description"]
    source_nodes = nodes_by_id(workflow, document)
    found["steps"] = [
        _step(node, source_nodes.get(node.id, {}), unsupported) for node in workflow.nodes
    ]
    for key, schema in (
        ("inputSchema", workflow.input_schema),
        ("outputSchema", workflow.output_schema),
    ):
        if schema is not None:
            found[key] = schema
    if workflow.on_failure is not FailurePolicy.FINISH_OTHERS:
        unsupported.add("a workflow that does not finish the others when a step fails")
    if workflow.compensation != Compensation():
        unsupported.add("a compensation")
    if workflow.has_output:
        unsupported.add("an output of the workflow")
    if workflow.parallelism:
        found["maxConcurrency"] = workflow.parallelism
    if workflow.timeout_ms:
        found["timeout"] = workflow.timeout_ms
    for variable in workflow.variables:
        unsupported.add("a variable, which steps cannot read", variable.name)
    if workflow.labels:
        found["labels"] = workflow.labels
    found |= common_of(workflow)
    if callbacks := webhooks(workflow.callbacks):
        found["webhooks"] = callbacks
    if document.get("metadata") and workflow.dialect is not Dialect.NATIVE:
        found["metadata"] = document["metadata"]
    return [found]


def _step(node: Node, shown: Document, unsupported: UnsupportedFeatures) -> Document:
    step: Document = {"id": node.id, "name": node.name, "type": "task"}
    if shown.get("description"):
        step["description"] = shown["description"]
    step |= _action(node, unsupported)
    step["dependencies"] = list(dict.fromkeys(filter(None, node.dependencies)))
    for edge in node.edges:
        if edge.label:
            unsupported.add("an edge with a condition", node.id)
        if edge.on_failure:
            unsupported.add("an edge that is taken on failure", node.id)
    if node.join is not Join.STRICT:
        unsupported.add(f"the join {node.join.value!r} (steps wait as with 'strict')", node.id)
    step |= outcome_of(node)
    if node.cache is not None:
        step |= cache_of(node.cache, node.cache.ttl_ms)
    if node.condition:
        unsupported.add("a condition of a node", node.id)
    if node.retry is not None:
        step["retryPolicy"] = policy(node.retry)
    if node.timeout_ms:
        step["timeout"] = node.timeout_ms
    step |= scheduling_of(node)
    metadata = dict(shown.get("metadata") or {})
    if "position" in shown:
        metadata["position"] = shown["position"]
    return step | ({"metadata": metadata} if metadata else {})


def _action(node: Node, unsupported: UnsupportedFeatures) -> Document:
    task = node.task
    if node.body is not None:
        unsupported.add("a node with a graph in it", node.id)
    elif node.task_ref == "noop" and node.has_input:
        unsupported.add("an input of a node without work", node.id)
    elif node.task_ref == "noop":
        return {"action": "noop", "params": {}}
    elif task is None:
        unsupported.add(f"a task of the library ({node.task_ref})", node.id)
    elif task.dialect is not Dialect.STEPS or task.executor in _ELSEWHERE:
        what = _ELSEWHERE.get(task.executor, "an input of its own, instead of the context")
        unsupported.add(what, node.id)
    elif task.input_schema is not None or task.output_schema is not None:
        unsupported.add("a schema of a node", node.id)
    elif "authentication" in task.config:
        unsupported.add("authentication", node.id)
    elif task.executor == "http.request" and _sends_differently(task.config):
        unsupported.add(
            f"a {task.config['method']} without a body, which would send the context", node.id
        )
    else:
        return {"action": task.executor, "params": params_of(task)}
    return {}


def _sends_differently(config: Document) -> bool:
    """Return whether the request would send another body: step JSON sends the context with some
    methods.
    """
    sends = config.get("method") in ("POST", "PUT", "PATCH") and "body" not in config
    return bool(sends) != bool(config.get("send_context"))
