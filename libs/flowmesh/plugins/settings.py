"""The files by which the fleet gives a plugin its manifest and its configuration."""

from pathlib import Path
from typing import Final

import msgspec

from flowmesh.contract.json_value import Json

MANIFEST_FILE: Final = "plugin.json"
CONFIGURATION_FILE: Final = "configuration.json"
# The folder of the modules of a plugin, in the folder of its agent.
MODULES: Final = "modules"


# The folder of bundled libraries, in the package of a plugin.
LIBRARIES: Final = "_libraries"


def configuration() -> dict[str, Json]:
    """Return the configuration of the plugin that this process runs; empty outside of one."""
    file = Path(CONFIGURATION_FILE)
    if not file.is_file():
        return {}
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Json])
