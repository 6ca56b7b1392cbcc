"""Delivers kept signals: each to the first execution that waits for its name and key.

The receiver is stored before the signal is sent, so that a crash between the two repeats the
signal at the same execution, which receives it once.
"""

import asyncio

import structlog

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.errors import FlowmeshError, NotFound, WrongState
from flowmesh.failpoints import failpoint
from flowmesh.orchestrator.operations.changes import ExecutionChanges
from flowmesh.orchestrator.signals.keyed_signals import AT_ONCE_MAX, GONE
from flowmesh.orchestrator.storage.stores.kept_signal_store import (
    Claim,
    ClaimedSignal,
    KeptSignalStore,
)
from flowmesh.runtime import Loop

IDLE_MS = 30_000
"""Pause while no signal is kept; those of an ended process are found then."""


class KeptSignalLoop(Loop):
    """Runs in any number of processes; a signal is claimed by one at a time.

    A round begins when a signal was kept here, when an execution here begins to wait, and each
    second while signals are kept.
    """

    interval_ms = 1_000

    def __init__(self, *, changes: ExecutionChanges, store: KeptSignalStore) -> None:
        self._changes = changes
        self._store = store
        self._any = False
        self._log = structlog.get_logger("flowmesh.kept_signals")

    def pause_ms(self) -> float:
        return self.interval_ms if self._any else IDLE_MS

    async def run_once(self) -> int:
        """Return the number of delivered signals."""
        self._any = await self._store.any()
        delivered = 0
        while self._any:
            async with self._store.claim(AT_ONCE_MAX) as claim:
                await asyncio.gather(*(self._deliver(each, claim) for each in claim.signals))
            delivered += len(claim.delivered)
            if not claim.delivered:
                break
        return delivered

    async def _deliver(self, signal: ClaimedSignal, claim: Claim) -> None:
        try:
            sent = await self._send(signal)
        except FlowmeshError as error:
            # The receiver has no room, or cannot be reached: the signal waits until it expires.
            self._log.warning("kept_signal_delayed", signal=signal.name, reason=error.reason)
            sent = False
        (claim.delivered if sent else claim.delayed).append(signal.seq)

    async def _send(self, signal: ClaimedSignal) -> bool:
        """Send a signal to its stored receiver, or to the next one if that has ended."""
        receiver = await self._store.receiver(signal)
        sent = await self._signal(signal, receiver)
        if not sent and receiver != signal.execution_id:
            await self._store.change_receiver(signal)
            sent = await self._signal(signal, signal.execution_id)
        failpoint("orchestrator.kept_signal_sent")
        return sent

    async def _signal(self, signal: ClaimedSignal, execution_id: str) -> bool:
        """Return False if the execution has ended without the signal."""
        request = pb.SignalExecutionRequest(
            namespace=signal.namespace,
            execution_id=execution_id,
            name=signal.name,
            payload=payload_pb2.Payload.FromString(signal.payload),
            request_id=signal.request_id,
            actor=signal.actor,
        )
        try:
            await self._changes.signal(request, forwarded=False, keyed=True)
        except (NotFound, WrongState) as error:
            if error.reason not in GONE:
                raise
            return False
        return True
