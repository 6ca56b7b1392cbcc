"""Data keys wrapped and opened by the keys of the settings; opened ones hold for a while."""

from collections.abc import Callable, Sequence
from typing import Final

from flowmesh.errors import Unavailable
from flowmesh.identity.storage.records import Wrapped
from flowmesh.identity.wrapping.keys import WrappingFailed, WrappingKey
from flowmesh.telemetry import Metrics

PROBE: Final = bytes(32)
PROBE_PLACE: Final = "probe"


class Wrapping:
    """The wrapping key and the former ones.

    A data key that was opened once needs no further call, until the wrapping key has wrapped and
    opened nothing for `kept_s`: then all of them are refused, so that a revoked key ends the use.
    """

    def __init__(
        self,
        current: WrappingKey,
        former: Sequence[WrappingKey],
        *,
        kept_s: float,
        now_us: Callable[[], int],
        metrics: Metrics,
    ) -> None:
        self._current = current
        self._keys = (current, *former)
        self._kept_us = kept_s * 1_000_000
        self._now_us = now_us
        # By place: the wrapped value, and the key.
        self._opened: dict[str, tuple[bytes, bytes]] = {}
        self._usable = metrics.gauge(
            "flowmesh_wrapping_key_usable", "1 while the wrapping key wraps and opens data keys."
        )
        # The name of the wrapping key, with its version; empty before the first probe.
        self.name = ""
        self.confirmed_at_us = 0
        self.problem = ""

    async def probe(self) -> str:
        """Wrap and open a value; return the name of the key. Raises WRAPPING_KEY_UNAVAILABLE."""
        wrapped = await self.wrap(PROBE, PROBE_PLACE)
        try:
            await self._current.unwrap(wrapped, PROBE_PLACE)
        except WrappingFailed as error:
            raise self._failed(error) from error
        self.name, self.confirmed_at_us, self.problem = wrapped.by, self._now_us(), ""
        self._usable.set(1)
        return wrapped.by

    async def wrap(self, secret: bytes, place: str) -> Wrapped:
        """Wrap a data key by the newest version. Raises WRAPPING_KEY_UNAVAILABLE."""
        try:
            wrapped = await self._current.wrap(secret, place)
        except WrappingFailed as error:
            raise self._failed(error) from error
        if secret != PROBE:
            self._opened[place] = wrapped.value, secret
        return wrapped

    async def unwrap(self, wrapped: Wrapped, place: str) -> bytes:
        """Return a data key. Raises WRAPPING_KEY_UNAVAILABLE and SealBroken."""
        self.check()
        known = self._opened.get(place)
        if known is not None and known[0] == wrapped.value:
            return known[1]
        key = next((each for each in self._keys if each.unwraps(wrapped.by)), None)
        if key is None:
            text = f"a data key is wrapped by {wrapped.by}, which the settings do not name"
            raise unavailable(text)
        try:
            secret = await key.unwrap(wrapped, place)
        except WrappingFailed as error:
            raise (
                self._failed(error) if key is self._current else unavailable(str(error))
            ) from error
        self._opened[place] = wrapped.value, secret
        return secret

    def check(self) -> None:
        """Raise WRAPPING_KEY_UNAVAILABLE if the key was not usable for too long."""
        if not self.is_usable():
            self._opened.clear()
            raise unavailable(self.problem)

    def is_usable(self) -> bool:
        """Return whether opened data keys may still be used."""
        return not self.problem or self._now_us() - self.confirmed_at_us <= self._kept_us

    def forget(self, place: str) -> None:
        """Forget a data key that was destroyed."""
        self._opened.pop(place, None)

    def _failed(self, error: WrappingFailed) -> Unavailable:
        self.problem = str(error)
        self._usable.set(0)
        return unavailable(str(error))


def unavailable(text: str) -> Unavailable:
    """Return the error of a wrapping key that cannot be used."""
    return Unavailable("WRAPPING_KEY_UNAVAILABLE", text, retry_after_ms=5_000)
