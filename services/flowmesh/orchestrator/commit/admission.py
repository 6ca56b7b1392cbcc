"""Load shedding for starts, by the time that earlier starts waited for their commit.

Accepting more starts than the process can commit only adds waiting, and delays executions that have
begun. A pause alone (of the database, a disk, the machine) sheds no load. Shedding begins when more
than `CROWD_MIN` starts keep waiting too long; then only starts that fit into `BACKLOG_US` are
accepted. It ends after a period without a rejection. Starts that begin together are committed
together, step by step, so each of them takes several times as long.
"""

WAIT_MAX_US = 40_000
"""The longest wait of a start that counts as in time."""

BACKLOG_US = 28_000
"""The backlog that is accepted while load is shed, as time to commit it."""

PATIENCE_US = 250_000
"""Load is shed after every batch was late for this time."""

PERIOD_US = 1_000_000
"""The period over which starts are counted; shedding ends after one without a rejection."""

CROWD_MIN = 200
"""Up to this number of waiting starts there is no overload: callers that wait for their answers."""

FLOOD_MIN = 500
"""Above this number of late starts, load is shed without patience: one batch cannot commit all of
them, and each further start waits for all the others."""

WAITING_MIN = 80
"""This number of starts may always wait: a session that sends as fast as it is accepted would
slow down with fewer, and the measured rate with it."""


class Admission:
    """Accepts or rejects starts by the waits of earlier batches."""

    def __init__(self) -> None:
        self._crowded = False
        self._on_time_at_us = 0
        self._period_at_us = 0
        self._begun = 0
        self._has_refused = False
        self._waiting_max = WAITING_MIN

    def admits(self, waiting: int) -> bool:
        """Return whether one more start may wait beside `waiting` others."""
        if not self._crowded or waiting < self._waiting_max:
            return True
        self._has_refused = True
        return False

    def observe(self, waiting: int, begun: int, waited_us: int, now_us: int) -> None:
        """Record that a batch takes `begun` of `waiting` starts, the first after `waited_us`."""
        self._begun += begun
        if waited_us <= WAIT_MAX_US or waiting <= CROWD_MIN:
            self._on_time_at_us = now_us
        elif not self._crowded and (
            waiting > FLOOD_MIN or now_us - self._on_time_at_us > PATIENCE_US
        ):
            self._crowded = True
            self._has_refused = True
        passed_us = now_us - self._period_at_us
        if passed_us >= PERIOD_US:
            self._waiting_max = max(self._begun * BACKLOG_US // passed_us, WAITING_MIN)
            self._crowded = self._crowded and self._has_refused
            self._period_at_us, self._begun, self._has_refused = now_us, 0, False
