"""Profiles: named addresses, namespaces and output formats in the user's configuration folder.

The file is `$XDG_CONFIG_HOME/flowmesh/profiles.yaml`, by default in `~/.config`, readable by its
owner only.
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
    """What a command uses where neither a flag nor the environment names it; empty is unset."""

    address: str = ""
    namespace: str = ""
    output: Format | Literal[""] = ""


@dataclass(slots=True)
class Profiles:
    """All profiles of a user, and the one in use."""

    current: str = ""
    named: dict[str, Profile] = field(default_factory=dict)

    def named_or_refused(self, name: str) -> Profile:
        """The profile of that name; Refused with the names that exist otherwise."""
        if name in self.named:
            return self.named[name]
        there = ", ".join(self.named) or "none yet; `flowmesh profile set` makes one"
        raise Refused(f"there is no profile {name!r}", f"profiles: {there}", USAGE)


FIELDS = tuple(each.name for each in fields(Profile))


def profiles_path() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME", "")
    # A relative path is invalid by the specification, and ignored.
    folder = Path(base) if base and Path(base).is_absolute() else Path.home() / ".config"
    return folder / "flowmesh" / "profiles.yaml"


def read_profiles() -> Profiles:
    """The user's profiles; Refused where the file is not one of profiles."""
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
        return _profiles_of(yaml.safe_load(text) or {})
    except (yaml.YAMLError, ValueError) as error:
        raise Refused(f"{path} is not a file of profiles: {error}", code=USAGE) from None


def _profiles_of(document: Any) -> Profiles:
    """Raises ValueError with the first thing that is wrong."""
    if not isinstance(document, dict) or document.keys() - {"current", "profiles"}:
        raise ValueError("it holds `current` and `profiles`")
    current, named = document.get("current") or "", document.get("profiles") or {}
    if not isinstance(current, str) or not isinstance(named, dict):
        raise ValueError("`current` is a name, `profiles` an object by name")
    found = Profiles(current)
    for name, values in named.items():
        values = values or {}
        if not isinstance(values, dict) or values.keys() - set(FIELDS):
            raise ValueError(f"profile {name} holds {', '.join(FIELDS)}")
        if not all(isinstance(value, str) for value in values.values()):
            raise ValueError(f"the fields of profile {name} are texts")
        if values.get("output", "") not in ("", *FORMATS):
            raise ValueError(f"the output of profile {name} is {', '.join(FORMATS)}")
        found.named[str(name)] = Profile(**values)
    return found


def write_profiles(profiles: Profiles) -> Path:
    """Replaces the file as a whole; the path that it has."""
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
