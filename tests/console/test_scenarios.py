"""Each scenario of the browser tests as a test of its own."""

from collections.abc import Mapping

import pytest

from tests.console.scenarios import Scenario, scenarios

pytestmark = [pytest.mark.long, pytest.mark.timeout(960)]


@pytest.mark.parametrize("scenario", scenarios(), ids=str)
def test_in_a_browser(run: Mapping[Scenario, str], scenario: Scenario) -> None:
    """The scenario passes in Chromium against a running suite."""
    assert scenario.failures(run) == []
