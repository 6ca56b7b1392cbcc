"""Commands that wait for their commit, and the answers to their senders."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from flowmesh.api.common.v1 import payload_pb2
from flowmesh.api.execution.v1 import execution_service_pb2 as pb
from flowmesh.api.worker.v1.task_pb2 import WorkerScope
from flowmesh.engine import Command, Debounce, Start
from flowmesh.plan import Plan


@dataclass(frozen=True, slots=True)
class Started:
    """Answer to a start. `created` is False if an earlier call started the execution."""

    execution_id: str
    created: bool


class Stale:
    """Answer to a command without effect: it does not concern the current attempt."""


STALE = Stale()

Answer = Started | Stale | int
"""The answer to a start, STALE, or the sequence of the execution's last event."""

VOID = 1 << 62
"""The cause of a task that was sent ahead, by another owner or for a discarded decision."""

Reply = Callable[[Answer | Exception], None]
"""Called once, after the commit. Must not raise."""


def no_reply(answer: Answer | Exception) -> None:
    """Ignore the answer: no caller waits for the command."""


class Reservation(Protocol):
    """The share of queues and quotas that an admitted start holds until its answer."""

    def release(self, answer: Answer | Exception) -> None:
        """Give the share back, or keep what an execution was created for."""


class PendingCommand:
    """A command on its way to the engine.

    `queued_at_us` is set for starts. `size` is an estimate in bytes. Commands with the same
    `apart`, unless 0, are a batch without others, and `refusals` counts the times that the database
    rejected one alone. `verdict` is the answer after the commit of its batch. `scope` is what the
    credential of a worker permits, for results that are checked against their task. `cause` is the
    sequence of the event for which its task was sent ahead of the commit, 0 for other tasks; the
    result of a `repeatable` task may be decided beside a commit.
    """

    __slots__ = (
        "apart",
        "cause",
        "command",
        "execution_id",
        "partition",
        "queued_at_us",
        "refusals",
        "repeatable",
        "reply",
        "scope",
        "size",
        "verdict",
    )

    def __init__(
        self, execution_id: str, partition: int, command: Command, reply: Reply = no_reply
    ) -> None:
        self.execution_id = execution_id
        self.partition = partition
        self.command = command
        self.reply = reply
        self.queued_at_us = 0
        self.size = 0
        self.apart = 0
        self.refusals = 0
        self.cause = 0
        self.repeatable = False
        self.scope: WorkerScope | None = None
        self.verdict: Answer | Exception = STALE

    def answer(self, answer: Answer | Exception) -> None:
        """Answer the sender; later answers are ignored."""
        reply, self.reply = self.reply, no_reply
        reply(answer)


class PendingStart(PendingCommand):
    """A start: its execution exists only after the commit.

    `epoch` is the epoch at which no earlier answer existed; 0 if that was not looked up.
    `digest_of` returns the digest for another input. `reservation` is released by the answer.
    """

    __slots__ = (
        "digest_of",
        "epoch",
        "namespace",
        "plan",
        "request_id",
        "reservation",
        "start",
        "start_digest",
    )

    def __init__(
        self,
        partition: int,
        command: Start,
        reply: Reply = no_reply,
        *,
        plan: Plan,
        start_digest: bytes,
        digest_of: Callable[[payload_pb2.Payload], bytes] | None = None,
    ) -> None:
        super().__init__("", partition, command, reply)
        self.plan = plan
        self.start = command
        self.namespace = plan.namespace
        self.request_id = command.request_id
        self.start_digest = start_digest
        self.digest_of = digest_of
        self.epoch = 0
        self.reservation: Reservation | None = None

    def answer(self, answer: Answer | Exception) -> None:
        """Answer the sender, and release the reservation; later answers are ignored."""
        reservation, self.reservation = self.reservation, None
        if reservation is not None:
            reservation.release(answer)
        super().answer(answer)


class PendingDebounce(PendingCommand):
    """A start whose input a waiting execution takes."""

    __slots__ = ("start",)

    def __init__(
        self, start: PendingStart, execution_id: str, reply: Callable[[Any], None]
    ) -> None:
        super().__init__(execution_id, start.partition, Debounce(start.start), reply)
        self.start = start


def compensate_choice(
    request: pb.CancelExecutionRequest | pb.TerminateExecutionRequest,
) -> bool | None:
    """Return whether completed nodes are to be compensated; None if the request leaves it open."""
    return request.compensate if request.HasField("compensate") else None


def start_digest(request: pb.StartExecutionRequest, given: payload_pb2.Payload) -> bytes:
    """Return the digest that a repeated start with this input must share with the first one."""
    digest = hashlib.blake2b(digest_size=16)
    chosen = request.version_label or request.version
    if request.HasField("link"):
        chosen = ""  # Resolved at the start, so a repeat may resolve to another version.
    digest.update(f"{request.workflow_id}\0{chosen}\0".encode())
    if given.sensitive:  # those of an input that is stored
        given = payload_pb2.Payload(
            encoding=given.encoding,
            data=given.data,
            reference=given.reference if given.HasField("reference") else None,
        )
    digest.update(given.SerializeToString(deterministic=True))
    for name in sorted(request.labels):
        digest.update(f"\0{name}\0{request.labels[name]}".encode())
    for name in sorted(request.permissions):
        digest.update(f"\0{name}".encode())
    return digest.digest()
