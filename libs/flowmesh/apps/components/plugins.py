"""Module types of plugins, as a host gives them to an application."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginType:
    """The module type of an installed plugin."""

    # As `module:function`.
    handler: str
    # Texts of the wheel by path.
    modules: Mapping[str, str]
    # JSON Schema of the `config` of a module, and the configuration of the plugin, as JSON.
    config_schema: str
    settings: str
    # Endpoints as `host:port` that its modules may call.
    connect: Sequence[str] = ()
