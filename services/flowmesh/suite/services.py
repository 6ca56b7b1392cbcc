"""The core services by name, imported only where they run."""

import contextlib
import importlib
import importlib.util
from collections.abc import Sequence

from flowmesh.runtime import StartError
from flowmesh.runtime.process import ServiceRun

# In the order in which they are composed and drained.
CORE = ("definition", "registry", "event", "orchestrator", "worker", "gateway")


def present() -> list[str]:
    """The core services that this installation has."""
    names = []
    for name in CORE:
        with contextlib.suppress(ModuleNotFoundError):
            if importlib.util.find_spec(f"flowmesh.{name}.main") is not None:
                names.append(name)
    return names


def load(names: Sequence[str]) -> dict[str, ServiceRun]:
    """The `run` of each service; raises StartError for a name that is none."""
    found: dict[str, ServiceRun] = {}
    for name in names:
        if name not in CORE:
            raise StartError(f"no service {name!r}; there are {', '.join(CORE)}")
        found[name] = importlib.import_module(f"flowmesh.{name}.main").run
    return found
