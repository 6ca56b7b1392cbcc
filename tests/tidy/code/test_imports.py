"""Imports of the packages that know least of the others."""

import grimp
import pytest

# Packages that may import these of ours and no other. Everything else is in the layers of
# pyproject.toml.
KNOWS: dict[str, set[str]] = {
    "contract": set(),
    "engine": {"api", "contract", "expressions", "filters", "jsontext", "plan", "tasktypes"},
    "errors": set(),
    "jsontext": {"contract", "errors"},
    "plan": {"api", "contract", "expressions", "schemas", "tasktypes", "views"},
    "sandbox": {"contract", "errors", "jsontext"},
    "schemas": {"contract"},
    "tasktypes": {"contract"},
}


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """The packages that each of ours imports, also inside functions."""
    graph = grimp.build_graph("flowmesh", cache_dir=None)
    found: dict[str, set[str]] = {}
    for module in graph.modules:
        package = module.split(".")[1] if "." in module else ""
        for other in graph.find_modules_directly_imported_by(module):
            other_package = other.split(".")[1] if "." in other else ""
            if other_package and other_package != package:
                found.setdefault(package, set()).add(other_package)
    return found


def foreign(package: str, imported: dict[str, set[str]]) -> set[str]:
    """Return what a package imports and may not."""
    return imported.get(package, set()) - KNOWS[package]


@pytest.mark.parametrize("package", KNOWS)
def test_a_package_knows_these_and_no_other(package: str, imported: dict[str, set[str]]) -> None:
    """A new import is a decision, made here; a planted one is found."""
    assert foreign(package, imported) == set()
    assert foreign(package, {package: {*KNOWS[package], "apps"}}) == {"apps"}
