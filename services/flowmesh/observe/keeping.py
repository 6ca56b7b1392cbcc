"""The state of the signal store, for the log and for readers: taking signals or not."""

from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

QUIET_US: Final = 20_000_000
"""Without a refusal for so long, ten rounds of a process, the store takes signals again."""


class Keeping:
    """Since when the store refuses signals; the log has a line at the begin and one at the end.

    A line for each refusal would itself be a signal that is refused.
    """

    def __init__(self, *, now_us: Callable[[], int], log: FilteringBoundLogger) -> None:
        self._now_us, self._log = now_us, log
        self._refused_us = 0
        self.not_kept_since_us = 0

    def refused(self, error: BaseException) -> None:
        """Note a batch that was not stored."""
        self._refused_us = self._now_us()
        if not self.not_kept_since_us:
            self.not_kept_since_us = self._refused_us
            problem = f"{type(error).__name__}: {error}"
            self._log.warning("signals_not_kept", problem=problem)

    def stored(self) -> None:
        """Note a batch that was stored. On a disk that is nearly full, a small one may be."""
        now_us = self._now_us()
        if self.not_kept_since_us and now_us - self._refused_us >= QUIET_US:
            seconds = (now_us - self.not_kept_since_us) // 1_000_000
            self._log.warning("signals_kept_again", after_s=seconds)
            self.not_kept_since_us = 0
