"""Specs, agents, policies and quotas, as callers change them."""

from collections.abc import Callable

from flowmesh.access.owners import NO_OWNER, Owner
from flowmesh.access.principal import current
from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.contract.nouns import counted
from flowmesh.errors import NotFound, WrongState
from flowmesh.fleet import checks, limits
from flowmesh.fleet.driving.isolation import IsolationRules
from flowmesh.fleet.scaling.quotas import left_of, used_of
from flowmesh.fleet.storage.records import AgentRow, PolicyRow, SpecRow
from flowmesh.fleet.storage.store import FleetStore, Wishes


class Fleet:
    """Checks calls and stores what they want; the loop of the fleet follows."""

    def __init__(
        self,
        *,
        store: FleetStore,
        isolation: IsolationRules,
        announce: Callable[[], None],
        new_id: Callable[[], str],
    ) -> None:
        self._store, self._isolation = store, isolation
        self._announce, self._new_id = announce, new_id

    async def check(self, namespace: str, spec: pb.AgentSpec) -> None:
        """Raise the error with which `apply` would refuse the content; complete it."""
        await self._complete(spec)
        async with self._store.changing(namespace) as wishes:
            await self._check_quota(wishes, spec, spec.replicas)

    async def apply(
        self, namespace: str, spec: pb.AgentSpec, owner: Owner = NO_OWNER
    ) -> tuple[SpecRow, bool]:
        """Store a spec or a version of it; return it, and whether something changed."""
        await self._complete(spec)
        caller = current()
        async with self._store.changing(namespace) as wishes:
            before = await wishes.spec(spec.spec)
            if before is not None and before.deleted:
                text = f"{spec.spec} is being deleted; try again once its agents have ended"
                raise WrongState("AGENTS_RUNNING", text)
            await self._check_quota(wishes, spec, spec.replicas)
            changed = before is None or _content(before.content) != _content(spec)
            if before is None or changed or before.replicas != spec.replicas or owner.name:
                owner.check(f"AgentSpec {spec.spec}", before.owner if before else "")
                if changed:
                    await wishes.put_spec(spec, caller.id if caller else "", owner.name)
                else:
                    await wishes.own_spec(spec.spec, owner.name)
                    await wishes.set_replicas(spec.spec, spec.replicas)
            found = await wishes.spec(spec.spec)
        self._announce()
        assert found is not None
        return found, changed

    async def spec(self, namespace: str, spec: str) -> SpecRow:
        found = await self._store.spec((namespace, spec))
        if found is None:
            raise _no_spec(spec)
        return found

    async def delete(
        self, namespace: str, spec: str, owner: Owner = NO_OWNER, *, stop_agents: bool
    ) -> None:
        """Delete a spec; with agents only if they are to be stopped."""
        found = await self.spec(namespace, spec)
        owner.check(f"AgentSpec {spec}", found.owner)
        running = [each for each in await self._store.agents(namespace, spec) if each.alive]
        wanted = found.wanted if found.has_policy else found.replicas
        if not stop_agents and (running or wanted):
            text = (
                f"{spec} has {counted(max(len(running), wanted), 'agent')}; scale it to 0, or stop"
                " them with it: --stop-agents, in REST ?stopAgents=true"
            )
            raise WrongState("AGENTS_RUNNING", text)
        async with self._store.changing(namespace) as wishes:
            await wishes.set_deleted(spec)
        self._announce()

    async def spawn(self, namespace: str, spec: str, count: int) -> list[AgentRow]:
        """Add agents; return them before they are ready."""
        async with self._store.changing(namespace) as wishes:
            found = await self._scalable(wishes, spec)
            await self._scale(wishes, found, found.replicas + count)
            added = [
                await wishes.insert_agent(self._new_id(), found, found.content.isolation)
                for _ in range(count)
            ]
        self._announce()
        return added

    async def scale(self, namespace: str, spec: str, replicas: int) -> SpecRow:
        """Set the replicas of a spec."""
        async with self._store.changing(namespace) as wishes:
            await self._scale(wishes, await self._scalable(wishes, spec), replicas)
            found = await wishes.spec(spec)
        self._announce()
        assert found is not None
        return found

    async def agent(self, namespace: str, agent_id: str) -> AgentRow:
        found = await self._store.agent(namespace, agent_id)
        if found is None:
            raise NotFound("AGENT_NOT_FOUND", f"there is no agent {agent_id!r}")
        return found

    async def stop(self, namespace: str, agent_id: str, *, replace: bool) -> AgentRow:
        """Drain an agent; without a replacement its spec has one agent less."""
        found = await self.agent(namespace, agent_id)
        if found.ended_at_us or not found.alive:
            return found
        async with self._store.changing(namespace) as wishes:
            spec = await wishes.spec(found.spec)
            if not replace and spec is not None and not await _decides(wishes, found.spec):
                await wishes.set_replicas(found.spec, max(spec.replicas - 1, 0))
            drained = await wishes.drain_agent(agent_id, "RESTARTED" if replace else "STOPPED")
        self._announce()
        return drained or found

    async def check_policy(self, namespace: str, policy: pb.ScalingPolicy) -> None:
        """Raise the error with which `apply_policy` would refuse the content."""
        checks.check_policy(policy)
        async with self._store.changing(namespace) as wishes:
            await _policy_before(wishes, policy)

    async def apply_policy(
        self, namespace: str, policy: pb.ScalingPolicy, owner: Owner = NO_OWNER
    ) -> pb.ScalingPolicy:
        """Store a policy; a spec has one at most."""
        checks.check_policy(policy)
        async with self._store.changing(namespace) as wishes:
            before = await _policy_before(wishes, policy)
            if before is None or before.content != policy or owner.name:
                owner.check(f"ScalingPolicy {policy.policy}", before.owner if before else "")
                await wishes.put_policy(policy, owner.name)
        self._announce()
        return checks.completed(policy)

    async def delete_policy(self, namespace: str, policy: str, owner: Owner = NO_OWNER) -> None:
        async with self._store.changing(namespace) as wishes:
            found = [each for each in await wishes.policies() if each.content.policy == policy]
            if not found:
                raise NotFound("SCALING_POLICY_NOT_FOUND", f"there is no policy {policy!r}")
            owner.check(f"ScalingPolicy {policy}", found[0].owner)
            await wishes.remove_policy(policy)
        self._announce()

    async def used(self, namespace: str) -> pb.AgentQuota:
        """Return what the wanted agents of a namespace use."""
        specs = await self._store.specs(namespace)
        return used_of((each.wanted, each.content.limits) for each in specs)

    async def _complete(self, spec: pb.AgentSpec) -> None:
        """Check a spec for itself, and set what it leaves to the fleet."""
        checks.check_spec(spec)
        self._isolation.check_bounds(spec)
        spec.isolation = await self._isolation.check(spec.isolation, spec.command[0])
        spec.health = spec.health or pb.AGENT_HEALTH_HEARTBEAT

    async def _scalable(self, wishes: Wishes, spec: str) -> SpecRow:
        """Return a spec whose count callers may set."""
        found = await wishes.spec(spec)
        if found is None or found.deleted:
            raise _no_spec(spec)
        if await _decides(wishes, spec):
            text = f"a policy decides the count of {spec}; change or delete the policy"
            raise WrongState("AGENTS_SCALED_BY_POLICY", text)
        return found

    async def _scale(self, wishes: Wishes, spec: SpecRow, replicas: int) -> None:
        if replicas > limits.AGENTS_MAX:
            raise checks.wrong("replicas", f"{replicas} is not 0 to {limits.AGENTS_MAX}")
        await self._check_quota(wishes, spec.content, replicas)
        await wishes.set_replicas(spec.spec, replicas)

    async def _check_quota(self, wishes: Wishes, spec: pb.AgentSpec, replicas: int) -> None:
        specs = await wishes.specs()
        if len(specs) >= limits.SPECS_MAX and all(each.spec != spec.spec for each in specs):
            text = f"a namespace has at most {limits.SPECS_MAX} specs of agents"
            raise checks.quota_exceeded("spec", text)
        others = [
            (max(each.replicas, each.wanted), each.content.limits)
            for each in specs
            if each.spec != spec.spec
        ]
        left = left_of(await wishes.quota(), others, spec.limits)
        if left is not None and replicas > left:
            text = f"the quota of the namespace leaves {left} agents to {spec.spec}"
            raise checks.quota_exceeded("replicas", text)


