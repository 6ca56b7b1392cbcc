"""Bugs of moves that are planted on purpose: each takes away one thing that they rest on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from flowmesh.gateway.cells.front import Front
from flowmesh.suite.cells import moving
from tests.simulation.checks.planted import replaced


def unconfirmed() -> AbstractContextManager[None]:
    """The last copy does not wait until every gateway of the source refuses changes."""

    async def is_refused(self: object, http: object, url: str) -> bool:
        return True

    return replaced(moving._Moving, "_is_refused", lambda before: is_refused)


def unrefused() -> AbstractContextManager[None]:
    """Gateways take changes while a home is switched."""

    def check(self: Front, namespaces: object) -> None:
        return None

    return replaced(Front, "_check_switch", lambda before: check)


PLANTED: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "the home is switched before all gateways refuse": unconfirmed,
    "nothing is refused": unrefused,
}
