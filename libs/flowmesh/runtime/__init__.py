"""The common runtime of services: settings, logs, servers, discovery, health, graceful drain.

A service is `async def run(runtime: Runtime) -> None`; `run_services` runs any number of them in
one process. A name is imported when it is first used: commands that only read settings load no
server code.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flowmesh.runtime.clock import Clock
    from flowmesh.runtime.directory import Endpoint
    from flowmesh.runtime.errors import StartError
    from flowmesh.runtime.loop import Loop
    from flowmesh.runtime.process import Process, run_services
    from flowmesh.runtime.runtime import Runtime
    from flowmesh.runtime.settings import Settings, unknown_variables
else:
    HOMES = {
        "Clock": "clock",
        "Endpoint": "directory",
        "Loop": "loop",
        "Process": "process",
        "Runtime": "runtime",
        "Settings": "settings",
        "StartError": "errors",
        "run_services": "process",
        "unknown_variables": "settings",
    }

    def __getattr__(name: str) -> object:
        if name not in HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)


__all__ = [
    "Clock",
    "Endpoint",
    "Loop",
    "Process",
    "Runtime",
    "Settings",
    "StartError",
    "run_services",
    "unknown_variables",
]
