"""A worker: runs tasks of a worker service with handlers registered by task type."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Self, TypeVar, overload

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.durable.flows import durable_workflow, register_workflow
from flowmesh.sdk.transport.credentials import TokenSource
from flowmesh.sdk.transport.endpoint import Tls
from flowmesh.sdk.transport.payload_store import PayloadStore
from flowmesh.sdk.values import limits
from flowmesh.sdk.values.executions import Execution, StoredValue
from flowmesh.sdk.values.ids import new_worker_id
from flowmesh.sdk.values.sealing import Codec
from flowmesh.sdk.worker.attending import AgentEnvironment, Gauges, attend
from flowmesh.sdk.worker.handlers import Handler, Pool, TaskHandler, durable_handler_of, handler_of
from flowmesh.sdk.worker.step_context import with_shared_data
from flowmesh.sdk.worker.tracing import WorkerTracing
from flowmesh.sdk.worker.work_stream import WorkStream
from flowmesh.sdk.workflows.declarations import Duration, Retry, name_of, task_type_of
from flowmesh.sdk.workflows.flow import Workflow

_log = logging.getLogger("flowmesh.sdk")
H = TypeVar("H", bound=TaskHandler)


class Worker:
    """Runs tasks of the types for which it has handlers.

    Register handlers with `@worker.task("charge-card")`: `async def charge(input, context)`, or
    plain functions, which run in threads or, with `pool="process"`, in processes.
    As an agent of the fleet it has the id, the queues and the slots of its spec by default, and
    reports the figures of `gauges`, such as `{"open-files": count}`, to scaling policies.
    `worker.run()` blocks until SIGINT or SIGTERM and drains; `async with worker:` runs the worker
    beside other code. `token`, `api_key`, `tls` and `codec` are those of a `Client`.
    """

    def __init__(
        self,
        client: Client | str = "",
        task_types: Mapping[str, TaskHandler] | None = None,
        *,
        queues: Sequence[str] = (),
        slots: int = limits.WORKER_SLOTS,
        namespace: str = "",
        threads: int = 0,
        processes: int = 0,
        worker_id: str = "",
        drain_s: float = limits.WORKER_DRAIN_S,
        new_id: Callable[[], str] = new_worker_id,
        labels: Mapping[str, str] | None = None,
        token: TokenSource | None = None,
        api_key: str = "",
        tls: Tls | bool | None = None,
        codec: Codec | None = None,
        gauges: Mapping[str, Callable[[], float]] | None = None,
    ) -> None:
        if isinstance(client, Client) and (token or api_key or codec or tls is not None):
            text = "the client of the worker has the credential, TLS and the codec"
            raise Invalid("HELLO_INVALID", text)
        agent = AgentEnvironment.read()
        if slots == limits.WORKER_SLOTS and agent.slots:
            slots = agent.slots
        self.slots = _checked("slots", slots, limits.WORKER_SLOTS_MAX)
        self.queues = tuple(queues) or agent.queues
        self.labels = dict(labels or {})
        self.worker_id = worker_id or agent.id or new_id()
        self._agent_id, self._gauges = agent.id, Gauges(gauges or {})
        self._attending: asyncio.Task[None] | None = None
        self._given_client = client if isinstance(client, Client) else None
        self._address = client if isinstance(client, str) else client.address
        self._connect = partial(Client, token=token, api_key=api_key, tls=tls, codec=codec)
        self._namespace = namespace
        self._threads = threads or min(slots, limits.WORKER_THREADS_MAX)
        processes = processes or os.cpu_count() or 1
        self._processes = _checked("processes", processes, limits.WORKER_PROCESSES_MAX)
        self._drain_s = drain_s
        self._handlers: dict[str, Handler] = {}
        self._flows: list[Workflow] = []
        self._client: Client | None = None
        self._stream: WorkStream | None = None
        self._tracing: WorkerTracing | None = None
        self._stopping: asyncio.Event | None = None
        for task_type, function in (task_types or {}).items():
            self.register(task_type, function)

    @property
    def task_types(self) -> tuple[str, ...]:
        return tuple(self._handlers)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The handlers by task type."""
        return self._handlers

    @property
    def workflows(self) -> Sequence[Workflow]:
        """The workflows of its durable handlers."""
        return self._flows

    @overload
    def task(self, task_type: H, /) -> H: ...
    @overload
    def task(self, task_type: str = "", *, pool: Pool = "") -> Callable[[H], H]: ...
    def task(self, task_type: str | H = "", *, pool: Pool = "") -> Callable[[H], H] | H:
        """Return a decorator that registers a handler of this task type.

        `@worker.task` without parentheses, or without a type, serves the type of its `@task`
        declaration, or else the name of the function: `charge_card` is `charge-card`.
        """
        if not isinstance(task_type, str):
            return self.task()(task_type)

        def register(function: H) -> H:
            declared = task_type_of(function)
            own = declared.name if declared is not None else ""
            self.register(task_type or own or name_of(function), function, pool=pool)
            return function

        return register

    def register(self, task_type: str, function: TaskHandler, *, pool: Pool = "") -> None:
        """Register a handler; `pool` defaults to that of its `@task` declaration."""
        self._check_new(task_type)
        declared = task_type_of(function)
        pool = pool or (declared.pool if declared is not None else "")
        self._handlers[task_type] = handler_of(task_type, function, pool)

    def _check_new(self, task_type: str) -> None:
        if self._stream is not None:
            raise Invalid(
                "HELLO_INVALID",
                "the worker is running; register handlers before it starts, or use `add`",
            )
        if task_type in self._handlers:
            raise Invalid("HELLO_INVALID", f"{task_type!r} has a handler already")

    @overload
    def durable(self, name: H, /) -> H: ...
    @overload
    def durable(
        self,
        name: str = "",
        *,
        workflow: bool = True,
        retry: Retry | None = None,
        timeout: Duration | None = None,
    ) -> Callable[[H], H]: ...
    def durable(
        self,
        name: str | H = "",
        *,
        workflow: bool = True,
        retry: Retry | None = None,
        timeout: Duration | None = None,
    ) -> Callable[[H], H] | H:
        """Return a decorator that registers the durable handler `async def handler(ctx, input)`.

        Its name is by default that of the function, also as `@worker.durable` without parentheses.
        Unless `workflow` is False, the worker also registers a workflow of this name with this
        task only. `retry` and `timeout` (of one attempt) apply to the task; without a workflow
        they are options of the node that uses it.
        """
        if not isinstance(name, str):
            return self.durable()(name)
        if not workflow and (retry is not None or timeout is not None):
            message = "retry and timeout belong to the workflow; without it give them to its node"
            raise Invalid("REQUEST_INVALID", message)

        def register(function: H) -> H:
            chosen = name or name_of(function)
            self._check_new(chosen)
            self._handlers[chosen] = durable_handler_of(chosen, function)
            if workflow:
                self._flows.append(durable_workflow(chosen, retry=retry, timeout=timeout))
            return function

        return register

    async def add(self, handlers: Mapping[str, TaskHandler]) -> None:
        """Register further handlers, also on a running worker."""
        stream, self._stream = self._stream, None
        try:
            for task_type, function in handlers.items():
                self.register(task_type, function)
        finally:
            self._stream = stream
        if stream is not None:
            await stream.announce(self.task_types)

    def set_slots(self, slots: int) -> None:
        """Change the number of tasks that run at once, without a reconnect.

        If more tasks are running, new ones start once enough have ended.
        """
        self.slots = _checked("slots", slots, limits.WORKER_SLOTS_MAX)
        if self._stream is not None:
            self._stream.set_slots(slots)

    def register_executor(self, action: str, function: TaskHandler) -> None:
        """Register the handler of a custom step action: `async (params, context) -> result`.

        `context` is a mapping of the shared data of the workflow and has the attributes of a
        TaskContext.
        """
        self.register(action, with_shared_data(action, function, self._describe, self._fetch))

    async def _describe(self, execution_id: str) -> Execution:
        assert self._client is not None
        return await self._client.get_execution(execution_id)

    async def _fetch(self, value: StoredValue) -> Json:
        assert self._client is not None
        return await self._client.fetch(value)

    # Lifecycle ------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Connect and wait until the worker service accepts the hello.

        Raises the refusal of the hello, or Unavailable if no service responds for 60 s.
        """
        if not self._handlers:
            raise Invalid("HELLO_INVALID", "a worker needs at least one handler")
        self._tracing = tracing = WorkerTracing(self.worker_id)
        self._client = self._given_client or self._connect(self._address, self._namespace)
        try:
            for flow in self._flows:
                await register_workflow(self._client, flow)
        except BaseException:
            await self._close()
            raise
        self._stream = WorkStream(
            caller=self._client.caller,
            worker_id=self.worker_id,
            namespace=self._namespace or self._client.namespace,
            queues=self.queues,
            task_types=self.task_types,
            slots=self.slots,
            labels=self.labels,
            runner=lambda finished, heartbeat, record: tracing.runner(
                handlers=self._handlers,
                payloads=self._payloads(),
                threads=self._threads,
                processes=self._processes,
                finished=finished,
                heartbeat=heartbeat,
                record=record,
            ),
        )
        try:
            await self._stream.open()
            self._attend()
            _log.info(
                "serving %s at %s, %d at once",
                ", ".join(self._handlers),
                self._client.address,
                self.slots,
            )
        except BaseException:
            await self._close()
            raise

    async def stop(self, drain_s: float | None = None) -> None:
        """Drain: accept no tasks, wait at most `drain_s` for running ones, cancel the rest.

        Without `drain_s` it is that of the worker.
        """
        if self._stream is not None:
            _log.info("draining")
            await self._stream.drain(self._drain_s if drain_s is None else drain_s)
        await self._close()

    async def run_async(self) -> None:
        """Run until `request_stop()` is called or this asyncio task is canceled, then drain."""
        self._stopping = asyncio.Event()
        stopping = asyncio.create_task(self._stopping.wait())
        starting = asyncio.create_task(self.start())
        try:
            await asyncio.wait((stopping, starting), return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                return
            starting.result()
            assert self._stream is not None
            await asyncio.wait(
                (stopping, self._stream.ended()), return_when=asyncio.FIRST_COMPLETED
            )
            self._stream.raise_if_broken()
        finally:
            starting.cancel()
            stopping.cancel()
            await asyncio.gather(starting, stopping, return_exceptions=True)
            await self.stop()

    def request_stop(self) -> None:
        """Stop `run()` and `run_async()`; call it on the thread of the loop."""
        if self._stopping is not None:
            self._stopping.set()

    def run(self) -> None:
        """Run until SIGINT or SIGTERM, then drain; for the main thread of a script.

        Logs to standard error unless the script configures logging.
        """
        logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s")

        async def main() -> None:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.request_stop)
            await self.run_async()

        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(main())

    def _attend(self) -> None:
        """Let the fleet know of this worker, if it is an agent."""
        if self._agent_id:
            assert self._client is not None
            stream = self._stream
            assert stream is not None
            attending = attend(
                self._client.caller,
                self._agent_id,
                self._namespace or self._client.namespace,
                lambda: self.slots,
                lambda: len(stream.tasks.held),
                self._gauges,
            )
            self._attending = asyncio.create_task(attending, name="flowmesh-agent")

    def _payloads(self) -> PayloadStore:
        assert self._client is not None
        return PayloadStore(self._client.caller, self._namespace, self._client.codec)

    async def _close(self) -> None:
        if self._attending is not None:
            self._attending.cancel()
            self._attending = None
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()
        tracing, self._tracing = self._tracing, None
        if tracing is not None:
            await tracing.close()
        if self._client is not None and self._client is not self._given_client:
            await self._client.close()
        self._client = None


def _checked(name: str, value: int, maximum: int) -> int:
    if not 1 <= value <= maximum:
        raise Invalid("HELLO_INVALID", f"{name} must be 1 to {maximum}, not {value}")
    return value


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not available on Windows
        return None
    return uvloop.new_event_loop
