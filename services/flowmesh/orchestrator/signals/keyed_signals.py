"""Signals by key: sent to all executions that wait for the name and the key.

A signal without waiting execution is refused and not stored, unless it has a time to live; the
sender may retry. The receivers are stored before the signal is sent, so that a repeated request has
the same ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.engine import signal_with_key
from flowmesh.engine.children.keys import KEY_CHARACTERS_MAX, key_fits
from flowmesh.errors import Conflict, Invalid, NotFound, Violation, WrongState
from flowmesh.orchestrator.model.payload_checks import check_inline
from flowmesh.orchestrator.model.request_checks import REQUEST_ID_MAX, TEXT_MAX, check_text
from flowmesh.orchestrator.operations.changes import ExecutionChanges
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.orchestrator.storage.stores.kept_signal_store import (
    TTL_MS_MAX,
    KeptSignal,
    KeptSignalStore,
    NewSignal,
)
from flowmesh.orchestrator.storage.stores.message_store import MessageStore
from flowmesh.rpc import namespace_of, valid_id

WAITING_MAX = 1_000
"""Receivers of one signal."""

AT_ONCE_MAX = 50

GONE = frozenset({"EXECUTION_NOT_FOUND", "EXECUTION_ENDED"})
"""Refusals that mean that the execution does not wait any more."""


class KeyedSignals:
    """Finds the waiting executions and sends them the signal."""

    def __init__(
        self,
        *,
        changes: ExecutionChanges,
        payloads: Payloads,
        store: MessageStore,
        kept: KeptSignalStore,
        on_kept: Callable[[], None],
    ) -> None:
        self._changes = changes
        self._payloads = payloads
        self._store = store
        self._kept = kept
        self._on_kept = on_kept

    async def send(self, request: pb.SignalByKeyRequest) -> pb.SignalByKeyResponse:
        namespace, name = namespace_of(request), valid_id(request.name, "name")
        if not key_fits(request.key):
            message = f"key is a text of 1 to {KEY_CHARACTERS_MAX} printable characters"
            violation = Violation("key", message, "REQUEST_INVALID")
            raise Invalid("REQUEST_INVALID", message, violations=(violation,))
        if not 0 <= request.ttl_ms <= TTL_MS_MAX:
            message = f"ttl_ms is from 0 to {TTL_MS_MAX:,}, not {request.ttl_ms:,}"
            violation = Violation("ttl_ms", message, "REQUEST_INVALID")
            raise Invalid("REQUEST_INVALID", message, violations=(violation,))
        check_text(request.request_id, "request_id", REQUEST_ID_MAX)
        check_text(request.actor, "actor", TEXT_MAX)
        check_inline(request.payload, "payload")
        await self._payloads.require(namespace, request.payload)
        keyed = signal_with_key(name, request.key)
        waiting = await self._waiting_or_kept(namespace, keyed, request)
        if isinstance(waiting, KeptSignal):
            return pb.SignalByKeyResponse(expires_at_us=waiting.expires_at_us)
        if not waiting:
            message = f"no execution waits for the signal {name} with the key {request.key!r}"
            raise NotFound("WAIT_NOT_FOUND", message)
        at_once = asyncio.Semaphore(AT_ONCE_MAX)

        async def send(execution_id: str) -> pb.KeyedSignal:
            signal = pb.SignalExecutionRequest(
                namespace=namespace,
                execution_id=execution_id,
                name=keyed,
                payload=request.payload,
                request_id=request.request_id,
                actor=request.actor,
            )
            async with at_once:
                try:
                    answer = await self._changes.signal(signal, forwarded=False, keyed=True)
                except (NotFound, WrongState) as error:
                    if error.reason not in GONE:
                        raise
                    return pb.KeyedSignal(execution_id=execution_id)
                return pb.KeyedSignal(execution_id=execution_id, sequence=answer.sequence)

        sent = await asyncio.gather(*map(send, waiting))
        return pb.SignalByKeyResponse(executions=sent)

    async def _waiting_or_kept(
        self, namespace: str, keyed: str, request: pb.SignalByKeyRequest
    ) -> list[str] | KeptSignal:
        """Return the receivers of a signal, or the signal that is kept as there are none."""
        while True:
            kept = None
            if request.ttl_ms:
                kept = await self._kept.keep(_to_keep(namespace, keyed, request))
                self._on_kept()
            waiting = [] if kept else await self._waiting(namespace, keyed, request.request_id)
            if not (kept or waiting) and request.request_id:
                kept = await self._kept.kept(namespace, request.request_id)
            if kept is not None and kept.name != keyed:
                raise _reused(request.request_id)
            if kept or waiting or not request.ttl_ms:
                return kept or waiting
            # The execution that waited has ended since; the next round keeps the signal.

    async def _waiting(self, namespace: str, keyed: str, request_id: str) -> list[str]:
        if not request_id:
            return await self._store.waiting_for(namespace, keyed, WAITING_MAX)
        sent = None
        for _ in range(2):
            # Repeat once: the first statement does not see a concurrent insert of the same request.
            sent = sent or await self._store.send_keyed_signal(
                namespace, request_id, keyed, WAITING_MAX
            )
        if sent is not None and sent.name != keyed:
            raise _reused(request_id)
        return list(sent.execution_ids) if sent is not None else []


def _reused(request_id: str) -> Conflict:
    message = f"request id {request_id[:128]!r} was used for another signal"
    return Conflict("REQUEST_ID_REUSED", message)


def _to_keep(namespace: str, keyed: str, request: pb.SignalByKeyRequest) -> NewSignal:
    return NewSignal(
        namespace=namespace,
        request_id=request.request_id,
        signal=keyed,
        payload=request.payload.SerializeToString(),
        digest=request.payload.reference.digest,
        actor=request.actor,
        ttl_ms=request.ttl_ms,
    )
