"""Delays after failed logins, per account and network, shared over Redis.

Each attempt is counted before its password is hashed, and given back if it succeeds, so guesses
that are sent at once count as those that are sent one after the other. The failures of a network
delay an account for that network only. Over all networks an account has one wide bound, which
networks that it has logged in from pass: no outsider can lock an account. Without Redis each
process counts for itself.
"""

import asyncio
import hashlib
import ipaddress
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from flowmesh.access.recent import Recent
from flowmesh.contract.retries import backoff
from flowmesh.errors import Overloaded
from flowmesh.identity.limits import (
    ACCOUNT_FAILURES_MAX,
    ACCOUNT_WINDOW_S,
    DELAY_S_MAX,
    FAILURES_FREE,
    KNOWN_NETWORK_DAYS,
    NETWORK_FAILURES_FREE,
)

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.client import Pipeline

LOCAL_COUNTS_MAX = 10_000
_IPV4_NETWORK, _IPV6_NETWORK = 24, 64
_KEPT_S = max(2 * DELAY_S_MAX, ACCOUNT_WINDOW_S)


@dataclass(frozen=True, slots=True)
class Count:
    """Attempts that failed or have not ended, and the times of the delay and of the first one."""

    failures: int = 0
    until: float = 0.0
    since: float = 0.0

    @classmethod
    def read(cls, text: bytes | str | None) -> "Count":
        if text is None:
            return cls()
        failures, until, since = (text if isinstance(text, str) else text.decode()).split(" ")
        return cls(int(failures), float(until), float(since))

    def __str__(self) -> str:
        return f"{self.failures} {self.until} {self.since}"


@dataclass(frozen=True, slots=True)
class Doubling:
    """A delay that doubles with each failure beyond the free ones."""

    free: int

    def counted(self, count: Count, now: float) -> Count:
        failures = count.failures + 1
        over = failures - self.free
        delay_s = 0 if over < 0 else backoff(1, over + 1, most=DELAY_S_MAX)
        return Count(failures, now + delay_s, count.since or now)


@dataclass(frozen=True, slots=True)
class Windowed:
    """A number of failures in a window; then a delay until its end."""

    most: int
    window_s: int

    def counted(self, count: Count, now: float) -> Count:
        ended = now - count.since >= self.window_s
        failures, since = (1, now) if ended else (count.failures + 1, count.since)
        return Count(failures, since + self.window_s if failures >= self.most else 0.0, since)


Rules = Mapping[str, Doubling | Windowed]


class Attempts:
    """Counts attempts of logins and similar calls."""

    def __init__(
        self, *, redis: "Redis", prefix: str, now: Callable[[], float] = time.time
    ) -> None:
        self._redis = redis
        self._prefix = f"{prefix}:identity"
        self._now = now
        self._local: Recent[str, Count] = Recent(LOCAL_COUNTS_MAX)
        self._known: Recent[str, bool] = Recent(LOCAL_COUNTS_MAX)
        # Between two processes Redis decides, within this one the lock.
        self._counting = asyncio.Lock()

    async def begin(self, account: str, source: str) -> None:
        """Count an attempt. Raise LOGIN_DELAYED, uncounted, while it has to wait.

        `source` is the address of the caller, or the session of a caller that has logged in.
        """
        rules = await self._rules(account, source)

        def counted(found: Mapping[str, Count]) -> dict[str, Count]:
            now = self._now()
            wait_s = max((each.until - now for each in found.values()), default=0.0)
            if wait_s > 0:
                text = f"too many failed attempts; try again in {wait_s:.0f} s"
                raise Overloaded("LOGIN_DELAYED", text, retry_after_ms=int(wait_s * 1_000) + 1)
            return {key: rules[key].counted(each, now) for key, each in found.items()}

        await self._change(tuple(rules), counted)

    async def succeeded(self, account: str, source: str) -> None:
        """Give an attempt back, and let the network of its source pass the bound of the account."""
        pair = self._pair(account, source)
        rules = await self._rules(account, source)

        def returned(found: Mapping[str, Count]) -> dict[str, Count]:
            return {
                key: Count() if key == pair else Count(max(0, each.failures - 1), 0.0, each.since)
                for key, each in found.items()
            }

        await self._change((*rules, pair) if pair not in rules else tuple(rules), returned)
        if account and network_of(source):
            await self._remember(self._known_key(account, source))

    async def _rules(self, account: str, source: str) -> Rules:
        """Return the keys of the counts of an attempt, each with its rule."""
        rules: dict[str, Doubling | Windowed] = {}
        if network := network_of(source):
            rules[self._key("network", network)] = Doubling(NETWORK_FAILURES_FREE)
        if account and not await self._is_known(account, source):
            rules[self._pair(account, source)] = Doubling(FAILURES_FREE)
            bound = Windowed(ACCOUNT_FAILURES_MAX, ACCOUNT_WINDOW_S)
            rules[self._key("account", account)] = bound
        return rules

    def _pair(self, account: str, source: str) -> str:
        return self._key("pair", f"{account} {network_of(source) or source}")

    def _known_key(self, account: str, source: str) -> str:
        return self._key("known", f"{account} {network_of(source)}")

    def _key(self, kind: str, value: str) -> str:
        digest = hashlib.sha256(value.encode()).hexdigest()[:32]
        return f"{self._prefix}:{kind}:{digest}"

    async def _is_known(self, account: str, source: str) -> bool:
        key = self._known_key(account, source)
        try:
            return bool(await self._redis.exists(key))
        except (RedisError, OSError):
            return self._known.get(key) is not None

    async def _remember(self, key: str) -> None:
        self._known.put(key, True)
        try:
            await self._redis.set(key, 1, ex=KNOWN_NETWORK_DAYS * 86_400)
        except (RedisError, OSError):
            return

    async def _change(
        self,
        keys: tuple[str, ...],
        change: Callable[[Mapping[str, Count]], Mapping[str, Count]],
    ) -> None:
        """Change counts together; what `change` raises leaves them as they are."""
        if not keys:
            return

        async def within(pipe: "Pipeline") -> None:
            changed = change({key: Count.read(await pipe.get(key)) for key in keys})
            pipe.multi()  # type: ignore[no-untyped-call]
            for key, count in changed.items():
                self._local.put(key, count)
                pipe.set(key, str(count), ex=_KEPT_S)

        async with self._counting:
            try:
                await self._redis.transaction(within, *keys)
            except (RedisError, OSError):
                found = {key: self._local.get(key) or Count() for key in keys}
                for key, count in change(found).items():
                    self._local.put(key, count)


def network_of(address: str) -> str:
    """Return the network that is delayed together; empty for calls within a process."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return ""
    bits = _IPV4_NETWORK if found.version == 4 else _IPV6_NETWORK
    return str(ipaddress.ip_network(f"{found}/{bits}", strict=False))
