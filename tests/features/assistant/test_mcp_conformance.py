"""The conformance suite of the Model Context Protocol, run against a suite."""

from pathlib import Path

import pytest
import yaml

from flowmesh.testing.suite import Suite
from tests.clients.programs import HERE, mcp_conformance

pytestmark = pytest.mark.long
EXPECTED_FAILURES = HERE / "conformance" / "expected-failures.yaml"
# Raise PASSED_LEAST and lower FAILURES_MAX when a scenario leaves the list, never the reverse.
FAILURES_MAX = 24
PASSED_LEAST = 6


async def test_the_server_fails_no_scenario_but_the_listed_ones(
    suite: Suite, tmp_path: Path
) -> None:
    """A listed scenario that passes fails the run too, so the list only shrinks."""
    listed = yaml.safe_load(EXPECTED_FAILURES.read_text())["server"]
    assert len(listed) <= FAILURES_MAX
    code, report = await mcp_conformance(f"{suite.http_url}/mcp", EXPECTED_FAILURES, tmp_path)
    assert code == 0, report
    assert report.count("✓") >= PASSED_LEAST, report
