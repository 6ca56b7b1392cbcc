"""Names of plugins in definitions and applications: `plugin:` and the name of the plugin."""

from typing import Final

PREFIX: Final = "plugin:"
PATTERN: Final = r"^plugin:[a-z](-?[a-z0-9])*$"
"""A JSON Schema pattern of references."""


def reference_to(plugin: str) -> str:
    """Return the reference to a plugin."""
    return f"{PREFIX}{plugin}"


def plugin_of(reference: str) -> str:
    """Return the plugin of a reference."""
    return reference.removeprefix(PREFIX)
