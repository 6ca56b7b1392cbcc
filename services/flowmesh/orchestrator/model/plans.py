"""Compiled plans in memory: by digest for running executions, by name for starts.

A start may use the cached plan of a name for a bounded time. The definition service announces
changes of a name earlier.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol

import msgspec
from prometheus_client import Counter

from flowmesh.api.definition.v1 import (
    definition_service_pb2,
    definition_service_pb2_grpc,
    plan_pb2,
)
from flowmesh.api.execution.v1 import execution_service_pb2
from flowmesh.errors import FlowmeshError, Invalid, Unavailable, Violation
from flowmesh.orchestrator.model.arrival_order import ArrivalOrder
from flowmesh.orchestrator.model.errors import node_not_found
from flowmesh.plan import Plan, compile_plan
from flowmesh.rpc import namespace_of, valid_id
from flowmesh.runtime import Clock

PLANS_MAX = 1_000
BREAKPOINTS_MAX = 1_000

# The namespace, the workflow, and a version by its number or a label.
Name = tuple[str, str, int | str]


def name_of(request: execution_service_pb2.StartExecutionRequest) -> Name:
    """Return the name of a start's plan. Raise ID_INVALID for a malformed part."""
    if request.version_label:
        valid_id(request.version_label, "version_label")
    return (
        namespace_of(request),
        valid_id(request.workflow_id, "workflow_id"),
        request.version_label or request.version,
    )


def check_breakpoints(plan: Plan, nodes: Collection[str]) -> None:
    """Raise NODE_NOT_FOUND for a node that the plan does not have."""
    if len(nodes) > BREAKPOINTS_MAX:
        raise Invalid("REQUEST_INVALID", f"at most {BREAKPOINTS_MAX:,} breakpoints")
    for node in nodes:
        try:
            plan.at(node)
        except (KeyError, AssertionError):
            raise node_not_found(node) from None


class PlanStore(Protocol):
    """The stored plans of running executions."""

    async def plan_bodies(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        """Return encoded plans by their digests."""


class _Cached:
    __slots__ = ("fresh_until_ms", "plan")

    def __init__(self, plan: Plan, fresh_until_ms: float) -> None:
        self.plan = plan
        self.fresh_until_ms = fresh_until_ms


class PlanCache:
    """Compiled plans, and the newest plan of each name that was started recently."""

    def __init__(
        self,
        *,
        definitions: definition_service_pb2_grpc.DefinitionServiceAsyncStub,
        clock: Clock,
        fresh_s: float,
        lookups: Counter,
    ) -> None:
        self._definitions = definitions
        self._clock = clock
        self._fresh_ms = fresh_s * 1_000
        self._hits, self._misses = lookups.labels("hit"), lookups.labels("miss")
        self._names: OrderedDict[Name, _Cached] = OrderedDict()
        self._requests: dict[Name, asyncio.Task[Plan]] = {}
        self._arrivals = ArrivalOrder()
        self.by_digest: OrderedDict[str, Plan] = OrderedDict()

    def remember(self, message: plan_pb2.Plan) -> Plan:
        plan = self.by_digest.get(message.digest)
        if plan is None:
            plan = self.by_digest[message.digest] = compile_plan(message)
            if len(self.by_digest) > PLANS_MAX:
                self.by_digest.popitem(last=False)
        return plan

    async def fetch(self, digests: Iterable[str], store: PlanStore) -> None:
        """Read the plans of running executions that are not in memory."""
        missing = [digest for digest in digests if digest not in self.by_digest]
        if missing:
            for body in (await store.plan_bodies(missing)).values():
                self.remember(plan_pb2.Plan.FromString(body))

    async def stored(self, digest: str, store: PlanStore) -> Plan | None:
        """Return the plan of an execution by its digest; None for an empty digest."""
        if digest:
            await self.fetch((digest,), store)
        return self.by_digest.get(digest)

    def cached(self, name: Name) -> Plan | None:
        """Return the plan of a name if its cache entry is fresh.

        None too while earlier starts of a plan with a start policy wait: they keep their order.
        """
        plan = self._fresh(name)
        if plan is None or (plan.start_shared and name in self._arrivals):
            return None
        self._hits.inc()
        return plan

    def _fresh(self, name: Name) -> Plan | None:
        cached = self._names.get(name)
        if cached is None or cached.fresh_until_ms <= self._clock.monotonic_ms():
            return None
        return cached.plan

    async def resolve(self, name: Name) -> Plan:
        """Return the plan for a start of this name; one request per name is in flight at a time.

        Callers continue in the order in which they came. While the definition service is
        unavailable, the last known plan is used.
        """
        plan = self.cached(name)
        return (
            plan
            if plan is not None
            else await self._arrivals.wait_in_order(name, self._requested(name))
        )

    async def _requested(self, name: Name) -> Plan:
        plan = self._fresh(name)
        if plan is not None:
            return plan
        task = self._requests.get(name)
        if task is None:
            task = asyncio.ensure_future(self._request_plan(name))
            self._requests[name] = task
            task.add_done_callback(partial(self._request_done, name))
        return await asyncio.shield(task)

    def _request_done(self, name: Name, task: asyncio.Task[Plan]) -> None:
        if self._requests.get(name) is task:
            del self._requests[name]
        if not task.cancelled():
            task.exception()  # retrieved even if all callers have left since

    async def _request_plan(self, name: Name) -> Plan:
        self._misses.inc()
        namespace, workflow_id, version = name
        request = definition_service_pb2.GetPlanRequest(
            namespace=namespace, workflow_id=workflow_id
        )
        if isinstance(version, str):
            request.version_label = version
        else:
            request.version = version
        try:
            response = await self._definitions.GetPlan(request)
        except FlowmeshError as error:
            known = self._names.get(name)
            if not isinstance(error, Unavailable):
                self._names.pop(name, None)
                raise
            if known is not None:
                return known.plan
            raise Unavailable(
                "DEFINITION_UNAVAILABLE",
                f"the definition service is unavailable and workflow {workflow_id!r} is not cached",
                retry_after_ms=1_000,
            ) from error
        plan = self.remember(response.plan)
        # The name may have changed since the request: the plan then serves its callers only.
        current = self._requests.get(name) is asyncio.current_task()
        fresh_until_ms = self._clock.monotonic_ms() + self._fresh_ms if current else 0.0
        self._names[name] = _Cached(plan, fresh_until_ms)
        self._names.move_to_end(name)
        if len(self._names) > PLANS_MAX:
            self._names.popitem(last=False)
        return plan

    def forget(self, namespace: str) -> None:
        """Expire the plans of a namespace: a changed task may be part of any of them."""
        for name, cached in self._names.items():
            if name[0] == namespace:
                cached.fresh_until_ms = 0.0
        for name in [each for each in self._requests if each[0] == namespace]:
            del self._requests[name]

    def check_input(self, plan: Plan, data: bytes) -> None:
        """Raise INPUT_INVALID, with one violation per problem, for input that is invalid."""
        try:
            value = msgspec.json.decode(data) if data else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Invalid("INPUT_INVALID", "the input is not JSON") from error
        violations = tuple(
            Violation(
                f"input{problem.path}",
                problem.message,
                "INPUT_INVALID",
                schema_path=problem.schema_path,
            )
            for problem in plan.input_schema.problems(plan.whole_input(value))
        )
        if violations:
            first = violations[0]
            raise Invalid(
                "INPUT_INVALID",
                f"input of {plan.workflow_id}: {first.field}: {first.description}"
                f" ({first.schema_path})",
                violations=violations,
            )
