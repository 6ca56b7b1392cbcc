"""Machines of states that are being written, and the values of branches merged into one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from flowmesh.definitions.exports.parts import Document
from flowmesh.definitions.scopes import Scope


@dataclass(slots=True)
class Level:
    """One machine: its states, and where one of them goes on that is not followed.

    A failure is marked in the value of a branch where the others are finished first (`finishes` of
    what it stands in), and `marks` says that this is such a branch.
    """

    scope: Scope
    skip: Callable[[], str]
    fail: Callable[[], str]
    finishes: bool
    marks: bool = False
    states: dict[str, Document] = field(default_factory=dict)

    def ordered(self, start: str) -> Document:
        """The machine with its states as they follow from the first."""
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
    """A call that merges this member of the values of branches; of one twice, the last is left."""
    if len(numbers) == 1:
        return f"$[{numbers[0]}].{member}"
    half = len(numbers) // 2
    one, other = merged(member, numbers[:half]), merged(member, numbers[half:])
    return f"States.JsonMerge({one}, {other}, false)"