async def _policy_before(wishes: Wishes, policy: pb.ScalingPolicy) -> PolicyRow | None:
    """Return the stored policy of this name. Raises for one of another spec, or a second one."""
    spec = await wishes.spec(policy.spec)
    if spec is None or spec.deleted:
        raise _no_spec(policy.spec)
    found = None
    for row in await wishes.policies():
        each = row.content
        if each.policy == policy.policy:
            found = row
            if each.spec != policy.spec:
                text = f"the policy {policy.policy} is of {each.spec}; a policy has one"
                raise checks.wrong_policy("spec", text)
        elif each.spec == policy.spec:
            text = f"{policy.spec} has the policy {each.policy} already"
            raise checks.wrong_policy("spec", text)
    return found


async def _decides(wishes: Wishes, spec: str) -> bool:
    policy = await wishes.policy_of(spec)
    return policy is not None and policy.strategy != pb.SCALING_STRATEGY_FIXED


def _content(spec: pb.AgentSpec) -> bytes:
    """Return what makes a version: everything but the count. Limits without a bound are none."""
    found = pb.AgentSpec()
    found.CopyFrom(spec)
    found.replicas = 0
    if found.limits == pb.AgentLimits():
        found.ClearField("limits")
    return found.SerializeToString(deterministic=True)


def _no_spec(spec: str) -> NotFound:
    return NotFound("AGENT_SPEC_NOT_FOUND", f"there is no spec {spec!r} of agents")
