"""Wrong definitions: a committed corpus with the code and place of each, and mutations of it."""

import copy
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowmesh.definitions import Problem, check, errors_in, load_workflow, plan_workflow
from flowmesh.definitions import read_source as read
from flowmesh.definitions.formats.table import FORMATS
from flowmesh.definitions.lint import lint
from flowmesh.definitions.model import Workflow
from flowmesh.definitions.planning.compile import no_library
from flowmesh.definitions.reading.yaml_text import read_yaml
from flowmesh.errors import REASONS
from flowmesh.errors.explained import explanations
from flowmesh.plan import compile_plan
from tests.draws import draws
from tests.tidy import sources

FOLDER = Path(__file__).parent / "definitions"
# Of each document what is said of it: code, path and place.
INDEX = {
    name: said
    for line in (FOLDER / "index.txt").read_text().splitlines()
    if not line.startswith("#")
    for name, _, said in (line.partition(" "),)
}
RIGHT: list[Any] = list(read_yaml(FOLDER.with_name("right.yaml").read_text()))
KINDS = {".json": "application/json", ".yaml": "application/yaml"}
# What a source alone cannot show, or only one of megabytes.
NOT_IN_A_DOCUMENT = {
    "WORKFLOW_INVALID",
    "MOCKS_INVALID",
    "PARAMETERS_INVALID",
    "DEFINITION_TOO_LARGE",
    "GRAPH_TOO_LARGE",
}
CALL_S = 1.0
# How the schemas for editors are named, by the kind of a resource and by the mark of a format.
KIND_NAMES = {"Workflow": "workflow", "WorkflowTask": "task", "WorkflowTemplate": "template"}
MARKS = {each.marks[0]: each.name for each in FORMATS.values() if each.name in each.schemas}
JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 2**63, 1e300, "", " ", "a", "a b", "{{", "{{input}}", "{{input.a.b}}",
    "{{tasks.a.output}}", "30s", "9" * 40, "x" * 2_000, "\u202e", "(?=", "return (", "1 > 0",
    [], {}, [[]], [None], ["a"], {"a": {}}, {"$ref": "#"}, {"type": "x"},
    "input.x.all(a, a.all(b, b))",
)  # fmt: skip


def problems_of(source: bytes, kind: str) -> list[Problem]:
    reading = read(source, kind)
    return [*reading.problems, *check(reading, no_library), *lint(reading, no_library)]


@pytest.mark.parametrize("name", INDEX)
def test_a_wrong_document_gets_its_code_and_place(name: str) -> None:
    """The expected problem at its line and column, and no other error."""
    code, paths, place = INDEX[name].split(" ")
    warned = name.startswith("warned-")
    found = problems_of((FOLDER / name).read_bytes(), KINDS[Path(name).suffix])
    same = [problem for problem in found if problem.warning == warned and problem.code == code]
    wanted = [] if paths == "-" else paths.split(";")
    assert sorted(problem.place for problem in same) == sorted(wanted or [""])
    first = next(problem for problem in same if problem.place == (wanted or [""])[0])
    assert (f"{first.line}:{first.column}" if first.line else "-") == place
    assert {problem.code for problem in errors_in(found)} == (set() if warned else {code})


def test_right_documents_are_right() -> None:
    """Together, since the workflow uses the tasks."""
    found = problems_of(FOLDER.with_name("right.yaml").read_bytes(), "application/yaml")
    assert errors_in(found) == []


def test_the_corpus_is_whole() -> None:
    """At least 200 documents, each indexed, and one for every code that a definition can get."""
    files = {path.name for path in FOLDER.iterdir()} - {"index.txt"}
    assert files == INDEX.keys()
    assert len(INDEX) >= 200
    codes = {line.split(" ")[0] for line in INDEX.values()}
    assert codes <= REASONS.keys()
    assert explanations().keys() - codes == NOT_IN_A_DOCUMENT


def kind_of(document: Any) -> str:
    if not isinstance(document, dict):
        return ""
    kind = document.get("kind")
    if "kind" in document:
        return KIND_NAMES.get(kind, "") if isinstance(kind, str) else ""
    marks = [mark for mark in MARKS if mark in document]
    return MARKS[marks[0]] if len(marks) == 1 else ""


def definitions_written_here() -> list[tuple[str, Any]]:
    """Every definition in examples and pages."""
    found: list[tuple[str, Any]] = []
    for name in sources.tracked():
        text = ""
        if name.startswith("examples/") and name.endswith((".yaml", ".json")):
            text = sources.text(name)
        elif name.endswith(".md") and not name.startswith("docs/errors/"):
            blocks = sources.text(name).split("```")[1::2]
            text = "\n---\n".join(b.partition("\n")[2] for b in blocks if b.startswith("yaml"))
        documents = read_yaml(text) if text else ()
        found += ((name, document) for document in documents if kind_of(document))
    return found


def _documents() -> list[Any]:
    found = []
    for name in INDEX:
        text = (FOLDER / name).read_text()
        reading = read(text.encode(), KINDS[Path(name).suffix])
        if reading.source is not None:
            found += [each for each in reading.source.documents if isinstance(each, dict)]
    for each in explanations().values():
        found += [document for document in read_yaml(each.right) if document]
    # Those that use everything are the most worth breaking.
    return [*found, *RIGHT * 10, *(document for _, document in definitions_written_here())]


DOCUMENTS = _documents()


def places_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = list(value.items()) if isinstance(value, dict) else []
    items += enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places_in(item, (*path, key))
    return found


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A document of which some parts are something else, gone, or somewhere else."""
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS)))
    for _ in range(draw(st.integers(1, 4))):
        places = places_in(document)
        if not places:
            break
        path = draw(st.sampled_from(places))
        around = document
        for key in path[:-1]:
            around = around[key]
        what = draw(st.sampled_from(("junk", "gone", "other", "twice")))
        if what == "gone":
            del around[path[-1]]
        elif what == "twice" and isinstance(around, list):
            around.append(copy.deepcopy(around[path[-1]]))
        elif what == "other":
            other = draw(st.sampled_from(DOCUMENTS))
            around[path[-1]] = copy.deepcopy(draw(st.sampled_from(list(other.values()))))
        else:
            around[path[-1]] = copy.deepcopy(draw(st.sampled_from(JUNK)))
    return document


def tried(document: Any) -> None:
    """Told what is wrong within a second; what nothing is wrong with can be planned."""
    source = orjson.dumps(document)
    begun = time.process_time()
    found = problems_of(source, "application/json")
    assert time.process_time() - begun < CALL_S, source
    for problem in found:
        assert problem.code in REASONS, problem
        assert problem.code != "INTERNAL", problem
        assert problem.message
    resource = read(source, "application/json").resources
    if not errors_in(found) and resource and isinstance(resource[0].resource, Workflow):
        plan = plan_workflow(
            load_workflow(document), no_library, namespace="n", version=1, version_digest="d"
        )
        compile_plan(plan)


@settings(
    max_examples=draws(400),
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(mutated())
def test_a_mutated_document_is_judged(document: Any) -> None:
    """Soon, with reasons of the table, and never by an exception."""
    tried(document)


@pytest.mark.slow
@settings(
    max_examples=12_000, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
@given(mutated())
def test_many_mutated_documents_are_judged(document: Any) -> None:
    """Others each time."""
    tried(document)
