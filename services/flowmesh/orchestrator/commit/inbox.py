"""Commands that wait for the next commit; bounded, callers get OVERLOADED beyond the limits."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import get_args

from flowmesh.engine import Asked, Record, Start, TaskEnded
from flowmesh.engine.state.journal import size_of
from flowmesh.errors import Overloaded
from flowmesh.orchestrator.commit.admission import BACKLOG_US, Admission
from flowmesh.orchestrator.model.commands import STALE, PendingCommand

WAITING_MAX = 20_000
WAITING_BYTES_MAX = 64 << 20
"""Beyond these limits, commands of callers are rejected with OVERLOADED."""

BATCH_COMMANDS_MAX = 500
BATCH_BYTES_MAX = 3 << 20
"""A payload may occur in two events of a batch, and a batch must fit into one message."""

RETRY_AFTER_MS = 100
COMMAND_BYTES = 200
"""Estimated bytes of a command without its payload."""

BY_CALLERS = (Start, *get_args(Asked))
"""Commands of callers, who wait for the answer and can repeat the call."""


class Inbox:
    """Commands in the order of decision: those of running executions before starts.

    `now_us` is any monotonic clock.
    """

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._commands: deque[PendingCommand] = deque()
        self._starts: deque[PendingCommand] = deque()
        self._bytes = 0
        self._batches_apart = 0
        self._any = asyncio.Event()
        self._now_us = now_us
        self._admission = Admission()
        self._beside: Callable[[PendingCommand], bool] | None = None

    def __len__(self) -> int:
        return len(self._commands) + len(self._starts)

    def refusal(self) -> Overloaded | None:
        """Return the error for a start while earlier starts wait too long; None if accepted."""
        if self._admission.admits(len(self._starts)):
            return None
        text = "more executions are started than this orchestrator can commit; retry later"
        return Overloaded("OVERLOADED", text, retry_after_ms=BACKLOG_US // 1_000)

    def admit(self) -> None:
        """Raise OVERLOADED while starts wait too long for their commit."""
        refusal = self.refusal()
        if refusal is not None:
            raise refusal

    def submit(self, pending: PendingCommand) -> None:
        """Queue a command, or answer OVERLOADED if too many wait."""
        pending.size = _size_of(pending)
        if pending.repeatable and self._beside is not None and self._beside(pending):
            return
        if (len(self) >= WAITING_MAX or self._bytes >= WAITING_BYTES_MAX) and isinstance(
            pending.command, BY_CALLERS
        ):
            text = "too many commands wait for their commit; retry later"
            pending.answer(Overloaded("OVERLOADED", text, retry_after_ms=RETRY_AFTER_MS))
            return
        self._bytes += pending.size
        if isinstance(pending.command, Start):
            pending.queued_at_us = self._now_us()
            self._starts.append(pending)
        else:
            self._commands.append(pending)
        self._any.set()

    def put_back(self, commands: Iterable[PendingCommand], *, first: bool) -> None:
        """Queue commands again in their order, before all others or behind them."""
        again = list(commands)
        self._bytes += sum(pending.size for pending in again)
        if first:
            self._commands.extendleft(reversed(again))
        else:
            self._commands.extend(again)
        self._any.set()

    def put_apart(self, commands: Sequence[PendingCommand]) -> None:
        """Queue commands as a batch of their own, behind all others."""
        self._batches_apart += 1
        for pending in commands:
            pending.apart = self._batches_apart
        self.put_back(commands, first=False)

    @contextmanager
    def beside(self, decide: Callable[[PendingCommand], bool]) -> Iterator[None]:
        """Offer results of repeatable tasks to this function first, which may take them."""
        self._beside = decide
        try:
            yield
        finally:
            self._beside = None

    def void(self, execution_id: str, committed: int) -> None:
        """Answer the results of tasks sent ahead because of events after this sequence."""
        void = [
            pending
            for pending in self._commands
            if pending.cause > committed and pending.execution_id == execution_id
        ]
        for pending in void:
            self._commands.remove(pending)
            self._bytes -= pending.size
            pending.answer(STALE)

    async def until_any(self) -> None:
        if not self:
            self._any.clear()
            await self._any.wait()

    def take(self) -> list[PendingCommand]:
        """Return the next batch; commands that were put apart share it with no others."""
        now_us, starts = self._now_us(), len(self._starts)
        waited_us = now_us - self._starts[0].queued_at_us if starts else 0
        commands: list[PendingCommand] = []
        size = 0
        while len(commands) < BATCH_COMMANDS_MAX and size < BATCH_BYTES_MAX:
            waiting = self._commands or self._starts
            if not waiting or (commands and waiting[0].apart != commands[0].apart):
                break
            pending = waiting.popleft()
            commands.append(pending)
            size += pending.size
        self._bytes -= size
        self._admission.observe(starts, starts - len(self._starts), waited_us, now_us)
        return commands


def _size_of(pending: PendingCommand) -> int:
    command = pending.command
    if isinstance(command, TaskEnded):
        return COMMAND_BYTES + (len(command.output.data) if command.output is not None else 0)
    if isinstance(command, Record):
        return COMMAND_BYTES + sum(map(size_of, command.records))
    payload = (
        getattr(command, "output", None)
        or getattr(command, "input", None)
        or getattr(command, "payload", None)
        or getattr(command, "value", None)
    )
    return COMMAND_BYTES + (len(payload.data) if payload is not None else 0)
