"""The core services by name, imported only in the processes that run them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowmesh.runtime import StartError

if TYPE_CHECKING:
    from flowmesh.runtime.process import ServiceRun

# The order of composition; services drain in the opposite order: agents, whose tasks end,
# those that accept work from outside, then those that run and store it, then those that report it.
CORE = (
    "identity",
    "definition",
    "registry",
    "event",
    "orchestrator",
    "worker",
    "apphost",
    "gateway",
    "fleet",
)
# The services whose process has a composition of its own; others are composed by their main.
COMPOSITIONS = {"definition": "flowmesh.suite.definition", "event": "flowmesh.suite.event"}
# Beside a suite: what only some installations have.
OPTIONAL = ("operator",)
SERVICES = (*CORE, *OPTIONAL)


def load(names: Sequence[str]) -> dict[str, ServiceRun]:
    """Return each `run` in the order of SERVICES. Raises StartError for an unknown name."""
    for name in names:
        if name not in SERVICES:
            raise StartError(f"no service {name!r}; there are {', '.join(SERVICES)}")
    found: dict[str, ServiceRun] = {}
    for name in sorted(set(names), key=SERVICES.index):
        found[name] = importlib.import_module(COMPOSITIONS.get(name, f"flowmesh.{name}.main")).run
    return found
