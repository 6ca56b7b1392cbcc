"""The example applications answer their recorded requests."""

from pathlib import Path

import pytest
import yaml

from flowmesh.apps.document.loading import Loading
from flowmesh.apps.offline.checking import check
from flowmesh.apps.offline.testing import run_tests
from flowmesh.errors import Invalid
from flowmesh.testing.suite import Suite
from tests.features.apps import ROOT, SECRET

FOLDER = ROOT / "examples" / "apps"
# Needs a suite: see the last test but one.
DURABLE = "durable-orders"
# Those of every run; the others are long.
QUICK = ("api-gateway", "inventory", "shop")
# The examples that a feature names. Each carries its feature, so a missing folder is missed.
NAMED = [
    pytest.param("admin", marks=pytest.mark.feature("S1-120")),
    pytest.param("api-gateway", marks=pytest.mark.feature("S1-143")),
    pytest.param("api-server", marks=pytest.mark.feature("S1-144")),
    pytest.param("api-gateway-modular", marks=pytest.mark.feature("S1-145")),
    pytest.param("data-pipeline", marks=pytest.mark.feature("S1-146")),
    pytest.param("data-sync", marks=pytest.mark.feature("S1-147")),
    pytest.param("event-processing", marks=pytest.mark.feature("S1-148")),
    pytest.param("event-driven", marks=pytest.mark.feature("S1-149")),
    pytest.param("integration", marks=pytest.mark.feature("S1-150")),
    pytest.param("multi-workflow", marks=pytest.mark.feature("S1-151")),
    pytest.param("notifications", marks=pytest.mark.feature("S1-152")),
    pytest.param("webhooks", marks=pytest.mark.feature("S1-153")),
    pytest.param("order-processing", marks=pytest.mark.feature("S1-154")),
    pytest.param("realtime-messaging", marks=pytest.mark.feature("S1-155")),
    pytest.param("scheduled-jobs", marks=pytest.mark.feature("S1-156")),
    pytest.param("many-schedules", marks=pytest.mark.feature("S1-157")),
    pytest.param("simple-workflow", marks=pytest.mark.feature("S1-158")),
    pytest.param("sms-chat", marks=pytest.mark.feature("S1-159")),
    pytest.param("state-machine", marks=pytest.mark.feature("S1-160")),
    pytest.param("all-triggers", marks=pytest.mark.feature("S1-161")),
    pytest.param("dependency-injection", marks=pytest.mark.feature("S1-162")),
]
OTHERS = [
    "accounts",
    "audit-trail",
    "bank-transfers",
    "bookings",
    "browser-api",
    "chat-platform",
    "contact-form",
    "durable-orders",
    "expenses",
    "fan-out",
    "feature-flags",
    "inventory",
    "leaderboard",
    "multi-database",
    "observed",
    "poll",
    "private-files",
    "private-notes",
    "sagas",
    "shipping-quotes",
    "shop",
    "static-site",
    "survey",
    "text-search",
    "text-tools",
    "todo-list",
    "uploads",
    "url-shortener",
    "versioned-api",
    "webhook-inbox",
]
LONG = [
    pytest.param(*each.values, marks=[pytest.mark.long, *each.marks])
    for each in (*NAMED, *(pytest.param(name) for name in OTHERS if name != DURABLE))
    if each.values[0] not in QUICK
]
SHORT = [each for each in NAMED if each.values[0] in QUICK]


def requests_of(name: str) -> Path:
    """The file of recorded requests of an example."""
    return FOLDER / name / f"{name}.test.yaml"


@pytest.mark.parametrize("name", [*SHORT, "inventory", "shop", *LONG])
async def test_an_example_answers_its_recorded_requests(name: str) -> None:
    """Every recorded request has its recorded answer, and nothing is written beside the file."""
    file = requests_of(name)
    before = {*file.parent.rglob("*")}
    results = await run_tests(file, Loading(environment={}))
    assert [each for each in results if each.failure] == []
    assert results
    assert {*file.parent.rglob("*")} == before


@pytest.mark.feature("S1-154")
async def test_the_durable_example_answers_with_a_suite(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its runs are executions; without a suite it is refused."""
    file = requests_of(DURABLE)
    monkeypatch.delenv("FLOWMESH_ADDRESS", raising=False)
    with pytest.raises(Invalid, match="FLOWMESH_ADDRESS"):
        await run_tests(file, Loading(environment={}))
    monkeypatch.setenv("FLOWMESH_ADDRESS", suite.grpc_address)
    results = await run_tests(file, Loading(environment={}))
    assert [each.failure for each in results] == ["", ""]


@pytest.mark.long
@pytest.mark.feature("S1-163")
def test_there_are_at_least_36_examples_and_all_are_valid() -> None:
    """Those listed above and no others; each has requests, a comment, its name and no errors."""
    named = {str(each.values[0]) for each in NAMED}
    apps = {each.parent.name: each for each in FOLDER.glob("*/app.yaml")}
    assert apps.keys() == {*named, *OTHERS}
    assert len(apps) >= 36
    for name, path in apps.items():
        assert requests_of(name).is_file()
        environment = {"JWT_SECRET": SECRET, "ADMIN_KEY": SECRET}
        found = check(path, Loading(environment=environment))
        assert [each for each in found.problems if not each.warning] == [], path
        assert path.read_text().startswith("# "), path
        assert yaml.safe_load(path.read_text())["name"] == name
