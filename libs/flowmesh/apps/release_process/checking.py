"""The check of a document in a process of its own, which bounds its memory and time."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from flowmesh.apps.document.expansion import ADDRESS
from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.document.model import AppDocument
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.release_process.confinement import confined, leaves_bounds
from flowmesh.apps.release_process.conversation import (
    API_KEY,
    CREDENTIALS,
    Begin,
    Checked,
    Placed,
)
from flowmesh.apps.release_process.masking import masking
from flowmesh.apps.runtime.building import build
from flowmesh.definitions.problems import Problem
from flowmesh.egress.connector import check_endpoint
from flowmesh.egress.errors import Unreachable
from flowmesh.egress.policy import Policy
from flowmesh.errors import FlowmeshError, Unavailable, Violation

# The names of the environment that the host adds to those of the release.
_OWN = "APP_NAME"
_CLIENT = "FLOWMESH_"
_WHERE = re.compile(r"(?P<file>.*?)(?::(?P<line>\d+):(?P<column>\d+))?(?:: (?P<path>.*))?")


def loading_of(begin: Begin, *, required: bool = False) -> Loading:
    """Return the options of a load within the bounds of the release.

    No document has a credential of the suite in its texts.
    """
    values = {_OWN: begin.app, **begin.environment}
    return Loading(
        environment={name: value for name, value in values.items() if name not in CREDENTIALS},
        required=required,
        confine=partial(confined, data=Path(begin.data)),
    )


def attach(begin: Begin) -> None:
    """Name the suite to its clients, by the names of the release before those of the host.

    A key that the host gives goes to no other address than that of the host.
    """
    own = {k: v for k, v in begin.environment.items() if k.startswith(_CLIENT)}
    issued = begin.suite if key_of(begin) else {}
    os.environ.update({**begin.suite, **own, **issued})


def check_suite(begin: Begin) -> None:
    """Raise EgressBlocked for a suite of the release's variables outside of its egress policy.

    Its clients connect below the interpreter, where no wall of this process stands.
    """
    if address := begin.environment.get(ADDRESS, ""):
        try:
            check_endpoint(policy_of(begin), address)
        except Unreachable as error:
            raise Unavailable("SUITE_UNAVAILABLE", f"{ADDRESS}: {error}") from None


def policy_of(begin: Begin) -> Policy:
    """Return the addresses that the application may call."""
    return Policy.named(begin.egress, tuple(begin.egress_allow))


def mask_of(begin: Begin) -> Callable[[str], str]:
    """Return the mask of the values that are hidden."""
    return masking((*(begin.environment[name] for name in begin.hidden), key_of(begin)))


def key_of(begin: Begin) -> str:
    """Return the key that the host gives the application; empty without one."""
    return begin.suite.get(API_KEY, "")


def checked(begin: Begin) -> Checked:
    """Return everything that is wrong with a document; nothing is started."""
    mask = mask_of(begin)
    return Checked(
        findings=[
            replace(each, message=mask(each.message), path=mask(each.path), file=mask(each.file))
            for each in _findings(begin)
        ]
    )


def _findings(begin: Begin) -> list[Placed]:
    attach(begin)
    path = Path(begin.document)
    try:
        document = load(path, loading_of(begin))
        if not leaves_bounds(document):
            log = LogHub(app=begin.app, write=lambda _line: None)
            build(document, log=log, policy=policy_of(begin), plugins=begin.plugins)
    except FlowmeshError as error:
        causes = error.violations or (Violation(path.name, error.message, error.reason),)
        return [_unread(each, path.parent) for each in causes]
    placed = document.findings.placed(document.files)
    return [_placed(each, document, path.parent) for each in placed]


def _placed(problem: Problem, document: AppDocument, folder: Path) -> Placed:
    known = problem.document < len(document.files)
    file = document.files[problem.document].path if known else folder / "app.yaml"
    return Placed(
        code=problem.code,
        message=_short(problem.message, folder),
        warning=problem.warning,
        path=problem.place,
        file=_short(str(file), folder),
        line=problem.line,
        column=problem.column,
    )


def _unread(violation: Violation, folder: Path) -> Placed:
    """Return the fault of a text that cannot be read at all."""
    found = _WHERE.fullmatch(_short(violation.field, folder))
    assert found is not None
    return Placed(
        code=violation.code,
        message=_short(violation.description, folder),
        warning=False,
        path=found["path"] or "",
        file=found["file"],
        line=int(found["line"] or 0),
        column=int(found["column"] or 0),
    )


def _short(text: str, folder: Path) -> str:
    """Return a text without the folder of the release."""
    return text.replace(f"{folder}/", "")
