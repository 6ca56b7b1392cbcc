"""What is to be said on a stream: in its order, in messages of bounded size."""

from collections import deque
from collections.abc import Iterable, Iterator

from flowmesh.api.worker.v1.dispatch_service_pb2 import (
    AttachHello,
    AttachRequest,
    HeldTask,
    HeldTasks,
)
from flowmesh.worker import limits


class Sayings:
    """Messages that wait for their stream; true while there are any."""

    def __init__(self) -> None:
        self._full: deque[AttachRequest] = deque()
        self._last, self._bytes = AttachRequest(), 0

    def __bool__(self) -> bool:
        return bool(self._full or self._bytes)

    def room_for(self, size: int) -> AttachRequest:
        """The message that takes so many bytes more; what was said before goes out before it."""
        if self._bytes and self._bytes + size > limits.FRAME_BYTES_MAX:
            self._full.append(self._last)
            self._last, self._bytes = AttachRequest(), 0
        self._bytes += size
        return self._last

    def take(self) -> AttachRequest:
        """The next message; an empty one where nothing waits."""
        if self._full:
            return self._full.popleft()
        message, self._last, self._bytes = self._last, AttachRequest(), 0
        return message

    def hello(self, hello: AttachHello) -> None:
        """In as many parts as it needs."""
        for held, more in _parts(hello.held):
            service = hello.worker_service_id
            part = AttachHello(worker_service_id=service, held=held, more=more)
            self.room_for(part.ByteSize()).hello.MergeFrom(part)

    def hold(self, answer: HeldTasks) -> None:
        """In as many parts as it needs."""
        for held, more in _parts(answer.tasks):
            part = HeldTasks(partition=answer.partition, tasks=held, more=more)
            self.room_for(part.ByteSize()).held.append(part)


def _parts(tasks: Iterable[HeldTask]) -> Iterator[tuple[list[HeldTask], bool]]:
    """Tasks by what one message has room for, at least one part; whether more follow."""
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
