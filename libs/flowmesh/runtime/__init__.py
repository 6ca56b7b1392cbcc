"""One way to start a service: settings, logging, servers, discovery, health, graceful drain.

A service is `async def run(runtime: Runtime) -> None`; `run_services` runs any number of them in
one process.
"""

from flowmesh.runtime.clock import Clock
from flowmesh.runtime.directory import Endpoint
from flowmesh.runtime.loop import Loop
from flowmesh.runtime.process import Process, StartError, run_services
from flowmesh.runtime.runtime import Runtime
from flowmesh.runtime.settings import Settings, unknown_variables

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
