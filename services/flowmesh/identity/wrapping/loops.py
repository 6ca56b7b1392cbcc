"""The probe of the wrapping key, and data keys that former keys wrap, wrapped anew."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from flowmesh.access.sealing import SealBroken
from flowmesh.errors import Unavailable
from flowmesh.identity.storage.wrapped_keys import WrappedKey, WrappedKeyStore
from flowmesh.identity.wrapping.keys import key_name
from flowmesh.identity.wrapping.wrapping import Wrapping
from flowmesh.runtime.loop import Loop
from flowmesh.telemetry import Metrics

PAGE: Final = 100
AT_ONCE: Final = 8
# The pause while the wrapping key is away.
AWAY_MS: Final = 2_000


class RewrapLoop(Loop):
    """Wraps each data key by the newest version of the wrapping key.

    Each key states which one wraps it, so a round continues where a killed process stopped, and
    several processes do not undo each other.
    """

    interval_ms = 10_000

    def __init__(
        self,
        wrapping: Wrapping,
        store: WrappedKeyStore,
        *,
        announce: Callable[[], Awaitable[None]],
        metrics: Metrics,
    ) -> None:
        """`announce` makes all services read the data keys."""
        self._wrapping, self._store = wrapping, store
        self._announce = announce
        self._usable = True
        self._log = structlog.get_logger("flowmesh.wrapping")
        self._left = metrics.gauge(
            "flowmesh_data_keys_to_rewrap", "Data keys that a former wrapping key wraps."
        )
        self._rewrapped = metrics.counter(
            "flowmesh_data_keys_rewrapped_total", "Data keys that were wrapped anew."
        )

    def pause_ms(self) -> float:
        return AWAY_MS if self._wrapping.problem else self.interval_ms

    async def run_once(self) -> int:
        """Return the number of keys that were wrapped anew."""
        before = self._wrapping.problem
        try:
            name = await self._wrapping.probe()
            return await self._rewrap_all(name)
        except Unavailable as error:
            if not before:
                self._log.warning("wrapping_key_unusable", problem=error.message)
            return 0
        finally:
            await self._tell()

    async def _tell(self) -> None:
        """Announce that the data keys cannot be used any longer, or can again."""
        usable = self._wrapping.is_usable()
        if usable != self._usable:
            self._usable = usable
            await self._announce()

    async def _rewrap_all(self, name: str) -> int:
        done, after = 0, ("", -1)
        while page := await self._store.wrapped_otherwise(name, after, PAGE):
            for start in range(0, len(page), AT_ONCE):
                some = page[start : start + AT_ONCE]
                done += sum(await asyncio.gather(*map(self._rewrap, some)))
            after = page[-1].namespace, page[-1].number
        await self._count(name, done)
        return done

    async def _rewrap(self, key: WrappedKey) -> bool:
        try:
            secret = await self._wrapping.unwrap(key.wrapped, key.place)
        except (SealBroken, Unavailable) as error:
            if self._wrapping.problem:
                raise
            self._log.warning("not_rewrapped", key=key.place, problem=str(error))
            return False
        wrapped = await self._wrapping.wrap(secret, key.place)
        return await self._store.rewrap(key, wrapped)

    async def _count(self, name: str, done: int) -> None:
        uses = await self._store.uses()
        left = sum(count for by, count in uses.items() if by != name)
        self._left.set(left)
        self._rewrapped.inc(done)
        if done:
            self._log.info("data_keys_rewrapped", wrapping_key=key_name(name), keys=done)
