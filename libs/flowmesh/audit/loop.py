"""The rounds of a loop that empties an outbox."""

import time
from typing import ClassVar

from flowmesh.access.audited import audited_call
from flowmesh.runtime.loop import Loop

# A transaction has ended by then; later ones wait for the next change or the next round.
AWAKE_S = 3.0
# For changes of a process that is gone.
REST_MS = 120_000


class OutboxLoop(Loop):
    """Runs each second for a time after an audited statement, and rests otherwise.

    An idle suite therefore makes no statements. The first round is that of the start, for changes
    before a crash.
    """

    interval_ms: ClassVar[int] = 1_000

    def __init__(self) -> None:
        self._awake_until = 0.0

    def call(self) -> str:
        """Return the present call for a statement that changes an audited table."""
        self.notice()
        return audited_call()

    def notice(self) -> None:
        """Expect a row in the outbox soon."""
        now = time.monotonic()
        if now >= self._awake_until:
            self.wake()
        self._awake_until = now + AWAKE_S

    def pause_ms(self) -> float:
        return self.interval_ms if time.monotonic() < self._awake_until else REST_MS
