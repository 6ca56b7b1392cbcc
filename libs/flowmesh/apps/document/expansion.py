"""Expansion of `${NAME}` in strings, before types are read.

Forms: `${NAME}`, `${NAME:-default}`, `${NAME:?message}`, `${env:NAME}`, `${file:path}`, and `$${`
for the literal text. Other forms, such as `${data.id}` of integrations, stay as they are.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from flowmesh.apps.document.findings import Findings, SourcePath
from flowmesh.apps.document.limits import INCLUDED_FILE_BYTES_MAX
from flowmesh.contract.json_value import Json
from flowmesh.errors import FlowmeshError

# The variable with the address of the suite of an application.
ADDRESS = "FLOWMESH_ADDRESS"
# Returns the secret of a form and a reference, None for one that is not read yet. Raises
# LookupError and FlowmeshError.
ReadSecret = Callable[[str, str], str | None]

_FORM = re.compile(
    r"\$\$\{|\$\{(?:"
    r"(?P<source>env|file|vault|aws-sm):(?P<reference>[^{}]+)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:-|:\?)(?P<rest>[^{}]*))?)\}"
)


@dataclass(frozen=True, slots=True)
class ExpansionContext:
    """The values that an application is expanded with."""

    environment: Mapping[str, str]
    folder: Path
    # Missing values are errors when the application runs, warnings when it is checked.
    required: bool
    # Files outside of this folder are not read.
    within: Path | None
    # Reads `${vault:…}` and `${aws-sm:…}`.
    secret: ReadSecret


class Unresolved(str):
    """A text with values that a check does not know; they are empty in it.

    They are secrets that are not read yet, and names that the environment lacks.
    """

    __slots__ = ()


def expand(value: Json, at: SourcePath, context: ExpansionContext, findings: Findings) -> Json:
    """Return the value with every string in it expanded; all missing names are reported."""
    if isinstance(value, str):
        return _text(value, at, context, findings) if "$" in value else value
    if isinstance(value, list):
        return [expand(item, at / i, context, findings) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {key: expand(item, at / key, context, findings) for key, item in value.items()}
    return value


def _text(text: str, at: SourcePath, context: ExpansionContext, findings: Findings) -> str:
    unread = False

    def replaced(found: re.Match[str]) -> str:
        if found.group() == "$${":
            return "${"
        if found["source"]:
            return _sourced(found["source"], found["reference"], found.group())
        value = context.environment.get(found["name"], "")
        operator, rest = found["operator"], found["rest"] or ""
        if operator == ":-":
            return value or rest
        if value or (not operator and found["name"] in context.environment):
            return value
        return _missing(found["name"], rest)

    def _missing(name: str, message: str) -> str:
        nonlocal unread
        unread = True
        text = f"the environment has no {name}" + (f": {message}" if message else "")
        text += f"; set it, or write ${{{name}:-default}}"
        (findings.error if context.required else findings.warn)("ENV_MISSING", text, at)
        return ""

    def _sourced(source: str, reference: str, whole: str) -> str:
        if source == "env":
            value = context.environment.get(reference)
            return value if value is not None else _missing(reference, "")
        if source == "file":
            return _file(reference)
        nonlocal unread
        try:
            value = context.secret(source, reference)
        except (LookupError, FlowmeshError) as error:
            findings.error("SECRET_UNRESOLVED", f"{whole}: {error}", at)
            return ""
        unread = unread or value is None
        return value or ""

    def _file(name: str) -> str:
        path = context.folder / name
        if context.within and not path.resolve().is_relative_to(context.within):
            findings.error("APP_PATH_FOREIGN", f"{name} is outside of the files of the release", at)
            return ""
        try:
            if path.stat().st_size > INCLUDED_FILE_BYTES_MAX:
                limit = INCLUDED_FILE_BYTES_MAX
                findings.error("ENV_MISSING", f"{name} is larger than {limit} bytes", at)
                return ""
            return path.read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError):
            findings.error("ENV_MISSING", f"the file {name} cannot be read as text", at)
            return ""

    found = _FORM.sub(replaced, text)
    return Unresolved(found) if unread else found


def environment_of(files: list[Path], base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment with the `NAME=value` lines of files; the environment wins."""
    values: dict[str, str] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            name, equals, value = line.strip().removeprefix("export ").partition("=")
            if equals and name and not name.startswith("#"):
                values[name.strip()] = value.strip().strip("'\"")
    return {**values, **(os.environ if base is None else base)}
