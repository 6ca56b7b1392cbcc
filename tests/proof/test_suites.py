"""Every package and every service has tests of its own."""

import re
from functools import cache

import pytest

from tests.tidy.sources import ROOT, written

# Thin packages, which are tested by what their users see; each with the tests that do.
TESTED_IN_USE = {
    "mesh": "tests/features/programs/test_mesh.py",
}


def packages(folder: str) -> set[str]:
    """Return the packages below `flowmesh` in libs or services."""
    found = (re.match(rf"{folder}/flowmesh/(\w+)/.*\.py$", name) for name in written())
    return {each[1] for each in found if each}


@cache
def imports(folder: str) -> dict[str, set[str]]:
    """Return the packages of Flowmesh by each file of tests that imports them and has tests."""
    found = {}
    for name in written():
        if name.startswith(folder) and name.endswith(".py"):
            text = (ROOT / name).read_text()
            if re.search(r"^(async )?def test_", text, re.MULTILINE):
                listed = re.findall(r"^from flowmesh import (.+)", text, re.MULTILINE)
                names = {each.strip() for line in listed for each in line.split(",")}
                found[name] = names | set(re.findall(r"\bflowmesh\.(\w+)", text))
    return found


@pytest.mark.feature("S1-133")
def test_every_package_has_unit_tests() -> None:
    """In tests/unit, with real servers in tests/integration, or in use."""
    tested = set[str]()
    for folder in ("tests/unit/", "tests/integration/"):
        tested = tested.union(*imports(folder).values())
    missing = (packages("libs") | packages("services")) - tested
    assert sorted(missing) == sorted(TESTED_IN_USE)


@pytest.mark.parametrize("package", sorted(TESTED_IN_USE))
def test_a_package_is_tested_in_use(package: str) -> None:
    """The file is there and has tests."""
    path = ROOT / TESTED_IN_USE[package]
    assert re.search(r"^(async )?def test_", path.read_text(), re.MULTILINE)


@pytest.mark.feature("S1-134")
@pytest.mark.parametrize("service", sorted(packages("services")))
def test_every_service_has_integration_tests(service: str) -> None:
    """A folder of tests that import the service, which run with real servers in `make test`."""
    files = imports(f"tests/integration/{service}/")
    assert any(service in found for found in files.values())
