"""Every library and service has unit tests, or tests with the servers that it is for."""

import re

import pytest

from tests.tidy import sources

# Packages that are nothing without a server or another process, and the tests with those.
WITH_SERVERS = {
    "bus": "integration/bus",
    "connectors": "features/broker",
    "definition": "integration/definition",
    "extras": "integration/suite",
    "filters": "integration/orchestrator",
    "mesh": "features/programs",
    "models": "integration/assistant",
    "outbox": "features/events",
    "policies": "features/security",
    "storage": "integration/identity",
    "suite": "integration/suite",
}
_IMPORTED = re.compile(r"^(?:from|import) flowmesh(?:\.| import )(\w+)", re.MULTILINE)


def imported(folder: str) -> set[str]:
    """Return the packages that the modules of a folder of tests import."""
    names = (each for each in sources.tracked() if each.startswith(f"tests/{folder}/"))
    texts = ((sources.ROOT / each).read_text() for each in names if each.endswith(".py"))
    return {package for text in texts for package in _IMPORTED.findall(text)}


def packages() -> set[str]:
    """Return the libraries and services."""
    found = (re.match(r"(?:libs|services)/flowmesh/(\w+)/", each) for each in sources.tracked())
    return {each[1] for each in found if each}


@pytest.mark.feature("S1-133")
def test_every_package_has_unit_tests() -> None:
    """A package without is in the table, and its folder of tests imports it."""
    without = packages() - imported("unit")
    assert without <= WITH_SERVERS.keys(), "packages that no unit test imports"
    for package in sorted(without):
        assert package in imported(WITH_SERVERS[package]), package


@pytest.mark.feature("S1-134")
def test_every_service_with_a_store_has_integration_tests() -> None:
    """Each has a folder below tests/integration, with tests."""
    stores = (re.match(r"services/flowmesh/(\w+)/.*\.sql$", each) for each in sources.tracked())
    for service in sorted({each[1] for each in stores if each}):
        found = (sources.ROOT / "tests" / "integration" / service).glob("test_*.py")
        assert list(found), service
