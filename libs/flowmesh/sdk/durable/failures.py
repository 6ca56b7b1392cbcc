"""Exceptions of durable handlers.

Exception
├── OperationFailed      an operation of the handler failed; `.failure` has the reason
│   ├── StepFailed       a step failed after its retries
│   └── CallFailed       a called task failed after its retries
└── NonDeterministic     the handler differs from its journal
"""

from flowmesh.sdk.values.failures import Failure

NON_DETERMINISTIC = "NON_DETERMINISTIC"


class OperationFailed(Exception):
    """An operation of a handler failed after its retries; `name` is the name of the operation."""

    def __init__(self, name: str, failure: Failure) -> None:
        super().__init__(f"{name}: {failure}")
        self.name = name
        self.failure = failure


class StepFailed(OperationFailed):
    """A step failed after its retries."""


class CallFailed(OperationFailed):
    """A called task failed after its retries."""


class NonDeterministic(Exception):
    """The handler differs from its journal: its code was changed, or it is not deterministic.

    `position` is the position of the record in the journal, from 0.
    """

    def __init__(self, position: int, recorded: str, asked: str) -> None:
        super().__init__(
            f"journal record {position} is {recorded}, but the handler requested {asked}; a handler"
            " with running executions must repeat its operations: make the change after them, or"
            " give the changed handler another name"
        )
        self.position = position
        self.recorded = recorded
        self.asked = asked
