"""A connection of the hub: handshake, methods, and the events of its subscriptions.

The calls to the event service carry the caller of the connection, so access is decided there. A
subscription that fails ends the connection with `allowReconnect`: the client resumes after the
last sequence that it knows, and misses nothing.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, Protocol

from flowmesh.api.event.v1 import event_service_pb2 as pb
from flowmesh.api.history.v1 import history_service_pb2
from flowmesh.errors import FlowmeshError, NotFound, Timeout, WrongState
from flowmesh.gateway.backends import Backends
from flowmesh.gateway.http.limits import HEARTBEAT_S, SUBSCRIBE_WAIT_S
from flowmesh.gateway.http.sockets import Socket
from flowmesh.gateway.hub import methods, records
from flowmesh.gateway.hub.records import HubClosed
from flowmesh.views import END_TYPES, event_type, event_view, raw_value, size_value

SUBSCRIPTIONS_MAX: Final = 100
HANDSHAKE_S: Final = 15.0
# Clients send a ping every 15 s.
SILENCE_S: Final = 60.0
GOODBYE_S: Final = 2.0
# The key of the subscription to the namespace; ids of executions are not empty.
NAMESPACE: Final = ""


class Call(Protocol):
    """A running stream of the event service."""

    def cancel(self) -> object: ...


class HubConnection:
    """Serves one client until it leaves or breaks the protocol."""

    def __init__(self, *, backends: Backends, socket: Socket) -> None:
        self._backends = backends
        self._socket = socket
        self._clock = backends.clock
        self._records = records.Records(self._clock.monotonic_ms())
        self._running: dict[str, asyncio.Task[None]] = {}
        self._sending = asyncio.Lock()
        self._failed: asyncio.Future[HubClosed] = asyncio.get_running_loop().create_future()

    async def serve(self) -> None:
        """Serve the accepted socket."""
        try:
            waiting = await self._shake_hands()
            await self._converse(waiting)
        except HubClosed as closed:
            await self._say_goodbye(closed)
        finally:
            tasks = list(self._running.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _shake_hands(self) -> list[str]:
        """Answer the handshake; return the records that came with it."""
        found: list[str] = []
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                while not found:
                    text = await self._socket.received()
                    if text is None:
                        return []
                    found = self._records.feed(text, self._clock.monotonic_ms())
            records.check_handshake(found[0])
        except TimeoutError:
            raise HubClosed("No handshake arrived in time.") from None
        except HubClosed as closed:
            # A client without a handshake understands no other record.
            await self._send({"error": closed.error})
            raise
        await self._send({})
        return found[1:]

    async def _converse(self, waiting: list[str]) -> None:
        for text in waiting:
            await self._handle(text)
        now_ms = self._clock.monotonic_ms()
        ping_at_ms, silent_at_ms = now_ms + HEARTBEAT_S * 1_000, now_ms + SILENCE_S * 1_000
        receiving = asyncio.ensure_future(self._socket.received())
        try:
            while True:
                pause_s = max(0.0, ping_at_ms - self._clock.monotonic_ms()) / 1_000
                watched: set[asyncio.Future[Any]] = {receiving, self._failed}
                await asyncio.wait(watched, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED)
                now_ms = self._clock.monotonic_ms()
                if self._failed.done():
                    raise self._failed.result()
                if receiving.done():
                    message = receiving.result()
                    if message is None:
                        return
                    silent_at_ms = now_ms + SILENCE_S * 1_000
                    for each in self._records.feed(message, now_ms):
                        await self._handle(each)
                    receiving = asyncio.ensure_future(self._socket.received())
                if now_ms >= ping_at_ms:
                    await self._send({"type": records.PING})
                    ping_at_ms = now_ms + HEARTBEAT_S * 1_000
                if now_ms >= silent_at_ms:
                    raise HubClosed(f"Nothing arrived for {SILENCE_S:.0f} s.", reconnect=True)
        finally:
            receiving.cancel()

    async def _handle(self, text: str) -> None:
        record = records.parse_record(text)
        if record.type == records.CLOSE:
            raise HubClosed("")
        if record.type not in (records.INVOCATION, records.STREAM_INVOCATION):
            return
        try:
            if record.type == records.STREAM_INVOCATION:
                raise methods.refusal("target", "is no stream; call it with `invoke`")
            result = await self._invoke(record)
        except FlowmeshError as error:
            if record.invocation_id:
                await self._send(records.failed_completion(record.invocation_id, error))
            return
        if record.invocation_id:
            await self._send(records.completion(record.invocation_id, result))

    async def _invoke(self, record: records.Record) -> dict[str, Any]:
        match record.target:
            case methods.SUBSCRIBE:
                return await self._subscribe(*methods.execution_of(record.arguments))
            case methods.SUBSCRIBE_ALL:
                return await self._subscribe_all(methods.filter_of(record.arguments))
            case methods.UNSUBSCRIBE:
                return self._unsubscribe(methods.unsubscribed(record.arguments))
        names = ", ".join(methods.METHODS)
        text = f"The hub has no method {(record.target or '')[:60]!r}; it has {names}."
        raise NotFound("ROUTE_NOT_FOUND", text)

    async def _subscribe(self, execution_id: str, options: methods.Options) -> dict[str, Any]:
        ended = await self._knows_last_event(execution_id, options.after)
        if not ended and execution_id not in self._running:
            self._check_room()
            call = self._backends.events.WatchExecution(
                pb.WatchExecutionRequest(
                    namespace=self._socket.namespace,
                    execution_id=execution_id,
                    after=options.after,
                    types=options.wanted,
                )
            )
            self._start(execution_id, call, aiter(call), options)
        return {"executionId": execution_id, "ended": ended}

    async def _subscribe_all(self, options: methods.Options) -> dict[str, Any]:
        if NAMESPACE in self._running:
            raise methods.refusal("target", "is active already; call `Unsubscribe()` first")
        self._check_room()
        call = self._backends.events.WatchEvents(
            pb.WatchEventsRequest(
                namespace=self._socket.namespace,
                workflow_id=options.workflow,
                types=options.wanted,
                cursor=options.cursor,
            )
        )
        responses = aiter(call)
        try:
            async with asyncio.timeout(SUBSCRIBE_WAIT_S):
                first = await anext(responses)
        except TimeoutError as error:
            call.cancel()
            raise Timeout("DEADLINE_EXCEEDED", "The subscription did not start in time.") from error
        self._start(NAMESPACE, call, responses, options)
        return {"cursor": first.cursor}

    def _unsubscribe(self, key: str) -> dict[str, Any]:
        task = self._running.pop(key, None)
        if task is not None:
            task.cancel()
        return {"active": task is not None}

    def _check_room(self) -> None:
        if len(self._running) >= SUBSCRIPTIONS_MAX:
            text = f"A connection has at most {SUBSCRIPTIONS_MAX} subscriptions."
            raise WrongState("SUBSCRIPTIONS_FULL", text)

    def _start(
        self, key: str, call: Call, responses: AsyncIterator[Any], options: methods.Options
    ) -> None:
        task = asyncio.create_task(self._relay(key, call, responses, options), name="hub-events")
        self._running[key] = task

    async def _relay(
        self, key: str, call: Call, responses: AsyncIterator[Any], options: methods.Options
    ) -> None:
        """Send the events of a stream to the client until it ends."""
        read = size_value if options.view == "outline" else raw_value
        try:
            async for response in responses:
                if not response.HasField("event"):
                    continue
                view = event_view(response.event, read=read)
                if key == NAMESPACE:
                    view["cursor"] = response.cursor
                wanted = view["type"] in methods.TARGETS
                if not wanted and not options.other and view["type"] not in options.types:
                    continue
                target = view["type"] if wanted else methods.OTHER
                await self._send(records.invocation(target, view))
        except FlowmeshError as error:
            self._fail(HubClosed(f"{error.reason}: {error.message}", reconnect=True))
        except (OSError, RuntimeError):
            self._fail(HubClosed("The connection is lost."))
        finally:
            call.cancel()
            if self._running.get(key) is asyncio.current_task():
                del self._running[key]

    def _fail(self, closed: HubClosed) -> None:
        if not self._failed.done():
            self._failed.set_result(closed)

    async def _knows_last_event(self, execution_id: str, after: int) -> bool:
        """Return whether no event follows. Raises NotFound for a missing execution."""
        response = await self._backends.histories.ListHistoryEvents(
            history_service_pb2.ListHistoryEventsRequest(
                namespace=self._socket.namespace,
                execution_id=execution_id,
                after=max(0, after - 1),
                page_size=1,
            )
        )
        return any(
            event.sequence == after and event_type(event) in END_TYPES for event in response.events
        )

    async def _send(self, record: dict[str, Any]) -> None:
        async with self._sending:
            await self._socket.send_text(records.record_text(record))

    async def _say_goodbye(self, closed: HubClosed) -> None:
        try:
            async with asyncio.timeout(GOODBYE_S):
                if closed.error:
                    await self._send(records.close_record(closed))
                await self._socket.close()
        except (TimeoutError, OSError, RuntimeError):
            return
