"""Events that do not fit a consumer: its filter or its template fails over them.

A misfit is a problem of this consumer alone: others get the event, and its publisher is answered as
usual. It is recorded as the last problem of the consumer.
"""

from dataclasses import dataclass
from typing import Final

from flowmesh.expressions import RenderError

PROBLEM_CHARACTERS_MAX: Final = 500


class Misfit(Exception):
    """An event that does not fit. `refused` if the filter holds, so that a start fails."""

    def __init__(self, problem: str, *, refused: bool) -> None:
        super().__init__(problem[:PROBLEM_CHARACTERS_MAX])
        self.refused = refused

    @classmethod
    def of_filter(cls, error: RenderError) -> "Misfit":
        return cls(f"FILTER_INVALID: the filter fails over an event: {error}", refused=False)

    @classmethod
    def of_input(cls, error: RenderError) -> "Misfit":
        return cls(f"INPUT_INVALID: the template makes no input: {error}", refused=True)

    @classmethod
    def of_definition(cls, error: Exception) -> "Misfit":
        """Return the misfit of a stored consumer that this version cannot read."""
        return cls(f"EXPRESSION_INVALID: not readable: {error}", refused=True)


@dataclass(frozen=True, slots=True)
class TriggerMisfit:
    """A misfit of a trigger."""

    namespace: str
    workflow: str
    trigger: str
    misfit: Misfit
