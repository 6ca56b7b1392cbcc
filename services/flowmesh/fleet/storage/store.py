"""Reads and changes of the fleet. A `Key` is namespace and spec."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import orjson

from flowmesh.access.audited import audited_call
from flowmesh.api.fleet.v1 import agent_pb2 as pb
from flowmesh.errors import Unavailable
from flowmesh.fleet import limits
from flowmesh.fleet.storage.memory import MemoryQueries, MemoryTables
from flowmesh.fleet.storage.records import AgentRow, Beat, Key, PolicyRow, SpecRow
from flowmesh.storage import load_queries

if TYPE_CHECKING:
    import asyncpg

SCHEMA: Final = "fleet"
MIGRATIONS: Final = files("flowmesh.fleet").joinpath("migrations")


class FleetStore:
    """The wishes of callers, and reads."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record] | MemoryTables",
        *,
        call: Callable[[], str] = audited_call,
    ) -> None:
        self._pool: Any = pool
        queries = files("flowmesh.fleet").joinpath("sql")
        in_memory = isinstance(pool, MemoryTables)
        # End of the lease of another instance, when it was last seen.
        self._led_until: datetime | None = None
        self._sql: Any = MemoryQueries() if in_memory else load_queries(queries, call=call)

    @asynccontextmanager
    async def changing(self, namespace: str) -> AsyncIterator["Wishes"]:
        """Yield the changes of one namespace, which are counted one after another."""
        async with self._pool.acquire() as at, at.transaction():
            await self._sql.lock_namespace(at, namespace=namespace)
            yield Wishes(at, self._sql, namespace)

    async def lead(self, holder: str) -> tuple[int, bool]:
        """Take or keep the lease; return its epoch, and whether there is nothing to run.

        The epoch of an instance that does not lead is 0.
        """
        row = await self._sql.lead(
            self._pool, holder=holder, lease_ms=limits.LEASE_MS, seen=self._led_until
        )
        if row is None:
            self._led_until = await self._sql.led_until(self._pool)
            return 0, True
        return int(row["epoch"]), bool(row["idle"])

    async def leave(self, holder: str) -> None:
        await self._sql.leave(self._pool, holder=holder)

    async def leaderless(self) -> bool:
        return bool(await self._sql.leaderless(self._pool))

    @asynccontextmanager
    async def leading(self, epoch: int) -> AsyncIterator["Steps"]:
        """Yield the changes of the instance that leads. Raises Unavailable if it is another."""
        async with self._pool.acquire() as at, at.transaction():
            if not await self._sql.prove(at, epoch=epoch):
                raise Unavailable("AGENT_FLEET_STANDBY", "another instance leads the fleet")
            yield Steps(at, self._sql)

    async def spec(self, key: Key) -> SpecRow | None:
        row = await self._sql.spec(self._pool, namespace=key[0], spec=key[1])
        return row and SpecRow.of(row)

    async def specs(self, namespace: str | None = None) -> list[SpecRow]:
        return [SpecRow.of(row) async for row in self._sql.specs(self._pool, namespace=namespace)]

    async def agent(self, namespace: str, agent_id: str) -> AgentRow | None:
        row = await self._sql.agent(self._pool, namespace=namespace, id=agent_id)
        return row and AgentRow.of(row)

    async def agents(
        self, namespace: str, spec: str = "", *, ended: bool = False
    ) -> list[AgentRow]:
        most = limits.AGENTS_MAX + (limits.ENDED_LISTED_MAX if ended else 0)
        rows = self._sql.agents(self._pool, namespace=namespace, spec=spec, ended=ended, most=most)
        return [AgentRow.of(row) async for row in rows]

    async def snapshot(self) -> tuple[list[SpecRow], list[AgentRow]]:
        """Return specs and agents of all namespaces at one time, with agents that just ended."""
        async with (
            self._pool.acquire() as at,
            at.transaction(isolation="repeatable_read", readonly=True),
        ):
            specs = [SpecRow.of(row) async for row in self._sql.specs(at, namespace=None)]
            rows = self._sql.present_agents(at, window_ms=limits.CRASH_WINDOW_MS)
            return specs, [AgentRow.of(row) async for row in rows]

    async def present(self) -> list[AgentRow]:
        """Return the agents of all namespaces, with those that ended a short time ago."""
        rows = self._sql.present_agents(self._pool, window_ms=limits.CRASH_WINDOW_MS)
        return [AgentRow.of(row) async for row in rows]

    async def lived(self) -> list[tuple[str, str, int, int]]:
        """Return id, namespace, begin of an hour and seconds of agents in the last two hours."""
        return [
            (row["id"], row["namespace"], row["hour_us"], row["seconds"])
            async for row in self._sql.lived(self._pool)
        ]

    async def policies(self, namespace: str | None = None) -> list[PolicyRow]:
        rows = self._sql.policies(self._pool, namespace=namespace)
        return [PolicyRow.of(row) async for row in rows]

    async def decisions(self, namespace: str, spec: str) -> list[pb.ScalingDecision]:
        rows = self._sql.decisions(
            self._pool, namespace=namespace, spec=spec, most=limits.DECISIONS_LISTED_MAX
        )
        return [
            pb.ScalingDecision(
                spec=row["spec"],
                at_us=round(row["at"].timestamp() * 1_000_000),
                before=row["before"],
                wish=row["wish"],
                count=row["count"],
                reason=row["reason"],
                held=row["held"],
            )
            async for row in rows
        ]

    async def quota(self, namespace: str) -> pb.AgentQuota:
        return _quota(await self._sql.quota(self._pool, namespace=namespace))

    async def quotas(self) -> dict[str, pb.AgentQuota]:
        return {row["namespace"]: _quota(row) async for row in self._sql.quotas(self._pool)}

    async def set_quota(self, namespace: str, quota: pb.AgentQuota) -> None:
        await self._sql.put_quota(
            self._pool,
            namespace=namespace,
            agents=quota.agents,
            cpu=quota.cpu,
            memory_bytes=quota.memory_bytes,
            starts_per_minute=quota.starts_per_minute,
        )

    async def beat(self, beats: Mapping[str, Beat]) -> None:
        """Record calls of agents."""
        await self._sql.beat_agents(
            self._pool,
            ids=list(beats),
            slots=[each.slots for each in beats.values()],
            busy=[each.busy for each in beats.values()],
            gauges=[orjson.dumps(each.gauges).decode() for each in beats.values()],
        )

    async def forget(self) -> None:
        """Delete old decisions and agents that ended long ago."""
        await self._sql.forget(
            self._pool,
            decision_days=limits.DECISIONS_KEPT_DAYS,
            ended_days=limits.ENDED_KEPT_DAYS,
        )


