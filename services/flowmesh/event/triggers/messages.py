"""Queue triggers: each message of a queue or stream starts an execution.

The firing is committed and its execution started before the message is acknowledged. Its request
id is derived from the id of the message, so a message that is delivered again after a crash starts
nothing more.
"""

import asyncio
import base64
import hashlib
from dataclasses import dataclass
from typing import Any, Final

import orjson
from structlog.typing import FilteringBoundLogger

from flowmesh.api.broker.v1 import message_pb2
from flowmesh.api.definition.v1 import trigger_pb2
from flowmesh.errors import FlowmeshError
from flowmesh.event.misfits import Misfit, TriggerMisfit
from flowmesh.event.queues import Consumer, Delivery, Queues
from flowmesh.event.triggers.firing import LEASE_MS, TRANSIENT, FiringLoop
from flowmesh.event.triggers.store import Firing, Row, TriggerStore, request_id
from flowmesh.expressions import RenderError
from flowmesh.runtime import Clock, Loop
from flowmesh.sandbox import Sandbox
from flowmesh.triggers import Filter, Inputs
from flowmesh.views import instant

CONCURRENT_MAX: Final = 32
WAIT_S: Final = 5.0
# Pause after a start that could not be made now; its firing is retried by itself.
BACK_OFF_S: Final = 1.0
IDLE_MS: Final = 600_000

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A trigger with its filter and its input template."""

    namespace: str
    workflow: str
    id: str
    inputs: Inputs
    filter: Filter
    batch: int
    batch_within_ms: int

    @classmethod
    def of(cls, row: Row, trigger: trigger_pb2.Trigger, sandbox: Sandbox) -> "_Compiled":
        return cls(
            row["namespace"],
            row["workflow"],
            trigger.id,
            Inputs(trigger),
            Filter(trigger.queue.filter, "message", row["namespace"], sandbox),
            trigger.queue.batch,
            trigger.queue.batch_within_ms,
        )

    @property
    def scope(self) -> dict[str, Any]:
        return {"id": self.id, "workflow": self.workflow}

    async def passes(self, message: dict[str, Any]) -> bool:
        """Return whether the filter holds. Raises Misfit if its evaluation fails."""
        try:
            return await self.filter.holds(message)
        except RenderError as error:
            raise Misfit.of_filter(error) from error

    def input(self, **scope: Any) -> bytes:
        """Return the input of an execution. Raises Misfit."""
        try:
            return self.inputs.of({**scope, "trigger": self.scope})
        except RenderError as error:
            raise Misfit.of_input(error) from error


class MessageTriggerLoop(Loop):
    """Consumes the queues of triggers; a queue that does not exist is tried again."""

    interval_ms = 5_000

    def __init__(
        self,
        *,
        store: TriggerStore,
        firing: FiringLoop,
        queues: Queues,
        clock: Clock,
        log: FilteringBoundLogger,
        sandbox: Sandbox,
    ) -> None:
        self._store = store
        self._firing = firing
        self._queues = queues
        self._clock = clock
        self._log = log
        self._sandbox = sandbox
        self._running: dict[Key, tuple[bytes, asyncio.Task[None]]] = {}
        self._changing = asyncio.Lock()

    def pause_ms(self) -> float:
        return self.interval_ms if self._running else IDLE_MS

    async def run_once(self) -> int:
        """Start and stop consumers as triggers change. Return the number of consumers."""
        async with self._changing:
            return await self._follow()

    async def _follow(self) -> int:
        rows = await self._store.queue_triggers()
        wanted = {(row["namespace"], row["workflow"], row["id"]): row for row in rows}
        stopped = []
        for key, (body, task) in list(self._running.items()):
            row = wanted.get(key)
            if row is None or row["body"] != body or task.done():
                task.cancel()
                del self._running[key]
                stopped.append(task)
        await asyncio.gather(*stopped, return_exceptions=True)
        for key, row in wanted.items():
            if key not in self._running:
                task = asyncio.create_task(self._consume(row), name=f"queue-trigger-{row['id']}")
                self._running[key] = (row["body"], task)
        return len(self._running)

    async def drain(self) -> None:
        """Stop consuming; messages in flight are delivered again."""
        tasks = [task for _, task in self._running.values()]
        self._running.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _consume(self, row: Row) -> None:
        trigger = trigger_pb2.Trigger.FromString(row["body"])
        compiled = _Compiled.of(row, trigger, self._sandbox)
        try:
            async with self._queues.consume(
                row["namespace"], trigger.queue.queue, group=_group(row)
            ) as consumer:
                while compiled.batch:
                    batch = await self._collect(compiled, consumer)
                    await self._handle_batch(compiled, batch)
                while True:
                    found = await consumer.next(CONCURRENT_MAX, WAIT_S)
                    await asyncio.gather(*(self._handle(compiled, each) for each in found))
        except FlowmeshError as error:
            self._log.info(
                "queue_trigger_waits",
                workflow=row["workflow"],
                trigger=row["id"],
                reason=error.reason,
            )

    async def _collect(self, trigger: _Compiled, consumer: Consumer) -> list[Delivery]:
        """Return a batch: full, or what came within the time after its first message."""
        clock = asyncio.get_running_loop().time
        # A batch is settled before its first message becomes visible again.
        most_ms = min(trigger.batch_within_ms, consumer.visibility_timeout_ms // 2)
        found = list(await consumer.next(trigger.batch, WAIT_S))
        until = clock() + most_ms / 1_000
        while found and len(found) < trigger.batch and (left_s := until - clock()) > 0:
            found += await consumer.next(trigger.batch - len(found), left_s)
        return found

    async def _handle_batch(self, trigger: _Compiled, batch: list[Delivery]) -> None:
        """Start one execution with the messages that pass the filter and no former batch has."""
        taken: dict[str, tuple[Delivery, dict[str, Any]]] = {}
        for delivery in batch:
            if await self._is_apart(delivery):
                continue
            message = message_scope(delivery.message)
            if not await self._passes(trigger, message):
                await delivery.ack()
                continue
            id = request_id(trigger.namespace, trigger.workflow, trigger.id, message["id"])
            taken[id] = (delivery, message)
        if not taken:
            return
        deliveries = [delivery for delivery, _ in taken.values()]
        try:
            firing = await self._commit_batch(
                trigger, {id: message for id, (_, message) in taken.items()}
            )
        except Misfit as misfit:
            await self._split(trigger, deliveries, misfit)
            return
        try:
            if firing is not None:
                await self._firing.start(firing)
        except TRANSIENT:
            # The firing is committed and is started later.
            await asyncio.sleep(BACK_OFF_S)
        except FlowmeshError as error:
            await self._store.remove_batched(list(taken))
            await self._reject_all(deliveries, f"{error.reason}: {error.message}")
            return
        await asyncio.gather(*(each.ack() for each in deliveries))

    async def _split(self, trigger: _Compiled, deliveries: list[Delivery], misfit: Misfit) -> None:
        """Handle the messages of a batch that makes no input one by one."""
        if len(deliveries) == 1:
            await self._note(trigger, misfit)
            await deliveries[0].reject(str(misfit))
            return
        for delivery in deliveries:
            await self._handle_batch(trigger, [delivery])

    async def _passes(self, trigger: _Compiled, message: dict[str, Any]) -> bool:
        """Return whether the filter holds; a filter that fails over a message does not."""
        try:
            return await trigger.passes(message)
        except Misfit as misfit:
            await self._note(trigger, misfit)
            return False

    async def _note(self, trigger: _Compiled, misfit: Misfit) -> None:
        found = TriggerMisfit(trigger.namespace, trigger.workflow, trigger.id, misfit)
        await self._store.note_misfits([found])

    async def _commit_batch(
        self, trigger: _Compiled, messages: dict[str, dict[str, Any]]
    ) -> Firing | None:
        """Commit the firing of messages by their ids; None if all of them have fired."""
        async with self._store.change() as change:
            fresh = await change.add_batched(list(messages))
            if not fresh:
                return None
            given = [message for id, message in messages.items() if id in fresh]
            bodies = [each["body"] for each in given]
            firing = Firing(
                trigger.namespace,
                trigger.workflow,
                trigger.id,
                f"batch:{hashlib.sha256(''.join(sorted(fresh)).encode()).hexdigest()}",
                self._clock.now_us(),
                trigger.input(messages=given, bodies=bodies),
            )
            await change.add_firings([firing], lease_ms=LEASE_MS)
        return firing

    async def _reject_all(self, deliveries: list[Delivery], error: str) -> None:
        await asyncio.gather(*(each.reject(error) for each in deliveries))

    async def _is_apart(self, delivery: Delivery) -> bool:
        """Return whether the body is stored apart; such a message becomes a dead letter."""
        if not delivery.message.HasField("reference"):
            return False
        size = delivery.message.reference.size_bytes
        text = f"its body has {size:,} bytes; a trigger takes at most 256 KiB"
        await delivery.reject(text)
        return True

    async def _handle(self, trigger: _Compiled, delivery: Delivery) -> None:
        if await self._is_apart(delivery):
            return
        message = message_scope(delivery.message)
        if not await self._passes(trigger, message):
            await delivery.ack()
            return
        try:
            given = trigger.input(message=message)
        except Misfit as misfit:
            await self._note(trigger, misfit)
            await delivery.reject(str(misfit))
            return
        firing = Firing(
            trigger.namespace,
            trigger.workflow,
            trigger.id,
            delivery.message.message_id,
            self._clock.now_us(),
            given,
        )
        await self._store.add([firing], lease_ms=LEASE_MS)
        try:
            await self._firing.start(firing)
        except TRANSIENT:
            await asyncio.sleep(BACK_OFF_S)
        except FlowmeshError as error:
            await delivery.reject(f"{error.reason}: {error.message}")
            return
        await delivery.ack()


def message_scope(message: message_pb2.Message) -> dict[str, Any]:
    """Return the value of `message` in filters and templates; bytes are base64."""
    try:
        body = orjson.loads(message.body)
    except orjson.JSONDecodeError:
        body = base64.b64encode(message.body).decode()
    headers: dict[str, Any] = {}
    for name, value in message.headers.items():
        kind = value.WhichOneof("value")
        given = getattr(value, kind) if kind else None
        headers[name] = base64.b64encode(given).decode() if isinstance(given, bytes) else given
    return {
        "id": message.message_id,
        "body": body,
        "headers": headers,
        "routingKey": message.routing_key,
        "exchange": message.exchange,
        "priority": message.priority,
        "contentType": message.content_type,
        "correlationId": message.correlation_id,
        "publishedAt": instant(message.published_at_us),
    }


def _group(row: Row) -> str:
    """Return the group of a trigger of a stream."""
    name = f"{row['workflow']}\n{row['id']}"
    return f"trigger:{hashlib.sha256(name.encode()).hexdigest()[:32]}"
