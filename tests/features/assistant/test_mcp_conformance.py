"""The conformance suite of MCP and an older client, run against a suite and its fixtures."""

from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from flowmesh.gateway.routes.mcp.endpoint import PATH, route_of
from flowmesh.rpc import Handlers
from flowmesh.telemetry import Metrics
from flowmesh.testing.suite import Suite
from tests.clients.programs import HERE, mcp_conformance, old_mcp_client
from tests.features.assistant.mcp_fixtures import fixture_server
from tests.integration.gateway.serving import serving

pytestmark = pytest.mark.long
EXPECTED_FAILURES = HERE / "conformance" / "expected-failures.yaml"
# Raise PASSED_LEAST and lower FAILURES_MAX when a scenario leaves the list, never the reverse.
FAILURES_MAX = 11
PASSED_LEAST = 19


def listed() -> Any:
    return yaml.safe_load(EXPECTED_FAILURES.read_text())


async def test_the_server_fails_no_scenario_but_the_listed_ones(tmp_path: Path) -> None:
    """A listed scenario that passes fails the run too, so the list only shrinks."""
    assert len(listed()["server"]) <= FAILURES_MAX
    metrics = Metrics()
    handlers = Handlers(cast("Any", metrics))
    async with serving([route_of(fixture_server())], (), handlers, metrics) as url:
        code, report = await mcp_conformance(f"{url}{PATH}", EXPECTED_FAILURES, tmp_path)
    assert code == 0, report
    assert report.count("✓") >= PASSED_LEAST, report


async def test_a_suite_fails_those_and_what_needs_fixtures(suite: Suite, tmp_path: Path) -> None:
    """The scenarios that call no fixture pass over the whole gateway too."""
    expected = tmp_path / "expected.yaml"
    expected.write_text(yaml.safe_dump({"server": [*listed()["server"], *listed()["fixtures"]]}))
    code, report = await mcp_conformance(f"{suite.http_url}{PATH}", expected, tmp_path)
    assert code == 0, report


async def test_a_client_of_an_older_sdk_is_served(suite: Suite) -> None:
    """`mcp` 1.21 speaks the revision of June 2025."""
    found = await old_mcp_client(f"{suite.http_url}{PATH}")
    assert found["greeted"]["protocolVersion"] == "2025-06-18"
    assert {"search_workflows", "generate_workflow"} <= set(found["tools"])
    assert "gateway" in found["called"]["content"][0]["text"]
    assert "flowmesh://schemas/workflow" in found["resources"]
    assert found["prompts"] == ["new_workflow", "fix_workflow", "investigate"]
