"""The counts that callers, policies and quotas want, by spec."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from flowmesh.api.execution.v1 import limits_service_pb2
from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.errors import FlowmeshError
from flowmesh.fleet.driving.driver import Observed
from flowmesh.fleet.running.figures import Figures
from flowmesh.fleet.scaling.decide import Decision, Memory, decide
from flowmesh.fleet.scaling.quotas import left_of
from flowmesh.fleet.storage.records import AgentRow, Key, PolicyRow, SpecRow
from flowmesh.fleet.storage.store import FleetStore, Steps

# Policies decide so often.
DECIDE_S = 2.0
WITH_QUEUES = (pb.SCALING_STRATEGY_WORKLOAD_BASED, pb.SCALING_STRATEGY_AUTO)


@dataclass(slots=True)
class Wishes:
    """Wanted counts, and the decisions that led to them."""

    wanted: dict[Key, int] = field(default_factory=dict)
    decisions: list[tuple[PolicyRow, pb.ScalingDecision, Decision, bool]] = field(
        default_factory=list
    )

    @property
    def scaled(self) -> int:
        """The number of decisions that changed a count."""
        return sum(each.count != each.before for _, each, _, _ in self.decisions)

    async def commit(self, steps: Steps) -> None:
        """Store the decisions that say something new, and the memories of all."""
        for policy, decision, made, news in self.decisions:
            await steps.remember(policy, asdict(made.memory))
            if news:
                await steps.decided(policy.namespace, decision)


class WishReader:
    """Asks each policy, and holds every count within the quota of its namespace."""

    def __init__(
        self,
        *,
        store: FleetStore,
        figures: Figures,
        log: Any,
        now_us: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self.figures, self._log = store, figures, log
        self._now_us, self._clock = now_us, clock
        self._asked: dict[Key, float] = {}
        self._held: dict[Key, tuple[int, tuple[str, ...]]] = {}
        self._quotas: Mapping[str, pb.AgentQuota] = {}

    async def read(
        self, specs: Sequence[SpecRow], alive: Sequence[AgentRow], seen: Mapping[str, Observed]
    ) -> Wishes:
        """Return the wanted count of each spec."""
        self._quotas = await self._store.quotas()
        policies = {
            (each.namespace, each.content.spec): each for each in await self._store.policies()
        }
        queues: dict[str, Sequence[limits_service_pb2.QueueStats]] = {}
        found = Wishes()
        taken: dict[str, list[tuple[int, pb.AgentLimits]]] = {}
        for spec in specs:
            others = taken.setdefault(spec.namespace, [])
            quota = self._quotas.get(spec.namespace, pb.AgentQuota())
            left = left_of(quota, others, spec.content.limits)
            policy = policies.get(spec.key)
            if spec.deleted:
                count = 0
            elif policy is None or policy.content.strategy == pb.SCALING_STRATEGY_FIXED:
                count = spec.replicas
            else:
                own = [each for each in alive if (each.namespace, each.spec) == spec.key]
                count = await self._decided(found, policy, spec, own, queues, left)
            found.wanted[spec.key] = count if left is None else min(count, left)
            others.append((found.wanted[spec.key], spec.content.limits))
        return found

    async def starts(self, steps: Steps, namespace: str, wanted: int) -> int:
        """Return how many agents may start now."""
        most = self._quotas.get(namespace, pb.AgentQuota()).starts_per_minute
        if not wanted or not most:
            return wanted
        return max(min(wanted, most - await steps.starts(namespace)), 0)

    async def _decided(
        self,
        found: Wishes,
        policy: PolicyRow,
        spec: SpecRow,
        agents: Sequence[AgentRow],
        queues: dict[str, Sequence[limits_service_pb2.QueueStats]],
        left: int | None,
    ) -> int:
        now = self._clock()
        if now - self._asked.get(spec.key, -DECIDE_S) < DECIDE_S:
            return spec.wanted
        if policy.content.strategy in WITH_QUEUES and spec.namespace not in queues:
            try:
                queues[spec.namespace] = await self.figures.queues(spec.namespace)
            except FlowmeshError as error:
                self._log.warning("agents_without_figures", problem=error.message)
                return spec.wanted
        self._asked[spec.key] = now
        now_ms = self._now_us() // 1_000
        mine = queues.get(spec.namespace, ())
        seen = self.figures.seen(policy.content, spec, agents, mine, left, now_ms)
        made = decide(policy.content, Memory.of(policy.memory, now_ms), seen)
        decision = pb.ScalingDecision(
            spec=spec.spec,
            before=spec.wanted,
            wish=made.wish,
            count=made.count,
            reason=made.reason,
            held=made.held,
        )
        # The rest of a pause is no news.
        held = (made.wish, tuple(each.split()[0] for each in made.held))
        news = made.count != spec.wanted or (bool(made.held) and self._held.get(spec.key) != held)
        self._held[spec.key] = held
        found.decisions.append((policy, decision, made, news))
        return made.count
