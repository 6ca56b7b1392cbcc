"""Check whether a running execution could move to another plan.

Every node that has started must be unchanged in the new plan: the same spec, input and incoming
edges. Nodes that have not started may differ.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from flowmesh.api.definition.v1 import plan_pb2

Nodes = Mapping[str, Any]
_REASONS_MAX = 20


def obstacles_to_move(old: plan_pb2.Plan, new: plan_pb2.Plan, started: Iterable[str]) -> list[str]:
    """Return the reasons why an execution cannot move; empty if it can.

    `started` are node ids as histories write them.
    """
    before, after = _described(old.nodes, old.specs), _described(new.nodes, new.specs)
    reasons: dict[str, None] = {}
    for name in started:
        # A node of a body counts as the node that owns the body: `each[7]/ship` as `each`.
        root = name.partition("/")[0].partition("[")[0]
        if root not in before:
            reasons[f"{root} has started and is not known"] = None
        elif root not in after:
            reasons[f"{root} has started and is not in the new plan"] = None
        elif before[root] != after[root]:
            changed = [key for key in before[root] if before[root][key] != after[root].get(key)]
            reasons[f"{root} has started and differs in {', '.join(changed)}"] = None
        if len(reasons) == _REASONS_MAX:
            break
    return list(reasons)


def _described(nodes: Iterable[plan_pb2.PlanNode], specs: Any) -> dict[str, dict[str, Any]]:
    """Return a description of each node without its position in the plan."""
    listed = list(nodes)
    return {node.id: _node(node, listed, specs) for node in listed}


def _undoing(node: plan_pb2.PlanNode, specs: Any) -> dict[str, Any] | None:
    return _node(node.undo, [], specs) if node.HasField("undo") else None


def _node(node: plan_pb2.PlanNode, nodes: list[plan_pb2.PlanNode], specs: Any) -> dict[str, Any]:
    def named(index: int) -> str:
        return nodes[index - 1].id if index else ""

    rules = {rule.dependency: (rule.label, rule.on_failure) for rule in node.edges}
    described: dict[str, Any] = {
        "kind": node.kind,
        "task": specs[node.spec].digest if node.kind == plan_pb2.NODE_KIND_TASK else "",
        "edges before it": {
            nodes[index].id: rules.get(place) for place, index in enumerate(node.dependencies)
        },
        "join": (node.join, node.join_count, list(node.join_required)),
        "failure handling": (node.on_failure, node.fallback, node.total_timeout_ms),
        "compensation": _undoing(node, specs),
        "approval": node.approval.SerializeToString(deterministic=True),
        "input": (node.input_mode, node.input_template),
        "policies": (
            node.retry.SerializeToString(deterministic=True),
            node.timeout_ms,
            node.heartbeat_timeout_ms,
            node.start_timeout_ms,
            node.queue,
            node.critical,
        ),
        "delay": node.delay_ms,
        "signal": (node.signal, node.on_timeout),
        "workflow it starts": node.child.SerializeToString(deterministic=True),
        "transitions": (
            named(node.follow.next),
            [(list(catch.classes), named(catch.next)) for catch in node.follow.catches],
            node.follow.chooses,
            node.follow.keeps,
        ),
    }
    for field in ("map", "group", "states"):
        if node.HasField(field):
            body = getattr(node, field)
            described["body"] = _described(body.nodes, specs)
            described["body's rules"] = (
                field,
                getattr(body, "concurrency", 0),
                getattr(body, "tolerated_failures", 0),
                getattr(body, "tolerated_share", 0.0),
                getattr(body, "batch", 0),
                getattr(body, "pages_max", 0),
                list(getattr(body, "next_path", ())),
                getattr(body, "counted", False),
                getattr(body, "race", False),
                getattr(body, "start", 0),
            )
    return described
