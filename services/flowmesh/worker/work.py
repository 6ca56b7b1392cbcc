"""`WorkerService`: the streams of remote workers, whose messages go to the relay."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import grpc

from flowmesh.access import Principal, current
from flowmesh.api.worker.v1 import worker_service_pb2_grpc
from flowmesh.api.worker.v1.worker_service_pb2 import WorkHello, WorkRequest, WorkResponse
from flowmesh.errors import FlowmeshError, Forbidden, Invalid, Violation
from flowmesh.executors.builtin import RESERVED_TASK_TYPES
from flowmesh.rpc import valid_id
from flowmesh.worker import limits
from flowmesh.worker.attempts.remote_secrets import PERMISSION, RemoteSecrets
from flowmesh.worker.registered import CountMany, WorkerCalls
from flowmesh.worker.relay import Relay
from flowmesh.worker.remote import RemoteWorker
from flowmesh.worker.sets import Owner

# Of a queue and of a namespace.
DEFAULT_NAME = "default"
Context = grpc.aio.ServicerContext[Any, Any]


class WorkServer(worker_service_pb2_grpc.WorkerServiceServicer):
    """Turns streams of workers into worker sets, by worker id."""

    def __init__(
        self,
        relay: Relay,
        secrets: RemoteSecrets | None = None,
        *,
        monotonic_ms: Callable[[], float],
        new_id: Callable[[], str],
        count: CountMany | None = None,
    ) -> None:
        self._relay = relay
        self._monotonic_ms = monotonic_ms
        self._new_id = new_id
        self._secrets = secrets
        # Counts the tasks of workers for the topology.
        self._count = count
        self._workers: dict[str, RemoteWorker] = {}

    async def Work(
        self, request_iterator: AsyncIterator[WorkRequest], context: Context
    ) -> AsyncIterator[WorkResponse]:
        first = await anext(request_iterator, WorkRequest())
        hello = _checked(first)
        caller = current()
        worker = self._connect(hello, None if caller is None else owner_of(caller, hello))
        reader = asyncio.create_task(worker.read(request_iterator))
        try:
            worker.received(first)
            async for response in worker.responses():
                yield response
            if reader.done():
                # An invalid message of the worker may have ended its stream.
                reader.result()
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError, grpc.RpcError, FlowmeshError):
                await reader
            self._disconnect(worker)

    def drain_all(self) -> None:
        for worker in self._workers.values():
            self._relay.drain_set(worker)
            worker.request_drain()

    def close_all(self) -> None:
        for worker in list(self._workers.values()):
            worker.close()

    def _connect(self, hello: WorkHello, owner: Owner | None) -> RemoteWorker:
        before = self._workers.get(hello.worker_id)
        if before is not None and before.owner != owner:
            raise Forbidden("WORKER_ID_TAKEN", "another worker has this worker id")
        worker = RemoteWorker(
            set_id=f"{hello.worker_id}/{self._new_id()}",
            hello=hello,
            owner=owner,
            relay=self._relay,
            monotonic_ms=self._monotonic_ms,
            secrets=self._secrets,
            calls=WorkerCalls(self._count, self._monotonic_ms) if self._count else None,
        )
        self._workers[hello.worker_id] = worker
        self._relay.add_set(worker, hello.held)
        if before is not None:
            # The worker reconnected before its former stream was seen to be broken.
            self._relay.remove_set(before)
            before.close()
        return worker

    def _disconnect(self, worker: RemoteWorker) -> None:
        if self._workers.get(worker.worker_id) is worker:
            del self._workers[worker.worker_id]
        self._relay.remove_set(worker)


def owner_of(caller: Principal, hello: WorkHello) -> Owner:
    """Return the owner of a worker.

    Raises WORKER_NOT_PERMITTED for queues and task types that its credential does not permit.
    """
    for kind, permitted, stated in (
        ("queue", caller.queues, hello.queues or [DEFAULT_NAME]),
        ("task type", caller.task_types, hello.task_types),
    ):
        foreign = sorted(set(stated) - permitted) if permitted else []
        if foreign:
            names = ", ".join(sorted(permitted))
            text = f"the API key does not permit the {kind} {foreign[0]}; it permits {names}"
            raise Forbidden("WORKER_NOT_PERMITTED", text)
    namespace = hello.namespace or DEFAULT_NAME
    secrets = frozenset(
        name.removeprefix(PERMISSION) for name in caller.permissions if name.startswith(PERMISSION)
    )
    return Owner(caller.id, namespace, caller.queues, caller.task_types, secrets)


def _checked(request: WorkRequest) -> WorkHello:
    """Return the hello of a first message. Raises HELLO_INVALID with every problem."""
    if not request.HasField("hello"):
        raise Invalid("HELLO_INVALID", "the first message of a worker must contain `hello`")
    hello = request.hello
    problems = [Violation(*problem) for problem in _problems(hello)]
    if problems:
        message = f"hello.{problems[0].field}: {problems[0].description}"
        raise Invalid("HELLO_INVALID", message, violations=tuple(problems))
    valid_id(hello.worker_id, "hello.worker_id")
    labels = (part for label in hello.labels.items() for part in label)
    for name in (hello.namespace, *hello.queues, *hello.task_types, *labels, hello.sdk):
        if name:
            valid_id(name, "hello")
    return hello


def _problems(hello: WorkHello) -> list[tuple[str, str]]:
    problems = []
    if not hello.worker_id:
        problems.append(("worker_id", "a worker id is required"))
    if not hello.task_types:
        problems.append(("task_types", "a worker offers at least one task type"))
    for task_type in hello.task_types:
        if task_type in RESERVED_TASK_TYPES:
            problems.append(("task_types", f"{task_type} is built in and cannot be offered"))
    if not 1 <= hello.slots <= limits.WORKER_SLOTS_MAX:
        problems.append(("slots", f"slots are 1 to {limits.WORKER_SLOTS_MAX}"))
    if max(len(hello.task_types), len(hello.queues)) > limits.WORKER_NAMES_MAX:
        problems.append(("task_types", f"at most {limits.WORKER_NAMES_MAX} types and queues"))
    if len(hello.labels) > limits.WORKER_LABELS_MAX:
        problems.append(("labels", f"at most {limits.WORKER_LABELS_MAX} labels"))
    if len(hello.held) > limits.HELD_TOKENS_MAX:
        problems.append(("held", f"at most {limits.HELD_TOKENS_MAX} tokens"))
    return problems
