"""The connection of a process to NATS, which reconnects in the background without limit."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import nats.errors
import nats.js.errors
import orjson
import structlog
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.client import JetStreamContext

from flowmesh.bus.addresses import Addresses, NatsClient
from flowmesh.bus.consumer import Consumer, Message, no_acknowledgment
from flowmesh.bus.traffic import Traffic
from flowmesh.errors import Unavailable
from flowmesh.telemetry.context import TRACEPARENT, current_traceparent
from flowmesh.telemetry.metrics import Metrics

CONNECT_TIMEOUT_S = 2
RECONNECT_WAIT_S = 0.1
PENDING_BYTES_MAX = 32 * 1024 * 1024
PUBLISH_TIMEOUT_S = 5.0
FLUSH_TIMEOUT_S = 2.0
CLOSE_TIMEOUT_S = 1.0
CANCEL_AGAIN_S = 0.1
PING_INTERVAL_S = 20
# The time for which a repeated publish is detected.
DUPLICATE_WINDOW_S = 120
MESSAGE_ID = "Nats-Msg-Id"
FAILURES = (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError)

T = TypeVar("T")
Handler = Callable[[Message], Awaitable[None]]
Callback = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ack:
    """The confirmation of a stored message; `duplicate` if it was stored before."""

    stream: str
    sequence: int
    duplicate: bool


class Bus:
    """Publishes and consumes messages. Calls raise Unavailable while the server is disconnected.

    Raises ValueError for invalid addresses.
    """

    def __init__(
        self,
        addresses: str,
        *,
        name: str = "flowmesh",
        replicas: int = 1,
        metrics: Metrics | None = None,
    ) -> None:
        self._addresses = Addresses.parse(addresses)
        self.client = NatsClient(self._addresses.nkey)
        self.jetstream: JetStreamContext = self.client.jetstream(timeout=PUBLISH_TIMEOUT_S)
        # Counts connections, so that a reader detects that its requests are lost. Waiting readers
        # are woken at each new connection.
        self.generation = 0
        self.readers: set[asyncio.Event] = set()
        self.traffic = Traffic(metrics or Metrics(), lambda: len(self.readers))
        self._replicas = replicas
        self._name = name
        self._callbacks: list[Callback] = []
        self._core: list[tuple[str, Handler]] = []
        self._started = False
        self._closing = False
        self._connected = asyncio.Event()
        self._closed = False
        self._running: set[asyncio.Task[None]] = set()
        self._unanswered: set[asyncio.Task[Any]] = set()
        # The reply subject, and the pending replies by number.
        self._inbox = self.client.new_inbox()
        self._numbers = itertools.count(1)
        self._replies: dict[str, asyncio.Future[Any]] = {}
        self._connecting: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("flowmesh.bus")

    @property
    def connected(self) -> bool:
        """True while the server is connected."""
        return self._connected.is_set() and self.client.is_connected

    def start(self) -> None:
        """Start to connect in the background."""
        self._connecting = asyncio.create_task(self._connect(), name="bus-connect")

    async def close(self) -> None:
        """Close the connection in bounded time."""
        self._closed = True
        self._closing = True
        if self._connecting is not None:
            await _cancel(self._connecting)
        if not self._started:
            return
        with contextlib.suppress(*FAILURES):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.client.close()

    async def until_connected(self) -> None:
        """Wait for the connection."""
        await self._connected.wait()

    def on_reconnect(self, callback: Callback) -> None:
        """Register a callback for each future connection, including the first one."""
        self._callbacks.append(callback)

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str = "",
        headers: dict[str, str] | None = None,
    ) -> Ack:
        """Store a message in the stream of the subject; the same `msg_id` is stored once."""
        sent = self._headers(headers)
        if msg_id:
            sent[MESSAGE_ID] = msg_id
        try:
            ack = _ack(await self.ask(subject, data, headers=sent or None))
        except Unavailable:
            self.traffic.refused.inc()
            raise
        self.traffic.published.inc()
        return ack

    async def ask(self, subject: str, data: bytes, *, headers: dict[str, str] | None = None) -> Any:
        """Send a message and return the first reply; its header `Status` may be an error."""
        self._require()
        try:
            with self._reply() as (inbox, reply):
                await self.client.publish(subject, data, inbox, headers)
                async with asyncio.timeout(PUBLISH_TIMEOUT_S):
                    return await reply
        except FAILURES as error:
            raise _unavailable() from error

    @contextlib.contextmanager
    def _reply(self) -> Iterator[tuple[str, asyncio.Future[Any]]]:
        """Yield a reply subject and the future of its message."""
        number = str(next(self._numbers))
        reply = self._replies[number] = asyncio.get_running_loop().create_future()
        try:
            yield f"{self._inbox}.{number}", reply
        finally:
            del self._replies[number]

    async def _on_reply(self, raw: Any) -> None:
        reply = self._replies.get(raw.subject.rpartition(".")[2])
        if reply is not None and not reply.done():
            reply.set_result(raw)

    async def publish_core(
        self, subject: str, data: bytes, *, headers: dict[str, str] | None = None
    ) -> None:
        """Send a message to the current subscribers; it may be lost."""
        self._require()
        try:
            await self.client.publish(subject, data, headers=self._headers(headers) or None)
        except FAILURES as error:
            raise _unavailable() from error

    async def flush(self) -> None:
        """Wait until the server has received all sent messages, with a message to this client.

        A canceled flush of the client library breaks the connection: the late pong stops its
        reader, and no message is received until the third ping fails.
        """
        self._require()
        try:
            with self._reply() as (inbox, echo):
                await self.client.publish(inbox)
                async with asyncio.timeout(FLUSH_TIMEOUT_S):
                    await echo
        except FAILURES as error:
            raise _unavailable() from error

    async def subscribe_core(self, subject: str, handler: Handler) -> None:
        """Call the handler for each message sent from now on, one at a time."""
        self._core.append((subject, handler))
        if self.client.is_connected:
            await self._listen(subject, handler)

    def consume(
        self,
        stream: str,
        subjects: Sequence[str] = (),
        *,
        start_sequence: int = 0,
        deliver_new: bool = False,
        durable: str | None = None,
    ) -> AsyncGenerator[Message, None]:
        """Yield the messages of a stream without end, across reconnects.

        Starts at `start_sequence`, at the next new message, or at the first one. With a durable
        name, the server stores the position, and each message must be acknowledged.
        """
        reader = Consumer(
            self,
            stream,
            subjects,
            start_sequence=start_sequence,
            deliver_new=deliver_new,
            durable=durable,
        )
        return reader.messages()

    async def ensure_stream(
        self,
        name: str,
        subjects: Sequence[str],
        max_age_s: int,
        max_bytes: int,
        *,
        subject_messages_max: int = -1,
    ) -> None:
        """Create the stream or change its limits; it is stored in files and drops old messages."""
        self._require()
        config = StreamConfig(
            name=name,
            subjects=list(subjects),
            storage=StorageType.FILE,
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            max_age=max_age_s,
            max_bytes=max_bytes,
            max_msgs_per_subject=subject_messages_max,
            duplicate_window=min(DUPLICATE_WINDOW_S, max_age_s or DUPLICATE_WINDOW_S),
            allow_direct=True,
            num_replicas=self._replicas,
        )
        try:
            try:
                await self.request(self.jetstream.add_stream(config))
            except nats.js.errors.BadRequestError:
                await self.request(self.jetstream.update_stream(config))
        except FAILURES as error:
            raise _unavailable() from error

    async def last_message(self, stream: str, subject: str) -> Message | None:
        """Return the newest message of the subject; None without one."""
        self._require()
        try:
            raw = await self.request(self.jetstream.get_last_msg(stream, subject))
        except nats.js.errors.NotFoundError:
            return None
        except FAILURES as error:
            raise _unavailable() from error
        return Message(
            raw.subject or "",
            raw.data or b"",
            dict(raw.headers or {}),
            raw.seq or 0,
            no_acknowledgment,
        )

    async def request(self, request: Coroutine[Any, Any, T]) -> T:
        """Await a request; raise Unavailable as soon as its connection is lost.

        The client library waits until its timeout, although the response cannot arrive.
        """
        task = asyncio.create_task(request)
        self._unanswered.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is not None and caller.cancelling():
                raise
            raise _unavailable() from None
        finally:
            self._unanswered.discard(task)

    async def _connect(self) -> None:
        self._started = True
        await self.client.connect(
            self._addresses.servers,
            tls=self._addresses.tls,
            signature_cb=nkey.sign if (nkey := self._addresses.nkey) is not None else None,
            inbox_prefix=self.client.replies,
            name=self._name,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnect,
            reconnected_cb=self._on_connect,
            connect_timeout=CONNECT_TIMEOUT_S,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type]
            ping_interval=PING_INTERVAL_S,
            pending_size=PENDING_BYTES_MAX,
            skip_subject_validation=True,
        )
        await self.client.subscribe(f"{self._inbox}.*", cb=self._on_reply)
        for subject, handler in list(self._core):
            await self._listen(subject, handler)
        await self._on_connect()

    async def _listen(self, subject: str, handler: Handler) -> None:
        async def receive(raw: Any) -> None:
            message = Message(raw.subject, raw.data, raw.headers or {}, 0, no_acknowledgment)
            try:
                await handler(message)
            except Exception:  # noqa: BLE001 later messages must be handled
                self._log.exception("message_handler_failed", subject=raw.subject)

        await self.client.subscribe(subject, cb=receive)

    async def _on_connect(self) -> None:
        self.generation += 1
        self._connected.set()
        self._log.info("bus_connected", connection=self.generation)
        for reader in self.readers:
            reader.set()
        for callback in list(self._callbacks):
            task = asyncio.create_task(self._run(callback))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, callback: Callback) -> None:
        try:
            await callback()
        except Exception:  # noqa: BLE001 other callbacks must run
            self._log.exception("reconnect_callback_failed")

    async def _on_disconnect(self) -> None:
        if self._connected.is_set() and not self._closing:
            self._log.warning("bus_disconnected")
        self._connected.clear()
        lost, self._unanswered = self._unanswered, set()
        for request in lost:
            request.cancel()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(_unavailable())

    async def _on_error(self, error: Exception) -> None:
        if not self._closed:
            self._log.debug("bus_error", problem=type(error).__name__)

    def _require(self) -> None:
        if not self.connected:
            raise _unavailable()

    def _headers(self, headers: dict[str, str] | None) -> dict[str, str]:
        sent = dict(headers or {})
        traceparent = current_traceparent()
        if traceparent:
            sent.setdefault(TRACEPARENT, traceparent)
        return sent


def _ack(raw: Any) -> Ack:
    """Return the confirmation of a message; raise Unavailable if it was not stored."""
    reply = orjson.loads(raw.data) if raw.data else {}
    if "error" in reply or "seq" not in reply:
        raise _unavailable()
    return Ack(reply["stream"], reply["seq"], reply.get("duplicate", False))


def _unavailable() -> Unavailable:
    return Unavailable(
        "SERVICE_UNAVAILABLE", "no response from the message bus; try again", retry_after_ms=500
    )


async def _cancel(task: asyncio.Task[None]) -> None:
    """End a task; the library drops a cancellation that meets certain moments of an attempt."""
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=CANCEL_AGAIN_S)
    await asyncio.gather(task, return_exceptions=True)
