"""Retries and durations of a node in the Amazon States Language: whole seconds."""

from collections.abc import Iterable

from flowmesh.contract import FINAL_BY_DEFAULT, NEVER_RETRIED, TEMPORARY
from flowmesh.definitions.exports.parts import Document
from flowmesh.definitions.exports.unsupported import UnsupportedFeatures
from flowmesh.definitions.model import Retry

ANY_ERROR = "States.ALL"
_STATUS = "States.Http.StatusCode."
_ERRORS = {
    "Timeout": ("States.Timeout", f"{_STATUS}408"),
    "NetworkError": ("States.Http.Socket",),
    "EgressBlocked": ("States.Permissions",),
    "AuthenticationError": ("AuthenticationError", f"{_STATUS}401", f"{_STATUS}403"),
    "RateLimitError": ("RateLimitError", f"{_STATUS}429"),
    "ServerError": ("ServerError", *(f"{_STATUS}{number}" for number in range(500, 600))),
    "ClientError": (
        "ClientError",
        *(f"{_STATUS}{n}" for n in range(400, 500) if n not in (401, 403, 408, 429)),
    ),
    # A template that cannot be rendered is a path to a missing value.
    "ValidationError": (
        "ValidationError",
        "States.ParameterPathFailure",
        "States.IntrinsicFailure",
        "States.Runtime",
    ),
}
_MS = 1_000


def whole_seconds(ms: int, what: str, unsupported: UnsupportedFeatures, node_id: str = "") -> int:
    if ms % _MS:
        unsupported.add(f"{what} of {ms} ms, not in whole seconds", node_id)
    return ms // _MS


def retriers_of(
    retry: Retry, unsupported: UnsupportedFeatures, node_id: str, *, http: bool, handled: bool
) -> list[Document]:
    """Return the `Retry` of a task; empty for a single attempt.

    `http` means a request, `handled` a task of a worker outside of Flowmesh.
    """
    if retry.max_attempts == 1:
        return []
    if retry.max_elapsed_ms:
        unsupported.add("a time limit of retries (maxElapsed)", node_id)
    for each in (*retry.retry_on, *retry.never_on):
        if each == "ChildFailed" or each.startswith("States."):
            unsupported.add(f"the failure class {each} in a retry", node_id)
    if retry.jitter not in (0, 1):
        unsupported.add(f"a jitter of {retry.jitter} (only 0 and 1 are possible)", node_id)
    first, most = retry.initial_delay_ms, retry.max_delay_ms or 0
    capped = bool(most) and most <= first
    first = most if capped else first
    if first < _MS or first % _MS:
        unsupported.add(
            f"a first delay of {first} ms between attempts, not in whole seconds (set a retry "
            "from 1s on, or maxAttempts: 1)",
            node_id,
        )
    found: Document = {
        "IntervalSeconds": first // _MS,
        "MaxAttempts": retry.max_attempts - 1,
        "BackoffRate": 1 if capped else retry.multiplier,
    }
    longest = first * found["BackoffRate"] ** min(retry.max_attempts - 2, 64)
    if most and longest > most:
        found["MaxDelaySeconds"] = whole_seconds(most, "a maximum delay", unsupported, node_id)
    if retry.jitter:
        found["JitterStrategy"] = "FULL"
    by_default = handled and not retry.retry_on
    final = FINAL_BY_DEFAULT if by_default else ()
    never = tuple(dict.fromkeys((*NEVER_RETRIED, *final, *retry.never_on)))
    if by_default or "*" in retry.retry_on:
        return [
            {"ErrorEquals": _names(never, http), "MaxAttempts": 0},
            {"ErrorEquals": [ANY_ERROR], **found},
        ]
    classes = [each for each in retry.retry_on or TEMPORARY if each not in never]
    return [{"ErrorEquals": _names(classes, http), **found}] if classes else []


def _names(classes: Iterable[str], http: bool) -> list[str]:
    names = dict.fromkeys(name for each in classes for name in _ERRORS.get(each, (each,)))
    return [name for name in names if http or not name.startswith(_STATUS)]
