"""Overlays: values of this installation laid over a document, which stays as it is.

`addresses` and `settings` change configurations of modules by name, `modules` adds modules or
replaces those of the same name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid

_KEYS = ("addresses", "settings", "modules", "environment")


@dataclass(frozen=True, slots=True)
class Overlay:
    """Changes by the name of a module."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    modules: Sequence[Mapping[str, Json]] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def applied(self, raw: dict[str, Json]) -> dict[str, Json]:
        """Return the document with the changes. Raises Invalid for an unknown module."""
        if not (self.addresses or self.settings or self.modules):
            return raw
        given = raw.get("modules")
        replaced = {each.get("name") for each in self.modules}
        modules = [
            each
            for each in (given if isinstance(given, list) else [])
            if not (isinstance(each, dict) and each.get("name") in replaced)
        ]
        modules += [dict(each) for each in self.modules]
        by_name = {each.get("name"): i for i, each in enumerate(modules) if isinstance(each, dict)}
        changes = {name: {"address": address} for name, address in self.addresses.items()}
        for name, values in [*changes.items(), *self.settings.items()]:
            if name not in by_name:
                known = ", ".join(str(each) for each in by_name)
                raise Invalid("APP_INVALID", f"unknown module {name!r}; known: {known}")
            module = dict(modules[by_name[name]])
            config = module.get("config")
            module["config"] = {**(config if isinstance(config, dict) else {}), **values}
            modules[by_name[name]] = module
        return {**raw, "modules": modules}


def read_overlay(path: Path) -> Overlay:
    """Read an overlay from a YAML file. Raises Invalid."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise Invalid("APP_INVALID", f"the overlay {path} cannot be read as YAML") from None
    unknown = [key for key in raw if key not in _KEYS] if isinstance(raw, dict) else ["this form"]
    if unknown:
        text = f"the overlay {path} has {unknown[0]!r}; it may have {', '.join(_KEYS)}"
        raise Invalid("APP_INVALID", text)
    return Overlay(**raw)


def parsed_settings(texts: Sequence[str]) -> dict[str, dict[str, Json]]:
    """Return the settings of texts `module.key=value`; values are YAML. Raises Invalid."""
    settings: dict[str, dict[str, Json]] = {}
    for text in texts:
        place, equals, value = text.partition("=")
        module, dot, key = place.rpartition(".")
        if not (equals and dot and module and key):
            raise Invalid("APP_INVALID", f"--set {text!r} must be module.key=value")
        settings.setdefault(module, {})[key] = yaml.safe_load(value)
    return settings
