"""Commit delay (group commit): a pause before the next batch that lets it grow.

Fewer and larger commits save processor time for more commands. The delay depends on the load of
the process and on the duration of a commit. It does not depend on the size of the last batch, or
small batches would stay small under any load, nor on a fixed rate, which machines do not share.
"""

import asyncio

from flowmesh.orchestrator.commit.inbox import BATCH_COMMANDS_MAX, Inbox
from flowmesh.runtime import Clock

WINDOW_MS = 10.0
"""Minimum time over which load and commits are measured."""

BUSY_SHARE = 0.45
"""Share of time, at work or in wait for a core, from which on larger batches pay."""

COMMANDS_A_COMMIT = 2
"""Average batch size from which on the delay pays; smaller batches come from serial callers."""

STEPS_MAX = 5
STEPS_A_COMMIT = 4
"""A step is this part of the last commit's duration: its callers send their next commands."""

STEP_S_MIN = 0.001
STEP_S_MAX = 0.003


class GroupDelay:
    """Delays the next commit of a process while that saves work."""

    def __init__(self, inbox: Inbox, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self._began_ms = self._busy_ms = 0.0
        self._commands = self._commits = 0
        self._pays = False

    async def after(self, commands: int, taken_ms: float) -> None:
        """Wait after a commit until no more commands arrive, for STEPS_MAX steps at most."""
        self._commands += commands
        self._commits += 1
        if not self._is_worthwhile():
            return
        step_s = min(max(taken_ms / STEPS_A_COMMIT / 1_000, STEP_S_MIN), STEP_S_MAX)
        waiting = len(self._inbox)
        for _ in range(STEPS_MAX):
            await asyncio.sleep(step_s)
            if len(self._inbox) == waiting or waiting >= BATCH_COMMANDS_MAX:
                return
            waiting = len(self._inbox)

    def _is_worthwhile(self) -> bool:
        now_ms = self._clock.monotonic_ms()
        passed_ms = now_ms - self._began_ms
        if passed_ms >= WINDOW_MS:
            busy_ms = self._clock.busy_ms()
            is_busy = busy_ms - self._busy_ms >= BUSY_SHARE * passed_ms
            self._pays = is_busy and self._commands >= COMMANDS_A_COMMIT * self._commits
            self._began_ms, self._busy_ms = now_ms, busy_ms
            self._commands = self._commits = 0
        return self._pays
