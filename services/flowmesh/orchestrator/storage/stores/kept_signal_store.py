"""Signals with a key that are kept until an execution waits for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from flowmesh.access.encryption import signal_place
from flowmesh.errors import Overloaded, WrongState
from flowmesh.orchestrator.storage.database import Queries, records

KEPT_SIGNALS_MAX = 10_000
"""Kept signals of a namespace."""

KEPT_BYTES_MAX = 64 << 20
"""Inline and stored values of the kept signals of a namespace."""

TTL_MS_MAX = 604_800_000
"""Time to keep a signal that no execution waits for."""

RETRY_AFTER_MS = 1_000
RETRY_DELAY_MS = 5_000
"""Pause before a kept signal that its receiver refused is sent again."""


class NewSignal(NamedTuple):
    """A signal to keep. `payload` is its message; `digest` is that of a stored value, or empty."""

    namespace: str
    request_id: str
    signal: str
    payload: bytes
    digest: str
    actor: str
    ttl_ms: int


class KeptSignal(NamedTuple):
    """The name of a kept signal with its key, and the time at which it expires."""

    name: str
    expires_at_us: int


class ClaimedSignal(NamedTuple):
    """A kept signal that an execution waits for; `payload` is its message."""

    seq: int
    namespace: str
    name: str
    request_id: str
    payload: bytes
    actor: str
    execution_id: str


class Claim:
    """Claimed signals; their outcomes are stored at the end of the claim."""

    def __init__(self, signals: list[ClaimedSignal]) -> None:
        self.signals = signals
        self.delivered: list[int] = []
        self.delayed: list[int] = []


class KeptSignalStore:
    """Keeps signals within the bounds of their namespace, and claims those that are awaited."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def kept(self, namespace: str, request_id: str) -> KeptSignal | None:
        """Return the kept signal of a request."""
        found = await self._queries.records(
            KeptSignal, "kept_signal", namespace=namespace, request_id=request_id
        )
        return found[0] if found else None

    async def keep(self, new: NewSignal) -> KeptSignal | None:
        """Keep a signal; a repeated request returns the one kept first.

        Returns None, and keeps nothing, if it was delivered or if an execution waits for it. Raises
        KEPT_SIGNALS_FULL.
        """
        asked = {"namespace": new.namespace, "request_id": new.request_id}
        async with self._queries.pool.acquire() as connection, connection.transaction():
            rows = self._queries.rows
            await rows("lock_kept_signals", connection, namespace=new.namespace)
            if known := await rows("kept_signal", connection, **asked):
                return records(KeptSignal, known)[0]
            await rows("make_room_for_kept", connection, namespace=new.namespace)
            (state,) = await rows("kept_state", connection, **asked, signal=new.signal)
            if state["deliverable"]:
                return None
            size = len(new.payload)
            if state["rows"] >= KEPT_SIGNALS_MAX or state["bytes"] + size > KEPT_BYTES_MAX:
                raise _full(new.namespace)
            payload = self._queries.keys.seal(
                new.namespace, new.payload, signal_place(new.request_id)
            )
            stored = new._asdict() | {"payload": payload}
            (row,) = await rows("keep_signal", connection, **stored, bytes=size)
            if state["bytes"] + row["bytes"] > KEPT_BYTES_MAX:
                raise _full(new.namespace)
            return records(KeptSignal, [row])[0]

    @asynccontextmanager
    async def claim(self, rows_max: int) -> AsyncIterator[Claim]:
        """Lock the first awaited signal of each name until the end of the block."""
        async with self._queries.pool.acquire() as connection, connection.transaction():
            found = await self._queries.rows("claim_kept_signals", connection, rows_max=rows_max)
            claim = Claim(list(self._readable(records(ClaimedSignal, found))))
            yield claim
            if claim.delivered or claim.delayed:
                await self._queries.rows(
                    "settle_kept_signals",
                    connection,
                    delivered=claim.delivered,
                    delayed=claim.delayed,
                    delay_ms=RETRY_DELAY_MS,
                )

    def _readable(self, signals: list[ClaimedSignal]) -> Iterator[ClaimedSignal]:
        """Yield the signals that can be opened; others expire."""
        for each in signals:
            with suppress(WrongState):
                place = signal_place(each.request_id)
                yield each._replace(payload=self._queries.keys.open(each.payload, place))

    async def receiver(self, signal: ClaimedSignal) -> str:
        """Store the waiting execution as the receiver; return the receiver stored first."""
        execution_id: str = await self._queries.one(
            "receiver_of_kept",
            namespace=signal.namespace,
            request_id=signal.request_id,
            signal=signal.name,
            execution_id=signal.execution_id,
        )
        return execution_id

    async def change_receiver(self, signal: ClaimedSignal) -> None:
        """Store the waiting execution in place of a receiver that ended without the signal."""
        await self._queries.one(
            "change_receiver_of_kept",
            namespace=signal.namespace,
            request_id=signal.request_id,
            execution_id=signal.execution_id,
        )

    async def any(self) -> bool:
        """Return whether a signal is kept."""
        return bool(await self._queries.one("any_kept_signal"))

    async def delete_expired(self) -> None:
        """Delete signals that no execution waited for in time."""
        await self._queries.one("delete_expired_kept_signals")


def _full(namespace: str) -> Overloaded:
    message = (
        f"namespace {namespace} keeps {KEPT_SIGNALS_MAX:,} signals or {KEPT_BYTES_MAX >> 20} MiB,"
        " the limit; send this one again when executions have received some, or they have expired"
    )
    return Overloaded("KEPT_SIGNALS_FULL", message, retry_after_ms=RETRY_AFTER_MS)
