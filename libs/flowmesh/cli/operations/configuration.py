"""`config`: all settings with their values and sources."""

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from flowmesh import core
from flowmesh.cli import output
from flowmesh.cli.common import COMMON, Common, command
from flowmesh.cli.operations.guarantees import durability_settings
from flowmesh.cli.refusals import Refused
from flowmesh.cli.targets import Choice, profile_choice

if TYPE_CHECKING:
    from flowmesh.runtime.settings import Settings

# Variables that are not settings of a process: those of client commands and of flowmesh.core.
CLIENT_SETTINGS = {
    "address": "host:port of the suite for client commands",
    "namespace": "namespace of client commands",
    "profile": "profile of client commands",
    "token": "access token of clients and workers",
    "api_key": "API key of clients and workers",
    "ca": "file of the authorities that clients trust, in PEM",
    "client_cert": "certificate file of clients, in PEM",
    "client_key": "key file of the certificate of clients, in PEM",
    "allow_plaintext": "true permits clients to send credentials without TLS to other hosts",
    "core": "execution core in use; select pure or compiled",
}
CONNECTION_SETTINGS = ("token", "api_key", "ca", "client_cert", "client_key", "allow_plaintext")
SECRETS = ("token", "api_key")
MASK = "***"
_PASSWORD = re.compile(r"(?<=://)([^/@]*)@")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting with its effective value."""

    name: str
    value: str
    source: str
    meaning: str


@command
async def config(*, common: Common = COMMON) -> None:
    """Show the settings with their values, sources and meanings.

    Settings come from FLOWMESH_* in the environment; flags of `dev` and `serve` override them.
    The address and the namespace of client commands can also come from a profile, and the address
    from a suite running in this folder.
    A second table lists the server settings on which the durability of commits depends.
    """
    settings = [*client_settings(common), *read_settings(dict(os.environ))]
    durability = await durability_settings(current_settings())
    unknown = unknown_names(dict(os.environ))
    if common.structured:
        output.document(
            {
                "settings": [output.members(s, "name value source meaning") for s in settings],
                "durability": [asdict(setting) for setting in durability],
                "unknown": unknown,
            }
        )
        return
    output.columns(
        ("SETTING", "VALUE", "SOURCE", "MEANING"),
        [(s.name, s.value or '""', s.source, s.meaning) for s in settings],
    )
    output.line()
    output.columns(
        ("DURABILITY", "SETTING", "VALUE", "SOURCE", "MEANING"),
        [(d.server, d.setting, d.value, d.source, d.meaning) for d in durability],
    )
    for name in unknown:
        output.line(f"unknown setting {name}")


def client_settings(common: Common) -> list[Setting]:
    """Return the settings of a client command with the same flags."""
    where = common.target
    choices = {
        "address": where.address,
        "namespace": where.namespace,
        "profile": profile_choice(common.profile),
        **{name: _of_environment(name) for name in CONNECTION_SETTINGS},
        "core": Choice(core.kind(), _source("core", os.environ)),
    }
    return [
        Setting(name, choice.value, choice.source, CLIENT_SETTINGS[name])
        for name, choice in choices.items()
    ]


def _of_environment(name: str) -> Choice:
    """Return the value of a variable, masked if it is a secret."""
    value = os.environ.get(f"FLOWMESH_{name.upper()}", "")
    return Choice(MASK if value and name in SECRETS else value, _source(name, os.environ))


def _source(name: str, environment: Mapping[str, str]) -> str:
    from flowmesh.runtime.settings import ENV_PREFIX

    variable = ENV_PREFIX + name.upper()
    return f"environment {variable}" if variable in environment else "default"


def read_settings(environment: dict[str, str]) -> list[Setting]:
    """Return all settings of a process, with passwords in addresses masked."""
    found = []
    settings = current_settings()
    for name, field in type(settings).model_fields.items():
        source = _source(name, environment)
        value = _PASSWORD.sub("***@", str(getattr(settings, name)))
        found.append(Setting(name, value, source, field.description or ""))
    return found


def current_settings() -> "Settings":
    """Return the settings of a suite process in this environment; Refused if one is invalid."""
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
        raise Refused(problems, "correct the environment variables") from None


def unknown_names(environment: dict[str, str]) -> list[str]:
    """Return the variables with the prefix of settings that are unknown, often misspelled."""
    from flowmesh.runtime.settings import ENV_PREFIX, Settings

    known = {f"{ENV_PREFIX}{name}".upper() for name in (*Settings.model_fields, *CLIENT_SETTINGS)}
    return sorted(
        name for name in environment if name.startswith(ENV_PREFIX) and name.upper() not in known
    )
