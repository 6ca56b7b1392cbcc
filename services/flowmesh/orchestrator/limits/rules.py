"""Limits and stops that are set at run time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import orjson

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.execution.v1 import limits_service_pb2 as pb
from flowmesh.orchestrator.limits.permit_ledger import LimitValues
from flowmesh.orchestrator.limits.ready_queues import Need
from flowmesh.orchestrator.storage.stores.limit_store import DispatchStop, LimitRow
from flowmesh.plan import Plan, PlanNode
from flowmesh.tasktypes import TASK_TYPES

Kind: TypeAlias = "pb.LimitKind.ValueType"
_WORDS = {
    pb.LIMIT_KIND_NAMESPACE: "namespace",
    pb.LIMIT_KIND_WORKFLOW: "workflow",
    pb.LIMIT_KIND_TASK_TYPE: "type",
    pb.LIMIT_KIND_NODE: "node",
    pb.LIMIT_KIND_UPSTREAM: "upstream",
    pb.LIMIT_KIND_QUEUE: "queue",
}
_KINDS = {word: kind for kind, word in _WORDS.items()}
UPSTREAMS_MAX = 10_000
"""Limit of task specs whose host is cached."""


def rule_name(kind: Kind, subject: str) -> str:
    """Return the name of a limit, such as `workflow:orders`."""
    return f"{_WORDS[kind]}:{subject}"


def kind_of(row: LimitRow) -> Kind:
    """Return the kind of a stored limit."""
    return pb.LimitKind.ValueType(row.kind)


def rule_parts(name: str) -> tuple[Kind, str]:
    word, _, subject = name.partition(":")
    return _KINDS[word], subject


def upstream_of(spec: plan_pb2.TaskSpec) -> str:
    """Return host and port that an HTTP or gRPC task calls; empty if they are not literal."""
    task_type = TASK_TYPES.get(spec.task_type)
    upstream = None if task_type is None else task_type.upstream
    if upstream is None or upstream.kind not in ("url", "target") or not spec.config:
        return ""
    address = orjson.loads(spec.config).get(upstream.parameter)
    if not isinstance(address, str):
        return ""
    if upstream.kind == "url":
        address = address.partition("://")[2].split("/", 1)[0].split("?", 1)[0]
    return "" if "{{" in address else address.rpartition("@")[2].lower()


class Rules:
    """Immutable set of limits and stops with its version; replaced as a whole."""

    def __init__(
        self,
        limits: Iterable[LimitRow] = (),
        stops: Iterable[DispatchStop] = (),
        version: int = 0,
    ) -> None:
        self.version = version
        self.limits: dict[tuple[str, str], LimitRow] = {
            (row.namespace, rule_name(kind_of(row), row.subject)): row for row in limits
        }
        self.stops: dict[tuple[str, str], DispatchStop] = {
            (row.namespace, row.workflow_id): row for row in stops
        }
        self.sizes: dict[tuple[str, str], int] = {
            (row.namespace, row.subject): row.max_size
            for row in self.limits.values()
            if row.max_size
        }
        self._words = {rule.partition(":")[0] for _, rule in self.limits}
        self._upstreams: dict[str, str] = {}
        # True if a retry budget depends on the upstream of a task.
        self._upstream_retries = any(
            row.retries and row.kind == pb.LIMIT_KIND_UPSTREAM for row in self.limits.values()
        )
        counted = any(row.concurrency or row.rate for row in self.limits.values())
        # True if tasks without declared limits must be checked.
        self.any = counted or bool(self.stops)

    def weight(self, namespace: str) -> int:
        row = self.limits.get((namespace, "namespace:"))
        return (row.weight if row is not None else 0) or 1

    def limit_values(self, namespace: str, need: Need) -> LimitValues | None:
        """Return the values of a need's limit: those set at run time, or of its definition.

        None if the need is of a later version than this one.
        """
        if need.version > self.version:
            return None
        row = self.limits.get((namespace, need.rule))
        if row is None:
            return need.concurrency, need.rate, need.burst
        return row.concurrency, row.rate, row.burst

    def stop_of(self, namespace: str, workflow_id: str) -> tuple[str, str] | None:
        """Return the stop that holds a workflow back; None if there is none."""
        for stop in ((namespace, ""), (namespace, workflow_id)):
            if stop in self.stops:
                return stop
        return None

    def refuses_starts(self, namespace: str, workflow_id: str) -> bool:
        """Return whether a stop refuses the starts of a workflow."""
        found = (self.stops.get((namespace, each)) for each in ("", workflow_id))
        return any(stop is not None and stop.refuses_starts for stop in found)

    def needs(self, plan: Plan, node: PlanNode, declared: tuple[Need, ...]) -> tuple[Need, ...]:
        """Return every permit a task needs, the widest first."""
        if not self.version:
            return declared
        if not self.limits:
            return tuple(map(self._now, declared))
        assert node.spec is not None
        names = {need.rule for need in declared}
        found = []
        for word, subject in (
            ("namespace", ""),
            ("queue", node.queue),
            ("workflow", plan.workflow_id),
            ("type", node.spec.task_type),
            ("node", f"{plan.workflow_id}/{node.id}"),
        ):
            rule = f"{word}:{subject}"
            if rule not in names and (plan.namespace, rule) in self.limits:
                found.append(Need(rule, rule, version=self.version))
        found.extend(map(self._now, declared))
        if "upstream" in self._words:
            rule = f"upstream:{self._upstream(node.spec)}"
            if (plan.namespace, rule) in self.limits:
                found.append(Need(rule, rule, version=self.version))
        return tuple(found)

    def _now(self, need: Need) -> Need:
        """Return a declared need with the version of these rules."""
        return Need(need.rule, need.counter, need.concurrency, need.rate, need.burst, self.version)

    def budgets(self, plan: Plan, node: PlanNode) -> tuple[tuple[str, float], ...]:
        """Return the rules with a retry budget for a task, each with the share it allows."""
        found = []
        rule = f"workflow:{plan.workflow_id}"
        row = self.limits.get((plan.namespace, rule)) if self.limits else None
        share = plan.limits.retry_ratio if plan.limits is not None else 0.0
        if row is not None:
            share = row.retries
        if share:
            found.append((rule, share))
        if self._upstream_retries and node.spec is not None:
            rule = f"upstream:{self._upstream(node.spec)}"
            row = self.limits.get((plan.namespace, rule))
            if row is not None and row.retries:
                found.append((rule, row.retries))
        return tuple(found)

    def _upstream(self, spec: plan_pb2.TaskSpec) -> str:
        found = self._upstreams.get(spec.digest)
        if found is None:
            if len(self._upstreams) >= UPSTREAMS_MAX:
                self._upstreams.clear()
            found = self._upstreams[spec.digest] = upstream_of(spec)
        return found
