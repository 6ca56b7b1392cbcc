"""What the formats write alike: retry policies, callbacks, what people read."""

from typing import Any

from flowmesh.definitions.model import Callbacks, Json, Node, Retry, Task, Workflow

Document = dict[str, Any]


def policy(retry: Retry) -> Document:
    """As step JSON and graph JSON have it."""
    found: Document = {
        "maxAttempts": retry.max_attempts,
        "initialDelay": retry.initial_delay_ms,
        "backoffMultiplier": retry.multiplier,
        "maxDelay": retry.max_delay_ms,
    }
    return found | _more(retry)


def native_policy(retry: Retry) -> Document:
    found: Document = {
        "maxAttempts": retry.max_attempts,
        "initialDelay": f"{retry.initial_delay_ms}ms",
        "multiplier": retry.multiplier,
        "maxDelay": f"{retry.max_delay_ms}ms",
    }
    return found | _more(retry)


def _more(retry: Retry) -> Document:
    found: Document = {"jitter": retry.jitter} if retry.jitter else {}
    return found | ({"retryOn": list(retry.retry_on)} if retry.retry_on else {})


def webhooks(callbacks: Callbacks) -> Document:
    said = {
        "onComplete": callbacks.on_complete,
        "onFailure": callbacks.on_failure,
        "onStep": callbacks.on_step,
        "secret": callbacks.secret,
    }
    return {key: value for key, value in said.items() if value}


def said_of(node: Node) -> Document:
    """What is said of a node beside what it does, where it is not as by default."""
    found: Document = {}
    if not node.critical:
        found["critical"] = False
    if node.priority.name != "NORMAL":
        found["priority"] = node.priority.name
    if node.queue:
        found["queue"] = node.queue
    return found


def written_nodes(workflow: Workflow, document: Json) -> dict[str, Document]:
    """The nodes of the document by id, for what is only read by people and editors."""
    listed = document.get("nodes") or document.get("steps")
    if listed is None:
        listed = document.get("spec", {}).get("tasks", [])
    known = {node.id for node in workflow.nodes}
    return {each["id"]: each for each in listed if each.get("id") in known}


def params_of(task: Task) -> Document:
    """The `params` of an action of step JSON that is read as this task."""
    renamed = {"input_key": "inputKey"}
    left_out = {"send_context"} | ({"language"} if task.executor == "condition" else set())
    return {
        renamed.get(key, key): value for key, value in task.config.items() if key not in left_out
    }
