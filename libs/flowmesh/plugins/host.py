"""The program of the agents of a plugin: imports its modules, tests it, and runs its tasks.

    python -m flowmesh.plugins.host

The folder of the agent has the manifest, the configuration and the modules.
"""

import asyncio
import inspect
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from flowmesh.plugins import limits
from flowmesh.plugins.connections import Connections
from flowmesh.plugins.manifest import Manifest, manifest_of
from flowmesh.plugins.settings import LIBRARIES, MANIFEST_FILE, MODULES
from flowmesh.sdk import Worker


def main() -> None:
    manifest = manifest_of(Path(MANIFEST_FILE).read_bytes())
    modules = Path(MODULES).absolute()
    # Its libraries come before those of the installation, whose versions may be others.
    sys.path[:0] = [str(modules), str(modules / manifest.package / LIBRARIES)]
    try:
        asyncio.run(self_test(manifest))
        worker = worker_of(manifest)
    except Exception as error:  # noqa: BLE001 the code of the plugin may raise anything
        title = f"{manifest.name} {manifest.version} failed its self-test"
        sys.exit(f"{title}: {type(error).__name__}: {error}")
    worker.run()


async def self_test(manifest: Manifest) -> None:
    """Import all handlers and run the self-test. Raises what the plugin raises, or TimeoutError."""
    for each in manifest.handlers:
        _function(each)
    if manifest.self_test:
        async with asyncio.timeout(limits.SELF_TEST_S):
            found = _function(manifest.self_test)()
            if inspect.isawaitable(found):
                await found


def worker_of(manifest: Manifest) -> Worker:
    """Return the worker with the handlers of a plugin."""
    worker = Worker()
    connections = _connections(manifest)
    for task_type, each in manifest.tasks.items():
        function = _function(each)
        worker.register(task_type, connections.handler(function) if connections else function)
    return worker


def _connections(manifest: Manifest) -> Connections | None:
    asked = manifest.connection
    if asked is None:
        return None
    return Connections(_function(asked.open), _function(asked.close) if asked.close else None)


def _function(path: str) -> Any:
    module, _, name = path.partition(":")
    found = getattr(import_module(module), name)
    if not callable(found):
        raise TypeError(f"{path} is no function")
    return found


if __name__ == "__main__":
    main()
