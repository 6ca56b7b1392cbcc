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

EXAMPLES = sorted((ROOT / "examples" / "apps").glob("*/*.test.yaml"))
# Those of every run; the others are long.
DURABLE = "durable-orders"
QUICK = ("api-gateway", "inventory", "shop")
MARKED = [
    pytest.param(
        each, id=each.parent.name, marks=[pytest.mark.long] * (each.parent.name not in QUICK)
    )
    for each in EXAMPLES
    if each.parent.name != DURABLE
]


@pytest.mark.feature("S1-143", "S1-144", "S1-145", "S1-146", "S1-147", "S1-150", "S1-154")
@pytest.mark.feature("S1-158", "S1-162", "S1-148", "S1-149", "S1-152", "S1-153", "S1-155")
@pytest.mark.feature("S1-156", "S1-157", "S1-159", "S1-160", "S1-161", "S1-151")
@pytest.mark.parametrize("file", MARKED)
async def test_an_example_answers_its_recorded_requests(
    file: Path,
) -> None:
    """Every recorded request has its recorded answer, and nothing is written beside the file."""
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
    file = ROOT / "examples" / "apps" / DURABLE / f"{DURABLE}.test.yaml"
    monkeypatch.delenv("FLOWMESH_ADDRESS", raising=False)
    with pytest.raises(Invalid, match="FLOWMESH_ADDRESS"):
        await run_tests(file, Loading(environment={}))
    monkeypatch.setenv("FLOWMESH_ADDRESS", suite.grpc_address)
    results = await run_tests(file, Loading(environment={}))
    assert [each.failure for each in results] == ["", ""]


@pytest.mark.feature("S1-163")
def test_there_are_36_examples_and_all_are_valid() -> None:
    """Each has a file of requests, a comment, its own name, and no errors."""
    apps = sorted((ROOT / "examples" / "apps").glob("*/app.yaml"))
    assert len(apps) >= 36
    assert {each.parent for each in apps} == {each.parent for each in EXAMPLES}
    for path in apps:
        environment = {"JWT_SECRET": SECRET, "ADMIN_KEY": SECRET}
        found = check(path, Loading(environment=environment))
        assert [each for each in found.problems if not each.warning] == [], path
        assert path.read_text().startswith("# "), path
        assert yaml.safe_load(path.read_text())["name"] == path.parent.name