class Wishes:
    """Changes of callers in one transaction."""

    def __init__(self, at: Any, sql: Any, namespace: str) -> None:
        self._at, self._sql, self._namespace = at, sql, namespace

    async def spec(self, spec: str) -> SpecRow | None:
        row = await self._sql.spec(self._at, namespace=self._namespace, spec=spec)
        return row and SpecRow.of(row)

    async def specs(self) -> list[SpecRow]:
        rows = self._sql.specs(self._at, namespace=self._namespace)
        return [SpecRow.of(row) async for row in rows]

    async def quota(self) -> pb.AgentQuota:
        return _quota(await self._sql.quota(self._at, namespace=self._namespace))

    async def put_spec(self, content: pb.AgentSpec, maker: str, owner: str = "") -> None:
        await self._sql.put_spec(
            self._at,
            namespace=self._namespace,
            spec=content.spec,
            content=content.SerializeToString(deterministic=True),
            replicas=content.replicas,
            maker=maker,
            owner=owner,
        )

    async def set_replicas(self, spec: str, replicas: int) -> None:
        await self._sql.set_replicas(
            self._at, namespace=self._namespace, spec=spec, replicas=replicas
        )

    async def own_spec(self, spec: str, owner: str) -> None:
        await self._sql.own_spec(self._at, namespace=self._namespace, spec=spec, owner=owner)

    async def set_deleted(self, spec: str) -> None:
        await self._sql.set_deleted(self._at, namespace=self._namespace, spec=spec)

    async def insert_agent(self, agent_id: str, spec: SpecRow, isolation: int) -> AgentRow:
        await _insert(self._sql, self._at, agent_id, spec, isolation)
        return AgentRow.of(await self._sql.agent(self._at, namespace=self._namespace, id=agent_id))

    async def drain_agent(self, agent_id: str, reason: str) -> AgentRow | None:
        row = await self._sql.drain_agent(self._at, id=agent_id, reason=reason)
        return row and AgentRow.of(row)

    async def policy_of(self, spec: str) -> pb.ScalingPolicy | None:
        row = await self._sql.policy_of(self._at, namespace=self._namespace, spec=spec)
        return row and PolicyRow.of(row).content

    async def policies(self) -> list[PolicyRow]:
        rows = self._sql.policies(self._at, namespace=self._namespace)
        return [PolicyRow.of(row) async for row in rows]

    async def put_policy(self, policy: pb.ScalingPolicy, owner: str = "") -> None:
        await self._sql.put_policy(
            self._at,
            namespace=self._namespace,
            policy=policy.policy,
            spec=policy.spec,
            content=policy.SerializeToString(deterministic=True),
            owner=owner,
        )

    async def remove_policy(self, policy: str) -> bool:
        """Delete a policy; its spec keeps the count of its agents."""
        row = await self._sql.remove_policy(self._at, namespace=self._namespace, policy=policy)
        if row is None:
            return False
        await self._sql.keep_replicas(self._at, namespace=self._namespace, spec=row["spec"])
        return True


