"""Registration, renewal, removal and search of instances."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from flowmesh.api.registry.v1 import registry_service_pb2 as pb
from flowmesh.errors import Invalid, NotFound, Violation
from flowmesh.registry.health import instance_message
from flowmesh.registry.link_local import is_link_local
from flowmesh.registry.store import InstanceStore
from flowmesh.rpc import last_of_token, page_token
from flowmesh.rpc.endpoints import Address

INTERVAL_DEFAULT_MS: Final = 1_000
INTERVAL_MIN_MS: Final = 100
INTERVAL_MAX_MS: Final = 300_000
ID: Final = re.compile("[A-Za-z0-9._:-]{1,128}")
NAME_MAX: Final = 128
ENDPOINT_MAX: Final = 512
CAPABILITIES_MAX: Final = 256
METADATA_BYTES_MAX: Final = 8 * 1024
CHECK_INTERVAL_DEFAULT_MS: Final = 5_000
CHECK_INTERVAL_MIN_MS: Final = 100
CHECK_TIMEOUT_DEFAULT_MS: Final = 2_000
CHECK_TIMEOUT_MAX_MS: Final = 30_000
CHECK_THRESHOLD_MAX: Final = 100
UNHEALTHY_AFTER: Final = 3
HEALTHY_AFTER: Final = 1
PATH_MAX: Final = 512
PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter of the instances of a namespace; an empty field matches all."""

    namespace: str
    name: str = ""
    type: str = ""
    capabilities: tuple[str, ...] = ()
    statuses: Collection[int] = field(default_factory=frozenset)
    metadata: Mapping[str, str] = field(default_factory=dict)

    def passes(self, instance: pb.Instance) -> bool:
        return (
            (not self.name or instance.name == self.name)
            and (not self.type or instance.type == self.type)
            and all(each in instance.capabilities for each in self.capabilities)
            and (not self.statuses or instance.status in self.statuses)
            and all(instance.metadata.get(k) == value for k, value in self.metadata.items())
        )


class Instances:
    """Instances of all namespaces, by id and by filter."""

    def __init__(self, *, store: InstanceStore) -> None:
        self._store = store

    async def register(
        self, instance: pb.Instance, *, interval_ms: int, host: str = "localhost"
    ) -> pb.Instance:
        """Add or replace an instance. Raise Invalid with a violation per invalid field.

        An endpoint without a host gets `host`.
        """
        if instance.HasField("check"):
            _fill_check(instance.check)
        # A check that is late by its timeout changes nothing.
        checked_ms = instance.check.interval_ms + instance.check.timeout_ms
        interval_ms = interval_ms or min(checked_ms, INTERVAL_MAX_MS) or INTERVAL_DEFAULT_MS
        _check(instance, interval_ms)
        instance.endpoint = str(Address.parse(instance.endpoint).at(host))
        record = await self._store.register(instance, interval_ms=interval_ms)
        return instance_message(record, record.heartbeat_at_us)

    async def heartbeat(
        self, namespace: str, instance_id: str, *, reported: "pb.InstanceStatus.ValueType"
    ) -> None:
        if not await self._store.heartbeat(namespace, instance_id, reported=reported):
            raise _not_found(namespace, instance_id)

    async def drain(self, namespace: str, instance_id: str, *, draining: bool) -> pb.Instance:
        """Take an instance out of service or back in; return it."""
        if await self._store.drain(namespace, instance_id, draining=draining) is None:
            raise _not_found(namespace, instance_id)
        return await self.get(namespace, instance_id)

    async def deregister(self, namespace: str, instance_id: str) -> None:
        await self._store.deregister(namespace, instance_id)

    async def get(self, namespace: str, instance_id: str) -> pb.Instance:
        now_us, records = await self._store.read(namespace, [instance_id])
        if not records:
            raise _not_found(namespace, instance_id)
        return instance_message(records[0], now_us)

    async def type_of(self, namespace: str, instance_id: str) -> str:
        """Return the type of an instance; empty if it has none or is not registered."""
        _, records = await self._store.read(namespace, [instance_id])
        return records[0].instance.type if records else ""

    async def page(
        self, wanted: Filter, *, size: int, token: str, list_name: str
    ) -> tuple[list[pb.Instance], str]:
        """Return a page by name and id, and the token of the next page."""
        size = min(size or PAGE_DEFAULT, PAGE_MAX)
        instance_id, _, name = last_of_token(token, list_name).partition("/")
        after = name, instance_id
        now_us, records = await self._store.read(wanted.namespace)
        messages = (instance_message(record, now_us) for record in records)
        found = sorted(filter(wanted.passes, messages), key=_order)
        rest = [instance for instance in found if _order(instance) > after]
        page = rest[:size]
        if len(rest) <= size:
            return page, ""
        return page, page_token(list_name, f"{page[-1].id}/{page[-1].name}")


