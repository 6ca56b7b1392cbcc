"""How many starts of a session may be on their way: fewer while the server has too many."""

from flowmesh.sdk import limits

GROWTH = 0.1
"""What each start that was taken on adds."""


class Window:
    """Halved where starts are refused for being too many, widened by those that are taken on.

    Starts that were on their way together and are refused together halve it once.
    """

    def __init__(self) -> None:
        self._size = float(limits.SESSION_UNACKNOWLEDGED_MAX)
        self._sent = 0
        self._cut_at = 0
        self.on_their_way = 0

    @property
    def room(self) -> int:
        """How many more may be sent now."""
        return max(int(self._size) - self.on_their_way, 0)

    def sent(self) -> int:
        """One more is on its way; its number."""
        self._sent += 1
        self.on_their_way += 1
        return self._sent

    def taken(self) -> None:
        """One has been taken on."""
        self.on_their_way -= 1
        self._size = min(self._size + GROWTH, limits.SESSION_UNACKNOWLEDGED_MAX)

    def refused(self, number: int, *, too_many: bool) -> None:
        """One came back, perhaps because it was one of too many."""
        if too_many and number > self._cut_at:
            half = min(self._size, self.on_their_way) / 2
            self._size = max(half, limits.SESSION_WINDOW_MIN)
            self._cut_at = self._sent
        self.on_their_way -= 1

    def cleared(self) -> None:
        """The stream broke: nothing is on its way any more."""
        self.on_their_way = 0
