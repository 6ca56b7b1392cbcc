"""docs/architecture.md maps the layers and the technologies of the requirements to what is here."""

import re
from collections.abc import Iterator

import pytest

from flowmesh.suite.services import CORE
from flowmesh.testing.polling import until
from flowmesh.testing.suite import Suite
from tests.tidy import sources

PAGE = sources.ROOT / "docs" / "architecture.md"
LAYERS = {
    "Application": 2,
    "Workflow orchestration": 3,
    "Communication and discovery": 3,
    "Infrastructure": 3,
}
# The required technology, and the packages that stand for it: of Python, or of the console.
REPLACED = {
    ".NET 8": ("mypy",),
    "ASP.NET Core": ("uvicorn", "grpcio"),
    "System.Text.Json": ("orjson", "msgspec"),
    "KubeOps 8.x": ("kubernetes-validate",),
    "JsonSchema.Net 5.x": ("jsonschema", "jsonschema-rs"),
    "PostgreSQL 15": ("asyncpg",),
    "React 18, TypeScript": ("react", "typescript"),
    "React Flow": ("react",),
    "Three.js": ("three",),
    "SignalR": ("uvicorn",),
    "xUnit": ("pytest", "hypothesis"),
    "Moq": (),
    "FluentAssertions": (),
    "Stryker.NET": ("cosmic-ray",),
    "BenchmarkDotNet, NBomber": (),
}


def rows(section: str) -> list[list[str]]:
    """Return the cells of the table of a section."""
    text = PAGE.read_text().partition(f"## {section}\n")[2].partition("\n## ")[0]
    found = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in found[1:]]


def parts(cell: str) -> Iterator[str]:
    """Yield the services, folders and pages that a cell names."""
    for name, page in re.findall(r"`([a-z/]+)`|\]\(([^)#]+)", cell):
        yield name or page


@pytest.mark.feature("S4-01")
async def test_each_layer_is_mapped_to_what_runs(suite: Suite) -> None:
    """Four layers with all their parts, each to services that run, libraries or pages."""
    table, services = rows("Layers"), set[str]()
    counted = {layer: sum(row[0] == layer for row in table) for layer in LAYERS}
    assert counted == LAYERS
    assert {row[0] for row in table} == LAYERS.keys()
    places = ("services/flowmesh", "libs/flowmesh", ".", "docs")
    for _, part, ours in table:
        named = [each for each in parts(ours) if each not in {"flowmesh", "redis_cache"}]
        assert named, part
        for each in named:
            assert any((sources.ROOT / place / each).exists() for place in places), each
            services |= {each} & set(CORE)

    async def running() -> bool:
        answer = await suite.get("/api/v1/services?pageSize=200")
        # The gateway answers, and is in no list of services.
        return services <= {each["name"] for each in answer.json["services"]} | {"gateway"}

    assert len(services) >= 6
    await until("the services of the table", running, within_s=60)


@pytest.mark.feature("S0-156")
def test_each_required_technology_has_a_counterpart() -> None:
    """Every row of the table is in use: its packages are in a lock file of this repository."""
    assert [row[0] for row in rows("Technologies")] == list(REPLACED)
    python = (sources.ROOT / "requirements-dev.lock").read_text()
    console = (sources.ROOT / "console" / "package.json").read_text()
    for required, packages in REPLACED.items():
        for each in packages:
            locked = re.search(rf"^{each}(\[.*\])?==", python, re.MULTILINE)
            assert locked or f'"{each}": "' in console, (required, each)
