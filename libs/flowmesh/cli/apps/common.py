"""Parts that the commands of applications share."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowmesh.cli import output
from flowmesh.cli.exit_codes import USAGE
from flowmesh.cli.refusals import Refused

if TYPE_CHECKING:
    from flowmesh.apps.document.loading import Loading
    from flowmesh.apps.offline.checking import Checked
    from flowmesh.definitions.problems import Problem

AppFiles = Annotated[
    list[Path], Parameter(help="File of an application, folder of such files, or list of them.")
]
AppFile = Annotated[Path, Parameter(help="File of an application.")]
Addresses = Annotated[
    list[str] | None,
    Parameter(name="--address", negative="", help="Address of a server: name=host:port."),
]
Settings = Annotated[
    list[str] | None,
    Parameter(name="--set", negative="", help="Value of a configuration: module.key=value."),
]
Environments = Annotated[
    list[Path] | None,
    Parameter(name="--env", negative="", help="File of NAME=value lines; the environment wins."),
]
Overlays = Annotated[
    Path | None,
    Parameter(
        name="--with", help="File of addresses, settings and modules laid over the document."
    ),
]


def app_paths(files: list[Path]) -> list[Path]:
    """Return the files of all named applications. Raises Refused."""
    from flowmesh.apps.document.loading import apps_in

    if not files:
        raise Refused("no file is named", "give the file of an application", USAGE)
    found: list[Path] = []
    for file in files:
        if not file.exists():
            raise Refused(f"there is no file {file}", code=USAGE)
        found += apps_in(file)
    return found


def loading(
    *,
    addresses: list[str] | None = None,
    settings: list[str] | None = None,
    environments: list[Path] | None = None,
    overlay: Path | None = None,
    required: bool = False,
) -> "Loading":
    """Return the circumstances of a load. Raises Refused for a wrong option."""
    from flowmesh.apps.document.expansion import environment_of
    from flowmesh.apps.document.loading import Loading
    from flowmesh.apps.document.overlay import Overlay, parsed_settings, read_overlay

    base: Overlay = read_overlay(overlay) if overlay is not None else Overlay()
    for file in environments or ():
        if not file.is_file():
            raise Refused(f"there is no file {file}", code=USAGE)
    given = dict(base.environment) | dict(os.environ)
    merged = replace(
        base,
        addresses={**base.addresses, **_addresses(addresses)},
        settings={**base.settings, **parsed_settings(settings or ())},
    )
    environment = environment_of(environments or [], given)
    return Loading(environment=environment, overlay=merged, required=required)


def _addresses(texts: list[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, address = text.partition("=")
        if not (name and equals and address):
            raise Refused(f"--address {text!r} must be name=host:port", code=USAGE)
        found[name] = address
    return found


def show_problem(problem: "Problem", files: Any) -> None:
    """Write a finding to standard error in one line."""
    from flowmesh.apps.document.findings import where

    severity = "warning" if problem.warning else "error"
    output.problem(f"{severity}: {where(problem, files)}: {problem.message} [{problem.code}]")


def problem_json(problem: "Problem", files: Any) -> dict[str, Any]:
    file = str(files[problem.document].path) if problem.document < len(files) else ""
    return {
        "code": problem.code,
        "severity": "warning" if problem.warning else "error",
        "message": problem.message,
        "path": problem.place,
        "file": file,
        "line": problem.line,
        "column": problem.column,
    }


def show_checked(checked: "Checked") -> None:
    for each in checked.problems:
        show_problem(each, checked.document.files)
