"""Retries in the configuration of an application: `{attempts, backoff, max}`."""

from collections.abc import Collection

from flowmesh.apps.catalog.descriptor import duration
from flowmesh.apps.catalog.values import ValueMismatch, convert
from flowmesh.contract.json_value import Json
from flowmesh.contract.retries import Retry

ATTEMPTS_MAX = 100
BACKOFF_MAX_S = 60.0
_BACKOFF = duration("backoff", "Time before the second attempt.")


def read_retry(raw: Json, keys: Collection[str] = ("attempts", "backoff")) -> Retry:
    """Read a policy with these keys; an empty one is a single attempt. Raises ValueMismatch."""
    if not raw:
        return Retry()
    given = raw if isinstance(raw, dict) else {"": raw}
    if unknown := [key for key in given if key not in keys]:
        raise ValueMismatch(f"has {' and '.join(keys)}, not {unknown[0]!r}")
    attempts = given.get("attempts", 3)
    if type(attempts) is not int or not 1 <= attempts <= ATTEMPTS_MAX:
        raise ValueMismatch(f"has attempts from 1 to {ATTEMPTS_MAX}")
    return Retry(
        attempts=attempts,
        initial_s=float(convert(_BACKOFF, given.get("backoff", 0.1))),
        most_s=float(convert(_BACKOFF, given.get("max", BACKOFF_MAX_S))),
    )
