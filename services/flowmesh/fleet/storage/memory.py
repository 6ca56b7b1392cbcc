"""The queries of `sql/fleet.sql` on tables in memory, for a fleet inside of one program."""

import asyncio
import copy
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

# A row of a table, or of an answer, by column.
Row = dict[str, Any]

DEGRADED, DRAINING, FAILED = 4, 5, 6
_AGENT: Row = {
    "state": 1, "reason": "", "last_words": "", "exit_code": 0, "pid": 0, "node": "", "cpu": 0.0,
    "memory_bytes": 0, "busy": 0, "enforcement": "{}", "gauges": "{}", "ready_at": None,
    "beat_at": None, "drain_at": None, "ended_at": None,
}  # fmt: skip


def _now() -> datetime:
    return datetime.now(UTC)


class MemoryTables:
    """Stands in for the pool of a database: one transaction at a time, undone if it fails."""

    def __init__(self) -> None:
        self.specs: dict[tuple[str, str], Row] = {}
        self.agents: dict[str, Row] = {}
        self.policies: dict[tuple[str, str], Row] = {}
        self.decisions: list[Row] = []
        self.quotas: dict[str, Row] = {}
        self.leader: Row = {"epoch": 0, "holder": "", "until": datetime.fromtimestamp(0, UTC)}
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator["MemoryTables"]:
        async with self._lock:
            yield self

    @asynccontextmanager
    async def transaction(self, **_: object) -> AsyncIterator[None]:
        names = ("specs", "agents", "policies", "decisions", "quotas", "leader")
        before = {name: copy.deepcopy(getattr(self, name)) for name in names}
        try:
            yield
        except BaseException:
            vars(self).update(before)
            raise


class _Agents:
    """Queries on agents."""

    async def agent(self, at: MemoryTables, *, namespace: str, id: str) -> Row | None:
        found = at.agents.get(id)
        return found if found and found["namespace"] == namespace else None

    async def agents(
        self, at: MemoryTables, *, namespace: str, spec: str, ended: bool, most: int
    ) -> AsyncIterator[Row]:
        found = [
            each
            for each in reversed(at.agents.values())
            if each["namespace"] == namespace
            and spec in ("", each["spec"])
            and (each["state"] < FAILED or ended)
        ]
        for each in sorted(found, key=lambda each: bool(each["state"] >= FAILED))[:most]:
            yield each

    async def present_agents(self, at: MemoryTables, *, window_ms: int) -> AsyncIterator[Row]:
        since = _now() - timedelta(milliseconds=window_ms)
        for each in list(at.agents.values()):
            if each["state"] < FAILED or (each["ended_at"] and each["ended_at"] > since):
                yield each

    async def insert_agent(self, at: MemoryTables, *, id: str, **columns: Any) -> None:
        at.agents[id] = {**_AGENT, "id": id, **columns, "created_at": _now()}

    async def start_agent(
        self, at: MemoryTables, *, id: str, pid: int, node: str, enforcement: str
    ) -> None:
        _change(at, id, (1,), state=2, pid=pid, node=node, enforcement=enforcement)

    async def ready_agent(self, at: MemoryTables, *, id: str) -> None:
        ready_at = at.agents[id]["ready_at"] or _now()
        _change(at, id, (2, DEGRADED), state=3, reason="", ready_at=ready_at)

    async def degrade_agent(self, at: MemoryTables, *, id: str, reason: str) -> None:
        _change(at, id, (3,), state=DEGRADED, reason=reason)

    async def drain_agent(self, at: MemoryTables, *, id: str, reason: str) -> Row | None:
        columns = {"state": DRAINING, "reason": reason, "drain_at": _now()}
        return _change(at, id, range(DRAINING), **columns)

    async def end_agent(self, at: MemoryTables, *, id: str, **columns: Any) -> None:
        _change(at, id, range(FAILED), **columns, ended_at=_now(), cpu=0.0, busy=0)

    async def measure_agents(
        self,
        at: MemoryTables,
        *,
        ids: Sequence[str],
        cpus: Sequence[float],
        memories: Sequence[int],
    ) -> None:
        for id, cpu, memory in zip(ids, cpus, memories, strict=True):
            _change(at, id, range(FAILED), cpu=cpu, memory_bytes=memory)

    async def beat_agents(
        self,
        at: MemoryTables,
        *,
        ids: Sequence[str],
        slots: Sequence[int],
        busy: Sequence[int],
        gauges: Sequence[str],
    ) -> None:
        for id, most, used, own in zip(ids, slots, busy, gauges, strict=True):
            _change(at, id, range(FAILED), beat_at=_now(), slots=most, busy=used, gauges=own)

    async def starts(self, at: MemoryTables, *, namespace: str) -> int:
        now = _now()
        own = (each for each in at.agents.values() if each["namespace"] == namespace)
        return sum(now - timedelta(minutes=1) <= each["created_at"] <= now for each in own)


