"""The move of a project to another cell, as the directory records it."""

from dataclasses import dataclass, fields
from typing import Final, Self

from flowmesh.cells.numbers import CELLS_MAX

COPYING: Final = "copying"
SWITCHING: Final = "switching"
STARTING: Final = "starting"
ENDING: Final = "ending"
STEPS: Final = (COPYING, SWITCHING, STARTING, ENDING)
"""While definitions are copied, the source serves the project. While it is switched, the source
refuses changes. Afterwards the target is the home: applications and agents are started there, and
executions that run end at the source.
"""

SWITCH_S = 20.0
"""Time after which a gateway serves a project again whose switch is neither done nor repeated."""

TRIGGERS_MAX = 1_000
"""Triggers of a project that moves."""

MOVE_HEADER: Final = "flowmesh-move"
"""The header of a call with the number of the cell that it is for, while its project moves."""

SOURCE_HEADER: Final = "flowmesh-source"
"""The header of a call by a step with its project. It can only refuse the call: the data of a
project with strict residency stays in its region.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A project on its way from a cell to another.

    `paused` has each trigger that the move pauses at the source: its workflow, its id, and the next
    instant of its schedule in us; 0 without one. `stopped` has the applications that it
    stops there.
    """

    source: int
    target: int
    step: str = COPYING
    paused: tuple[tuple[str, str, int], ...] = ()
    stopped: tuple[str, ...] = ()

    @property
    def paused_triggers(self) -> frozenset[tuple[str, str]]:
        """The paused triggers, each a workflow and its id."""
        return frozenset((workflow, trigger) for workflow, trigger, _ in self.paused)

    @classmethod
    def of(cls, found: object) -> Self:
        """Return the move of an entry; raise ValueError with its problem."""
        # Cells of an earlier version wrote moves that stop no applications.
        values = {"stopped": [], **found} if isinstance(found, dict) else {}
        if values.keys() != {each.name for each in fields(cls)}:
            raise ValueError("a move of the directory is malformed")
        source, target, step, paused, stopped = (values[each.name] for each in fields(cls))
        if not is_number(source) or not is_number(target) or source == target:
            raise ValueError(f"a move has two cells, numbers from 0 to {CELLS_MAX - 1}")
        if step not in STEPS:
            raise ValueError(f"the step of a move is one of {', '.join(STEPS)}")
        if not isinstance(paused, list) or len(paused) > TRIGGERS_MAX:
            raise ValueError(f"a move pauses a list of at most {TRIGGERS_MAX} triggers")
        if not all(_is_trigger(each) for each in paused):
            raise ValueError("a paused trigger has the ids of its workflow and its own, and a time")
        if not isinstance(stopped, list) or not all(isinstance(each, str) for each in stopped):
            raise ValueError("a move stops a list of applications, each by its name")
        triggers = tuple((str(workflow), str(each), int(at)) for workflow, each, at in paused)
        return cls(source=source, target=target, step=step, paused=triggers, stopped=tuple(stopped))


def is_number(value: object) -> bool:
    """Return whether a value is the number of a cell."""
    return type(value) is int and 0 <= value < CELLS_MAX


def _is_trigger(value: object) -> bool:
    return isinstance(value, list) and [type(each) for each in value] == [str, str, int]
