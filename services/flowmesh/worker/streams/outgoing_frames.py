"""Messages that wait for a stream to an orchestrator, in order and in frames of bounded size."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from flowmesh.api.worker.v1.dispatch_service_pb2 import (
    AttachHello,
    AttachRequest,
    Breaker,
    Grant,
    HeldTask,
    HeldTasks,
    LostTask,
    RefusedTask,
)
from flowmesh.api.worker.v1.task_pb2 import Heartbeat, TaskRecords
from flowmesh.worker import limits


class OutgoingFrames:
    """The queue of everything but results. True if it is not empty.

    `wake` is called for each addition. All additions of one pass of the event loop share a frame
    as far as it has room.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._full: deque[AttachRequest] = deque()
        self._last, self._bytes = AttachRequest(), 0
        self._records: deque[TaskRecords] = deque()

    def __bool__(self) -> bool:
        return bool(self._full or self._bytes or self._records)

    # --- additions ---

    def hello(self, hello: AttachHello) -> None:
        """Add the tokens that are held here, in as many parts as needed."""
        for held, more in _parts(hello.held):
            service = hello.worker_service_id
            part = AttachHello(worker_service_id=service, held=held, more=more)
            self._room_for(part.ByteSize()).hello.MergeFrom(part)

    def report_held(self, answer: HeldTasks) -> None:
        """Add the held tasks of a partition, in as many parts as needed."""
        for held, more in _parts(answer.tasks):
            part = HeldTasks(partition=answer.partition, tasks=held, more=more)
            self._room_for(part.ByteSize()).held.append(part)

    def grant(self, grant: Grant) -> None:
        """Grant slots of a worker set."""
        self._room_for(grant.ByteSize()).grants.append(grant)

    def recall(self, set_id: str) -> None:
        """Ask for the unused slots of a worker set."""
        self._room_for(len(set_id)).recalls.append(set_id)

    def report_gone(self, set_id: str) -> None:
        """Report that a worker set is disconnected."""
        self._room_for(len(set_id)).gone_sets.append(set_id)

    def heartbeat(self, heartbeats: Iterable[Heartbeat]) -> None:
        for heartbeat in heartbeats:
            self._room_for(heartbeat.ByteSize()).heartbeats.append(heartbeat)

    def record(self, records: TaskRecords) -> None:
        """Add journal records of a handler; they leave before the next results."""
        self._records.append(records)
        self._wake()

    def report_lost(self, lost: LostTask) -> None:
        self._room_for(lost.ByteSize()).lost.append(lost)

    def return_task(self, token: str) -> None:
        """Return a task that was not run; its delivery is not counted."""
        self._room_for(len(token)).returned.append(token)

    def refuse(self, refused: RefusedTask) -> None:
        """Refuse a task of an owner with an outdated epoch."""
        self._room_for(refused.ByteSize()).refused.append(refused)

    def report_breakers(self, breakers: Iterable[Breaker]) -> None:
        for breaker in breakers:
            self._room_for(breaker.ByteSize()).breakers.append(breaker)

    def _room_for(self, size: int) -> AttachRequest:
        """Return the message that takes `size` bytes more, a new one if the last one is full."""
        self._wake()
        if self._bytes and self._bytes + size > limits.FRAME_BYTES_MAX:
            self._full.append(self._last)
            self._last, self._bytes = AttachRequest(), 0
        self._bytes += size
        return self._last

    # --- frames ---

    def take(self) -> tuple[AttachRequest, int]:
        """Return the next frame, empty if none waits, and the bytes of records in it.

        Records are in the last frame only. The number of bytes is FRAME_BYTES_MAX if other frames
        follow: no result may overtake them.
        """
        if self._full:
            return self._full.popleft(), limits.FRAME_BYTES_MAX
        frame, self._last, self._bytes = self._last, AttachRequest(), 0
        size = 0
        while self._records and size < limits.FRAME_BYTES_MAX:
            records = self._records.popleft()
            frame.records.append(records)
            size += records.ByteSize()
        return frame, size


def _parts(tasks: Iterable[HeldTask]) -> Iterator[tuple[list[HeldTask], bool]]:
    """Split tasks into parts that fit in a message, at least one; True if more parts follow."""
    part: list[HeldTask] = []
    size = 0
    for task in tasks:
        task_bytes = task.ByteSize()
        if part and size + task_bytes > limits.FRAME_BYTES_MAX:
            yield part, True
            part, size = [], 0
        part.append(task)
        size += task_bytes
    yield part, False
