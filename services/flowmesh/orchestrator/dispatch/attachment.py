"""One attached worker service: its worker sets, their credit, and what is to be written to it."""

import asyncio
from collections import deque
from collections.abc import Iterable

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.orchestrator.limits.ready_queues import Key, ReadyQueues

FRAME_BYTES_MAX = 1 << 20
"""A frame of tasks is closed above this; one task is at most 256 KiB."""

ACKNOWLEDGED_WITHIN_S = 0.005
"""So long an acknowledgement may wait for tasks to travel with: nobody waits for it."""

SPECS_REMEMBERED_MAX = 10_000
"""Specs a receiver keeps of one stream; when so many were sent, all are sent anew."""


class WorkerSet:
    """Workers that take the same tasks. `credit` is what may still be sent to them."""

    __slots__ = (
        "backlog_sent",
        "credit",
        "grant",
        "granted_since",
        "keys",
        "labels",
        "set_id",
        "stream",
        "worker_id",
    )

    def __init__(self, stream: "WorkerStream", grant: pb.Grant, keys: Iterable[Key]) -> None:
        self.stream = stream
        self.set_id = grant.set_id
        self.worker_id = grant.worker_id
        self.grant = grant
        self.credit = 0
        self.backlog_sent = 0
        self.granted_since = False
        self.labels = frozenset(f"{name}={value}" for name, value in grant.labels.items())
        self.keys = {key: None for key in keys if self.takes(key)}

    def takes(self, key: Key) -> bool:
        namespace, queue, task_type, requires = key
        grant = self.grant
        return (
            task_type in grant.task_types
            and (not grant.namespaces or namespace in grant.namespaces)
            and (not grant.queues or queue in grant.queues)
            and (not requires or self.labels.issuperset(requires.split(",")))
        )


class WorkerStream:
    """What is collected for one stream until its writer takes it: one write per loop pass."""

    def __init__(self, *, local: bool = False) -> None:
        # A worker service of this very process, which ends with it.
        self.local = local
        self.worker_service_id = ""
        # Those that have credit or hold tasks here.
        self.workers: set[str] = set()
        self._arriving: set[str] = set()
        self.sets: dict[str, WorkerSet] = {}
        self.out = pb.AttachResponse()
        self._full: deque[pb.AttachResponse] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._acknowledging = False
        self._specs_sent: set[str] = set()

    def cancel(self, token: str) -> None:
        """Has the worker stop a task."""
        self.out.cancels.append(token)
        self.flush_soon()

    def flush_soon(self) -> None:
        self._wake.set()

    def arrived(self, hello: pb.AttachHello) -> set[str] | None:
        """Who came with the tasks of a hello; None while parts of it are still to come."""
        self._arriving.update(task.worker_id for task in hello.held)
        if hello.more:
            return None
        arrived, self._arriving = self._arriving, set()
        self.workers |= arrived
        return arrived

    def acknowledge(self, frame: int) -> None:
        """Says, with what leaves next, that all results up to this frame are settled."""
        self.out.acknowledged_frame = frame
        if not self._acknowledging:
            self._acknowledging = True
            loop = asyncio.get_running_loop()
            loop.call_later(ACKNOWLEDGED_WITHIN_S, self._acknowledge_now)

    def _acknowledge_now(self) -> None:
        self._acknowledging = False
        if self.out.acknowledged_frame:
            self._wake.set()

    async def next_frame(self) -> pb.AttachResponse:
        """What has been collected, as soon as there is anything."""
        await self._wake.wait()
        if self._full:
            return self._full.popleft()
        self._wake.clear()
        frame, self.out = self.out, pb.AttachResponse()
        self._bytes = 0
        return frame

    def task_added(self, size: int) -> None:
        """Says that a task of this size was added; a frame that is large enough is closed."""
        self._bytes += size
        if self._bytes > FRAME_BYTES_MAX:
            self._full.append(self.out)
            self.out = pb.AttachResponse()
            self._bytes = 0

    def send_spec(self, spec: plan_pb2.TaskSpec) -> None:
        """Adds a spec unless the receiver has it."""
        if spec.digest in self._specs_sent:
            return
        if len(self._specs_sent) >= SPECS_REMEMBERED_MAX:
            self._specs_sent.clear()
        self._specs_sent.add(spec.digest)
        self.out.specs.append(spec)

    def grant(self, grant: pb.Grant, keys: Iterable[Key]) -> bool:
        """Adds credit; whether it is that of a worker that was not here."""
        arrived = False
        worker_set = self.sets.get(grant.set_id)
        if worker_set is None:
            self._remove_worker(grant.worker_id)
            worker_set = self.sets[grant.set_id] = WorkerSet(self, grant, keys)
            arrived = grant.worker_id not in self.workers
            self.workers.add(grant.worker_id)
        worker_set.credit += grant.slots
        worker_set.granted_since = worker_set.granted_since or grant.slots > 0
        return arrived

    def recall(self, set_id: str) -> None:
        """Gives back the credit of a set that is unused, and says how much that was."""
        worker_set = self.sets.get(set_id)
        left = worker_set.credit if worker_set is not None else 0
        if worker_set is not None:
            worker_set.credit = 0
        self.out.recalled.add(set_id=set_id, slots=left)
        self.flush_soon()

    def _remove_worker(self, worker_id: str) -> None:
        """A worker that reconnected comes with a new set; its earlier one is never used again."""
        if worker_id and worker_id != self.worker_service_id:
            gone = [i for i, one in self.sets.items() if one.worker_id == worker_id]
            for set_id in gone:
                del self.sets[set_id]

    def remove_sets(self, set_ids: Iterable[str]) -> None:
        """Workers have left for good, with the credit of their sets."""
        for set_id in set_ids:
            if (gone := self.sets.pop(set_id, None)) is not None:
                self.workers.discard(gone.worker_id)

    def add_key(self, key: Key) -> None:
        """A kind of task was seen for the first time."""
        for worker_set in self.sets.values():
            if key not in worker_set.keys and worker_set.takes(key):
                worker_set.keys[key] = None

    def report_backlog(self, ready: ReadyQueues) -> None:
        """Says how much waits for sets without credit, when that begins and when it ends.

        Again when what was granted meanwhile was not enough: nobody else would ask for more.
        """
        for worker_set in self.sets.values():
            waiting = 0 if worker_set.credit else ready.waiting(worker_set.keys)
            short = waiting > 0 and worker_set.granted_since
            if short or bool(waiting) != bool(worker_set.backlog_sent):
                worker_set.backlog_sent = waiting
                worker_set.granted_since = False
                self.out.backlogs.add(set_id=worker_set.set_id, tasks=waiting)
                self.flush_soon()
