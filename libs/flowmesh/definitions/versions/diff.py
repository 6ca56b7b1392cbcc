"""Differences between two versions by meaning; the order of keys and tasks does not count.

Each version is described as facts: fields by area and subject. Differences are those of the facts.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from flowmesh.contract.json_value import Json
from flowmesh.definitions.model import (
    Body,
    GroupBody,
    Join,
    Limits,
    MapBody,
    Node,
    OnFailure,
    Outcome,
    Retry,
    StartPolicy,
    StatesBody,
    Task,
    Workflow,
)
from flowmesh.definitions.scopes import Scope
from flowmesh.definitions.triggers import Trigger

ADDED, REMOVED, CHANGED = "added", "removed", "changed"
_ARROW = " -> "
Fields = dict[str, Json]
Facts = dict[tuple[str, str], Fields]


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference: `subject` of an area was added, removed or, in one `field`, changed."""

    area: str
    action: str
    subject: str
    field: str = ""
    before: Json = None
    after: Json = None

    def text(self) -> str:
        """Return the difference as one line."""
        what = f"{self.area} {self.subject}".rstrip()
        if self.action != CHANGED:
            return f"{what} {self.action}"
        field = f" {self.field}" if self.field else ""
        return f"{what}{field}: {_shown(self.before)} -> {_shown(self.after)}"


def diff_workflows(old: Workflow, new: Workflow) -> list[Difference]:
    return _differences(_workflow_facts(old), _workflow_facts(new))


def diff_tasks(old: Task, new: Task) -> list[Difference]:
    return _differences(_library_task_facts(old), _library_task_facts(new))


def _differences(old: Facts, new: Facts) -> list[Difference]:
    found: list[Difference] = []
    for key in dict.fromkeys((*old, *new)):
        area, subject = key
        if key not in new:
            found.append(Difference(area, REMOVED, subject, before=_present(old[key])))
        elif key not in old:
            found.append(Difference(area, ADDED, subject, after=_present(new[key])))
        else:
            found += (
                Difference(area, CHANGED, subject, field, before, after)
                for field, before, after in _changed(old[key], new[key], "")
            )
    return found


