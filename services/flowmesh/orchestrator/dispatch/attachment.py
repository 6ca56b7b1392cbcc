"""The stream of one attached worker service: its worker sets, their credit, outgoing frames."""

import asyncio
from collections import deque
from collections.abc import Iterable

from flowmesh.api.definition.v1 import plan_pb2
from flowmesh.api.worker.v1 import dispatch_service_pb2 as pb
from flowmesh.orchestrator.limits.ready_queues import Key, ReadyQueues

FRAME_BYTES_MAX = 1 << 20
"""A frame of tasks is closed above this; one task is at most 256 KiB."""

ACKNOWLEDGED_WITHIN_S = 0.005
"""Longest delay of an acknowledgment, which travels with tasks if there are any."""

SPECS_REMEMBERED_MAX = 10_000
"""Specs that the receiver keeps per stream; after this number all specs are sent again."""


class WorkerSet:
    """Workers that take the same tasks. `credit` is the number of tasks they still accept."""

    __slots__ = (
        "attached_at_us",
        "backlog_sent",
        "credit",
        "grant",
        "granted_since",
        "keys",
        "labels",
        "set_id",
        "slots",
        "stream",
        "worker_id",
    )

    def __init__(
        self, stream: "WorkerStream", grant: pb.Grant, keys: Iterable[Key], now_us: int
    ) -> None:
        self.stream = stream
        self.attached_at_us = now_us
        self.slots = 0
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
    """Collects output for one stream: one frame per pass of the event loop."""

    def __init__(self, *, local: bool = False) -> None:
        # The worker service runs in this process and ends with it.
        self.local = local
        self.worker_service_id = ""
        # Workers that gave credit or hold tasks.
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
        """Send the worker the cancellation of a task."""
        self.out.cancels.append(token)
        self.flush_soon()

    def flush_soon(self) -> None:
        self._wake.set()

    def arrived(self, hello: pb.AttachHello) -> set[str] | None:
        """Return the workers of a complete hello; None while parts of it are missing."""
        self._arriving.update(task.worker_id for task in hello.held)
        if hello.more:
            return None
        arrived, self._arriving = self._arriving, set()
        self.workers |= arrived
        return arrived

    def acknowledge(self, frame: int) -> None:
        """Acknowledge all results up to this frame with the next output."""
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
        """Wait for output and return it."""
        await self._wake.wait()
        if self._full:
            return self._full.popleft()
        self._wake.clear()
        frame, self.out = self.out, pb.AttachResponse()
        self._bytes = 0
        return frame

    def task_added(self, size: int) -> None:
        """Count the bytes of an added task; close the frame once it is large enough."""
        self._bytes += size
        if self._bytes > FRAME_BYTES_MAX:
            self._full.append(self.out)
            self.out = pb.AttachResponse()
            self._bytes = 0

    def send_spec(self, spec: plan_pb2.TaskSpec) -> None:
        """Add a spec unless the receiver has it."""
        if spec.digest in self._specs_sent:
            return
        if len(self._specs_sent) >= SPECS_REMEMBERED_MAX:
            self._specs_sent.clear()
        self._specs_sent.add(spec.digest)
        self.out.specs.append(spec)

    def grant(self, grant: pb.Grant, keys: Iterable[Key], now_us: int) -> bool:
        """Add credit. Return True if it belongs to a worker that is new on this stream."""
        arrived = False
        worker_set = self.sets.get(grant.set_id)
        if worker_set is None:
            self._remove_worker(grant.worker_id)
            worker_set = self.sets[grant.set_id] = WorkerSet(self, grant, keys, now_us)
            arrived = grant.worker_id not in self.workers
            self.workers.add(grant.worker_id)
        worker_set.slots = grant.capacity or worker_set.slots
        worker_set.credit += grant.slots
        worker_set.granted_since = worker_set.granted_since or grant.slots > 0
        return arrived

    def recall(self, set_id: str) -> None:
        """Return the unused credit of a set to the worker service."""
        worker_set = self.sets.get(set_id)
        left = worker_set.credit if worker_set is not None else 0
        if worker_set is not None:
            worker_set.credit = 0
        self.out.recalled.add(set_id=set_id, slots=left)
        self.flush_soon()

    def _remove_worker(self, worker_id: str) -> None:
        """Remove the earlier sets of a worker that reconnected with a new one."""
        if worker_id and worker_id != self.worker_service_id:
            gone = [i for i, one in self.sets.items() if one.worker_id == worker_id]
            for set_id in gone:
                del self.sets[set_id]

    def remove_sets(self, set_ids: Iterable[str]) -> None:
        """Remove sets, with their credit, whose workers have left."""
        for set_id in set_ids:
            if (gone := self.sets.pop(set_id, None)) is not None:
                self.workers.discard(gone.worker_id)

    def add_key(self, key: Key) -> None:
        """Add a new kind of task to the sets that take it."""
        for worker_set in self.sets.values():
            if key not in worker_set.keys and worker_set.takes(key):
                worker_set.keys[key] = None

    def report_backlog(self, ready: ReadyQueues) -> None:
        """Report the backlog of sets without credit, when it begins and when it ends.

        Report it again if credit that was granted meanwhile is used up.
        """
        for worker_set in self.sets.values():
            waiting = 0 if worker_set.credit else ready.waiting(worker_set.keys)
            short = waiting > 0 and worker_set.granted_since
            if short or bool(waiting) != bool(worker_set.backlog_sent):
                worker_set.backlog_sent = waiting
                worker_set.granted_since = False
                self.out.backlogs.add(set_id=worker_set.set_id, tasks=waiting)
                self.flush_soon()
