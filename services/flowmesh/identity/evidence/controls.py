"""The map of controls: what Flowmesh does for each, and what its owner must do."""

import tomllib
from importlib.resources import files

from flowmesh.contract.json_value import Json


def controls() -> list[dict[str, Json]]:
    """Return the controls in the order of the map."""
    text = files("flowmesh.identity.evidence").joinpath("controls.toml").read_text()
    return list(tomllib.loads(text)["control"])
