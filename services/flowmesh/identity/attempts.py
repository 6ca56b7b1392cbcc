"""Delays after failed logins, per account and per network, shared over Redis.

Without Redis each process counts for itself. A delay ends by itself, so no outsider can lock an
account for ever.
"""

import hashlib
import ipaddress
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from flowmesh.access.recent import Recent
from flowmesh.errors import Overloaded
from flowmesh.identity.limits import DELAY_S_MAX, FAILURES_FREE, NETWORK_FAILURES_FREE

if TYPE_CHECKING:
    from redis.asyncio import Redis

LOCAL_COUNTS_MAX = 10_000
_IPV4_NETWORK, _IPV6_NETWORK = 24, 64


class Attempts:
    """Counts failures of logins and similar calls."""

    def __init__(
        self, *, redis: "Redis", prefix: str, now: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._prefix = f"{prefix}:identity:failures"
        self._now = now
        self._local: Recent[str, tuple[int, float]] = Recent(LOCAL_COUNTS_MAX)

    async def check(self, account: str, address: str) -> None:
        """Raise LOGIN_DELAYED while the account or the network has to wait."""
        for key, _ in self._keys(account, address):
            _, until = await self._read(key)
            wait_s = until - self._now()
            if wait_s > 0:
                text = f"too many failed attempts; try again in {wait_s:.0f} s"
                raise Overloaded("LOGIN_DELAYED", text, retry_after_ms=int(wait_s * 1_000) + 1)

    async def failed(self, account: str, address: str) -> None:
        for key, free in self._keys(account, address):
            failures, _ = await self._read(key)
            failures += 1
            over = failures - free
            delay_s = 0 if over < 0 else min(2**over, DELAY_S_MAX)
            await self._write(key, failures, self._now() + delay_s)

    async def succeeded(self, account: str) -> None:
        """Forget the failures of an account; those of its network remain."""
        key = self._key("account", account)
        self._local.put(key, (0, 0.0))
        try:
            await self._redis.delete(key)
        except (RedisError, OSError):
            return

    def _keys(self, account: str, address: str) -> Iterator[tuple[str, int]]:
        """Yield the keys of the counts, each with its number of failures without a delay."""
        if account:
            yield self._key("account", account), FAILURES_FREE
        if network := _network(address):
            yield self._key("network", network), NETWORK_FAILURES_FREE

    def _key(self, kind: str, value: str) -> str:
        digest = hashlib.sha256(value.encode()).hexdigest()[:32]
        return f"{self._prefix}:{kind}:{digest}"

    async def _read(self, key: str) -> tuple[int, float]:
        try:
            found = await self._redis.get(key)
        except (RedisError, OSError):
            return self._local.get(key) or (0, 0.0)
        if found is None:
            return (0, 0.0)
        failures, _, until = (found if isinstance(found, str) else found.decode()).partition(" ")
        return int(failures), float(until)

    async def _write(self, key: str, failures: int, until: float) -> None:
        self._local.put(key, (failures, until))
        try:
            await self._redis.set(key, f"{failures} {until}", ex=2 * DELAY_S_MAX)
        except (RedisError, OSError):
            return


def _network(address: str) -> str:
    """Return the network that is delayed together; empty for calls within a process."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    bits = _IPV4_NETWORK if found.version == 4 else _IPV6_NETWORK
    return str(ipaddress.ip_network(f"{found}/{bits}", strict=False))
