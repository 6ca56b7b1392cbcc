"""The topology of a namespace: registered services, and the calls that were reported between them.

Calls are counted per pair and minute in Redis, with their durations in classes of powers of two.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.errors import Invalid, Violation
from flowmesh.registry.health import instance_message
from flowmesh.registry.instances import NAME_MAX
from flowmesh.registry.store import InstanceStore, ask

MINUTE_US: Final = 60_000_000
MINUTES_DEFAULT: Final = 15
MINUTES_MAX: Final = 60
KEEP_MS: Final = (MINUTES_MAX + 5) * 60_000
# Pairs that are counted per namespace and minute, and those of one report.
PAIRS_MAX: Final = 1_000
REPORT_PAIRS_MAX: Final = 1_000
CALLS_MAX: Final = 10**12
DURATION_CLASSES: Final = 24
DURATION_MIN_US: Final = 64
_NAME: Final = re.compile(rf"[^\x00-\x1f\x7f]{{1,{NAME_MAX}}}")


@dataclass(slots=True)
class _Edge:
    """The counts of a pair."""

    calls: int = 0
    errors: int = 0
    last_minute: int = 0
    durations: list[int] = field(default_factory=lambda: [0] * DURATION_CLASSES)

    def percentile_us(self, share: float) -> int:
        """Return the upper bound of the class in which the share of the calls ends."""
        wanted, seen = share * sum(self.durations), 0
        for index, count in enumerate(self.durations):
            seen += count
            if seen and seen >= wanted:
                return DURATION_MIN_US << index
        return 0


class Topology:
    """Counts reported calls, and returns those of the last minutes."""

    def __init__(self, *, redis: Redis, prefix: str, instances: InstanceStore) -> None:
        self._redis = redis
        self._prefix = prefix
        self._instances = instances
        source = files("flowmesh.registry").joinpath("lua", "count_calls.lua").read_text()
        self._count = redis.register_script(source)

    async def report(self, namespace: str, reported: Iterable[pb.CallCounts]) -> int:
        """Add counts to the current minute; return the number of pairs that were dropped."""
        counts = list(reported)
        _check(counts)
        if not counts:
            return 0
        now_us = await self._now_us()
        args: list[Any] = [PAIRS_MAX, KEEP_MS]
        for each in counts:
            durations = [(index, n) for index, n in enumerate(each.durations) if n]
            args += [f"{each.source}\0{each.target}", each.calls, each.errors, len(durations)]
            for index, n in durations:
                args += [index, n]
        key = self._key(namespace, now_us // MINUTE_US)
        return int(await ask(self._count(keys=[key], args=args)))

    async def get(self, namespace: str, minutes: int) -> pb.GetTopologyResponse:
        """Return the services, and the calls of this minute and those before it."""
        minutes = min(minutes or MINUTES_DEFAULT, MINUTES_MAX)
        now_us, records = await self._instances.read(namespace)
        last = now_us // MINUTE_US
        pairs: dict[tuple[str, str], _Edge] = {}
        for minute in range(last - minutes + 1, last + 1):
            _add(pairs, minute, await ask(self._redis.hgetall(self._key(namespace, minute))))
        edges = [
            pb.TopologyEdge(
                source=source,
                target=target,
                calls=edge.calls,
                errors=edge.errors,
                p50_us=edge.percentile_us(0.50),
                p95_us=edge.percentile_us(0.95),
                p99_us=edge.percentile_us(0.99),
                last_at_us=edge.last_minute * MINUTE_US,
            )
            for (source, target), edge in sorted(pairs.items())
        ]
        found = [instance_message(record, now_us) for record in records]
        return pb.GetTopologyResponse(nodes=_nodes(found, pairs), edges=edges, minutes=minutes)

    async def _now_us(self) -> int:
        seconds, microseconds = await ask(self._redis.time())
        return int(seconds) * 1_000_000 + int(microseconds)

    def _key(self, namespace: str, minute: int) -> str:
        return f"{self._prefix}:registry/{{{namespace}}}/calls/{minute}"


def _nodes(instances: list[pb.Instance], pairs: Iterable[tuple[str, str]]) -> list[pb.TopologyNode]:
    """Return the services that are registered or called, by name."""
    nodes: dict[str, pb.TopologyNode] = {}
    for instance in instances:
        if instance.status == pb.INSTANCE_STATUS_OFFLINE:
            continue
        node = nodes.setdefault(instance.name, pb.TopologyNode(name=instance.name))
        node.type = node.type or instance.type
        node.instances += 1
        node.healthy += instance.status == pb.INSTANCE_STATUS_HEALTHY
    for name in (name for pair in pairs for name in pair):
        nodes.setdefault(name, pb.TopologyNode(name=name))
    return [nodes[name] for name in sorted(nodes)]


def _add(pairs: dict[tuple[str, str], _Edge], minute: int, fields: Mapping[bytes, bytes]) -> None:
    for name, value in fields.items():
        parts = name.decode().split("\0")
        if len(parts) != 3:
            continue
        source, target, kind = parts
        edge = pairs.setdefault((source, target), _Edge())
        edge.last_minute = max(edge.last_minute, minute)
        if kind == "c":
            edge.calls += int(value)
        elif kind == "e":
            edge.errors += int(value)
        else:
            edge.durations[int(kind)] += int(value)


def _check(counts: list[pb.CallCounts]) -> None:
    problems = []
    if len(counts) > REPORT_PAIRS_MAX:
        problems.append(Violation("calls", f"a report has at most {REPORT_PAIRS_MAX} pairs"))
    for index, each in enumerate(counts[:REPORT_PAIRS_MAX]):
        where = f"calls[{index}]"
        names = (("source", each.source), ("target", each.target))
        problems += [
            Violation(f"{where}.{name}", f"must have 1 to {NAME_MAX} printable characters")
            for name, text in names
            if not _NAME.fullmatch(text)
        ]
        numbers = (each.calls, each.errors, *each.durations)
        if not all(0 <= number <= CALLS_MAX for number in numbers) or each.errors > each.calls:
            what = f"counts are 0 to {CALLS_MAX}, and errors at most the calls"
            problems.append(Violation(f"{where}.calls", what))
        if len(each.durations) > DURATION_CLASSES:
            what = f"there are {DURATION_CLASSES} classes of durations"
            problems.append(Violation(f"{where}.durations", what))
    if problems:
        text = "; ".join(f"{v.field}: {v.description}" for v in problems[:10])
        raise Invalid("REQUEST_INVALID", text, violations=tuple(problems))