def _check(instance: pb.Instance, interval_ms: int) -> None:
    metadata_bytes = sum(len(k.encode()) + len(v.encode()) for k, v in instance.metadata.items())
    rules = (
        (ID.fullmatch(instance.id) is not None, "id", f"must match {ID.pattern}"),
        (0 < len(instance.name) <= NAME_MAX, "name", f"must have 1 to {NAME_MAX} characters"),
        (len(instance.type) <= NAME_MAX, "type", f"must have at most {NAME_MAX} characters"),
        (
            len(instance.endpoint) <= ENDPOINT_MAX,
            "endpoint",
            f"must have at most {ENDPOINT_MAX} characters",
        ),
        (
            len(instance.capabilities) <= CAPABILITIES_MAX
            and all(0 < len(name) <= NAME_MAX for name in instance.capabilities),
            "capabilities",
            f"must be at most {CAPABILITIES_MAX}, each of 1 to {NAME_MAX} characters",
        ),
        (
            metadata_bytes <= METADATA_BYTES_MAX,
            "metadata",
            f"must have at most {METADATA_BYTES_MAX} bytes",
        ),
        (len(instance.version) <= NAME_MAX, "version", f"must have at most {NAME_MAX} characters"),
    )
    violations = [Violation(f"instance.{name}", what) for good, name, what in rules if not good]
    try:
        address = Address.parse(instance.endpoint[:ENDPOINT_MAX])
    except ValueError as error:
        violations.append(Violation("instance.endpoint", str(error)))
    else:
        if instance.HasField("check"):
            violations += _check_problems(instance.check, address)
    if not INTERVAL_MIN_MS <= interval_ms <= INTERVAL_MAX_MS:
        what = f"{INTERVAL_MIN_MS} to {INTERVAL_MAX_MS} ms"
        violations.append(Violation("heartbeat_interval_ms", what))
    if violations:
        text = "; ".join(f"{v.field}: {v.description}" for v in violations)
        raise Invalid("INSTANCE_INVALID", text, violations=tuple(violations))


def _fill_check(check: pb.HealthCheck) -> None:
    check.interval_ms = check.interval_ms or CHECK_INTERVAL_DEFAULT_MS
    check.timeout_ms = check.timeout_ms or CHECK_TIMEOUT_DEFAULT_MS
    check.unhealthy_after = check.unhealthy_after or UNHEALTHY_AFTER
    check.healthy_after = check.healthy_after or HEALTHY_AFTER


def _check_problems(check: pb.HealthCheck, address: Address) -> list[Violation]:
    kind = check.WhichOneof("kind")
    is_http = address.scheme in ("http", "https")
    path = check.http.path
    thresholds = (check.unhealthy_after, check.healthy_after)
    rules = (
        (kind is not None, "kind", "must be grpc, http or tcp"),
        (kind != "http" or is_http, "http", "needs an endpoint http://… or https://…"),
        (kind != "grpc" or not address.scheme, "grpc", "needs an endpoint host:port"),
        (
            kind != "tcp" or bool(address.port) or is_http,
            "tcp",
            "needs an endpoint with a port",
        ),
        (
            len(path) <= PATH_MAX and path.isascii() and (path.isprintable() and " " not in path),
            "http.path",
            f"must have at most {PATH_MAX} printable ASCII characters",
        ),
        (
            len(check.grpc.service) <= NAME_MAX,
            "grpc.service",
            f"must have at most {NAME_MAX} characters",
        ),
        (
            CHECK_INTERVAL_MIN_MS <= check.interval_ms <= INTERVAL_MAX_MS,
            "interval_ms",
            f"{CHECK_INTERVAL_MIN_MS} to {INTERVAL_MAX_MS} ms",
        ),
        (
            1 <= check.timeout_ms <= CHECK_TIMEOUT_MAX_MS,
            "timeout_ms",
            f"1 to {CHECK_TIMEOUT_MAX_MS} ms",
        ),
        (
            all(each <= CHECK_THRESHOLD_MAX for each in thresholds),
            "unhealthy_after",
            f"thresholds are at most {CHECK_THRESHOLD_MAX}",
        ),
        (not is_link_local(address.host), "kind", "no check may call a link-local address"),
    )
    return [Violation(f"instance.check.{name}", what) for good, name, what in rules if not good]


def _not_found(namespace: str, instance_id: str) -> NotFound:
    return NotFound("INSTANCE_NOT_FOUND", f"no instance {instance_id} in namespace {namespace}")


def _order(instance: pb.Instance) -> tuple[str, str]:
    return instance.name, instance.id
