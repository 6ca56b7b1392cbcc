"""Retries of outgoing requests."""

from dataclasses import dataclass
from typing import Any

from flowmesh.apps.catalog.descriptor import duration
from flowmesh.apps.catalog.values import Unfit, convert

Json = Any

ATTEMPTS_MAX = 100
_BACKOFF = duration("backoff", "Time before the second attempt.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Attempts of requests that may be repeated; the pause doubles."""

    attempts: int = 1
    backoff_s: float = 0.1

    @classmethod
    def read(cls, raw: Json) -> "Retries":
        """Read `{attempts, backoff}`. Raises Unfit."""
        if not raw:
            return cls()
        given = raw if isinstance(raw, dict) else {"": raw}
        if unknown := [key for key in given if key not in ("attempts", "backoff")]:
            raise Unfit(f"has attempts and backoff, not {unknown[0]!r}")
        attempts = given.get("attempts", 3)
        if type(attempts) is not int or not 1 <= attempts <= ATTEMPTS_MAX:
            raise Unfit(f"has attempts from 1 to {ATTEMPTS_MAX}")
        return cls(attempts=attempts, backoff_s=float(convert(_BACKOFF, given.get("backoff", 0.1))))
