"""The core services by name, imported only in the processes that run them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowmesh.runtime import StartError

if TYPE_CHECKING:
    from flowmesh.runtime.process import ServiceRun

# The order of composition; services drain in the opposite order: those that accept work from
# outside first, then those that run and store it, then those that report it.
CORE = (
    "identity",
    "definition",
    "registry",
    "event",
    "orchestrator",
    "worker",
    "apphost",
    "gateway",
)


def load(names: Sequence[str]) -> dict[str, ServiceRun]:
    """Return each `run` in the order of CORE. Raises StartError for an unknown name."""
    for name in names:
        if name not in CORE:
            raise StartError(f"no service {name!r}; there are {', '.join(CORE)}")
    found: dict[str, ServiceRun] = {}
    for name in sorted(set(names), key=CORE.index):
        found[name] = importlib.import_module(f"flowmesh.{name}.main").run
    return found
