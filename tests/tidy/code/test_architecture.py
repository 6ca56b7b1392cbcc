"""docs/architecture.md and the pages beside it state what they have to."""

import re
import tomllib

from tests.tidy import sources
from tools.pages import architecture

# The parts of each layer, as the description of the platform names them.
LAYERS = {
    "Application": ["business logic", "API endpoints", "user interface"],
    "Workflow orchestration": [
        "workflow engine",
        "agent orchestrator",
        "event sourcing with sagas",
    ],
    "Communication and discovery": ["message queue", "service discovery", "Redis manager"],
    "Infrastructure": ["Kubernetes", "PostgreSQL", "Redis", "MQTT", "AMQP"],
}
STACK = (
    ".NET 8", "ASP.NET Core", "System.Text.Json", "KubeOps 8.x", "JsonSchema.Net 5.x",
    "PostgreSQL 15", "React 18", "TypeScript", "React Flow", "Three.js", "SignalR", "xUnit",
    "Moq", "FluentAssertions", "Stryker.NET", "BenchmarkDotNet", "NBomber",
)  # fmt: skip
PATTERNS = (
    "Sequential tasks",
    "Parallel fan-out and fan-in",
    "Saga with compensation",
    "Event-driven pipeline",
    "Communication over service discovery",
)
LINK = re.compile(r"\]\(([^)#]+)\)")
# A quoted library or service of a cell.
OURS = re.compile(r"`(?:libs/flowmesh/)?(\w+)`")


def section(page: str, heading: str) -> str:
    text = sources.text(f"docs/{page}")
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    return found[1]


def rows(page: str, heading: str) -> list[list[str]]:
    """The rows of the tables of a section, without the heads."""
    lines = [line for line in section(page, heading).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


def test_every_service_and_its_calls_are_drawn() -> None:
    """Each service stands in the table by hand, and in the drawing with an arrow."""
    text = section("architecture.md", "Services")
    drawing = re.search(r"```mermaid\n(.*?)```", text, re.DOTALL)
    assert drawing is not None
    for name in architecture.services():
        assert re.search(rf"^\| `{name}` \| [a-zA-Z]", text, re.MULTILINE), name
        assert re.search(rf"\b{name}\b", drawing[1]), name


def test_the_drawing_has_the_calls_that_everything_depends_on() -> None:
    """Starts and plans, dispatch on the stream of the worker, events out of the outbox."""
    assert {
        ("gateway", "orchestrator"),
        ("orchestrator", "definition"),
        ("worker", "orchestrator"),
        ("event", "orchestrator"),
    } <= set(architecture.calls())


def test_each_library_is_in_one_room() -> None:
    """The map of the libraries leaves none out."""
    placed = [name for libraries in architecture.ROOMS.values() for name in libraries.split()]
    assert sorted(placed) == sorted(architecture.packages(architecture.LIBS))


def test_each_part_of_the_four_layers_has_its_place() -> None:
    """Every part has a row in its layer, which names a service or a library."""
    found: dict[str, str] = {}
    known = {*architecture.packages(architecture.LIBS), *architecture.services()}
    for layer, part, place in rows("architecture.md", "Layers"):
        found[layer] = f"{found.get(layer, '')} {part}"
        assert known & set(OURS.findall(place)), part
    assert found.keys() == LAYERS.keys()
    for layer, parts in LAYERS.items():
        assert [part for part in parts if part not in found[layer]] == []


def test_each_technology_named_has_its_counterpart() -> None:
    """One row for each, and what is installed for it is a dependency of ours."""
    counterparts = dict(rows("architecture.md", "Technologies"))
    named = {name: right for left, right in counterparts.items() for name in left.split(", ")}
    assert sorted(named) == sorted(STACK)
    project = tomllib.loads(sources.text("pyproject.toml"))
    extras = project["project"]["optional-dependencies"].values()
    groups = (project["project"]["dependencies"], project["dependency-groups"]["test"], *extras)
    needed = [each for group in groups for each in group if isinstance(each, str)]
    installed = {re.split(r"[^\w.-]", each)[0] for each in needed}
    used = {"uvicorn", "grpcio", "orjson", "msgspec", "jsonschema", "jsonschema-rs", "asyncpg"}
    used |= {"pytest", "hypothesis"}
    assert used <= installed
    text = " ".join(named.values())
    assert [name for name in sorted(used) if name not in text] == []


def test_each_pattern_of_whole_workflows_has_an_example_and_a_test_that_runs_it() -> None:
    """Both are files of the repository, and the test names the example."""
    found = rows("patterns.md", "Patterns of whole workflows")
    assert [name for name, *_ in found] == list(PATTERNS)
    docs = sources.ROOT / "docs"
    for name, _, example, test in found:
        program, driver = (docs / LINK.findall(cell)[0] for cell in (example, test))
        assert program.is_file(), name
        run = program.stem if program.suffix == ".py" else program.parent.name
        assert f'"{run}"' in driver.read_text(), name


def test_the_scope_is_stated() -> None:
    """Not a replacement for the known systems, not an orchestrator of infrastructure."""
    scope = section("comparison.md", "Scope")
    assert "not a replacement for Airflow, Prefect or Temporal" in scope
    assert "does not provision or orchestrate infrastructure" in scope
    assert "(comparison.md#scope)" in sources.text("docs/faq.md")


def test_the_alternative_to_a_document_store_is_stated() -> None:
    """The answer names MongoDB and what PostgreSQL does in its place."""
    faq = sources.text("docs/faq.md")
    answer = re.search(r"^\*\*Can the state be in a document database.*?\n\n", faq, re.M | re.S)
    assert answer is not None
    for word in ("MongoDB", "PostgreSQL", "`jsonb`", "a single PostgreSQL statement"):
        assert word in answer[0]