def _changed(old: Json, new: Json, path: str) -> Iterator[tuple[str, Json, Json]]:
    """Yield the parts that differ, as deep as both are objects."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            below = f"{path}.{key}" if path else str(key)
            yield from _changed(old.get(key), new.get(key), below)
    elif old != new or type(old) is not type(new):
        yield path, old, new


def _present(fields: Fields) -> Fields:
    return {name: value for name, value in fields.items() if value not in (None, "", {}, 0)}


def _shown(value: Json) -> str:
    return "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)


def _workflow_facts(workflow: Workflow) -> Facts:
    facts: Facts = {
        ("schema", "input"): {"": workflow.input_schema},
        ("schema", "output"): {"": workflow.output_schema},
        ("policy", ""): {
            "timeout_ms": workflow.timeout_ms,
            "parallelism": workflow.parallelism,
            "retention_ms": workflow.retention_ms,
            "on_failure": workflow.on_failure.name,
            "compensation": asdict(workflow.compensation),
            **_limits(workflow.limits),
            **_start(workflow.start),
        },
        ("search", ""): {each.name: [each.kind.value, each.template] for each in workflow.search},
        ("output", ""): {"": workflow.output},
    }
    callbacks = workflow.callbacks
    for name, url in (
        ("onComplete", callbacks.on_complete),
        ("onFailure", callbacks.on_failure),
        ("onStep", callbacks.on_step),
        ("secret", _masked(callbacks.secret)),
    ):
        if url:
            facts["callback", name] = {"": url}
    facts |= {("label", name): {"": value} for name, value in workflow.labels.items()}
    for variable in workflow.variables:
        fields = {"schema": variable.schema, "initial": variable.initial}
        facts["variable", variable.name] = fields
    facts |= {("trigger", each.id): _trigger_fields(each) for each in workflow.triggers}
    _add_nodes(Scope(workflow.nodes), "", facts)
    return facts


def _trigger_fields(trigger: Trigger) -> Fields:
    fields = _without_secret(asdict(trigger.source))
    return fields | {"kind": type(trigger.source).__name__.lower(), "input": trigger.input}


def _without_secret(fields: Fields) -> Fields:
    """Return the fields with the secret of a receiver masked."""
    receiver = fields.get("receiver")
    if receiver is None:
        return fields
    return fields | {"receiver": receiver | {"secret": _masked(receiver["secret"])}}


def _limits(limits: Limits | None) -> dict[str, Json]:
    """Return the limits without their path."""
    return {"limits": {**asdict(limits), "path": None}} if limits is not None else {}


def _start(start: StartPolicy | None) -> dict[str, Json]:
    if start is None:
        return {}
    return {"start": {**asdict(start), "on_conflict": start.on_conflict.name, "path": None}}


def _masked(secret: str) -> str:
    """Return a mark that shows that a secret changed but not its value."""
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()[:8]}" if secret else ""


def _add_nodes(scope: Scope, prefix: str, facts: Facts) -> None:
    graph = scope.graph
    for index, node in enumerate(scope.nodes):
        subject = prefix + node.id
        facts["node", subject] = _node_fields(node)
        facts["policy", subject] = _policy(node.retry, node.timeout_ms, node.queue) | {
            "critical": node.critical,
            "priority": node.priority.name,
            "requires": node.requires,
            "permissions": list(node.permissions),
            "repeatable": node.repeatable,
            **_limits(node.limits),
        }
        if node.task is not None:
            _add_task(node.task, f"{subject}/", facts, area="node", subject=subject)
        rules = {edge.source: edge for edge in node.edges}
        for before in graph.dependencies[index]:
            source = graph.ids[before]
            rule = rules.get(source)
            facts["edge", f"{prefix}{source}{_ARROW}{subject}"] = {
                "label": rule.label if rule else "",
                "on_failure": bool(rule and rule.on_failure),
            }
        if node.follow is not None:
            _add_follow(node, prefix, facts)
        body = scope.bodies.get(node.path)
        if body is not None:
            _add_nodes(body, f"{subject}/", facts)


def _add_follow(node: Node, prefix: str, facts: Facts) -> None:
    follow = node.follow
    assert follow is not None
    subject = prefix + node.id
    for name in (follow.next, *follow.among):
        if name:
            facts["edge", f"{subject}{_ARROW}{prefix}{name}"] = {}
    for catch in follow.catches:
        facts["edge", f"{subject}{_ARROW}{prefix}{catch.next}"] = {"on": list(catch.classes)}


def _node_fields(node: Node) -> Fields:
    fields: Fields = {
        "name": node.name,
        "task": node.task_ref,
        "input": node.input,
        "condition": node.condition,
    }
    if node.join is not Join.STRICT:
        fields["join"] = node.join.value
    if node.join_count > 1 or node.join_required:
        fields["join"] = [node.join.value, node.join_count, *node.join_required]
    fields |= _outcome_fields(node.outcome)
    if node.body is not None:
        fields["body"] = _body_fields(node.body)
    return fields


def _outcome_fields(outcome: Outcome) -> Fields:
    """Return the failure handling where it differs from the default."""
    fields: Fields = {}
    if outcome.on_failure is not OnFailure.FAIL:
        fields["on_failure"] = outcome.on_failure.name
        fields["fallback"] = outcome.fallback
    if outcome.total_timeout_ms:
        fields["total_timeout_ms"] = outcome.total_timeout_ms
    if outcome.start_timeout_ms:
        fields["start_timeout_ms"] = outcome.start_timeout_ms
    undo = outcome.undo
    if undo is not None:
        retry = asdict(undo.retry) if undo.retry is not None else None
        fields["undo"] = {
            "task": undo.task_ref,
            "input": undo.input,
            "retry": retry,
            "timeout_ms": undo.timeout_ms,
            "queue": undo.queue,
        }
    return fields


def _body_fields(body: Body) -> Fields:
    match body:
        case MapBody():
            return {
                "kind": "map",
                "concurrency": body.concurrency,
                "tolerated": body.tolerated,
                "tolerated_share": body.tolerated_share,
                "batch": body.batch,
                "pages_max": body.pages_max,
                "next_path": list(body.next_path),
                "counted": body.counted,
            }
        case GroupBody():
            return {"kind": "group", "race": body.race}
        case StatesBody():
            return {"kind": "states", "start": body.start}


def _library_task_facts(task: Task) -> Facts:
    facts: Facts = {("task", ""): {"visibility": task.visibility.value}, ("policy", ""): {}}
    _add_task(task, "", facts, area="task", subject="")
    facts |= {("label", name): {"": value} for name, value in task.labels.items()}
    return facts


def _add_task(task: Task, prefix: str, facts: Facts, *, area: str, subject: str) -> None:
    facts[area, subject] |= {"type": task.type, "config": _without_secret(task.config)}
    facts["schema", f"{prefix}input"] = {"": task.input_schema}
    facts["schema", f"{prefix}output"] = {"": task.output_schema}
    own = _policy(task.retry, task.timeout_ms, task.queue)
    own |= {"permissions": list(task.permissions), "secrets": list(task.secrets)}
    facts["policy", subject] |= {name: value for name, value in own.items() if value}


def _policy(retry: Retry | None, timeout_ms: int, queue: str) -> dict[str, Any]:
    return {
        "retry": asdict(retry) if retry is not None else None,
        "timeout_ms": timeout_ms,
        "queue": queue,
    }
