"""Functions of plugins in a source, which its namespace must have."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flowmesh.api.fleet.v1 import plugin_service_pb2 as pb
from flowmesh.contract.plugin_functions import plugin_of
from flowmesh.definitions import Problem, Reading, Task, Workflow
from flowmesh.definitions.builtins import TRANSFORM
from flowmesh.definitions.model import every_node

if TYPE_CHECKING:
    from flowmesh.api.fleet.v1.plugin_service_pb2_grpc import PluginServiceAsyncStub


class InstalledFunctions:
    """Asks for the plugins of a namespace if a source has functions of some."""

    def __init__(self, plugins: "PluginServiceAsyncStub") -> None:
        self._plugins = plugins

    async def missing(self, namespace: str, reading: Reading) -> tuple[Problem, ...]:
        """Return an error for each function that is not installed."""
        named = [
            (read.number, task) for read in reading.resources for task in _tasks(read.resource)
        ]
        if not named:
            return ()
        answer = await self._plugins.ListPlugins(pb.ListPluginsRequest(namespace=namespace))
        installed = {each.name for each in answer.plugins if each.kind == "transform"}
        found = [
            Problem("DEFINITION_INVALID", _text(name), task.at("function"), number)
            for number, task in named
            if (name := plugin_of(task.config["function"])) not in installed
        ]
        return reading.source.place(found) if reading.source else tuple(found)


def _tasks(resource: object) -> Iterator[Task]:
    """Yield the tasks of a resource that call a function of a plugin."""
    tasks = [resource] if isinstance(resource, Task) else []
    if isinstance(resource, Workflow):
        tasks = [node.task for node in every_node(resource.nodes) if node.task is not None]
    for task in tasks:
        if task.executor == TRANSFORM and "function" in task.config:
            yield task


def _text(name: str) -> str:
    return (
        f"the namespace has no plugin {name!r} of the kind transform;"
        f" `flowmesh plugin install {name}` installs it"
    )
