"""How many starts of a session may be on their way: as many as the server takes on."""

from flowmesh.sdk import limits

GROWTH = 0.1
"""What each start that was taken on adds; each that was one of too many takes one off."""


class Window:
    """Starts on their way, and how many of them there may be."""

    def __init__(self) -> None:
        self._size = float(limits.SESSION_UNACKNOWLEDGED_MAX)
        self._on_their_way = 0

    @property
    def room(self) -> int:
        """How many more may be sent now."""
        return max(int(self._size) - self._on_their_way, 0)

    def sent(self) -> None:
        """One more is on its way."""
        self._on_their_way += 1

    def taken(self) -> None:
        """One has been taken on."""
        self._on_their_way -= 1
        self._size = min(self._size + GROWTH, limits.SESSION_UNACKNOWLEDGED_MAX)

    def refused(self, *, too_many: bool) -> None:
        """One came back, perhaps because it was one of too many."""
        self._on_their_way -= 1
        if too_many:
            self._size = max(self._size - 1, limits.SESSION_WINDOW_MIN)

    def cleared(self) -> None:
        """The stream broke: nothing is on its way any more."""
        self._on_their_way = 0
