"""Tasks whose end waits for its commit."""

from collections import Counter

from flowmesh.orchestrator.model.commands import Answer, Reply


class UncommittedEnds:
    """Such a task has no lease any more, and must not go out again.

    Whoever looks for open tasks meanwhile still finds it in its execution's state. A result that
    is sent again ends its task twice, and the first of them may come to nothing.
    """

    def __init__(self) -> None:
        self._ends: Counter[str] = Counter()

    def __contains__(self, token: str) -> bool:
        return token in self._ends

    def track(self, token: str, reply: Reply) -> Reply:
        """The task ends until this reply is called, which is passed on."""
        self._ends[token] += 1

        def ended(answer: Answer | Exception) -> None:
            self._ends[token] -= 1
            if not self._ends[token]:
                del self._ends[token]
            reply(answer)

        return ended