class Steps:
    """Changes of the instance that leads, in one transaction."""

    def __init__(self, at: Any, sql: Any) -> None:
        self._at, self._sql = at, sql

    async def insert(self, agent_id: str, spec: SpecRow, isolation: int) -> None:
        await _insert(self._sql, self._at, agent_id, spec, isolation)

    async def started(
        self, agent_id: str, pid: int, node: str, enforcement: Mapping[str, str]
    ) -> None:
        text = orjson.dumps(dict(enforcement)).decode()
        await self._sql.start_agent(self._at, id=agent_id, pid=pid, node=node, enforcement=text)

    async def ready(self, agent_id: str) -> None:
        await self._sql.ready_agent(self._at, id=agent_id)

    async def degraded(self, agent_id: str, reason: str) -> None:
        await self._sql.degrade_agent(self._at, id=agent_id, reason=reason)

    async def draining(self, agent_id: str, reason: str) -> None:
        await self._sql.drain_agent(self._at, id=agent_id, reason=reason)

    async def ended(
        self, agent_id: str, state: int, reason: str, *, code: int = 0, words: str = ""
    ) -> None:
        await self._sql.end_agent(
            self._at, id=agent_id, state=state, reason=reason, exit_code=code, last_words=words
        )

    async def measured(self, usage: Sequence[tuple[str, float, int]]) -> None:
        """Record processor shares and memory by agent."""
        await self._sql.measure_agents(
            self._at,
            ids=[each[0] for each in usage],
            cpus=[each[1] for each in usage],
            memories=[each[2] for each in usage],
        )

    async def note(self, key: Key, wanted: int, problem: str) -> None:
        await self._sql.note_spec(
            self._at, namespace=key[0], spec=key[1], wanted=wanted, problem=problem
        )

    async def settled(self, key: Key) -> None:
        """Record that all agents have the version of the spec."""
        await self._sql.settle_spec(self._at, namespace=key[0], spec=key[1])

    async def returned(self, key: Key, problem: str) -> None:
        """Go back to the version before."""
        await self._sql.return_spec(self._at, namespace=key[0], spec=key[1], problem=problem)

    async def removed(self, key: Key) -> None:
        await self._sql.remove_spec(self._at, namespace=key[0], spec=key[1])

    async def starts(self, namespace: str) -> int:
        """Return the starts of the last minute."""
        return int(await self._sql.starts(self._at, namespace=namespace))

    async def remember(self, policy: PolicyRow, memory: Mapping[str, Any]) -> None:
        await self._sql.remember(
            self._at,
            namespace=policy.namespace,
            policy=policy.content.policy,
            memory=orjson.dumps(dict(memory)).decode(),
        )

    async def decided(self, namespace: str, decision: pb.ScalingDecision) -> None:
        await self._sql.decide(
            self._at,
            namespace=namespace,
            spec=decision.spec,
            before=decision.before,
            wish=decision.wish,
            count=decision.count,
            reason=decision.reason,
            held=list(decision.held),
        )


async def _insert(sql: Any, at: Any, agent_id: str, spec: SpecRow, isolation: int) -> None:
    await sql.insert_agent(
        at,
        id=agent_id,
        namespace=spec.namespace,
        spec=spec.spec,
        version=spec.version,
        slots=spec.content.slots or 1,
        isolation=isolation,
    )


def _quota(row: Any) -> pb.AgentQuota:
    if row is None:
        return pb.AgentQuota()
    return pb.AgentQuota(
        agents=row["agents"],
        cpu=row["cpu"],
        memory_bytes=row["memory_bytes"],
        starts_per_minute=row["starts_per_minute"],
    )
