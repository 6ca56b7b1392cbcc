"""Election of the replica that reconciles, by a Lease of the cluster."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx2
import structlog
from lightkube import ApiError, AsyncClient
from lightkube.models.coordination_v1 import LeaseSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.coordination_v1 import Lease

from flowmesh.operator.limits import LEASE_RENEW_S, LEASE_RETRY_MS, LEASE_S
from flowmesh.runtime.loop import Loop

NAME = "flowmesh-operator"


class Leader(Loop):
    """Holds the Lease, or waits for it; `leading` is set while it is held."""

    interval_ms = LEASE_RETRY_MS

    def __init__(
        self,
        *,
        client: AsyncClient,
        namespace: str,
        identity: str,
        monotonic_s: Callable[[], float],
    ) -> None:
        self.leading = asyncio.Event()
        self._client = client
        self._namespace = namespace
        self._identity = identity
        self._monotonic_s = monotonic_s
        self._log = structlog.get_logger("flowmesh.operator")
        # The last seen holder and renewal, and when: clocks of others are not compared.
        self._seen: tuple[str, str] = ("", "")
        self._seen_at = 0.0
        self._held_until = 0.0

    async def run_once(self) -> None:
        """Renew or try to take the Lease; without an answer for long enough, it is lost."""
        try:
            await self._round()
        except (ApiError, httpx2.HTTPError) as error:
            self._log.info("lease_unanswered", problem=str(error)[:200])
        if self.leading.is_set() and self._monotonic_s() >= self._held_until:
            self._log.warning("lease_lost")
            self.leading.clear()

    async def _round(self) -> None:
        lease = await self._read()
        now = datetime.now(UTC)
        if lease is None:
            lease = Lease(
                metadata=ObjectMeta(name=NAME, namespace=self._namespace),
                spec=self._spec(now, transitions=0),
            )
            await self._client.create(lease)
            self._took()
            return
        spec = lease.spec or LeaseSpec()
        mine = spec.holderIdentity == self._identity
        if spec.holderIdentity and not mine and not self._expired(spec):
            self.leading.clear()
            return
        transitions = (spec.leaseTransitions or 0) + (not mine)
        lease.spec = self._spec(now, transitions=transitions)
        # The resource version in the object makes this a compare-and-set.
        await self._client.replace(lease)
        self._took()

    def _spec(self, now: datetime, *, transitions: int) -> LeaseSpec:
        return LeaseSpec(
            holderIdentity=self._identity,
            leaseDurationSeconds=LEASE_S,
            acquireTime=now,
            renewTime=now,
            leaseTransitions=transitions,
        )

    def _expired(self, spec: LeaseSpec) -> bool:
        """Return whether the holder has not renewed for the duration of the Lease."""
        seen = (spec.holderIdentity or "", str(spec.renewTime))
        if seen != self._seen:
            self._seen, self._seen_at = seen, self._monotonic_s()
        return self._monotonic_s() - self._seen_at > (spec.leaseDurationSeconds or LEASE_S)

    def _took(self) -> None:
        self._held_until = self._monotonic_s() + LEASE_RENEW_S
        if not self.leading.is_set():
            self._log.info("leading", identity=self._identity)
            self.leading.set()

    async def _read(self) -> Lease | None:
        try:
            return await self._client.get(Lease, NAME, namespace=self._namespace)
        except ApiError as error:
            # A forbidden Lease is not a missing one: rights may arrive later.
            if error.status.code != 404:
                raise
        return None

    async def release(self) -> None:
        """Let another replica take the Lease at once."""
        if not self.leading.is_set():
            return
        self.leading.clear()
        with contextlib.suppress(ApiError, httpx2.HTTPError):
            lease = await self._read()
            if lease is not None and lease.spec and lease.spec.holderIdentity == self._identity:
                lease.spec.holderIdentity = ""
                lease.spec.renewTime = datetime.now(UTC) - timedelta(seconds=LEASE_S)
                await self._client.replace(lease)
