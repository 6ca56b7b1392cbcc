"""Values of hosted applications: files of the release are read, files of its data are written.

Each value that leads out of the document is checked by its rule in the catalog, before anything
is read, resolved or sent. Relative paths of databases and object stores start from the folder for
data, which all releases of an application share; other paths start from the folder of the release.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from flowmesh.apps.catalog import DESCRIPTORS, STEPS, Rule
from flowmesh.apps.document.expansion import Unresolved
from flowmesh.apps.document.findings import Findings, SourcePath
from flowmesh.apps.document.model import AppDocument, StepSpec
from flowmesh.apps.document.steps import StepReader
from flowmesh.apps.release_process.addresses import address_problem, is_foreign, postgres_problem
from flowmesh.contract.json_value import Json
from flowmesh.expressions.references import kind_of

FOREIGN = "APP_PATH_FOREIGN"
ADDRESS = "APP_ADDRESS_FOREIGN"
_SQLITE = frozenset({"sqlite", "sqlite3"})
_MEMORY = ":memory:"
# A value, the object or list around it, and its place: the checked value.
Check = Callable[[Json, Json, SourcePath], Json]


def confined(document: AppDocument, *, data: Path) -> AppDocument:
    """Return the document with the paths of its data; foreign values become findings."""
    bounds = _Bounds(document, data)
    modules = tuple(
        replace(each, config=bounds.checked(each.type, each.config, each.at / "config"))
        for each in document.modules
    )
    for pipeline in document.all_pipelines():
        for step in _all_steps((*pipeline.steps, *pipeline.compensation)):
            bounds.checked(step.type, step.config, step.at / "config")
    for workflow in document.workflows:
        if workflow.kind == "integration":
            bounds.check_connectors(workflow.config, workflow.at)
    return replace(document, modules=modules, confined=True)


def leaves_bounds(document: AppDocument) -> bool:
    """Return whether a value leads out of the bounds; nothing of such a document is built."""
    return any(each.code in (FOREIGN, ADDRESS) for each in document.findings.found)


def _all_steps(steps: Iterable[StepSpec]) -> Iterator[StepSpec]:
    """Yield steps with those inside of them, whose faults are found when they are compiled."""
    for step in steps:
        yield step
        inner = step.config.get("steps") if step.type == "step.foreach" else None
        if isinstance(inner, list):
            at = step.at / "config" / "steps"
            yield from _all_steps(StepReader(Findings()).steps(inner, at))


class _Bounds:
    """The folders of a release, and the check of each rule."""

    def __init__(self, document: AppDocument, data: Path) -> None:
        self._findings = document.findings
        self._data = data
        self._checks: Mapping[Rule, Callable[[str, Json, SourcePath], str]] = {
            "read": self._read,
            "schema": self._read,
            "written": self._written,
            "sqlite": self._sqlite,
            "dsn": self._dsn,
            "migration": self._migration,
            "source": self._source,
            "address": self._address,
            "target": self._target,
            "listen": self._address,
        }

    def report(self, code: str, message: str, at: SourcePath) -> None:
        self._findings.error(code, message, at)

    def checked(self, kind: str, config: Mapping[str, Json], at: SourcePath) -> Mapping[str, Json]:
        """Return a configuration with the paths of its data."""
        descriptor = DESCRIPTORS.get(kind) or STEPS.get(kind)
        found: Json = dict(config)
        for field in descriptor.fields if descriptor is not None else ():
            for place, rule in field.rules.items():
                keys = [field.key, *filter(None, place.split("."))]
                found = _mapped(found, found, keys, at, partial(self._text, rule))
        return dict(found)

    def check_connectors(self, config: Mapping[str, Json], at: SourcePath) -> None:
        """Check the addresses of the connectors of an integration."""
        keys = ("connectors", "*", "config", "baseURL")
        _mapped(dict(config), config, keys, at, partial(self._text, "address"))

    def _text(self, rule: Rule, value: Json, around: Json, at: SourcePath) -> Json:
        """Check a text; a secret that is not read yet is checked when it is."""
        if value is None or isinstance(value, Unresolved):
            return value
        if isinstance(value, str):
            return self._checks[rule](value, around, at)
        if rule != "schema":
            self.report("APP_CONFIG_INVALID", f"must be a text, not {kind_of(value)}", at)
            return None
        return value

    def _read(self, text: str, _around: Json, at: SourcePath) -> str:
        if is_foreign(text):
            message = f"{text} is outside of the files of the release; deploy the file with it"
            self.report(FOREIGN, message, at)
        return text

    def _migration(self, text: str, around: Json, at: SourcePath) -> str:
        is_file = text.endswith(".sql") and "\n" not in text
        return self._read(text, around, at) if is_file else text

    def _source(self, text: str, around: Json, at: SourcePath) -> str:
        return text if "\n" in text else self._read(text, around, at)

    def _written(self, text: str, _around: Json, at: SourcePath) -> str:
        if not text or self._is_outside(text, at):
            return text
        return str(self._data / text)

    def _sqlite(self, text: str, _around: Json, at: SourcePath) -> str:
        """Return the DSN of a file in the folder for data; one in memory stays as it is."""
        name = text.removeprefix("file:")
        path, _, options = name.partition("?")
        if path in ("", _MEMORY) or "mode=memory" in options:
            return _MEMORY
        return text if self._is_outside(path, at) else str(self._data / path)

    def _dsn(self, text: str, around: Json, at: SourcePath) -> str:
        if str(around.get("driver", "")).lower() in _SQLITE:
            return self._sqlite(text, around, at)
        if problem := postgres_problem(text):
            self.report(ADDRESS, problem, at)
        return text

    def _address(self, text: str, _around: Json, at: SourcePath) -> str:
        if problem := address_problem(text):
            self.report(ADDRESS, problem, at)
        return text

    def _target(self, text: str, around: Json, at: SourcePath) -> str:
        # A path continues the base address of the named client, which is checked at that module.
        is_below = text.startswith("/") and around.get("client")
        return text if is_below else self._address(text, around, at)

    def _is_outside(self, path: str, at: SourcePath) -> bool:
        foreign = is_foreign(path)
        if foreign:
            message = f"{path} is outside of the data of the application; write a relative path"
            self.report(FOREIGN, message, at)
        return foreign


def _mapped(value: Json, around: Json, keys: Sequence[str], at: SourcePath, check: Check) -> Json:
    """Return a value with those at a place in it checked; so is one that has no place in it."""
    if not keys or not isinstance(value, dict | list):
        return check(value, around, at)
    made: Json = value.copy()
    for key in _keys(value, keys[0]):
        made[key] = _mapped(value[key], value, keys[1:], at / key, check)
    return made


def _keys(value: Json, wanted: str) -> Iterable[Any]:
    if isinstance(value, list):
        return range(len(value)) if wanted == "*" else ()
    if wanted == "*":
        return list(value)
    return (wanted,) if wanted in value else ()
