"""The extras of pyproject.toml, what the code imports, and what names a missing one agree."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flowmesh.extras import MODULES, extra_of
from tests.tidy import sources

PROJECT = tomllib.loads(sources.text("pyproject.toml"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
# The child of a sandbox imports it from its own folder.
OWN = {"flowmesh", "confined", "policy"}
# Modules of a distribution that another one always brings.
COMPANIONS = {
    "packageurl": "cyclonedx-python-lib",
    "pydantic": "pydantic-settings",
    "yarl": "aiohttp",
}


def names(requirements: list[str]) -> set[str]:
    """The distributions that are asked for, without those of other extras."""
    found: set[str] = {canonicalize_name(Requirement(text).name) for text in requirements}
    return found - {"flowmesh"}


def imported() -> Iterator[tuple[str, str]]:
    """Each file of the wheel with a top-level module of others that it imports."""
    for name in sources.python():
        if name.startswith(("libs/", "services/")):
            for node in sources.nodes(name):
                modules = (
                    [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                )
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules = [node.module]
                for top in {module.partition(".")[0] for module in modules}:
                    if top not in sys.stdlib_module_names and top not in OWN:
                        yield name, top


def test_what_is_imported_is_a_dependency_of_its_own() -> None:
    """A module is from the base, or the table names the extra that lists its distribution."""
    base, distributions = names(PROJECT["dependencies"]), packages_distributions()
    wrong = []
    for name, module in imported():
        found: set[str] = {canonicalize_name(each) for each in distributions.get(module, ())}
        found |= {COMPANIONS[module]} if module in COMPANIONS else set()
        extra = extra_of(module)
        if not found & (names(EXTRAS[extra]) if extra else base):
            wrong.append(f"{name}: {module} of {found or 'nothing'}, extra {extra or 'none'}")
    assert not wrong, sources.lines(wrong)


def test_each_extra_is_known_and_described() -> None:
    """The table and docs/install.md name the extras that there are."""
    assert set(MODULES) == set(EXTRAS)
    page = sources.text("docs/install.md")
    assert [extra for extra in EXTRAS if f"| `{extra}` |" not in page] == []
