"""A worker: handlers by task type, run as tasks come over one stream to a worker service."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeVar

from flowmesh.errors import Invalid
from flowmesh.sdk import limits
from flowmesh.sdk.client.client import Client
from flowmesh.sdk.durable.flows import durable_workflow, register_workflow
from flowmesh.sdk.environment import namespace_or_default
from flowmesh.sdk.executions import Execution, StoredValue
from flowmesh.sdk.ids import new_worker_id
from flowmesh.sdk.payloads import Json, PayloadStore
from flowmesh.sdk.worker.handlers import Handler, Pool, TaskHandler, durable_handler_of, handler_of
from flowmesh.sdk.worker.step_context import with_shared_data
from flowmesh.sdk.worker.tracing import WorkerTracing
from flowmesh.sdk.worker.work_stream import WorkStream
from flowmesh.sdk.workflows.declarations import Duration, Retry, task_type_of
from flowmesh.sdk.workflows.flow import Workflow

_log = logging.getLogger("flowmesh.sdk")
H = TypeVar("H", bound=TaskHandler)


class Worker:
    """Runs tasks of the types it has handlers for.

    Handlers are registered with `@worker.task("charge-card")`, as
    `async def charge(input, context)` or plain functions, which run in threads, or with
    `pool="process"` in processes.
    `worker.run()` blocks until SIGINT or SIGTERM and drains; `async with worker:` runs it
    beside other work.
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
    ) -> None:
        self.slots = _checked("slots", slots, limits.WORKER_SLOTS_MAX)
        self.queues = tuple(queues)
        self.labels = dict(labels or {})
        self.worker_id = worker_id or new_id()
        self._given_client = client if isinstance(client, Client) else None
        self._address = client if isinstance(client, str) else client.address
        self._namespace = namespace or (
            client.namespace if isinstance(client, Client) else namespace_or_default("")
        )
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
        """What it runs, by task type."""
        return self._handlers

    @property
    def workflows(self) -> Sequence[Workflow]:
        """Those of its durable handlers."""
        return self._flows

    def task(self, task_type: str, *, pool: Pool = "") -> Callable[[H], H]:
        """Decorator: the function handles tasks of this type."""

        def register(function: H) -> H:
            self.register(task_type, function, pool=pool)
            return function

        return register

    def register(self, task_type: str, function: TaskHandler, *, pool: Pool = "") -> None:
        """What `@task` says of the function's pool holds where nothing is said here."""
        self._check_new(task_type)
        said = task_type_of(function)
        pool = pool or (said.pool if said is not None else "")
        self._handlers[task_type] = handler_of(task_type, function, pool)

    def _check_new(self, task_type: str) -> None:
        if self._stream is not None:
            raise Invalid("HELLO_INVALID", "handlers are registered before the worker starts")
        if task_type in self._handlers:
            raise Invalid("HELLO_INVALID", f"{task_type!r} has a handler already")

    def durable(
        self,
        name: str,
        *,
        workflow: bool = True,
        retry: Retry | None = None,
        timeout: Duration | None = None,
    ) -> Callable[[H], H]:
        """Decorator: `async def handler(ctx, input)` is the durable handler of this task type.

        The worker registers a workflow of this name whose only task it is, with `retry` and the
        limit of one attempt, unless `workflow` is false.
        """

        def register(function: H) -> H:
            self._check_new(name)
            self._handlers[name] = durable_handler_of(name, function)
            if workflow:
                self._flows.append(durable_workflow(name, retry=retry, timeout=timeout))
            return function

        return register

    async def add(self, handlers: Mapping[str, TaskHandler]) -> None:
        """Registers further handlers, on a running worker too."""
        stream, self._stream = self._stream, None
        try:
            for task_type, function in handlers.items():
                self.register(task_type, function)
        finally:
            self._stream = stream
        if stream is not None:
            await stream.announce(self.task_types)

    def set_slots(self, slots: int) -> None:
        """Runs so many tasks at once from now on, without a reconnect.

        With fewer than run now the next ones come when enough of them have ended.
        """
        self.slots = _checked("slots", slots, limits.WORKER_SLOTS_MAX)
        if self._stream is not None:
            self._stream.set_slots(slots)

    def register_executor(self, action: str, function: TaskHandler) -> None:
        """The handler of a step's custom `action`: `async (params, context) -> result`.

        `context` is a mapping of the workflow's shared data, with what a TaskContext has too.
        """
        self.register(action, with_shared_data(action, function, self._describe, self._fetch))

    async def _describe(self, execution_id: str) -> Execution:
        assert self._client is not None
        return await self._client.get_execution(execution_id)

    async def _fetch(self, value: StoredValue) -> Json:
        assert self._client is not None
        return await self._client.fetch(value)

    # Life -----------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Opens the stream and returns once the worker service has answered the hello.

        Raises what refused the hello, and Unavailable when nothing answers for 60 s.
        """
        if not self._handlers:
            raise Invalid("HELLO_INVALID", "a worker needs at least one handler")
        self._tracing = tracing = WorkerTracing(self.worker_id)
        self._client = self._given_client or Client(self._address, self._namespace)
        try:
            for flow in self._flows:
                await register_workflow(self._client, flow)
        except BaseException:
            await self._close()
            raise
        self._stream = WorkStream(
            caller=self._client.caller,
            worker_id=self.worker_id,
            namespace=self._namespace,
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
            _log.info(
                "serving %s at %s, %d at once",
                ", ".join(self._handlers),
                self._client.address,
                self.slots,
            )
        except BaseException:
            await self._close()
            raise

    async def stop(self) -> None:
        """Takes no more tasks, lets open ones end (at most `drain_s`), cancels the rest."""
        if self._stream is not None:
            _log.info("draining")
            await self._stream.drain(self._drain_s)
        await self._close()

    async def run_async(self) -> None:
        """Runs until `request_stop()` is called or the task is canceled, then drains."""
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
        """Ends `run()` and `run_async()`; from the loop's own thread."""
        if self._stopping is not None:
            self._stopping.set()

    def run(self) -> None:
        """Blocks until SIGINT or SIGTERM, then drains. For the main thread of a script.

        Says on standard error where it serves, unless the script has set up its logging.
        """
        logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(message)s")

        async def main() -> None:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.request_stop)
            await self.run_async()

        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(main())

    def _payloads(self) -> PayloadStore:
        assert self._client is not None
        return PayloadStore(self._client.caller, self._namespace)

    async def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()
        tracing, self._tracing = self._tracing, None
        if tracing is not None:
            await tracing.close()
        if self._client is not None and self._client is not self._given_client:
            await self._client.close()
        self._client = None


def _checked(name: str, value: int, most: int) -> int:
    if not 1 <= value <= most:
        raise Invalid("HELLO_INVALID", f"{name} is 1 to {most}, not {value}")
    return value


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not there on Windows
        return None
    return uvloop.new_event_loop