class _Policies:
    """Queries on policies, decisions and quotas."""

    async def policies(self, at: MemoryTables, *, namespace: str | None) -> AsyncIterator[Row]:
        for key in sorted(at.policies, key=lambda key: key[1]):
            if namespace in (None, key[0]):
                yield at.policies[key]

    async def policy_of(self, at: MemoryTables, *, namespace: str, spec: str) -> Row | None:
        own = (each for each in at.policies.values() if _of(each) == (namespace, spec))
        return next(own, None)

    async def put_policy(
        self,
        at: MemoryTables,
        *,
        namespace: str,
        policy: str,
        spec: str,
        content: bytes,
        owner: str,
    ) -> None:
        at.policies[namespace, policy] = {
            "namespace": namespace, "policy": policy, "spec": spec, "content": content,
            "owner": owner, "memory": "{}",
        }  # fmt: skip

    async def remove_policy(self, at: MemoryTables, *, namespace: str, policy: str) -> Row | None:
        return at.policies.pop((namespace, policy), None)

    async def keep_replicas(self, at: MemoryTables, *, namespace: str, spec: str) -> None:
        row = at.specs[namespace, spec]
        row["replicas"] = row["wanted"]

    async def remember(self, at: MemoryTables, *, namespace: str, policy: str, memory: str) -> None:
        if (namespace, policy) in at.policies:
            at.policies[namespace, policy]["memory"] = memory

    async def decide(self, at: MemoryTables, **columns: Any) -> None:
        at.decisions.append({**columns, "at": _now()})

    async def decisions(
        self, at: MemoryTables, *, namespace: str, spec: str, most: int
    ) -> AsyncIterator[Row]:
        own = [each for each in reversed(at.decisions) if each["namespace"] == namespace]
        for each in [each for each in own if spec in ("", each["spec"])][:most]:
            yield each

    async def forget(self, at: MemoryTables, *, decision_days: int, ended_days: int) -> None:
        now = _now()
        old = now - timedelta(days=decision_days)
        at.decisions = [each for each in at.decisions if each["at"] >= old]
        ended = now - timedelta(days=ended_days)
        for id, each in list(at.agents.items()):
            if each["ended_at"] and each["ended_at"] < ended:
                del at.agents[id]

    async def quota(self, at: MemoryTables, *, namespace: str) -> Row | None:
        return at.quotas.get(namespace)

    async def quotas(self, at: MemoryTables) -> AsyncIterator[Row]:
        for each in list(at.quotas.values()):
            yield each

    async def put_quota(self, at: MemoryTables, **columns: Any) -> None:
        at.quotas[columns["namespace"]] = columns


