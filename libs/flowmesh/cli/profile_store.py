"""Profiles: named addresses, namespaces, output formats and TLS files of the user.

The file is `$XDG_CONFIG_HOME/flowmesh/profiles.yaml`, by default in `~/.config`, readable by its
owner only. Sessions are kept beside it, by `flowmesh.cli.access.sessions`.
"""

import os
import tempfile
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.output import FORMATS, Format
from flowmesh.cli.refusals import Refused

FOLDER_MODE = 0o700


@dataclass(frozen=True, slots=True)
class Profile:
    """Defaults for options that neither a flag nor the environment sets; "" means unset."""

    address: str = ""
    namespace: str = ""
    output: Format | Literal[""] = ""
    # Files of TLS in PEM.
    ca: str = ""
    client_cert: str = ""
    client_key: str = ""


@dataclass(slots=True)
class Profiles:
    """All profiles of a user, and the name of the current one."""

    current: str = ""
    named: dict[str, Profile] = field(default_factory=dict)

    def find(self, name: str) -> Profile:
        """Return the profile; raise Refused with the existing names if there is none."""
        if name in self.named:
            return self.named[name]
        names = ", ".join(self.named) or "none yet; `flowmesh profile set` creates one"
        raise Refused(f"there is no profile {name!r}", f"profiles: {names}", USAGE)


FIELDS = tuple(each.name for each in fields(Profile))


def profiles_path() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME", "")
    # The specification of XDG says to ignore a relative path.
    folder = Path(base) if base and Path(base).is_absolute() else Path.home() / ".config"
    return folder / "flowmesh" / "profiles.yaml"


def read_profiles() -> Profiles:
    """Return the user's profiles; raise Refused if the file is not valid."""
    path = profiles_path()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Profiles()
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}", code=USAGE) from None
    except UnicodeDecodeError:
        raise Refused(f"{path} is not UTF-8", code=USAGE) from None
    import yaml

    try:
        return _parse_profiles(yaml.safe_load(text) or {})
    except (yaml.YAMLError, ValueError) as error:
        raise Refused(f"{path} is not a valid file of profiles: {error}", code=USAGE) from None


def _parse_profiles(document: Any) -> Profiles:
    """Return the profiles; raise ValueError with the first problem."""
    if not isinstance(document, dict) or document.keys() - {"current", "profiles"}:
        raise ValueError("its only members must be `current` and `profiles`")
    current, named = document.get("current") or "", document.get("profiles") or {}
    if not isinstance(current, str) or not isinstance(named, dict):
        raise ValueError("`current` must be a name, and `profiles` an object by name")
    found = Profiles(current)
    for name, values in named.items():
        values = values or {}
        if not isinstance(values, dict) or values.keys() - set(FIELDS):
            raise ValueError(f"the members of profile {name} must be {', '.join(FIELDS)}")
        if not all(isinstance(value, str) for value in values.values()):
            raise ValueError(f"the members of profile {name} must be strings")
        if values.get("output", "") not in ("", *FORMATS):
            raise ValueError(f"the output of profile {name} must be one of {', '.join(FORMATS)}")
        found.named[str(name)] = Profile(**values)
    return found


def write_profiles(profiles: Profiles) -> Path:
    """Replace the file atomically and return its path."""
    import yaml

    path = profiles_path()
    document: dict[str, Any] = {"current": profiles.current} if profiles.current else {}
    document["profiles"] = {
        name: {key: value for key, value in asdict(profile).items() if value}
        for name, profile in profiles.named.items()
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            yaml.safe_dump(document, file, sort_keys=False, allow_unicode=True)
        Path(file.name).replace(path)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}", code=USAGE) from None
    return path
