"""What goes wrong in durable handlers.

Exception
├── OperationFailed      what the handler asked for failed; `.failure` says why
│   ├── StepFailed       a step, its retries included
│   └── CallFailed       a task that it called
└── NonDeterministic     the handler does not do again what its journal says that it did
"""

from flowmesh.sdk.failures import Failure

NON_DETERMINISTIC = "NON_DETERMINISTIC"


class OperationFailed(Exception):
    """What a handler asked for failed and is not tried again; `name` is what it was called."""

    def __init__(self, name: str, failure: Failure) -> None:
        super().__init__(f"{name}: {failure}")
        self.name = name
        self.failure = failure


class StepFailed(OperationFailed):
    """A step failed, its retries included."""


class CallFailed(OperationFailed):
    """A task that the handler called failed, its retries included."""


class NonDeterministic(Exception):
    """The journal and the handler differ: it was changed, or it does what it does by chance.

    `position` is that of the record in the journal, from 0.
    """

    def __init__(self, position: int, recorded: str, asked: str) -> None:
        super().__init__(
            f"journal record {position} is {recorded}, the handler came to {asked}; a handler that"
            " has begun must go on as it did, so put the change behind what it has done, or give"
            " the new one a name of its own"
        )
        self.position = position
        self.recorded = recorded
        self.asked = asked
