"""The connectors that are part of Flowmesh, and those of other packages."""

import importlib
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from flowmesh.connectors.records import ConnectorError, Context
from flowmesh.extras import needed_by

GROUP: Final = "flowmesh.connectors"
BUILT_IN: Final = {
    "flowmesh": "flowmesh.connectors.messages",
    "mqtt": "flowmesh.connectors.mqtt",
    "rabbitmq": "flowmesh.connectors.rabbitmq",
}
ROLES: Final = ("Source", "Sink")


def created(role: str, options: Mapping[str, Any], context: Context) -> Any:
    """Return the source or sink that options describe. Raises ConnectorError."""
    given, bridge = dict(options), context.bridge
    kind = given.pop("type", "")
    found = getattr(_module(kind), role, None)
    if found is None:
        raise ConnectorError(f"{bridge}: the connector {kind!r} has no {role.lower()}")
    try:
        return found(given, context)
    except (TypeError, ValueError, KeyError) as error:
        text = f"{bridge}: the {role.lower()} {kind!r} refuses its options: {error}"
        raise ConnectorError(text) from error


def _module(kind: str) -> Any:
    if kind in BUILT_IN:
        with needed_by(f"the connector {kind!r}", "brokers"):
            return importlib.import_module(BUILT_IN[kind])
    found = {each.name: each for each in entry_points(group=GROUP)}
    if kind not in found:
        known = ", ".join(sorted({*BUILT_IN, *found}))
        raise ConnectorError(f"no connector {kind!r}; installed are {known}")
    return _loaded(found[kind])


def _loaded(plugin: EntryPoint) -> Any:
    try:
        return plugin.load()
    except Exception as error:
        text = f"the connector {plugin.name!r} of {plugin.value} does not load: {error}"
        raise ConnectorError(text) from error
