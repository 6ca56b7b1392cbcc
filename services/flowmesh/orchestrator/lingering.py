"""When the next batch is worth waiting for.

Fewer and larger commits cost less, and what a process saves by them it has for more commands. The
size of the last batch must not decide: small ones would stay small under any load. What decides
is how fast commands come and how much of its time the process works.
"""

import asyncio

from flowmesh.orchestrator.inbox import BATCH_COMMANDS_MAX, Inbox
from flowmesh.runtime import Clock

WINDOW_MS = 10.0
"""What is judged is what happened in at least this time."""

BUSY = 0.45
"""Larger batches pay only for a process that is at work for this part of the time; one that has
time to spare commits at once."""

COMMANDS_PER_MS = 1.6
STEP_S = 0.001
STEPS_MAX = 5


class Linger:
    """Waits between two commits of a process, if that is worth it."""

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self._began_ms = self._worked_ms = 0.0
        self._commands = 0
        self._is_worth = False

    async def after(self, commands: int) -> None:
        """After a commit of so many: returns when no more arrive, or in STEPS_MAX ms."""
        self._commands += commands
        if not self._judged():
            return
        waiting = len(self._inbox)
        for _ in range(STEPS_MAX):
            await asyncio.sleep(STEP_S)
            if len(self._inbox) == waiting or waiting >= BATCH_COMMANDS_MAX:
                return
            waiting = len(self._inbox)

    def _judged(self) -> bool:
        now_ms = self._clock.monotonic_ms()
        passed_ms = now_ms - self._began_ms
        if passed_ms >= WINDOW_MS:
            cpu_ms = self._clock.cpu_ms()
            is_busy = cpu_ms - self._worked_ms >= BUSY * passed_ms
            self._is_worth = is_busy and self._commands >= COMMANDS_PER_MS * passed_ms
            self._began_ms, self._worked_ms, self._commands = now_ms, cpu_ms, 0
        return self._is_worth
