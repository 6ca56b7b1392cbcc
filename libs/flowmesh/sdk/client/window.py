"""The number of unacknowledged starts of a session, adapted to the capacity of the server."""

from flowmesh.sdk.values import limits

GROWTH = 0.1
"""The growth of the window per accepted start; a start refused by overload shrinks it by one."""


class Window:
    """The starts in flight and their current limit."""

    def __init__(self) -> None:
        self._size = float(limits.SESSION_UNACKNOWLEDGED_MAX)
        self._in_flight = 0

    @property
    def room(self) -> int:
        """The number of further starts that may be sent now."""
        return max(int(self._size) - self._in_flight, 0)

    def sent(self) -> None:
        """Count a sent start."""
        self._in_flight += 1

    def accepted(self) -> None:
        """Count an accepted start and grow the window."""
        self._in_flight -= 1
        self._size = min(self._size + GROWTH, limits.SESSION_UNACKNOWLEDGED_MAX)

    def refused(self, *, overloaded: bool) -> None:
        """Count a refused start; an overloaded server shrinks the window."""
        self._in_flight -= 1
        if overloaded:
            self._size = max(self._size - 1, limits.SESSION_WINDOW_MIN)

    def reset(self) -> None:
        """Count no start as in flight, after the stream broke."""
        self._in_flight = 0
