"""Calls that were refused, and reveals of sensitive values, for the audit log."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from weakref import ref

from flowmesh.access.principal import Principal, current
from flowmesh.access.recent import Recent
from flowmesh.errors import Forbidden, Unauthenticated
from flowmesh.telemetry.metrics import Metrics

REFUSED = (Unauthenticated, Forbidden)

# Refusals that wait for the audit log; further ones are counted only.
WAITING_MAX = 100
NAME_CHARACTERS_MAX = 200
# Reveals that wait for the audit log; beyond them nothing is revealed.
REVEALS_MAX = 1_000
REVEALED = "revealed"
# A caller that reads the same values again within this time makes no further entry.
REVEAL_NOTED_S = 60


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused call, or one that revealed sensitive values."""

    at_us: int
    actor: str
    method: str
    # The one that the caller named if it has a permission there, or its only one, or empty.
    namespace: str
    reason: str
    address: str
    target: str = ""


class Refusals:
    """The refusals of one process."""

    def __init__(self, metrics: Metrics) -> None:
        self._count = metrics.counter(
            "flowmesh_access_refusals_total",
            "Calls refused for a missing or wrong credential or a missing role.",
            ("method", "reason"),
        )
        self._waiting: deque[Refusal] = deque()
        self._reveals: deque[Refusal] = deque()
        self._revealed: Recent[tuple[str, ...], float] = Recent(REVEALS_MAX)
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

    def note_reveal(
        self, method: str, namespace: str, target: str, address: Callable[[], str]
    ) -> bool:
        """Keep a reveal for the audit log. Return False if there is no room."""
        principal = current()
        assert principal is not None
        key = (principal.id, method, namespace, target)
        noted = self._revealed.get(key)
        if noted is not None and time.monotonic() - noted < REVEAL_NOTED_S:
            return True
        if len(self._reveals) == REVEALS_MAX:
            return False
        self._revealed.put(key, time.monotonic())
        at_us = time.time_ns() // 1_000
        who = principal.name
        self._reveals.append(Refusal(at_us, who, method, namespace, REVEALED, address(), target))
        return True

    def take(self) -> list[Refusal]:
        """Return the waiting refusals and reveals; they wait no more."""
        taken = [*self._reveals, *self._waiting]
        self._reveals.clear()
        self._waiting.clear()
        return taken

    def keep_reveals(self, taken: list[Refusal]) -> None:
        """Let the reveals wait again that the audit log did not take."""
        self._reveals.extendleft(each for each in reversed(taken) if each.reason == REVEALED)


def _place(principal: Principal | None, named: str) -> str:
    """Return the namespace of a refusal, as a text that a database stores."""
    if principal is None:
        return ""
    if principal.bits(named):
        return named.replace("\0", "\ufffd")[:NAME_CHARACTERS_MAX]
    return next(iter(principal.namespaces)) if len(principal.namespaces) == 1 else ""


def _none() -> None:
    """Return None, as the reference to an error that is gone."""
