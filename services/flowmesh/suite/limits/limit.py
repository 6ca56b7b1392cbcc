"""A bound that a caller can meet."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound; `value` is the largest accepted one.

    `reason` is that of the refusal, empty if a library answers without one of ours, or the failure
    class of a failing step. `note` adds facts to the number.
    """

    what: str
    value: float
    unit: str
    reason: str
    where: str
    note: str = ""
