"""One bound that a caller can meet."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """One bound: `value` is the largest that is accepted.

    `reason` is that of the refusal, empty where a library below answers without one of ours, or a
    failure class where a step fails of it. `note` says what the number alone does not.
    """

    what: str
    value: float
    unit: str
    reason: str
    where: str
    note: str = ""
