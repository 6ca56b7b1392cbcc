"""`config`: every setting with its value and where the value comes from."""

import asyncio
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flowmesh import core
from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, guarded
from flowmesh.cli.operations.guarantees import promises
from flowmesh.cli.refusals import Refused
from flowmesh.cli.targets import Choice, profile_choice

if TYPE_CHECKING:
    from flowmesh.runtime.settings import Settings

# Variables that are no settings of a process: of the command line, and of flowmesh.core.
CLIENT_SETTINGS = {
    "address": "host:port the client commands talk to",
    "namespace": "namespace the client commands work in",
    "profile": "profile the client commands use",
    "core": "the execution core that runs; chosen with pure or compiled",
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
    The address and the namespace of client commands may also come from a profile, the address
    from a suite that runs in this folder.
    Behind them stand the settings of the servers that keep what is committed through a crash.
    """
    return guarded(common, lambda: _config(common))


def _config(common: Common) -> int:
    settings = [*client_settings(common), *read_settings(dict(os.environ))]
    kept = asyncio.run(promises(current_settings()))
    unknown = unknown_names(dict(os.environ))
    if common.structured:
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


def client_settings(common: Common) -> list[Setting]:
    """What a client command given the same flags would use."""
    where = common.target
    choices = {
        "address": where.address,
        "namespace": where.namespace,
        "profile": profile_choice(common.profile),
        "core": Choice(core.kind(), _source("core", os.environ)),
    }
    return [
        Setting(name, choice.value, choice.source, CLIENT_SETTINGS[name])
        for name, choice in choices.items()
    ]


def _source(name: str, environment: Mapping[str, str]) -> str:
    from flowmesh.runtime.settings import ENV_PREFIX

    variable = ENV_PREFIX + name.upper()
    return f"environment {variable}" if variable in environment else "default"


def read_settings(environment: dict[str, str]) -> list[Setting]:
    """All settings of a process. Passwords in addresses are not shown."""
    found = []
    settings = current_settings()
    for name, field in type(settings).model_fields.items():
        source = _source(name, environment)
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
