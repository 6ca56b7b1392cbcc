"""State machines under construction, and merged values of branches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from flowmesh.definitions.exports.parts import Document
from flowmesh.definitions.scopes import Scope


@dataclass(slots=True)
class Level:
    """One machine: its states, and the states after a skipped or failed node.

    With `finishes`, a failure is marked in the value of a branch and the others finish first;
    `marks` is True for such a branch.
    """

    scope: Scope
    skip: Callable[[], str]
    fail: Callable[[], str]
    finishes: bool
    marks: bool = False
    states: dict[str, Document] = field(default_factory=dict)

    def ordered(self, start: str) -> Document:
        """Return the machine with its states in order of their transitions."""
        found: dict[str, Document] = {}
        waiting = [start]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self.states[name]
                waiting += reversed(list(_following(found[name])))
        return {"StartAt": start, "States": found}


def _following(state: Document) -> Iterator[str]:
    if "Next" in state:
        yield state["Next"]
    for each in (*state.get("Choices", ()), *state.get("Catch", ())):
        yield each["Next"]
    if "Default" in state:
        yield state["Default"]


def transition(following: str) -> Document:
    return {"Next": following} if following else {"End": True}


def merged(member: str, numbers: list[int]) -> str:
    """Return a call that merges this member of the branches' values; the last one wins."""
    if len(numbers) == 1:
        return f"$[{numbers[0]}].{member}"
    half = len(numbers) // 2
    one, other = merged(member, numbers[:half]), merged(member, numbers[half:])
    return f"States.JsonMerge({one}, {other}, false)"
