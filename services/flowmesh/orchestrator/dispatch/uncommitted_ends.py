"""Tasks whose end is not committed yet."""

from flowmesh.orchestrator.model.commands import Answer, Reply


class UncommittedEnds:
    """Tokens of such tasks: they have no lease any more and must not be sent again.

    Until the commit, the state of the execution still lists the task as open. A result that is sent
    twice ends its task twice, and the first end may be discarded, so ends are counted.
    """

    def __init__(self) -> None:
        self._ends: dict[str, int] = {}

    def __contains__(self, token: str) -> bool:
        return token in self._ends

    def track(self, token: str, reply: Reply) -> Reply:
        """Track an end until the returned reply is called, which calls `reply`."""
        self._ends[token] = self._ends.get(token, 0) + 1

        def ended(answer: Answer | Exception) -> None:
            if self._ends[token] == 1:
                del self._ends[token]
            else:
                self._ends[token] -= 1
            reply(answer)

        return ended
