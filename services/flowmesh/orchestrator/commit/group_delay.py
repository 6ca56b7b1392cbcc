"""When the next batch is worth waiting for, and for how long.

Fewer and larger commits cost less, and what a process saves by them it has for more commands. The
size of the last batch must not decide: small ones would stay small under any load. Nor must a pace
that only a fast machine has. What decides is how much of its time the process works, and how long
a commit takes it.
"""

import asyncio

from flowmesh.orchestrator.commit.inbox import BATCH_COMMANDS_MAX, Inbox
from flowmesh.runtime import Clock

WINDOW_MS = 10.0
"""What is judged is what happened in at least this time."""

BUSY = 0.45
"""Larger batches pay only for a process that is at work for this part of the time; one that has
time to spare commits at once."""

COMMANDS_A_COMMIT = 2
"""Where fewer come, they come one after the other: there are none to wait for."""

STEPS_MAX = 5
STEPS_A_COMMIT = 4
"""A step is this part of what the last commit took: whoever was told by it answers meanwhile."""

STEP_S_MIN = 0.001
STEP_S_MAX = 0.003


class GroupDelay:
    """Waits between two commits of a process, if that is worth it."""

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self._began_ms = self._worked_ms = 0.0
        self._commands = self._commits = 0
        self._is_worth = False

    async def after(self, commands: int, taken_ms: float) -> None:
        """After a commit of so many: returns when no more arrive, or in STEPS_MAX steps."""
        self._commands += commands
        self._commits += 1
        if not self._judged():
            return
        step_s = min(max(taken_ms / STEPS_A_COMMIT / 1_000, STEP_S_MIN), STEP_S_MAX)
        waiting = len(self._inbox)
        for _ in range(STEPS_MAX):
            await asyncio.sleep(step_s)
            if len(self._inbox) == waiting or waiting >= BATCH_COMMANDS_MAX:
                return
            waiting = len(self._inbox)

    def _judged(self) -> bool:
        now_ms = self._clock.monotonic_ms()
        passed_ms = now_ms - self._began_ms
        if passed_ms >= WINDOW_MS:
            cpu_ms = self._clock.cpu_ms()
            is_busy = cpu_ms - self._worked_ms >= BUSY * passed_ms
            self._is_worth = is_busy and self._commands >= COMMANDS_A_COMMIT * self._commits
            self._began_ms, self._worked_ms = now_ms, cpu_ms
            self._commands = self._commits = 0
        return self._is_worth
