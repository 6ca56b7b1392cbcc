"""Checks of applications: everything that a start would refuse, without a start."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flowmesh.apps.document.loading import Loading, load
from flowmesh.apps.document.model import AppDocument
from flowmesh.apps.observing.logs import LogHub
from flowmesh.apps.runtime.building import Built, build
from flowmesh.apps.runtime.links import ALONE, Peers
from flowmesh.definitions.problems import Problem


@dataclass(frozen=True, slots=True)
class Checked:
    """An application with its findings, placed."""

    built: Built
    problems: Sequence[Problem]

    @property
    def document(self) -> AppDocument:
        return self.built.document

    @property
    def valid(self) -> bool:
        return all(each.warning for each in self.problems)


def silent_log(app: str) -> LogHub:
    """Return a log that writes nothing."""
    return LogHub(app=app, write=lambda _line: None)


def check(path: Path, how: Loading, *, strict: bool = False, peers: Peers = ALONE) -> Checked:
    """Load and build an application; nothing is started, and no file is written.

    `peers` are the applications that run beside it.
    """
    document = load(path, how)
    built = build(document, log=silent_log(document.name), peers=peers)
    return Checked(built, document.findings.placed(document.files, strict=strict))


def peers_of(paths: Sequence[Path], how: Loading) -> Peers:
    """Return the applications of several files that run together."""
    return Peers.of([load(each, how) for each in paths], lambda _name: None)
