"""The core services by name, imported only where they run."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flowmesh.runtime import StartError

if TYPE_CHECKING:
    from flowmesh.runtime.process import ServiceRun

# In the order in which they are composed; they drain in the opposite one. Who takes work from
# outside goes first, then who runs it, then who keeps what came of it, then who tells of it.
CORE = ("definition", "registry", "event", "orchestrator", "worker", "gateway")


def load(names: Sequence[str]) -> dict[str, ServiceRun]:
    """The `run` of each service in the order of CORE; raises StartError for a name that is none."""
    for name in names:
        if name not in CORE:
            raise StartError(f"no service {name!r}; there are {', '.join(CORE)}")
    found: dict[str, ServiceRun] = {}
    for name in sorted(set(names), key=CORE.index):
        found[name] = importlib.import_module(f"flowmesh.{name}.main").run
    return found
