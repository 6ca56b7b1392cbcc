"""Diagnosis of a plan: causes that would prevent executions from ending."""

from collections.abc import Iterator

from flowmesh.insight.cases import FINDINGS_MAX, Live
from flowmesh.insight.causes import Cause, Diagnosis, Finding, finding
from flowmesh.insight.parts import type_of
from flowmesh.plan import Plan, PlanNode
from flowmesh.standards.events import LISTENING


def diagnose(plan: Plan, live: Live | None) -> Diagnosis:
    """Return the findings of a plan; those about workers only with `live`."""
    found = [each for node in plan.all_nodes() for each in _wrong_with(plan, node, live)]
    return Diagnosis(workflow=plan.workflow_id, version=plan.version, findings=found[:FINDINGS_MAX])


def _wrong_with(plan: Plan, node: PlanNode, live: Live | None) -> Iterator[Finding]:
    limit_ms = plan.timeout_us // 1_000
    if node.signal not in ("", LISTENING) and not limit_ms:
        yield finding(Cause.SIGNAL_WITHOUT_LIMIT, node.id, signal=node.signal)
    if not node.is_task:
        return
    if live is not None and not live.queue(plan, node).workers:
        yield finding(Cause.NO_WORKER, node.id, queue=node.queue, type=type_of(node))
    if not (limit_ms or node.timeout_ms or node.heartbeat_timeout_ms):
        yield finding(Cause.LIMIT_MISSING, node.id)
    if limit_ms and node.timeout_ms > limit_ms:
        needed_ms = node.timeout_ms
        yield finding(Cause.LIMIT_TOO_SHORT, node.id, needed_ms=needed_ms, limit_ms=limit_ms)
