"""Calls that were refused, for a metric and, as far as possible, for the audit log."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from weakref import ref

from flowmesh.access.principal import Principal, current
from flowmesh.errors import Forbidden, Unauthenticated
from flowmesh.telemetry.metrics import Metrics

REFUSED = (Unauthenticated, Forbidden)

# Refusals that wait for the audit log; further ones are counted only.
WAITING_MAX = 100
NAME_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused call."""

    at_us: int
    actor: str
    method: str
    # The one that the caller named if it has a permission there, or its only one, or empty.
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
        self._noted: Callable[[], object] = _none

    def note(
        self,
        error: Unauthenticated | Forbidden,
        method: str,
        *,
        namespace: str = "",
        address: str = "",
    ) -> None:
        """Count a refusal and keep it for the audit log, once on its way through nested calls."""
        if self._noted() is error:
            return
        self._noted = ref(error)
        self._count.labels(method, error.reason).inc()
        if len(self._waiting) == WAITING_MAX:
            return
        principal = current()
        self._waiting.append(
            Refusal(
                at_us=time.time_ns() // 1_000,
                actor=principal.name if principal is not None else "anonymous",
                method=method,
                namespace=_place(principal, namespace),
                reason=error.reason,
                address=address,
            )
        )

    def take(self) -> list[Refusal]:
        """Return the waiting refusals; they wait no more."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


def _place(principal: Principal | None, named: str) -> str:
    """Return the namespace of a refusal, as a text that a database stores."""
    if principal is None:
        return ""
    if principal.bits(named):
        return named.replace("\0", "\ufffd")[:NAME_CHARACTERS_MAX]
    return next(iter(principal.namespaces)) if len(principal.namespaces) == 1 else ""


def _none() -> None:
    """Return None, as the reference to an error that is gone."""
