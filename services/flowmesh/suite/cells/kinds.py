"""The table of what a move takes to another cell; `survey` has the kinds that it refuses."""

from typing import Final

from flowmesh.suite.cells.agents import Agents
from flowmesh.suite.cells.apps import Apps
from flowmesh.suite.cells.copying import Definitions
from flowmesh.suite.cells.events import Events
from flowmesh.suite.cells.files import Files
from flowmesh.suite.cells.parts import Part
from flowmesh.suite.cells.plugins import Plugins
from flowmesh.suite.cells.queues import Queues
from flowmesh.suite.cells.secrets import Secrets
from flowmesh.suite.cells.settings import Settings

PARTS: Final[tuple[type[Part], ...]] = (
    Secrets,
    Files,
    Plugins,
    Queues,
    Events,
    Definitions,
    Settings,
    Apps,
    Agents,
)
"""In the order of the switch: triggers fire as soon as their workflows are copied, so the data that
executions use comes before, and settings that name workflows come after. Plugins read formats of
definitions.
"""
