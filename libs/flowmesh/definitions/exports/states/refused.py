"""Members of the model that the Amazon States Language does not support.

A member that is neither written nor named here is refused by its own name if it differs from the
default, so no member is left out by accident.
"""

from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from flowmesh.definitions.exports.triggers import listed
from flowmesh.definitions.exports.unsupported import UnsupportedFeatures
from flowmesh.definitions.model import (
    GroupBody,
    Join,
    MapBody,
    Node,
    Outcome,
    Task,
    Workflow,
)

WRITTEN: Mapping[type[object], Collection[str]] = {
    Workflow: {
        "id", "name", "dialect", "nodes", "output", "has_output", "timeout_ms", "nodes_path",
        "schema_path", "on_failure",
    },
    Node: {
        "id", "path", "name", "task_ref", "task", "input", "has_input", "condition",
        "dependencies", "dependencies_key", "retry", "timeout_ms", "body", "edges", "join",
        "outcome", "bound",
    },
    Task: {"type", "executor", "config", "dialect", "name", "path", "config_path", "places"},
    Outcome: {"on_failure", "fallback"},
    MapBody: {"nodes", "concurrency", "path"},
    GroupBody: {"nodes", "path"},
}  # fmt: skip
REFUSED: Mapping[type[object], Mapping[str, str]] = {
    Workflow: {
        "input_schema": "an input schema",
        "output_schema": "an output schema",
        "parallelism": "a limit of parallel nodes",
        "callbacks": "callbacks of executions",
        "labels": "labels",
        "compensation": "a compensation",
        "triggers": "triggers",
        "search": "search attributes",
        "retention_ms": "a retention",
        "limits": "limits",
        "variables": "variables",
        "start": "a start policy",
    },
    Node: {
        "heartbeat_ms": "a heartbeat",
        "critical": "a node that is not critical (use onFailure: CONTINUE)",
        "priority": "a priority",
        "queue": "a queue",
        "join_count": "a join by count",
        "join_required": "a join with required nodes",
        "hidden": "a node that is not in the document",
        "follow": "a node of a state machine",
        "cache": "a cache",
        "limits": "limits of a node",
        "requires": "required labels of a worker",
        "permissions": "permissions",
        "repeatable": "a repeatable task",
    },
    Task: {
        "input_schema": "a schema of a node",
        "output_schema": "a schema of a node",
        "retry": "retries of a task that its node does not repeat",
        "timeout_ms": "a timeout of a task that its node does not repeat",
        "queue": "a queue",
        "permissions": "permissions",
        "secrets": "secrets of a task",
        "labels": "labels of a task",
        "visibility": "the visibility of a task",
    },
    Outcome: {
        "undo": "an undo",
        "total_timeout_ms": "a total timeout of all attempts",
        "start_timeout_ms": "a timeout until a worker begins (scheduleToStart)",
    },
    MapBody: {
        "tolerated": "items of a map that may fail",
        "tolerated_share": "items of a map that may fail",
        "batch": "a map in batches",
        "pages_max": "a map by pages",
        "next_path": "a map by pages",
        "counted": "a map that only counts",
    },
    GroupBody: {
        "race": "a race",
        "single": "a group that answers the output of one leaf",
    },
}


def add_refused(part: Any, unsupported: UnsupportedFeatures, node_id: str = "") -> None:
    """Add the unsupported members of a part of the model."""
    kind = type(part)
    words = REFUSED[kind]
    noted = {
        words.get(each.name, each.name)
        for each in fields(part)
        if each.name not in WRITTEN[kind] and not _is_default(part, each)
    }
    for feature in sorted(noted):
        unsupported.add(feature, node_id)


def _is_default(part: Any, each: Field[Any]) -> bool:
    value = getattr(part, each.name)
    if isinstance(part, Workflow) and each.name == "triggers":
        return not list(listed(value))
    if isinstance(part, Task) and each.name == "retry" and value is not None:
        # Single attempts are the default of tasks written into a node.
        return bool(value.max_attempts == 1)
    if each.default_factory is not MISSING:
        return bool(value == each.default_factory())
    return bool(value == each.default)


def add_unsupported_edges(
    node: Node, unsupported: UnsupportedFeatures, *, all_settle: bool, chosen: bool
) -> None:
    """Add the unsupported edges and joins of a node; a state has one predecessor.

    `all_settle` means that the node is not reached if one before it was skipped or failed, `chosen`
    that a decision chose one of those before it.
    """
    for edge in node.edges:
        if edge.on_failure:
            unsupported.add("an edge that is taken on failure", node.id)
        elif edge.label:
            unsupported.add("an edge with a condition", node.id)
    several = len(set(node.dependencies)) > 1
    if several and node.join is Join.ANY and not chosen:
        unsupported.add("the join 'any', which waits for the first", node.id)
    elif several and node.join is Join.ALL and not all_settle:
        unsupported.add("the join 'all', which runs where one before it failed ('strict' does not)",
                  node.id)  # fmt: skip
