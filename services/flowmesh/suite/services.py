"""The core services by name, imported only where they run."""

import importlib
from collections.abc import Sequence

from flowmesh.runtime import StartError
from flowmesh.runtime.process import ServiceRun

# In the order in which they are composed and drained.
CORE = ("definition", "registry", "event", "orchestrator", "worker", "gateway")


def load(names: Sequence[str]) -> dict[str, ServiceRun]:
    """The `run` of each service; raises StartError for a name that is none."""
    found: dict[str, ServiceRun] = {}
    for name in names:
        if name not in CORE:
            raise StartError(f"no service {name!r}; there are {', '.join(CORE)}")
        found[name] = importlib.import_module(f"flowmesh.{name}.main").run
    return found
