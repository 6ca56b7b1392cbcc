"""Preparation of values that need the database: inputs, outputs, first values of bodies.

The engine renders values that are in memory. This module fetches the missing payloads of one
execution at a time and renders the others.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from flowmesh.api.common.v1 import failure_pb2, payload_pb2
from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.contract import INLINE_BYTES_MAX
from flowmesh.engine import (
    Collect,
    Expand,
    Finish,
    MapState,
    NodeState,
    Rendered,
    State,
    encode_output,
    map_output,
)
from flowmesh.errors import FlowmeshError, NotFound, TooLarge
from flowmesh.expressions import RenderError
from flowmesh.orchestrator.dispatch.dispatcher import Dispatcher
from flowmesh.orchestrator.limits.ready_queues import ReadyTask
from flowmesh.orchestrator.model.commands import PendingCommand
from flowmesh.orchestrator.model.failures import failure
from flowmesh.orchestrator.storage.database import CONNECTION_LOST, RETRY_S, until_answered
from flowmesh.orchestrator.storage.payloads import Payloads
from flowmesh.orchestrator.storage.states import Entry, States
from flowmesh.plan import (
    NO_NAMES,
    ItemsNeeded,
    PayloadNeeded,
    PayloadReader,
    next_page,
    payload_reader,
    render_input,
    render_items,
    render_names,
    values_of,
)

T = TypeVar("T")


class Preparer:
    """Fetches and renders values in the background, and submits or queues the result."""

    def __init__(
        self,
        *,
        states: States,
        payloads: Payloads,
        epochs: Mapping[int, int],
        submit: Callable[[PendingCommand], None],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._states = states
        self._payloads = payloads
        self._epochs = epochs
        self._submit = submit
        self._spawn = spawn
        # Nodes whose bodies are being prepared; the engine repeats its request every second.
        self._in_progress: set[tuple[str, str]] = set()

    # --- inputs of tasks ---

    def task(self, task: ReadyTask, dispatcher: Dispatcher) -> None:
        """Fetch a task's execution and input, and queue it again."""
        self._spawn(self._prepared(task, dispatcher))

    async def _prepared(self, task: ReadyTask, dispatcher: Dispatcher) -> None:
        is_ready = False
        try:
            is_ready = await self._prepare_input(task, dispatcher)
        finally:
            dispatcher.prepared(task, is_ready=is_ready)

    async def _prepare_input(self, task: ReadyTask, dispatcher: Dispatcher) -> bool:
        """Render the input of a task. Return False if the task is not to be sent any more."""
        entry = await self._entry(task)
        node = entry.state.at_workers.get(task.node_id) if entry is not None else None
        if entry is None or node is None:
            return False
        state = entry.state
        try:
            payload = await self._rendered(state, {}, lambda read: render_input(state, node, read))
            if len(payload.data) > INLINE_BYTES_MAX:
                payload = await self._stored(state, payload)
        except (FlowmeshError, RenderError) as error:
            dispatcher.render_failed(task, str(error))
            return False
        task.rendered = payload
        return True

    async def _entry(self, task: ReadyTask) -> Entry | None:
        """Return the task's execution; None once another process owns it."""
        while task.partition in self._epochs:
            try:
                return (await self._states.fetch([task.execution_id])).get(task.execution_id)
            except CONNECTION_LOST:
                await asyncio.sleep(RETRY_S)
        return None

    # --- the output of an execution ---

    def output(self, state: State, partition: int) -> None:
        """Fetch the payloads of the output template; the engine then renders the output."""
        self._spawn(self._output(state, partition))

    async def _output(self, state: State, partition: int) -> None:
        payloads: dict[str, bytes] = {}
        output = state.plan.output
        missing, stored = "", None
        if output is not None:
            try:
                value = await self._rendered(
                    state, payloads, lambda read: output.render(values_of(state, read))
                )
                data = encode_output(value)
                if len(data) > INLINE_BYTES_MAX:
                    stored = await self._stored(state, payload_pb2.Payload(data=data))
            except (NotFound, TooLarge) as error:
                missing = error.message
            except RenderError:
                # The engine meets the same problem and reports it in the execution's failure.
                missing = ""
        self._submit(
            PendingCommand(state.execution_id, partition, Finish(payloads, missing, stored))
        )

    # --- bodies ---

    def body(self, state: State, node: NodeState, partition: int) -> None:
        """Give a map its items or a state machine its first value.

        For a map whose items have all ended, store their outputs as one value.
        """
        key = (state.execution_id, node.id)
        if key not in self._in_progress:
            self._in_progress.add(key)
            self._spawn(self._body(state, node, partition))

    async def _body(self, state: State, node: NodeState, partition: int) -> None:
        of = node.map
        try:
            if of is not None and of.begun == of.total and not of.scopes:
                command: Expand | Collect | Rendered = await self._collected(state, node, of)
            elif node.planned.waits:
                command = await self._linked(state, node)
            elif node.machine is not None or node.is_group or node.planned.pages_max:
                command = Expand(node.id)
            elif node.planned.kind == plan_pb2.NODE_KIND_STATES:
                command = await self._begun(state, node)
            else:
                command = await self._expanded(state, node)
        finally:
            self._in_progress.discard((state.execution_id, node.id))
        self._submit(PendingCommand(state.execution_id, partition, command))

    async def _expanded(self, state: State, node: NodeState) -> Expand:
        try:
            items = await self._items(state, node)
            cursor = await self._rendered(state, {}, lambda read: next_page(node, read))
            return Expand(node.id, items, cursor)
        except (FlowmeshError, RenderError) as error:
            return Expand(node.id, failure=_invalid(f"items of {node.id}: {error}"))

    async def _begun(self, state: State, node: NodeState) -> Expand:
        try:
            value = await self._rendered(state, {}, lambda read: render_input(state, node, read))
            if len(value.data) > INLINE_BYTES_MAX:
                value = await self._stored(state, value)
            return Expand(node.id, value=value)
        except (FlowmeshError, RenderError) as error:
            return Expand(node.id, failure=_invalid(f"input of {node.id}: {error}"))

    async def _linked(self, state: State, node: NodeState) -> Rendered:
        """Render the input of a child or of the next run, or the key of a wait."""
        begun, names = await self._begun(state, node), NO_NAMES
        if begun.failure is None:
            try:
                names = await self._rendered(
                    state, {}, lambda read: render_names(state, node, read)
                )
            except (FlowmeshError, RenderError) as error:
                begun.failure = _invalid(f"name of {node.id}: {error}")
        return Rendered(node.id, node.attempt, begun.value, begun.failure, names)

    async def _items(self, state: State, node: NodeState) -> list[Any]:
        return await self._rendered(state, {}, lambda read: render_items(state, node, read))

    async def _collected(self, state: State, node: NodeState, of: MapState) -> Collect:
        try:
            parts = [await self._bytes(state, each) for each in of.outputs]
            data = map_output(node.planned, parts)
            collected = await self._stored(state, payload_pb2.Payload(data=data))
            # Outputs of pages are lists, whose items are those of the output.
            place = "" if node.planned.pages_max else "/*"
            marks = {
                place + pointer
                for each in of.outputs
                if not isinstance(each, bytes)
                for pointer in each.sensitive
            }
            collected.sensitive.extend(sorted(marks))
            return Collect(node.id, collected)
        except FlowmeshError as error:
            return Collect(node.id, failure=_invalid(f"output of {node.id}: {error.message}"))

    async def _bytes(self, state: State, output: bytes | payload_pb2.Payload) -> bytes:
        if isinstance(output, bytes):
            return output
        if not output.HasField("reference"):
            return output.data
        return await self._payload(state, output.reference.digest)

    # --- the database ---

    async def _stored(self, state: State, payload: payload_pb2.Payload) -> payload_pb2.Payload:
        namespace = state.plan.namespace
        return await until_answered(
            lambda: self._payloads.put(namespace, payload.encoding, payload.data)
        )

    async def _payload(self, state: State, digest: str) -> bytes:
        return await until_answered(lambda: self._payloads.read(state.plan.namespace, digest))

    async def _rendered(
        self, state: State, fetched: dict[str, bytes], render: Callable[[PayloadReader], T]
    ) -> T:
        """Render a value; fetch each payload when it is first needed."""
        read = payload_reader(fetched)
        while True:
            try:
                return render(read)
            except PayloadNeeded as needed:
                fetched[needed.digest] = await self._payload(state, needed.digest)
            except ItemsNeeded as needed:
                owner = state.node(needed.node.id)
                if owner is None or owner.map is None:
                    raise RenderError("item", "the map has ended") from None
                owner.map.items = await self._items(state, owner)


def _invalid(message: str) -> failure_pb2.Failure:
    return failure("ValidationError", message)
