"""The official JSON Schema test suite against the checks of registration and of values."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import orjson
import pytest

from flowmesh.contract.json_value import Json
from flowmesh.definitions.problems import Problems
from flowmesh.definitions.schema_checks import check_schema
from flowmesh.plan.schemas import Schema
from flowmesh.schemas import DRAFT_NAMES

Record = Callable[[str, object], None]
SUITE = "json-schema-test-suite"
REMOTE = "http://localhost:1234/"
DRAFTS = dict(zip(("draft7", "draft2019-09", "draft2020-12"), DRAFT_NAMES[2:], strict=True))
# Number of cases per draft; a suite that lost its files would pass silently.
CASES_MIN = {"draft7": 900, "draft2019-09": 1_200, "draft2020-12": 1_250}


@dataclass(frozen=True, slots=True)
class Group:
    """A schema with valid and invalid values."""

    file: str
    name: str
    schema: Json
    tests: tuple[Json, ...]

    def refusal(self) -> str:
        """Return the reason why the schema is refused; empty if it is accepted."""
        problems = Problems()
        check_schema(self.schema, ("inputSchema",), problems)
        return " ".join(sorted({problem.code for problem in problems.found}))

    def disagreements(self, remotes: Path | None) -> list[str]:
        """Return the values where the validator and the suite disagree."""

        def retrieve(uri: str) -> Json:
            assert remotes is not None
            assert uri.startswith(REMOTE), uri
            return json.loads((remotes / uri.removeprefix(REMOTE)).read_text())

        schema = Schema(orjson.dumps(self.schema), retrieve if remotes is not None else None)
        return [
            f"{self.file}: {self.name}: {test['description']}"
            for test in self.tests
            if test["valid"] == bool(schema.problems(test["data"]))
        ]


@cache
def groups(folder: Path, draft: str, *, optional: bool) -> tuple[Group, ...]:
    return tuple(_read(folder / SUITE / "tests" / draft, DRAFTS[draft], optional=optional))


def _read(folder: Path, draft: str, *, optional: bool) -> Iterator[Group]:
    paths = (folder / "optional").rglob("*.json") if optional else folder.glob("*.json")
    for path in sorted(paths):
        for group in json.loads(path.read_text()):
            schema = group["schema"]
            if isinstance(schema, dict):
                schema = {"$schema": draft, **schema}
            name = str(path.relative_to(folder).with_suffix(""))
            yield Group(name, group["description"], schema, tuple(group["tests"]))


@pytest.mark.parametrize("draft", DRAFTS)
def test_required_cases_pass(conformance_data: Path, draft: str, record_property: Record) -> None:
    """Every value of every schema; remote references are provided locally."""
    wrong: list[str] = []
    refused: list[tuple[Group, str]] = []
    cases = 0
    for group in groups(conformance_data, draft, optional=False):
        cases += len(group.tests)
        refusal = group.refusal()
        if refusal:
            refused.append((group, refusal))
        remotes = conformance_data / SUITE / "remotes" if refusal else None
        wrong += group.disagreements(remotes)
    held = sum(len(group.tests) for group, _ in refused)
    said = f"{cases - len(wrong):5} of {cases:5} pass; {held} need what registration never fetches:"
    record_property("conformance", f"{draft:13} required {said}")
    for group, refusal in refused:
        shown = f"  {refusal}  {group.file}: {group.name} ({len(group.tests)})"
        record_property("conformance", shown)
    assert wrong == []
    assert cases >= CASES_MIN[draft]
    assert {refusal for _, refusal in refused} == {"SCHEMA_REMOTE_REF"}
    assert [group for group, _ in refused if REMOTE not in json.dumps(group.schema)] == []


@pytest.mark.parametrize("draft", DRAFTS)
def test_optional_cases_are_counted(
    conformance_data: Path, draft: str, record_property: Record
) -> None:
    """Formats, huge numbers, other regular expressions: nothing breaks, and most agrees."""
    agreed = cases = 0
    told: list[str] = []
    for group in groups(conformance_data, draft, optional=True):
        cases += len(group.tests)
        refusal = _refusal_of_optional(group)
        if refusal:
            told.append(f"{group.file}: {group.name}: refused, {refusal} ({len(group.tests)})")
            continue
        wrong = group.disagreements(conformance_data / SUITE / "remotes")
        agreed += len(group.tests) - len(wrong)
        told += wrong
    record_property("conformance", f"{draft:13} optional {agreed:5} of {cases:5} agree; others:")
    for line in told:
        record_property("conformance", f"  {line}")
    assert agreed > cases / 2


def _refusal_of_optional(group: Group) -> str:
    """Return the reason for a refusal, or that the schema holds inexact numbers."""
    try:
        orjson.dumps(group.schema)
    except orjson.JSONEncodeError:
        return "JSON_INVALID"
    return group.refusal()
