"""The arguments of the methods of the hub."""

from typing import Any, Final

import msgspec

from flowmesh.errors import Invalid, Violation
from flowmesh.gateway.http.ids import checked_id
from flowmesh.gateway.http.limits import INT64_MAX
from flowmesh.views import EVENT_TYPES, SIGNAL_FLOW

SUBSCRIBE: Final = "Subscribe"
SUBSCRIBE_ALL: Final = "SubscribeAll"
UNSUBSCRIBE: Final = "Unsubscribe"
METHODS: Final = (SUBSCRIBE, SUBSCRIBE_ALL, UNSUBSCRIBE)

# The target of events without a target of their own.
OTHER: Final = "Event"
# Events that are targets themselves: clients warn of each target without a handler.
TARGETS: Final = (
    "WorkflowStarted",
    "WorkflowCompleted",
    "WorkflowFailed",
    "WorkflowCanceled",
    "WorkflowTerminated",
    "WorkflowPaused",
    "WorkflowResumed",
    "WorkflowContinued",
    "TaskStarted",
    "TaskCompleted",
    "TaskFailed",
    "TaskRetrying",
    "TaskSkipped",
    "TaskCanceled",
    SIGNAL_FLOW,
)
ALL_TYPES: Final = (*EVENT_TYPES.values(), SIGNAL_FLOW)


class Options(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Options of a subscription."""

    # Sequence of the last known event of an execution.
    after: int = 0
    # Cursor of the last known event of `SubscribeAll`.
    cursor: str = ""
    workflow: str = ""
    types: list[str] = []
    # Sends further types of events as `Event`.
    other: bool = False
    view: str = "full"

    @property
    def wanted(self) -> tuple[str, ...]:
        """Return the names of the requested types of events."""
        return tuple(self.types) or (ALL_TYPES if self.other else TARGETS)


def execution_of(arguments: list[Any]) -> tuple[str, Options]:
    """Return the arguments of `Subscribe(executionId[, after | options])`."""
    if not 1 <= len(arguments) <= 2 or not isinstance(arguments[0], str):
        raise refusal("arguments", "must be an execution id, and optionally a sequence or options")
    given = arguments[1] if len(arguments) == 2 else None
    if isinstance(given, int) and not isinstance(given, bool):
        given = {"after": given}
    return checked_id("executionId", arguments[0]), _options(given, ("cursor", "workflow"))


def filter_of(arguments: list[Any]) -> Options:
    """Return the argument of `SubscribeAll([filter])`."""
    if len(arguments) > 1:
        raise refusal("arguments", "must be at most one filter")
    return _options(arguments[0] if arguments else None, ("after",))


def unsubscribed(arguments: list[Any]) -> str:
    """Return the argument of `Unsubscribe([executionId])`; empty ends `SubscribeAll`."""
    if len(arguments) > 1 or not all(isinstance(each, str) for each in arguments):
        raise refusal("arguments", "must be at most one execution id")
    return arguments[0] if arguments else ""


def refusal(field: str, what: str) -> Invalid:
    violation = Violation(field, what, "REQUEST_INVALID")
    return Invalid("REQUEST_INVALID", f"{field}: {what}.", violations=(violation,))


def _options(given: Any, foreign: tuple[str, ...]) -> Options:
    if given is None:
        return Options()
    try:
        options = msgspec.convert(given, Options)
    except msgspec.ValidationError as error:
        raise refusal("arguments", str(error)) from None
    for name in foreign:
        if getattr(options, name):
            raise refusal(name, "is not an option of this method")
    if not 0 <= options.after <= INT64_MAX:
        raise refusal("after", f"must be an integer from 0 to {INT64_MAX}")
    if unknown := [each for each in options.types if each not in ALL_TYPES]:
        raise refusal("types", f"{unknown[0][:60]!r} is no type of event")
    if options.view not in ("full", "outline"):
        raise refusal("view", "must be full or outline")
    if options.workflow:
        checked_id("workflow", options.workflow)
    return options
