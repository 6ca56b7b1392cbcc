"""Calls that were refused, for a metric and, as far as possible, for the audit log."""

from collections import deque
from dataclasses import dataclass

from flowmesh.access.principal import current
from flowmesh.errors import FlowmeshError, Forbidden, Unauthenticated
from flowmesh.telemetry.metrics import Metrics

# Refusals that wait for the audit log; further ones are counted only.
WAITING_MAX = 100
NAME_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused call."""

    actor: str
    method: str
    # Empty if the caller has no permission in the namespace that it named.
    namespace: str
    reason: str
    address: str


class Refusals:
    """The refusals of one process."""

    def __init__(self, metrics: Metrics) -> None:
        self._count = metrics.counter(
            "flowmesh_access_refusals_total",
            "Calls refused for a missing or wrong credential or a missing role.",
            ("method", "reason"),
        )
        self._waiting: deque[Refusal] = deque()

    def note(
        self, error: FlowmeshError, method: str, *, namespace: str = "", address: str = ""
    ) -> None:
        """Count an error if it is a refusal, and keep it for the audit log."""
        if not isinstance(error, Unauthenticated | Forbidden):
            return
        self._count.labels(method, error.reason).inc()
        if len(self._waiting) == WAITING_MAX:
            return
        principal = current()
        known = principal is not None and principal.bits(namespace)
        self._waiting.append(
            Refusal(
                actor=principal.name if principal is not None else "anonymous",
                method=method,
                namespace=namespace[:NAME_CHARACTERS_MAX] if known else "",
                reason=error.reason,
                address=address,
            )
        )

    def take(self) -> list[Refusal]:
        """Return the waiting refusals; they wait no more."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken
