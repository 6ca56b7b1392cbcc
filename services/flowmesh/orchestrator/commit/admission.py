"""Whether starts are taken on, judged by how long those before them had to wait for their commit.

More than can be done at once only waits, and keeps what was taken on before from being finished.
A pause alone (the database, a disk, the machine) is no reason to refuse: only waiting that does
not end is, of more than a few. From then on only those wait that are begun within `BACKLOG_US`,
until nobody had to be refused for a while: what begins together is committed together, step by
step, so all of it takes several times as long.
"""

WAIT_MAX_US = 40_000
"""A start should wait no longer than this."""

BACKLOG_US = 28_000
"""So much work waits while it is too much."""

PATIENCE_US = 250_000
"""Every batch has to be late for so long before anybody is refused."""

PERIOD_US = 1_000_000
"""So long it is looked at what is begun and refused; after one without a refusal nobody is."""

CROWD_MIN = 200
"""So few are no overload, however slow the machine is: callers that each wait for an answer."""

FLOOD_MIN = 500
"""So many that wait too long are too much, without patience: no batch begins all of them, and each
that is taken on before it is noticed waits for all the others."""

WAITING_MIN = 80
"""So few may wait in any case: a session that sends what it has as it is taken on does less with
fewer, which then are fewer still."""


class Admission:
    """What the waits of starts, batch by batch, say about the next ones."""

    def __init__(self) -> None:
        self._crowded = False
        self._on_time_at_us = 0
        self._period_at_us = 0
        self._begun = 0
        self._has_refused = False
        self._waiting_max = WAITING_MIN

    def admits(self, waiting: int) -> bool:
        """Whether one more may wait, beside so many starts that do."""
        if not self._crowded or waiting < self._waiting_max:
            return True
        self._has_refused = True
        return False

    def observe(self, waiting: int, begun: int, waited_us: int, now_us: int) -> None:
        """Of so many that wait, the first of them so long, a batch begins so many."""
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
