"""The saga manager: starts sagas, runs their functions, and records their events."""

import asyncio
import logging
from typing import Self

from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.client.handle import Handle
from flowmesh.sdk.sagas.recording import UNDO, Recorder
from flowmesh.sdk.sagas.saga import (
    NO_EFFECT,
    Saga,
    SagaState,
    Step,
    StepStatus,
    compile_saga,
    handlers_of,
)
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.executions import Execution, Node, NodeStatus, Status
from flowmesh.sdk.values.failures import ExecutionFailed
from flowmesh.sdk.worker.handlers import TaskHandler
from flowmesh.sdk.worker.worker import Worker

_log = logging.getLogger("flowmesh.sdk")


class SagaHandle:
    """One saga: its state, its steps and its result."""

    def __init__(self, client: Client, saga: Saga, execution: Handle) -> None:
        undone = [each.name for each in saga.steps if each.compensation != NO_EFFECT]
        self._recorder = Recorder(client, saga.id, execution, undone)
        self.saga = saga
        self.execution = execution

    @property
    def id(self) -> str:
        return self.saga.id

    @property
    def stream(self) -> str:
        """The stream with the events of the saga."""
        return self._recorder.stream

    async def refresh(self) -> Saga:
        """Read the state of the saga and of its steps."""
        update(self.saga, await self.execution.describe())
        return self.saga

    async def result(self, timeout: float | None = None) -> dict[str, Json]:
        """Wait for the end, and return the outputs of the steps by name.

        Raises ExecutionFailed if a step failed, once the completed ones are undone.
        """
        try:
            await self.execution.result(timeout)
        except ExecutionFailed:
            await self._settle()
            raise
        await self._settle()
        return {each.name: each.output for each in self.saga.steps}

    async def wait(self, timeout: float | None = None) -> Saga:
        """Wait for the end, and return the saga."""
        await self.execution.wait(timeout)
        await self._settle()
        return self.saga

    async def retry_compensation(self, step: str) -> None:
        """Try a compensation again that is out of attempts."""
        await self.execution.nodes.retry(step + UNDO)

    async def skip_compensation(self, step: str, reason: str = "") -> None:
        """Give up a compensation that is out of attempts; the others continue."""
        await self.execution.nodes.skip(step + UNDO, reason=reason)

    async def record(self) -> None:
        """Write the events of the saga to its stream until it ends; each is stored once."""
        await self._recorder.run()

    async def _settle(self) -> None:
        await self.refresh()
        await self.record()


class SagaManager:
    """`await saga_manager.start_saga(saga)`; connects to FLOWMESH_ADDRESS, or uses a client.

    Functions of sagas run in this process, at most `slots` at a time. A process that only runs them
    calls `serve`.
    """

    def __init__(self, client: Client | str = "", *, slots: int = limits.WORKER_SLOTS) -> None:
        self._own = None if isinstance(client, Client) else Client(client)
        self.client = client if isinstance(client, Client) else self._own or Client()
        self._slots = slots
        self._worker: Worker | None = None
        self._lock = asyncio.Lock()
        self._followers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Wait for running functions, then disconnect. Started sagas continue elsewhere."""
        for task in list(self._followers):
            task.cancel()
        await asyncio.gather(*self._followers, return_exceptions=True)
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.stop()
        if self._own is not None:
            await self._own.close()

    async def serve(self, *kinds: type[Saga]) -> None:
        """Run the functions of these classes, such as those of sagas of a former process."""
        for kind in kinds:
            await self._serve(
                handlers_of(self.client, kind.saga_name(), kind.steps, kind.functions)
            )

    async def start_saga(self, saga: Saga) -> SagaHandle:
        """Start a saga; it is durable once this returns, and started once by its id."""
        flow = compile_saga(saga)
        await self._serve(handlers_of(self.client, saga.workflow_name, saga.steps, saga.functions))
        registered = await self.client.register(flow)
        execution = await self.client.start(
            flow.name,
            saga.input(),
            request_id=saga.id,
            version=registered.version,
            labels={"saga": saga.id[:63]},
        )
        handle = SagaHandle(self.client, saga, execution)
        saga.state = SagaState.RUNNING
        follower = asyncio.create_task(_follow(handle), name=f"flowmesh-saga-{saga.id}")
        self._followers.add(follower)
        follower.add_done_callback(self._followers.discard)
        return handle

    async def _serve(self, handlers: dict[str, TaskHandler]) -> None:
        """Add handlers to the worker; start it with the first."""
        async with self._lock:
            if self._worker is None:
                if not handlers:
                    return
                worker = Worker(self.client, handlers, slots=self._slots)
                await worker.start()
                self._worker = worker
                return
            new = {
                task: handler
                for task, handler in handlers.items()
                if task not in self._worker.task_types
            }
            if new:
                await self._worker.add(new)


async def _follow(handle: SagaHandle) -> None:
    try:
        await handle.record()
        await handle.refresh()
    except FlowmeshError as error:
        # The events are recorded by the next process that follows the saga.
        _log.warning("cannot record the events of saga %s: %s", handle.id, error)


def update(saga: Saga, execution: Execution) -> None:
    """Set the state of a saga and of its steps from its execution."""
    nodes = {node.id: node for node in execution.nodes}
    for step in saga.steps:
        if (node := nodes.get(step.name)) is not None:
            _update_step(step, node, nodes.get(step.name + UNDO))
    saga.state = state_of(execution)


def state_of(execution: Execution) -> SagaState:
    """Return the state of the saga that an execution is."""
    if execution.status is Status.COMPLETED:
        return SagaState.COMPLETED
    if not execution.status.ended:
        if execution.compensation:
            return SagaState.COMPENSATING
        begun = any(node.started_at or node.ended_at for node in execution.nodes)
        return SagaState.RUNNING if begun else SagaState.STARTED
    undone = [node for node in execution.nodes if node.undoes]
    if execution.compensation == "failed" or any(
        node.status is not NodeStatus.COMPLETED for node in undone
    ):
        return SagaState.FAILED
    # Without a completed step there is nothing to undo.
    return SagaState.COMPENSATED


def _update_step(step: Step, node: Node, undo: Node | None) -> None:
    if node.status is NodeStatus.COMPLETED:
        step.status, step.output = StepStatus.SUCCESS, node.output
    elif node.status is NodeStatus.FAILED or node.failure is not None:
        step.status = StepStatus.FAILED
    step.error = node.failure.message if node.failure is not None else ""
    if undo is None:
        return
    if undo.status is NodeStatus.COMPLETED:
        step.compensation_status = StepStatus.SUCCESS
    elif undo.held or undo.status is NodeStatus.FAILED:
        step.compensation_status = StepStatus.FAILED
    step.compensation_error = undo.failure.message if undo.failure is not None else ""
