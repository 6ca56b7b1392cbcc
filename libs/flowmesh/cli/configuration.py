"""`config`: every setting with its value and where the value comes from."""

import asyncio
import os
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flowmesh import core
from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, DEFAULT_ADDRESS, Common, Refused, guarded
from flowmesh.cli.promises import promises

if TYPE_CHECKING:
    from flowmesh.runtime.settings import Settings

# Variables that are no settings of a process: of the command line, and of flowmesh.core.
CLIENT_SETTINGS = {
    "address": (DEFAULT_ADDRESS, "host:port the client commands talk to"),
    "namespace": ("default", "namespace the client commands work in"),
    "core": ("", "the execution core that runs; chosen with pure or compiled"),
}
_PASSWORD = re.compile(r"(?<=://)([^/@]*)@")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it would be used."""

    name: str
    value: str
    source: str
    meaning: str


def config(*, common: Common = COMMON) -> int:
    """Print each setting, its value, where it comes from, and what it means.

    Settings come from FLOWMESH_* in the environment; flags of `dev` and `serve` override them.
    Behind them stand the settings of the servers that keep what is committed through a crash.
    """
    return guarded(common, lambda: _config(common))


def _config(common: Common) -> int:
    settings = read_settings(dict(os.environ))
    kept = asyncio.run(promises(current_settings()))
    unknown = unknown_names(dict(os.environ))
    if common.json:
        output.document(
            {
                "settings": [
                    {
                        "name": s.name,
                        "value": s.value,
                        "source": s.source,
                        "meaning": s.meaning,
                    }
                    for s in settings
                ],
                "durability": [asdict(promise) for promise in kept],
                "unknown": unknown,
            }
        )
        return exit_codes.DONE
    output.columns(
        ("SETTING", "VALUE", "SOURCE", "MEANING"),
        [(s.name, s.value or '""', s.source, s.meaning) for s in settings],
    )
    output.line()
    output.columns(
        ("DURABILITY", "SETTING", "VALUE", "SOURCE", "MEANING"),
        [(k.server, k.setting, k.value, k.source, k.meaning) for k in kept],
    )
    for name in unknown:
        output.line(f"no setting reads {name}")
    return exit_codes.DONE


def read_settings(environment: dict[str, str]) -> list[Setting]:
    """All settings, those of the client first. Passwords in addresses are not shown."""
    from flowmesh.runtime.settings import ENV_PREFIX

    found = []
    for name, (default, meaning) in CLIENT_SETTINGS.items():
        variable = ENV_PREFIX + name.upper()
        given = environment.get(variable)
        source = f"environment {variable}" if given is not None else "default"
        value = core.kind() if name == "core" else given if given is not None else default
        found.append(Setting(name, value, source, meaning))
    settings = current_settings()
    for name, field in type(settings).model_fields.items():
        variable = ENV_PREFIX + name.upper()
        source = f"environment {variable}" if variable in environment else "default"
        value = _PASSWORD.sub("***@", str(getattr(settings, name)))
        found.append(Setting(name, value, source, field.description or ""))
    return found


def current_settings() -> "Settings":
    """The settings a process of the suite would have here; Refused if one is not valid."""
    from pydantic import ValidationError

    from flowmesh.runtime.settings import ENV_PREFIX, Settings

    flags: dict[str, Any] = {}
    try:
        return Settings(**flags)
    except ValidationError as error:
        problems = "; ".join(
            f"{ENV_PREFIX}{'.'.join(map(str, p['loc'])).upper()}: {p['msg']}"
            for p in error.errors()
        )
        raise Refused(problems, "mend the environment") from None


def unknown_names(environment: dict[str, str]) -> list[str]:
    """Variables with our prefix that nothing reads: most often misspelled."""
    from flowmesh.runtime.settings import ENV_PREFIX, Settings

    known = {f"{ENV_PREFIX}{name}".upper() for name in (*Settings.model_fields, *CLIENT_SETTINGS)}
    return sorted(
        name for name in environment if name.startswith(ENV_PREFIX) and name.upper() not in known
    )
