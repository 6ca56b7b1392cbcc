"""Sends published events to the executions that listen to their types.

A listening execution waits for `LISTENING` with a key of the type and of the name of a signal; see
`flowmesh.definitions.formats.serverless.listen`. The event is sent to it as that signal.
"""

import asyncio
from collections.abc import Iterable, Sequence

import orjson
import structlog

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.execution.v1 import receiver_service_pb2
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine import signal_with_key
from flowmesh.errors import FlowmeshError, Overloaded, Timeout, Unavailable
from flowmesh.orchestrator.operations.changes import ExecutionChanges
from flowmesh.orchestrator.signals.keyed_signals import AT_ONCE_MAX, GONE, WAITING_MAX
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.orchestrator.storage.stores.message_store import MessageStore
from flowmesh.standards.events import EVERY_TYPE, LISTENING

PASSING = (Unavailable, Overloaded, Timeout)
"""Transient errors: the execution can be reached later."""

ACTOR = "event"

Event = receiver_service_pb2.DeliveredEvent


class EventListeners:
    """Finds listening executions, and sends each event once as each awaited signal."""

    def __init__(
        self, *, changes: ExecutionChanges, payloads: Payloads, store: MessageStore
    ) -> None:
        self._changes = changes
        self._payloads = payloads
        self._store = store
        self._log = structlog.get_logger("flowmesh.listeners")

    async def deliver(self, events: Sequence[Event]) -> int:
        """Send events one after the other to all their listeners; return the number of signals.

        Raises an error of PASSING; the caller then delivers the same events again.
        """
        listening = await self._listening(events)
        sent = 0
        for event in events if listening else ():
            waiting = [
                (execution_id, signal)
                for type_ in (event.type, EVERY_TYPE)
                for execution_id, signal in listening.get((event.namespace, type_), ())
            ]
            try:
                sent += await self._send(event, waiting)
            except PASSING:
                raise
            except FlowmeshError as error:
                # A retry would fail too, and delay later events for ever.
                self._log.warning("event_not_sent", type=event.type, reason=error.reason)
        return sent

    async def _listening(
        self, events: Iterable[Event]
    ) -> dict[tuple[str, str], list[tuple[str, str]]]:
        """Return executions and the signals that they wait for, by namespace and type."""
        asked = {(event.namespace, event.type) for event in events}
        asked |= {(namespace, EVERY_TYPE) for namespace, _ in asked}
        rows = await self._store.listening(
            namespaces=[namespace for namespace, _ in asked],
            types=[type_ for _, type_ in asked],
            names=[signal_with_key(LISTENING, type_) for _, type_ in asked],
            rows_max=WAITING_MAX,
        )
        found: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for row in rows:
            signal = row.name.rpartition(" ")[2]
            key = (row.namespace, row.type)
            found.setdefault(key, []).append((row.execution_id, signal))
        return found

    async def _send(self, event: Event, waiting: list[tuple[str, str]]) -> int:
        payloads = {
            signal: await self._payload(event, signal) for signal in {each for _, each in waiting}
        }
        at_once = asyncio.Semaphore(AT_ONCE_MAX)

        async def send(execution_id: str, signal: str) -> bool:
            request = pb.SignalExecutionRequest(
                namespace=event.namespace,
                execution_id=execution_id,
                name=signal,
                payload=payloads[signal],
                request_id=f"{event.request_id}/{signal}",
                actor=ACTOR,
            )
            async with at_once:
                return await self._signal(request)

        return sum(await asyncio.gather(*(send(*each) for each in waiting)))

    async def _signal(self, request: pb.SignalExecutionRequest) -> bool:
        try:
            await self._changes.signal(request, forwarded=False, keyed=True)
        except PASSING:
            raise
        except FlowmeshError as error:
            if error.reason not in GONE:
                self._log.warning(
                    "event_not_taken",
                    execution_id=request.execution_id,
                    signal=request.name,
                    reason=error.reason,
                )
            return False
        return True

    async def _payload(self, event: Event, signal: str) -> payload_pb2.Payload:
        """Return the data for a signal named like the type, the whole event for any other."""
        data = event.event
        if signal == event.type:
            data = orjson.dumps(orjson.loads(data).get("data"))
        if len(data) <= INLINE_BYTES_MAX:
            return payload_pb2.Payload(data=data)
        return await self._payloads.put(event.namespace, "", data)
