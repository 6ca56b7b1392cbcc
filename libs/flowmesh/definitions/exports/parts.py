"""Parts that several formats write alike: policies, callbacks, limits, start policies, triggers."""

from typing import Any

from flowmesh.contract.json_value import Json
from flowmesh.definitions.exports.triggers import listed, written_trigger
from flowmesh.definitions.model import (
    Cache,
    Callbacks,
    Compensation,
    FailurePolicy,
    Limits,
    Node,
    OnFailure,
    Retry,
    SearchKind,
    Task,
    Workflow,
)

Document = dict[str, Any]


def policy(retry: Retry) -> Document:
    """Return the retry policy as in step JSON and graph JSON."""
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
    if retry.max_elapsed_ms:
        found["maxElapsed"] = f"{retry.max_elapsed_ms}ms"
    return found | _more(retry)


def _more(retry: Retry) -> Document:
    found: Document = {"jitter": retry.jitter} if retry.jitter else {}
    if retry.retry_on:
        found["retryOn"] = list(retry.retry_on)
    if retry.never_on:
        found["neverOn"] = list(retry.never_on)
    return found


def webhooks(callbacks: Callbacks) -> Document:
    settings = {
        "onComplete": callbacks.on_complete,
        "onFailure": callbacks.on_failure,
        "onStep": callbacks.on_step,
        "secret": callbacks.secret,
    }
    return {key: value for key, value in settings.items() if value}


def policies_of(workflow: Workflow) -> Document:
    """Return the failure policies of a workflow that differ from the default."""
    found: Document = {}
    if workflow.on_failure is not FailurePolicy.FINISH_OTHERS:
        found["onFailure"] = workflow.on_failure.name
    settings = workflow.compensation
    if settings != Compensation():
        found["compensation"] = {
            "onFailure": settings.on_failure,
            "onCancel": settings.on_cancel,
            "onTerminate": settings.on_terminate,
            "order": "PARALLEL" if settings.parallel else "REVERSE",
        }
    return found


def outcome_of(node: Node) -> Document:
    """Return the failure handling and the compensation of a node."""
    outcome = node.outcome
    found: Document = {}
    if outcome.on_failure is not OnFailure.FAIL:
        found["onFailure"] = outcome.on_failure.name
    if outcome.fallback is not None:
        found["fallback"] = outcome.fallback
    if outcome.total_timeout_ms:
        found["totalTimeout"] = f"{outcome.total_timeout_ms}ms"
    if outcome.start_timeout_ms:
        found["scheduleToStart"] = f"{outcome.start_timeout_ms}ms"
    undo = outcome.undo
    if undo is not None:
        found["undo"] = {"taskRef": undo.task_ref}
        if undo.has_input:
            found["undo"]["input"] = undo.input
        if undo.retry is not None:
            found["undo"]["retry"] = native_policy(undo.retry)
        if undo.timeout_ms:
            found["undo"]["timeout"] = f"{undo.timeout_ms}ms"
        if undo.queue:
            found["undo"]["queue"] = undo.queue
    return found


def scheduling_of(node: Node) -> Document:
    """Return the scheduling members of a node that differ from the default."""
    found: Document = {}
    if not node.critical:
        found["critical"] = False
    if node.priority.name != "NORMAL":
        found["priority"] = node.priority.name
    if node.queue:
        found["queue"] = node.queue
    if node.limits is not None:
        found["limits"] = _limits(node.limits)
    if node.requires:
        found["requires"] = node.requires
    if node.permissions:
        found["permissions"] = list(node.permissions)
    if node.repeatable:
        found["repeatable"] = True
    return found


def nodes_by_id(workflow: Workflow, document: Json) -> dict[str, Document]:
    """Return the nodes of the document by id, for members that only people and editors read."""
    listed = document.get("nodes") or document.get("steps")
    if listed is None:
        listed = document.get("spec", {}).get("tasks", [])
    known = {node.id for node in workflow.nodes}
    return {each["id"]: each for each in listed if each.get("id") in known}


def params_of(task: Task) -> Document:
    """Return the `params` of a step JSON action that is read as this task."""
    renamed = {"input_key": "inputKey"}
    left_out = {"send_context"} | ({"language"} if task.executor == "condition" else set())
    return {
        renamed.get(key, key): value for key, value in task.config.items() if key not in left_out
    }


def common_of(workflow: Workflow) -> Document:
    """Return the members that all native formats share."""
    found = _search_of(workflow) | _start_of(workflow)
    if workflow.limits is not None:
        found["limits"] = _limits(workflow.limits)
    if triggers := [written_trigger(each, workflow.id) for each in listed(workflow.triggers)]:
        found["triggers"] = triggers
    return found


def variables_of(workflow: Workflow) -> Document:
    """Return the declared variables, for formats that can read them."""
    declared: Document = {}
    for each in workflow.variables:
        schema = {"schema": each.schema} if each.schema is not None else {}
        declared[each.name] = schema | {"initial": each.initial}
    return {"variables": declared} if declared else {}


def cache_of(cache: Cache, ttl: Json) -> Document:
    """Return the cache of a node; `ttl` is in the format's notation."""
    found: Document = {"ttl": ttl, "scope": "NAMESPACE" if cache.everywhere else "WORKFLOW"}
    return {"cache": found if cache.key is None else found | {"key": cache.key}}


def _limits(limits: Limits) -> Document:
    settings = {
        "concurrency": limits.concurrency,
        "rate": limits.rate,
        "burst": limits.burst,
        "key": limits.key,
        "retries": limits.retries,
    }
    return {key: value for key, value in settings.items() if value}


def _search_of(workflow: Workflow) -> Document:
    """Return the search attributes and the retention."""
    found: Document = {}
    attributes: Document = {}
    for each in workflow.search:
        if each.kind is SearchKind.ANY:
            found.setdefault("searchable", []).append(each.name)
        else:
            given = {"from": each.template} if each.template is not None else {}
            attributes[each.name.removeprefix("attr.")] = {"type": each.kind.value, **given}
    if attributes:
        found["searchAttributes"] = attributes
    if workflow.retention_ms:
        found["retention"] = f"{workflow.retention_ms}ms"
    return found


def _start_of(workflow: Workflow) -> Document:
    """Return the start policy."""
    start = workflow.start
    if start is None:
        return {}
    times = {
        "delay": start.delay_ms,
        "debounce": start.debounce_ms,
        "maxWait": start.max_wait_ms,
        "dedupWindow": start.dedup_window_ms,
    }
    found: Document = {"key": start.key} if start.key else {}
    if start.concurrency:
        found |= {"concurrency": start.concurrency, "onConflict": start.on_conflict.name}
    found |= {name: f"{time}ms" for name, time in times.items() if time}
    return {"start": found}