class MemoryQueries(_Agents, _Policies):
    """Answers each query by its name; the first argument is the tables."""

    async def lead(
        self, at: MemoryTables, *, holder: str, lease_ms: int, seen: datetime | None
    ) -> Row | None:
        leader, now = at.leader, _now()
        stale = leader["until"] == seen and seen > now + timedelta(milliseconds=lease_ms)
        if leader["holder"] != holder and leader["until"] > now and not stale:
            return None
        if leader["holder"] != holder or leader["until"] <= now:
            leader["epoch"] += 1
        leader.update(holder=holder, until=now + timedelta(milliseconds=lease_ms))
        alive = any(each["state"] < FAILED for each in at.agents.values())
        return {**leader, "idle": not at.specs and not alive}

    async def led_until(self, at: MemoryTables) -> datetime:
        until: datetime = at.leader["until"]
        return until

    async def leaderless(self, at: MemoryTables) -> bool:
        return bool(at.leader["until"] <= _now())

    async def leave(self, at: MemoryTables, *, holder: str) -> None:
        if at.leader["holder"] == holder:
            at.leader["until"] = datetime.fromtimestamp(0, UTC)

    async def prove(self, at: MemoryTables, *, epoch: int) -> bool:
        return bool(at.leader["epoch"] == epoch and at.leader["until"] > _now())

    async def lock_namespace(self, at: MemoryTables, *, namespace: str) -> None:
        """Transactions follow one another."""

    async def spec(self, at: MemoryTables, *, namespace: str, spec: str) -> Row | None:
        found = at.specs.get((namespace, spec))
        if found is None:
            return None
        own = [each for each in at.agents.values() if _of(each) == (namespace, spec)]
        policies = [each for each in at.policies.values() if _of(each) == (namespace, spec)]
        ready = sum(each["state"] in (3, DEGRADED) for each in own)
        return {**found, "has_policy": bool(policies), "ready": ready}

    async def specs(self, at: MemoryTables, *, namespace: str | None) -> AsyncIterator[Row]:
        for key in sorted(at.specs):
            if namespace in (None, key[0]):
                found = await self.spec(at, namespace=key[0], spec=key[1])
                assert found is not None
                yield found

    async def put_spec(
        self, at: MemoryTables, *, namespace: str, spec: str, content: bytes, replicas: int,
        maker: str, owner: str,
    ) -> None:  # fmt: skip
        before = at.specs.get((namespace, spec))
        version = before["newest"] + 1 if before else 1
        made: Row = {
            "namespace": namespace, "spec": spec, "stable_version": 0, "stable": b"",
            "wanted": replicas, "created_at": _now(),
        }  # fmt: skip
        at.specs[namespace, spec] = {
            **made, **(before or {}), "version": version, "newest": version, "content": content,
            "replicas": replicas, "problem": "", "maker": maker, "owner": owner, "deleted": False,
            "changed_at": _now(),
        }  # fmt: skip

    async def set_replicas(
        self, at: MemoryTables, *, namespace: str, spec: str, replicas: int
    ) -> None:
        at.specs[namespace, spec]["replicas"] = replicas

    async def own_spec(self, at: MemoryTables, *, namespace: str, spec: str, owner: str) -> None:
        at.specs[namespace, spec]["owner"] = owner

    async def set_deleted(self, at: MemoryTables, *, namespace: str, spec: str) -> None:
        at.specs[namespace, spec]["deleted"] = True

    async def remove_spec(self, at: MemoryTables, *, namespace: str, spec: str) -> None:
        if at.specs[namespace, spec]["deleted"]:
            del at.specs[namespace, spec]
            for name, each in list(at.policies.items()):
                if _of(each) == (namespace, spec):
                    del at.policies[name]

    async def note_spec(
        self, at: MemoryTables, *, namespace: str, spec: str, wanted: int, problem: str
    ) -> None:
        at.specs[namespace, spec].update(wanted=wanted, problem=problem)

    async def settle_spec(self, at: MemoryTables, *, namespace: str, spec: str) -> None:
        row = at.specs[namespace, spec]
        row.update(stable=row["content"], stable_version=row["version"])

    async def return_spec(
        self, at: MemoryTables, *, namespace: str, spec: str, problem: str
    ) -> None:
        row = at.specs[namespace, spec]
        if row["stable_version"]:
            row.update(content=row["stable"], version=row["stable_version"], problem=problem)


def _of(row: Row) -> tuple[str, str]:
    return row["namespace"], row["spec"]


def _change(at: MemoryTables, id: str, states: Iterable[int], **columns: Any) -> Row | None:
    """Change an agent in one of the states; return it."""
    row = at.agents.get(id)
    if row is None or row["state"] not in states:
        return None
    row.update(columns)
    return row
